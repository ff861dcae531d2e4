//! What must be true before the first call, and what of it `setup` can make so.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use service::cli::say;
use service::clock::Clock;
use service::config::{self, Account, Config};
use service::exit::Failure;
use stream::admin::{self, Finding, TopicsError};

use crate::configure;
use crate::destinations::{Answer, Destination, Reply, Request};
use crate::dispatch::Caller;

/// Looks at the topics. What could not be judged is given back; what is wrong is the error.
pub async fn check_topics(config: &Config) -> Result<Vec<Finding>, TopicsError> {
    let specs = configure::topics(config).map_err(|error| TopicsError::Wrong(error.to_string()))?;
    admin::require(&configure::cluster(config), &specs).await
}

/// `deliver check`: reports all that is wrong, and changes nothing.
pub async fn check(config: &Config, clock: Arc<dyn Clock>) -> Result<(), Failure> {
    configure::judge(config)?;
    let mut wrong = Vec::new();
    match check_topics(config).await {
        Ok(warnings) => {
            for warning in warnings {
                say(&format!("warning: {warning}"))?;
            }
            say("topics: as they should be")?;
        }
        Err(error) => wrong.push(error.to_string()),
    }
    for (name, destination) in &config.destinations {
        match check_destination(config, destination, &clock).await? {
            Ok(()) => say(&format!("{name}: credentials accepted"))?,
            Err(what) => wrong.push(format!("{name}: {what}")),
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(Failure::Refused(wrong.join("\n"))) }
}

async fn check_destination(
    config: &Config,
    destination: &config::Destination,
    clock: &Arc<dyn Clock>,
) -> Result<Result<(), String>, Failure> {
    let caller = configure::caller(config, destination, clock.clone()).map_err(Failure::failed)?;
    match &destination.account {
        Account::Customerio(_) => {
            let probe = configure::customerio(destination).probe();
            Ok(ask(&caller, &probe).await.map(drop))
        }
        Account::Intercom(_) => {
            let intercom = configure::intercom(destination);
            let probed = ask(&caller, &intercom.probe()).await;
            if let Err(what) = probed {
                return Ok(Err(what));
            }
            let wanted = intercom.declarations(configure::sources(config));
            let missing = match undeclared(&caller, &wanted).await {
                Ok(missing) => missing,
                Err(what) => return Ok(Err(what)),
            };
            let names: Vec<&str> = missing.iter().map(|(name, _)| name.as_str()).collect();
            Ok(if names.is_empty() {
                Ok(())
            } else {
                let names = names.join(", ");
                Err(format!("run `deliver setup`: attributes are not declared: {names}"))
            })
        }
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
            Account::Customerio(_) => 0,
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
    let caller = configure::caller(config, destination, clock.clone()).map_err(Failure::failed)?;
    let wanted = configure::intercom(destination).declarations(configure::sources(config));
    let refused = |what: String| Failure::Refused(format!("{name}: {what}"));
    let missing = undeclared(&caller, &wanted).await.map_err(refused)?;
    for (attribute, data_type) in &missing {
        let body = json!({"name": attribute, "model": "contact", "data_type": data_type});
        ask(&caller, &Request::post("/data_attributes", &body)).await.map_err(refused)?;
        say(&format!("{name}: declared {attribute} ({data_type})"))?;
    }
    Ok(missing.len())
}

/// Which of the attributes in use the workspace does not know.
async fn undeclared(
    caller: &Caller,
    wanted: &BTreeSet<(String, &'static str)>,
) -> Result<Vec<(String, &'static str)>, String> {
    let reply = ask(caller, &Request::get("/data_attributes?model=contact")).await?;
    let body: Value = serde_json::from_slice(&reply.body)
        .map_err(|_| "the list of attributes is no JSON".to_owned())?;
    let entries = body.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    let known: BTreeSet<&str> =
        entries.iter().filter_map(|entry| entry.get("name").and_then(Value::as_str)).collect();
    Ok(wanted.iter().filter(|(name, _)| !known.contains(name.as_str())).cloned().collect())
}

/// Makes a request that must succeed; says why it did not.
async fn ask(caller: &Caller, request: &Request) -> Result<Reply, String> {
    match caller.http.send(request, caller.clock.now().as_second()).await {
        Answer::Replied(reply) if (200..=299).contains(&reply.status) => Ok(reply),
        Answer::Replied(reply) => Err(match reply.status {
            401 | 403 => format!("the credentials are refused ({})", reply.status),
            300..=399 => "redirected: the account lies in another region".to_owned(),
            status => format!("answered {status}"),
        }),
        Answer::Failed(transport) => Err(format!("no answer ({transport:?})")),
    }
}
