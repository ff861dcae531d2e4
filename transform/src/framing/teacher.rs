//! Teaching the threads that judge records the schemas which producers of one's own write with.
//!
//! Such a producer may frame its events by the registry's id of a schema, which may be older or newer
//! than the one known here. The registry is asked before the record is judged, once per id and thread.
//! While it gives no answer the record waits, and is not asked about in a tight loop; an id that the
//! registry does not know, or that cannot be read by, is left alone for a minute, and what is framed by
//! it is parked meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use registry::{Registry, RegistryError};
use schemas::Provider;
use tokio::runtime::Handle;

use crate::record::{Judged, Raw, judge};
use crate::sources::{Sources, native};

/// Pause before a registry that gave no answer about an id is asked about it again.
pub const ASK_AGAIN: Duration = Duration::from_secs(15);

/// How long a registry that does not know an id is believed: replicas of a registry may lag.
const BELIEVED: Duration = Duration::from_mins(1);

/// Most ids of which it is remembered what was answered: any number may stand in a record.
const MOST_IDS: usize = 1_000;

/// What has to be done before a record can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Nothing.
    None,
    /// The registry has to be asked for the schema of this id: [`Teacher::ask`].
    Ask(u32),
    /// It gave no answer a moment ago and is to be asked again then.
    Wait(Duration),
}

/// What came of a question that taught nothing.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    Refused,
    Unanswered,
}

/// Asks on behalf of threads that may block.
#[derive(Clone, Debug)]
pub struct Teacher {
    registry: Option<Arc<Registry>>,
    runtime: Handle,
    /// By id, with the moment until which it is remembered.
    asked: Arc<Mutex<HashMap<u32, (Duration, Outcome)>>>,
}

impl Teacher {
    /// Asks this registry, if there is one. To be called within a Tokio runtime.
    pub fn new(registry: Option<Arc<Registry>>) -> Self {
        Self { registry, runtime: Handle::current(), asked: Arc::default() }
    }

    /// What this thread has to do before it can judge the record.
    pub fn question(&self, raw: &Raw<'_>, sources: &Sources, now: Duration) -> Question {
        let (Some(_), Some(id)) = (&self.registry, unlearned(raw, sources)) else {
            return Question::None;
        };
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        match asked.get(&id).copied().filter(|(until, _)| now < *until) {
            Some((_, Outcome::Refused)) => Question::None,
            Some((until, Outcome::Unanswered)) => Question::Wait(until),
            None => Question::Ask(id),
        }
    }

    /// Learns what this id stands for, as far as anybody knows. Blocks; must not be called from
    /// asynchronous code. Fails where the registry gave no answer: the record must not be judged.
    pub fn ask(&self, id: u32, now: Duration) -> Result<(), RegistryError> {
        let Some(registry) = &self.registry else { return Ok(()) };
        match self.runtime.block_on(registry.schema(id)) {
            Ok(schema) if native::learn(id, &schema).is_ok() => Ok(()),
            Ok(_) => {
                tracing::warn!(id, "the registry's schema cannot be used to read events");
                self.remember(id, now, Outcome::Refused);
                Ok(())
            }
            Err(RegistryError::UnknownSchema { .. } | RegistryError::NotAvro { .. }) => {
                self.remember(id, now, Outcome::Refused);
                Ok(())
            }
            Err(error) => {
                self.remember(id, now, Outcome::Unanswered);
                Err(error)
            }
        }
    }

    /// Sees to it that the thread can read the record, for a command that somebody waits for: a registry
    /// that gives no answer is an error. Blocks like [`Teacher::ask`].
    pub fn prepare(&self, raw: &Raw<'_>, sources: &Sources) -> Result<(), RegistryError> {
        match self.question(raw, sources, Duration::ZERO) {
            Question::Ask(id) => self.ask(id, Duration::ZERO),
            Question::None | Question::Wait(_) => Ok(()),
        }
    }

    fn remember(&self, id: u32, now: Duration, outcome: Outcome) {
        let life = match outcome {
            Outcome::Refused => BELIEVED,
            Outcome::Unanswered => ASK_AGAIN,
        };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= MOST_IDS {
            asked.retain(|_, (until, _)| now < *until);
        }
        if asked.len() >= MOST_IDS {
            asked.clear();
        }
        asked.insert(id, (now + life, outcome));
    }
}

