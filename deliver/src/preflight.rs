//! What must be true before the first call, and what of it `setup` can make so.

mod account;
mod attributes;

use std::sync::Arc;

use service::cli::say;
use service::clock::Clock;
use service::config::{self, Account, Config};
use service::exit::Failure;
use stream::admin::{self, Finding, TopicsError};

use self::account::residence;
use crate::configure;
use crate::destinations::intercom::MOST_EVENT_NAMES;
use crate::destinations::{Answer, Destination, Reply, Request};
use crate::dispatch::Caller;
use crate::going_live::Question;

/// Looks at the topics. What could not be judged is given back; what is wrong is the error.
pub async fn check_topics(config: &Config) -> Result<Vec<Finding>, TopicsError> {
    let specs = configure::topics(config).map_err(|error| TopicsError::Wrong(error.to_string()))?;
    admin::require(&configure::cluster(config), &specs).await
}

/// `deliver check`: reports all that is wrong, and changes nothing.
pub async fn check(config: &Config, clock: Arc<dyn Clock>) -> Result<(), Failure> {
    configure::judge(config)?;
    let mut wrong = Vec::new();
    let topics = check_topics(config).await;
    let topics_are_there = topics.is_ok();
    match topics {
        Ok(warnings) => {
            for warning in warnings {
                say(&format!("warning: {warning}"))?;
            }
            say("topics: as they should be")?;
        }
        Err(error) => wrong.push(error.to_string()),
    }
    for (name, destination) in &config.destinations {
        let mut found = check_destination(config, destination, &clock).await?;
        // Without the topics there is nothing to ask.
        if topics_are_there {
            found.add(Question::of(config, name, destination).ask().await?.told(destination));
        }
        for good in found.good {
            say(&format!("{name}: {good}"))?;
        }
        wrong.extend(found.wrong.into_iter().map(|what| format!("{name}: {what}")));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Refused(wrong.join("\n"))) }
}

/// What was found out about a destination, in sentences.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What is as it should be.
    pub good: Vec<String>,
    /// What has to be put right.
    pub wrong: Vec<String>,
}

impl Found {
    fn add(&mut self, finding: Result<String, String>) {
        match finding {
            Ok(good) => self.good.push(good),
            Err(wrong) => self.wrong.push(wrong),
        }
    }
}

/// What the destination itself says: credentials, region, clock, and what must be set up there.
///
/// # Errors
/// When no call could be made at all.
pub async fn check_destination(
    config: &Config,
    destination: &config::Destination,
    clock: &Arc<dyn Clock>,
) -> Result<Found, Failure> {
    let caller =
        configure::caller(config, destination, clock.clone(), None).map_err(Failure::failed)?;
    let mut found = Found::default();
    let reply = match ask(&caller, &probe(destination)).await {
        Ok(reply) => reply,
        Err(what) => {
            found.wrong.push(what);
            return Ok(found);
        }
    };
    found.good.push("credentials accepted".to_owned());
    found.add(residence(&destination.account, &reply).told());
    found.add(account::clock(&reply, clock.now().as_second()));
    match &destination.account {
        Account::Intercom(_) => {
            let intercom = configure::intercom(destination);
            let wanted = intercom.declarations(configure::sources(config));
            found.add(attributes::check(&caller, &wanted).await);
            let names = intercom.event_names(configure::told_types(config)).len();
            found.add(if names > MOST_EVENT_NAMES {
                Err(format!(
                    "events can have {names} names and Intercom takes {MOST_EVENT_NAMES}: switch \
                     some off below `events`, or use `naming: unified`"
                ))
            } else {
                Ok(format!("at most {names} of {MOST_EVENT_NAMES} event names"))
            });
        }
        Account::Customerio(_) | Account::Webhook(_) => {}
    }
    Ok(found)
}

fn probe(destination: &config::Destination) -> Request {
    match &destination.account {
        Account::Customerio(_) => configure::customerio(destination).probe(),
        Account::Intercom(_) => configure::intercom(destination).probe(),
        Account::Webhook(account) => configure::webhook(destination, account).probe(),
    }
}

/// `deliver setup`: creates topics and declares attributes that are missing; may be run again.
pub async fn setup(config: &Config, clock: Arc<dyn Clock>) -> Result<(), Failure> {
    configure::judge(config)?;
    let specs = configure::topics(config).map_err(Failure::failed)?;
    let replication_factor = i32::try_from(config.kafka.replication_factor).unwrap_or(i32::MAX);
    let cluster = configure::cluster(config);
    let created = admin::create_missing(&cluster, &specs, replication_factor)
        .await
        .map_err(Failure::failed)?;
    for topic in &created {
        say(&format!("created {topic}"))?;
    }
    let mut declared = 0;
    for (name, destination) in &config.destinations {
        declared += match destination.account {
            Account::Customerio(_) | Account::Webhook(_) => 0,
            Account::Intercom(_) => declare(config, name, destination, &clock).await?,
        };
    }
    if created.is_empty() && declared == 0 { say("nothing was missing") } else { Ok(()) }
}

async fn declare(
    config: &Config,
    name: &str,
    destination: &config::Destination,
    clock: &Arc<dyn Clock>,
) -> Result<usize, Failure> {
    let caller =
        configure::caller(config, destination, clock.clone(), None).map_err(Failure::failed)?;
    let wanted = configure::intercom(destination).declarations(configure::sources(config));
    let refused = |what: String| Failure::Refused(format!("{name}: {what}"));
    let missing = attributes::missing(&caller, &wanted).await.map_err(refused)?;
    for (attribute, data_type) in &missing {
        attributes::declare(&caller, attribute, data_type).await.map_err(refused)?;
        say(&format!("{name}: declared {attribute} ({data_type})"))?;
    }
    Ok(missing.len())
}

/// Makes a request that must succeed; says why it did not.
async fn ask(caller: &Caller, request: &Request) -> Result<Reply, String> {
    match caller.ask(request).await {
        Answer::Replied(reply) if (200..=299).contains(&reply.status) => Ok(reply),
        Answer::Replied(reply) => Err(match reply.status {
            401 | 403 => format!("the credentials are refused ({})", reply.status),
            300..=399 => "redirected: the account lies in another region".to_owned(),
            status => format!("answered {status}"),
        }),
        Answer::Failed(transport) => Err(format!("no answer ({transport:?})")),
    }
}

/// Whether the account lies where the configuration says, before anything about a person goes there. A
/// destination that cannot be asked is not waited for: what it refuses later makes it pause.
///
/// # Errors
/// When it lies elsewhere.
pub async fn require_home(
    destination: &config::Destination,
    caller: &Caller,
) -> Result<(), Failure> {
    match &destination.account {
        Account::Webhook(_) => return Ok(()),
        Account::Customerio(_) | Account::Intercom(_) => {}
    }
    let answer = caller.ask(&probe(destination)).await;
    let Answer::Replied(reply) = answer else { return Ok(()) };
    residence(&destination.account, &reply).told().map(drop).map_err(Failure::Refused)
}
