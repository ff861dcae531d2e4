//! How lifecycle events are framed: with the schema registry's id of their schema where a registry is
//! configured, else as Avro single objects.
//!
//! The id is asked for before any worker begins. So a schema that the registry refuses stops the start
//! and not the first event, and a registry that is away delays only a start that cannot do without it:
//! what it said before is kept in `state_dir`.

pub mod teacher;

use std::sync::Arc;
use std::time::Duration;

use registry::{Registry, RegistryError, Settings, Standing};
use schemas::LifecycleEvent;
use schemas::codec::{Described, Framing};
use schemas::topics::Topic;
use service::admin::Condition;
use service::config::Config;
use service::exit::Failure;
use tokio_util::sync::CancellationToken;

/// How long one question to the registry may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pause before a registry that is away is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// What follows from the registry's answer.
enum Next {
    Write(Framing),
    /// It may help to ask again; says why it did not help this time.
    Ask(String),
    Refuse(Failure),
}

/// The framing to write events with; none if `shutdown` came first. `ready` does not hold while the
/// registry is away.
pub async fn settle(
    config: &Config,
    registry: Option<&Registry>,
    ready: &Condition,
    shutdown: &CancellationToken,
) -> Result<Option<Framing>, Failure> {
    let Some(registry) = registry else { return Ok(Some(Framing::SingleObject)) };
    let subject = subject(config);
    let asked = ask_until_answered(registry, &subject, ready);
    shutdown.run_until_cancelled(asked).await.transpose()
}

/// The framing for a command that somebody waits for: a registry that is away is an error.
pub async fn ask(config: &Config, registry: Option<&Registry>) -> Result<Framing, Failure> {
    let Some(registry) = registry else { return Ok(Framing::SingleObject) };
    match next(registry.writer_id(&subject(config), newest()?).await) {
        Next::Write(framing) => Ok(framing),
        Next::Refuse(failure) => Err(failure),
        Next::Ask(reason) => Err(Failure::failed(reason)),
    }
}

async fn ask_until_answered(
    registry: &Registry,
    subject: &str,
    ready: &Condition,
) -> Result<Framing, Failure> {
    loop {
        match next(registry.writer_id(subject, newest()?).await) {
            Next::Write(framing) => {
                tracing::info!(subject, ?framing, "events carry the registry's id of their schema");
                return Ok(framing);
            }
            Next::Refuse(failure) => return Err(failure),
            Next::Ask(reason) => {
                tracing::warn!(reason, "no event can be written yet; asking again");
                ready.fails(reason);
            }
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

fn next(answer: Result<u32, RegistryError>) -> Next {
    match answer {
        Ok(id) => Next::Write(Framing::Registry(id)),
        Err(away) if away.is_away() => Next::Ask(Failure::failed(away).report()),
        Err(no) => Next::Refuse(refusal(no)),
    }
}

/// How the schema of events stands with the registry; changes nothing. `None` without a registry.
pub async fn standing(config: &Config) -> Result<Option<Standing>, Failure> {
    let Some(registry) = open(config)? else { return Ok(None) };
    let standing = registry.standing(&subject(config), newest()?).await;
    standing.map(Some).map_err(refusal)
}

/// The configured registry, if there is one. The file of what it said is this process's: open it once.
pub fn open(config: &Config) -> Result<Option<Arc<Registry>>, Failure> {
    let Some(url) = config.schema_registry.url.clone() else { return Ok(None) };
    let folder = Some(config.transform.state_dir.clone());
    let registry = Registry::open(&Settings { url, folder, patience: PATIENCE });
    registry.map(Arc::new).map(Some).map_err(refusal)
}

fn subject(config: &Config) -> String {
    registry::subject(&Topic::Events.name(&config.kafka.topic_prefix))
}

fn newest() -> Result<&'static str, Failure> {
    let newest = LifecycleEvent::VERSIONS.last().copied();
    newest.ok_or_else(|| Failure::failed("lifecycle events have no schema"))
}

fn refusal(error: RegistryError) -> Failure {
    Failure::Refused(Failure::failed(error).report())
}

#[cfg(test)]
mod tests {
    use super::*;
    use registry::Absence;

    #[test]
    fn an_id_frames_the_events() {
        assert!(matches!(next(Ok(7)), Next::Write(Framing::Registry(7))));
    }

    #[test]
    fn a_registry_that_is_away_is_asked_again() {
        let away = RegistryError::Away {
            registry: "http://registry".to_owned(),
            doing: "asking".to_owned(),
            absence: Absence::Unwell(503),
        };
        let Next::Ask(reason) = next(Err(away)) else { panic!("asked again") };
        assert!(reason.ends_with("is away: it answered HTTP 503"), "{reason}");
    }

    #[test]
    fn a_registry_that_says_no_stops_the_start_with_its_words() {
        let no = RegistryError::Incompatible {
            registry: "http://registry".to_owned(),
            subject: "acme.subscriptions.events-value".to_owned(),
            answer: "a field is gone".to_owned(),
        };
        let Next::Refuse(failure) = next(Err(no)) else { panic!("refused") };
        assert_eq!(failure.code(), 78);
        assert!(failure.report().ends_with("a field is gone"), "{}", failure.report());
    }
}