/// The id of a schema that has to be learned for the record, which a producer of one's own must have
/// written: the bodies of webhooks are anybody's.
fn unlearned(raw: &Raw<'_>, sources: &Sources) -> Option<u32> {
    let id = native::unlearned(raw.value?)?;
    match judge(raw, sources) {
        Judged::Subscriber(envelope) if envelope.source.provider == Provider::Native => Some(id),
        Judged::Subscriber(_) | Judged::Orphan(_) | Judged::Tick | Judged::Unfit(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use axum::Router;
    use axum::extract::Path;
    use axum::http::StatusCode;
    use axum::routing::get;
    use registry::Settings;
    use schemas::LifecycleEvent;
    use schemas::Timestamp;
    use schemas::codec::Described;

    use super::*;
    use crate::sources::{Source, SourceSettings, mapper_of};
    use crate::testing::raw_headers;

    const KNOWN: u32 = 21;
    const FOREIGN: u32 = 22;

    /// A registry that knows one schema of ours and one that is not Avro, and counts the questions.
    async fn registry() -> (String, Arc<AtomicU32>) {
        let questions = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&questions);
        let answer = move |Path(id): Path<u32>| async move {
            counted.fetch_add(1, Ordering::Relaxed);
            match id {
                KNOWN => {
                    let schema = LifecycleEvent::VERSIONS.last().copied().unwrap();
                    let schema = serde_json::json!({ "schema": schema });
                    (StatusCode::OK, schema.to_string())
                }
                FOREIGN => {
                    let answer = r#"{"schema": "syntax = \"proto3\";", "schemaType": "PROTOBUF"}"#;
                    (StatusCode::OK, answer.to_owned())
                }
                _ => (StatusCode::NOT_FOUND, r#"{"error_code": 40403}"#.to_owned()),
            }
        };
        let router = Router::new().route("/schemas/ids/{id}", get(answer));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (format!("http://{address}"), questions)
    }

    fn teacher(url: String) -> Teacher {
        let patience = Duration::from_secs(2);
        let settings = Settings { url: url.into(), folder: None, patience };
        Teacher::new(Some(Arc::new(Registry::open(&settings).unwrap())))
    }

    fn sources() -> Sources {
        let source = |(name, provider): (&str, Provider)| {
            let (mapper, settings) = (mapper_of(provider).unwrap(), SourceSettings::default());
            Source { name: name.to_owned(), provider, mapper, settings }
        };
        [("crm", Provider::Native), ("shop", Provider::Stripe)].map(source).into_iter().collect()
    }

    fn framed(id: u32) -> Vec<u8> {
        [&[0][..], &id.to_be_bytes(), b"datum"].concat()
    }

    /// Whether the registry answered, and what is still unlearned in the thread that asked.
    async fn prepared(
        teacher: &Teacher,
        source: &'static str,
        body: Vec<u8>,
    ) -> (bool, Option<u32>) {
        let teacher = teacher.clone();
        let asking = tokio::task::spawn_blocking(move || {
            let key = format!("{source}/cus_1");
            let raw = Raw {
                offset: 0,
                appended_at: Timestamp::from_millis(1),
                key: Some(key.as_bytes()),
                value: Some(&body),
                headers: &raw_headers("evt_1", source, "anything"),
            };
            let answered = teacher.prepare(&raw, &sources()).is_ok();
            (answered, native::unlearned(&body))
        });
        asking.await.unwrap()
    }

    #[tokio::test]
    async fn what_the_registry_knows_is_learned_and_what_it_does_not_know_is_left_alone() {
        let teacher = teacher(registry().await.0);
        assert_eq!(prepared(&teacher, "crm", framed(KNOWN)).await, (true, None));
        assert_eq!(prepared(&teacher, "crm", framed(FOREIGN)).await, (true, Some(FOREIGN)));
        assert_eq!(prepared(&teacher, "crm", framed(7)).await, (true, Some(7)));
    }

    #[tokio::test]
    async fn a_record_is_not_judged_while_the_registry_is_away() {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let teacher = teacher(url);
        assert_eq!(prepared(&teacher, "crm", framed(31)).await, (false, Some(31)));
        assert_eq!(prepared(&teacher, "crm", b"{}".to_vec()).await, (true, None));
    }

    /// What has to be done for a record framed by `id`, and, when asked, whether there was an answer.
    async fn judged(teacher: &Teacher, id: u32, now: u64) -> (Question, Option<bool>) {
        let (teacher, now) = (teacher.clone(), Duration::from_secs(now));
        let asking = tokio::task::spawn_blocking(move || {
            let raw = Raw {
                offset: 0,
                appended_at: Timestamp::from_millis(1),
                key: Some(b"crm/cus_1"),
                value: Some(&framed(id)),
                headers: &raw_headers("evt_1", "crm", "anything"),
            };
            let question = teacher.question(&raw, &sources(), now);
            let answered = match question {
                Question::Ask(id) => Some(teacher.ask(id, now).is_ok()),
                Question::None | Question::Wait(_) => None,
            };
            (question, answered)
        });
        asking.await.unwrap()
    }

    #[tokio::test]
    async fn a_registry_that_does_not_know_an_id_is_asked_about_it_once_a_minute() {
        let (url, questions) = registry().await;
        let teacher = teacher(url);
        for id in [7, FOREIGN] {
            let before = questions.load(Ordering::Relaxed);
            assert_eq!(judged(&teacher, id, 100).await, (Question::Ask(id), Some(true)));
            for now in 100..160 {
                assert_eq!(judged(&teacher, id, now).await, (Question::None, None));
            }
            assert_eq!(judged(&teacher, id, 160).await, (Question::Ask(id), Some(true)));
            assert_eq!(questions.load(Ordering::Relaxed), before + 2);
        }
    }

    #[tokio::test]
    async fn a_registry_that_gives_no_answer_is_left_in_peace_for_a_while() {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let teacher = teacher(url);
        let again = Duration::from_secs(100) + ASK_AGAIN;
        assert_eq!(judged(&teacher, 51, 100).await, (Question::Ask(51), Some(false)));
        assert_eq!(judged(&teacher, 51, 101).await, (Question::Wait(again), None));
        assert_eq!(judged(&teacher, 51, again.as_secs()).await.0, Question::Ask(51));
    }

    #[tokio::test]
    async fn any_number_of_made_up_ids_takes_no_more_room_than_some() {
        let teacher = Teacher::new(None);
        for id in 0..3_000 {
            teacher.remember(id, Duration::ZERO, Outcome::Refused);
        }
        assert!(teacher.asked.lock().unwrap().len() <= MOST_IDS);
    }

    #[tokio::test]
    async fn neither_webhooks_nor_an_installation_without_a_registry_ask_anything() {
        let nobody = Teacher::new(None);
        assert_eq!(prepared(&nobody, "crm", framed(41)).await, (true, Some(41)));
        let teacher = teacher(registry().await.0);
        assert_eq!(prepared(&teacher, "shop", framed(KNOWN)).await, (true, Some(KNOWN)));
    }
}
