//! `deliver dead ...`: what was parked in `deliver.<destination>.dead`.
//!
//! A redriven event goes to the end of the destination's retry topic, byte for byte, with no attempt
//! counted and due at once. The header that says so lets the lanes send it behind everything live of its
//! subscriber (lane protocol, rule 10).

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use dead_letters::letter::Letter;
use dead_letters::{Stage, Surroundings, execute};
use schemas::Timestamp;
use schemas::headers::{Header, REFRESH_TYPE, RetryHeaders};
use schemas::topics::Topic;
use service::clock::Clock;
use service::config::{Account, Config};
use service::exit::Failure;
use stream::{Received, Record};
use strum::IntoEnumIterator;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::bodies::{Bodies, Schemas};
use crate::configure;
use crate::failure::Reason;

/// Customer.io starts no campaign by an event that happened longer ago (docs.customer.io, "Events", read
/// 2026-11).
const CAMPAIGNS_IGNORE_AFTER: Duration = Duration::from_hours(72);

/// `deliver dead ...`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Arguments {
    /// Of this destination alone; of all of them when not said.
    #[arg(long, global = true, value_name = "NAME")]
    destination: Option<String>,
    #[command(flatten)]
    common: dead_letters::Arguments,
}

/// Does what was asked for.
///
/// # Errors
/// When not all of it could be done.
pub async fn work(
    arguments: Arguments,
    config: &Config,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> Result<(), Failure> {
    let stages = stages(config, arguments.destination.as_deref())?;
    let around = Surroundings { cluster: configure::cluster(config), clock, shutdown };
    execute(arguments.common, stages, around).await
}

fn stages(config: &Config, only: Option<&str>) -> Result<Vec<Box<dyn Stage>>, Failure> {
    if let Some(name) = only
        && !config.destinations.contains_key(name)
    {
        let names: Vec<_> = config.destinations.keys().map(String::as_str).collect();
        let names = names.join(", ");
        return Err(Failure::Usage(format!("there is no destination {name}; there is {names}")));
    }
    let schemas = configure::registry(config)
        .map_err(Failure::failed)?
        .map(|registry| Schemas { registry, runtime: Handle::current() });
    let chosen = config.destinations.iter().filter(|(name, _)| only.is_none_or(|one| one == *name));
    let stages = chosen.map(|(name, destination)| {
        let campaigns = match destination.account {
            Account::Customerio(_) => Some(CAMPAIGNS_IGNORE_AFTER),
            Account::Intercom(_) | Account::Webhook(_) => None,
        };
        let bodies = Bodies::new(schemas.clone()).map_err(Failure::failed)?;
        let dead = Dead::of(&config.kafka.topic_prefix, name, campaigns, bodies);
        Ok::<Box<dyn Stage>, Failure>(Box::new(dead))
    });
    stages.collect()
}

/// The dead letters of one destination.
#[derive(Debug)]
struct Dead {
    destination: String,
    topic: String,
    retry: String,
    /// The age from which the destination's campaigns ignore an event.
    campaigns: Option<Duration>,
    bodies: Bodies,
}

impl Dead {
    fn of(prefix: &str, destination: &str, campaigns: Option<Duration>, bodies: Bodies) -> Self {
        Self {
            destination: destination.to_owned(),
            topic: Topic::Dead(destination.to_owned()).name(prefix),
            retry: Topic::Retry(destination.to_owned()).name(prefix),
            campaigns,
            bodies,
        }
    }
}

impl Stage for Dead {
    fn name(&self) -> &str {
        &self.destination
    }

    fn topic(&self) -> &str {
        &self.topic
    }

    /// The topic's name begins with that of the group, as transactional ids do.
    fn identity(&self) -> &str {
        &self.topic
    }

    fn target(&self) -> &str {
        &self.retry
    }

    fn reasons(&self) -> Vec<&'static str> {
        Reason::iter().filter(|reason| reason.parks()).map(Reason::word).collect()
    }

    /// A refresh is as old as its letter; what was shown since may be newer without a newer sequence.
    fn obstacle(&self, letter: &Letter) -> Option<&'static str> {
        let is_refresh = letter.labels.event_type.as_deref() == Some(REFRESH_TYPE);
        is_refresh.then_some(
            "it is a refresh: `deliver refresh` for its subscriber sends what is known now",
        )
    }

    fn happened_at(&self, letter: &Received) -> Option<Timestamp> {
        self.bodies.event(letter.value.as_deref()?).map(|event| event.occurred_at)
    }

    fn caution(&self, age: i64) -> Option<&'static str> {
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        let ignored = self.campaigns.is_some_and(|campaigns| age > campaigns);
        ignored.then_some(
            "happened more than 72 hours ago; Customer.io records such an event, but its campaigns \
             ignore it",
        )
    }

    fn redriven(&self, letter: Received, partition: i32, headers: Vec<Header>) -> Record {
        let fresh =
            RetryHeaders { attempts: 0, first_failure: None, due: None, outages: Duration::ZERO };
        Record {
            topic: self.retry.clone(),
            partition: Some(partition),
            key: letter.key.unwrap_or_default(),
            value: letter.value,
            headers: fresh.onto(&headers),
        }
    }

    /// The event as JSON.
    fn legible(&self, body: &[u8]) -> Option<String> {
        let event = self.bodies.event(body)?;
        serde_json::to_string_pretty(&event).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destinations::samples;
    use schemas::EventType;
    use schemas::codec::{Codec, Framing};
    use schemas::headers::{EventHeaders, restored, times_redriven};

    fn dead(campaigns: Option<Duration>) -> Dead {
        Dead::of("acme.", "crm", campaigns, Bodies::new(None).unwrap())
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::augment_args(clap::Command::new("dead")).debug_assert();
    }

    #[test]
    fn a_redriven_event_goes_to_the_retry_topic_as_if_it_was_never_tried() {
        let tried = RetryHeaders {
            attempts: 4,
            first_failure: Some(Timestamp::from_millis(5)),
            due: Some(Timestamp::from_millis(6)),
            outages: Duration::from_secs(1),
        };
        let letter = Received {
            topic: "acme.deliver.crm.dead".into(),
            partition: 9,
            offset: 0,
            timestamp: Timestamp::from_millis(7),
            key: Some(b"shop/cus_1".to_vec()),
            value: Some(vec![1, 2, 3]),
            headers: tried.onto(&[Header::text("ce_id", "e1")]),
        };
        let headers = restored(&letter.headers).unwrap();
        let record = dead(None).redriven(letter, 2, headers);
        assert_eq!((record.topic.as_str(), record.partition), ("acme.deliver.crm.retry", Some(2)));
        assert_eq!(
            (record.key.as_slice(), record.value),
            (&b"shop/cus_1"[..], Some(vec![1, 2, 3]))
        );
        let waits = RetryHeaders::from_headers(&record.headers).unwrap();
        assert_eq!(
            waits,
            RetryHeaders { attempts: 0, first_failure: None, due: None, outages: Duration::ZERO }
        );
        assert_eq!(times_redriven(&record.headers), Ok(1));
        assert_eq!(record.headers[0], Header::text("ce_id", "e1"));
    }

    #[test]
    fn a_refresh_is_not_redriven() {
        let letter = |event_type: &str| {
            let own = EventHeaders {
                id: "e1".to_owned(),
                source: "shop".to_owned(),
                event_type: event_type.to_owned(),
                traceparent: None,
            };
            Letter::of(&Received {
                topic: "acme.deliver.crm.dead".into(),
                partition: 0,
                offset: 0,
                timestamp: Timestamp::from_millis(7),
                key: None,
                value: None,
                headers: own.to_headers(),
            })
        };
        assert!(dead(None).obstacle(&letter(REFRESH_TYPE)).is_some());
        assert_eq!(dead(None).obstacle(&letter("customer_updated")), None);
    }

    #[test]
    fn warns_of_campaigns_only_where_there_are_some_and_after_72_hours() {
        let hours = |hours: i64| hours * 3_600_000;
        let customerio = dead(Some(CAMPAIGNS_IGNORE_AFTER));
        assert_eq!(customerio.caution(hours(72)), None);
        assert!(customerio.caution(hours(72) + 1).is_some());
        assert_eq!(dead(None).caution(hours(1_000)), None);
    }

    #[test]
    fn an_event_is_told_as_json_and_dated_by_what_happened() {
        let event = samples::event(EventType::SubscriptionRenewed);
        let mut body = Vec::new();
        Codec::new(Framing::SingleObject).unwrap().encode(&event, &mut body).unwrap();
        let letter = |value| Received {
            topic: "acme.deliver.crm.dead".into(),
            partition: 0,
            offset: 0,
            timestamp: Timestamp::from_millis(7),
            key: None,
            value,
            headers: Vec::new(),
        };
        assert_eq!(dead(None).happened_at(&letter(Some(body.clone()))), Some(event.occurred_at));
        assert_eq!(dead(None).happened_at(&letter(None)), None);
        let text = dead(None).legible(&body).unwrap();
        assert!(text.contains("\"subscription_renewed\""), "{text}");
        assert_eq!(dead(None).legible(b"{}"), None);
    }

    #[test]
    fn the_manual_says_of_every_reason_what_to_do_and_of_no_other() {
        let manual = include_str!("../../docs/dead-letters.md");
        let (_, from) = manual.split_once("\n### deliver\n").unwrap();
        let (table, _) = from.split_once("\n## ").unwrap();
        let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |"));
        let told = rows.flat_map(|(words, _)| words.split(", "));
        let mut told: Vec<_> = told.map(|word| word.trim_matches('`')).collect();
        let mut reasons = dead(None).reasons();
        told.sort_unstable();
        reasons.sort_unstable();
        assert_eq!(told, reasons);
    }
}
