//! What `transform forget` says: what is known of the person, and what remains of them until when.

use std::time::Duration;

use schemas::Timestamp;
use schemas::topics::Topic;
use service::config::{Account, Config, Mode};
use service::exit::Failure;
use stream::Cluster;
use stream::admin::{self, Kept};

use super::Known;
use crate::configure;
use crate::sources::native::forgotten::Wish;

/// What is or would be done about one subscriber.
pub(super) fn told(known: &Known, wish: Wish, dry_run: bool) -> String {
    let Known { key, state } = known;
    let Some(state) = state else { return format!("{key}: nothing is known") };
    let would = if dry_run { "would be" } else { "will be" };
    match (wish, state.forgotten_at) {
        (Wish::Forget, Some(at)) => format!("{key}: forgotten since {at}"),
        (Wish::Forget, None) => format!(
            "{key}: {would} forgotten (subscriptions: {}, events told: {})",
            state.subscriptions.len(),
            state.sequence
        ),
        (Wish::Readmit, _) => format!("{key}: {would} told of again, as somebody new"),
    }
}

/// What lies where, and until when: what was written by now is gone by then.
pub(super) async fn lines(
    config: &Config,
    cluster: &Cluster,
    now: Timestamp,
) -> Result<Vec<String>, Failure> {
    let prefix = &config.kafka.topic_prefix;
    let listed: Vec<_> =
        topics(config).into_iter().map(|(topic, what)| (topic.name(prefix), what)).collect();
    let names: Vec<_> = listed.iter().map(|(name, _)| name.as_str()).collect();
    let kept = admin::records_kept(cluster, &names).await.map_err(Failure::failed)?;
    let width = names.iter().map(|name| name.len()).max().unwrap_or_default();
    let mut lines: Vec<_> = config
        .destinations
        .iter()
        .map(|(name, destination)| format!("  {name}: {}", at(&destination.account)))
        .collect();
    lines.push("Here remains, by what the topics are configured to keep now:".to_owned());
    lines.extend(listed.iter().map(|(name, what)| {
        format!("  {name:width$}  {}  {what}", until(kept.get(name).copied(), now))
    }));
    let state = Topic::State.name(prefix);
    let days = whole_days(configure::rules(config).map_err(Failure::failed)?.memory.window);
    let kept = format!("for {days} days");
    lines.push(format!(
        "  {state:width$}  {kept:<18}  the key, and when it was forgotten; older states until Kafka has compacted \
         them"
    ));
    Ok(lines)
}

/// What forgetting is at a destination of this kind.
fn at(account: &Account) -> &'static str {
    match account {
        Account::Customerio(_) => "the person is suppressed",
        Account::Intercom(_) => "the contact is archived",
        Account::Webhook(_) => "gets customer_deleted, unless that is switched off",
    }
}

/// Every other topic in which something of a subscriber may lie.
fn topics(config: &Config) -> Vec<(Topic, &'static str)> {
    let mut topics = vec![
        (Topic::Raw, "webhooks as they were received"),
        (Topic::Events, "events"),
        (Topic::Unprocessable, "parked webhooks"),
        (Topic::Links, "ids of charges, invoices and aliases"),
    ];
    for (name, destination) in &config.destinations {
        topics.push((
            Topic::Retry(name.clone()),
            "events that wait, told before the person is forgotten",
        ));
        topics.push((Topic::Dead(name.clone()), "parked events"));
        match destination.mode {
            Mode::Live => {}
            Mode::Shadow => {
                topics.push((Topic::Shadow(name.clone()), "notes of what would have been sent"));
            }
        }
    }
    topics
}

fn until(kept: Option<Kept>, now: Timestamp) -> String {
    match kept {
        Some(Kept::For(time)) => {
            let date = now.plus(time).to_string();
            let day = date.split_once('T').map_or(date.as_str(), |(day, _)| day);
            format!("until {day:<12}")
        }
        Some(Kept::Forever) => format!("{:<18}", "for ever"),
        None => format!("{:<18}", "not known"),
    }
}

fn whole_days(time: Duration) -> u64 {
    time.as_secs().div_ceil(86_400)
}

#[cfg(test)]
mod tests {
    use schemas::state::SubscriberState;

    use super::*;

    #[test]
    fn what_a_topic_keeps_for_a_time_is_gone_on_a_day() {
        let now = Timestamp::from_rfc3339("2026-11-22T23:00:00Z").unwrap();
        assert_eq!(
            until(Some(Kept::For(Duration::from_hours(48))), now).trim_end(),
            "until 2026-11-24"
        );
        assert_eq!(until(Some(Kept::Forever), now).trim_end(), "for ever");
        assert_eq!(until(None, now).trim_end(), "not known");
        assert_eq!(
            (whole_days(Duration::from_hours(24)), whole_days(Duration::from_hours(25))),
            (1, 2)
        );
    }

    #[test]
    fn what_is_done_is_told_apart_from_what_would_be_and_what_was() {
        let mut known = Known {
            key: "shop/a".to_owned(),
            state: Some(SubscriberState { sequence: 7, ..SubscriberState::default() }),
        };
        let forgets = "shop/a: will be forgotten (subscriptions: 0, events told: 7)";
        assert_eq!(told(&known, Wish::Forget, false), forgets);
        assert!(told(&known, Wish::Forget, true).contains("would be forgotten"));
        known.state.as_mut().unwrap().forgotten_at = Some(Timestamp::from_millis(0));
        let forgotten = "shop/a: forgotten since 1970-01-01T00:00:00.000Z";
        assert_eq!(told(&known, Wish::Forget, false), forgotten);
        assert!(told(&known, Wish::Readmit, false).contains("as somebody new"));
    }
}
