//! What a line has to ask about schemas, and what waits for the answer.
//!
//! A record may carry an id of the registry that this process has not met: at its first record, and
//! whenever a newer `transform` writes with a newer schema. Only the registry can say what it means. The
//! record that raises the question and everything read after it wait, in their order, so that no lane is
//! disordered and nothing is committed past it; what was read before goes on. A registry that is away is
//! asked until it is back: that is nobody's fault but its own, and parks nothing.
//!
//! Without a registry an event names its schema by a fingerprint, and one that is not known here was written by a later
//! version: while both are upgraded, or after `deliver` alone went back. That is waited for as well, for as long as it
//! takes somebody to notice, because parking would tell these events after those that come later.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use registry::{Registry, RegistryError};
use schemas::codec::CodecError;
use stream::Received;
use tokio_util::task::AbortOnDropHandle;

use super::Line;
use crate::broker::BrokerError;
use crate::destinations::Destination;
use crate::failure::{Failure, Reason};
use crate::lanes::Source;
use crate::records::UnknownSchema;

/// Pause before a registry that is away is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// As long as it takes somebody to notice that only one of two was upgraded.
const LATER_VERSION_PATIENCE: Duration = Duration::from_hours(1);

/// How long it is believed that there is no such schema: the registry is not asked for every record of
/// a foreign producer, and one whose replicas lag is not misunderstood for ever.
const BELIEVED_FOR: Duration = Duration::from_secs(30);

/// Beyond so many, no more is heard of the broker. Only the backlog of the retry topic, which is read
/// before partitions can be paused, comes near.
const MOST_WAITING: usize = 10_000;

/// What must be heard in the order in which it was said.
#[derive(Debug)]
pub(super) enum InOrder {
    /// A record.
    Record(Source, Arc<Received>),
    /// Every retry topic has been read.
    Started {
        /// How much of all partitions is ours.
        share: f64,
    },
}

/// What is found out about a schema.
#[derive(Debug)]
pub(super) enum Told {
    /// The schema of this id.
    Schema(u32, Arc<str>),
    /// There is none that could be an event's, and why.
    Foreign(String),
    /// It cannot be worked with like this.
    Unusable(RegistryError),
}

enum Next {
    Ask(String),
    End(Told),
}

/// The questions of one line.
#[derive(Debug)]
pub(super) struct Questions {
    registry: Option<Arc<Registry>>,
    /// How long an event of a later version waits for this one to be replaced.
    patience: Duration,
    asking: Option<AbortOnDropHandle<(UnknownSchema, Told)>>,
    waiting: VecDeque<InOrder>,
    /// Until when, and why, one is believed to be no schema of an event.
    foreign: HashMap<UnknownSchema, (Duration, String)>,
}

impl Questions {
    pub(super) fn of(registry: Option<Arc<Registry>>) -> Self {
        Self {
            registry,
            patience: LATER_VERSION_PATIENCE,
            asking: None,
            waiting: VecDeque::new(),
            foreign: HashMap::new(),
        }
    }

    /// Whether something waits for an answer.
    pub(super) fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Whether more may wait.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MOST_WAITING
    }

    pub(super) fn wait(&mut self, message: InOrder) {
        self.waiting.push_back(message);
    }

    /// Asks for the schema, or waits for a version that knows it; the error says why that is in vain.
    fn ask(&mut self, schema: UnknownSchema, elapsed: Duration) -> Result<(), Failure> {
        self.foreign.retain(|_, (until, _)| elapsed < *until);
        if let Some((_, reason)) = self.foreign.get(&schema) {
            return Err(Failure::new(Reason::Undecodable, reason.clone()));
        }
        self.asking = Some(AbortOnDropHandle::new(match schema {
            UnknownSchema::Fingerprint(fingerprint) => {
                let patience = self.patience;
                tokio::spawn(
                    async move { (schema, await_replacement(fingerprint, patience).await) },
                )
            }
            UnknownSchema::Registered(id) => {
                let Some(registry) = self.registry.clone() else {
                    let message = format!(
                        "the value was written with schema {id} of a registry, and \
                         schema_registry.url is not set"
                    );
                    return Err(Failure::new(Reason::Undecodable, message));
                };
                tokio::spawn(async move { (schema, ask(registry, id).await) })
            }
        }));
        Ok(())
    }

    /// The answer to the question under way. May be dropped and called again.
    pub(super) async fn answered(&mut self) -> Result<(UnknownSchema, Told), BrokerError> {
        let Some(asking) = self.asking.as_mut() else { return std::future::pending().await };
        let answer = asking.await;
        self.asking = None;
        answer.map_err(|_| BrokerError::QuestionLost)
    }

    fn believe_foreign(&mut self, schema: UnknownSchema, reason: String, elapsed: Duration) {
        let until = match schema {
            UnknownSchema::Registered(_) => elapsed + BELIEVED_FOR,
            // Nothing that this process can learn changes it.
            UnknownSchema::Fingerprint(_) => Duration::MAX,
        };
        self.foreign.insert(schema, (until, reason));
    }

    /// What waited, in its order.
    fn end_of_wait(&mut self) -> VecDeque<InOrder> {
        std::mem::take(&mut self.waiting)
    }

    /// What waits is not ours any more.
    pub(super) fn clear(&mut self) {
        self.asking = None;
        self.waiting.clear();
    }
}

impl<D: Destination> Line<D> {
    /// Hears a message now, or when everything before it has been heard.
    pub(super) fn hear_in_order(&mut self, message: InOrder) {
        if self.questions.is_asking() {
            self.questions.wait(message);
            return;
        }
        match message {
            InOrder::Record(source, received) => self.take(source, received),
            InOrder::Started { share } => self.begin(share),
        }
    }

    /// A record has to wait for its schema, unless that is in vain.
    pub(super) fn wait_for_schema(
        &mut self,
        schema: UnknownSchema,
        source: Source,
        received: &Arc<Received>,
    ) -> Result<(), Failure> {
        self.questions.ask(schema, self.around.clock.elapsed())?;
        self.questions.wait(InOrder::Record(source, received.clone()));
        Ok(())
    }

    /// Goes on with what waited for this answer.
    pub(super) fn learn(
        &mut self,
        answer: Result<(UnknownSchema, Told), BrokerError>,
    ) -> Result<(), BrokerError> {
        let elapsed = self.around.clock.elapsed();
        let foreign = match answer? {
            (_, Told::Unusable(error)) => return Err(BrokerError::Registry(error)),
            (asked, Told::Foreign(reason)) => Some((asked, reason)),
            (asked, Told::Schema(id, schema)) => {
                let learned = self.records.learn(id, &schema);
                learned.err().map(|error| (asked, error.to_string()))
            }
        };
        if let Some((asked, reason)) = foreign {
            self.questions.believe_foreign(asked, reason, elapsed);
        }
        // One that needs yet another schema makes those behind it wait again.
        for message in self.questions.end_of_wait() {
            self.hear_in_order(message);
        }
        Ok(())
    }
}

/// Waits to be replaced by a version that knows the schema.
async fn await_replacement(fingerprint: u64, patience: Duration) -> Told {
    let reason = CodecError::UnknownFingerprint(fingerprint).to_string();
    tracing::warn!(reason, ?patience, "events wait for their schema");
    tokio::time::sleep(patience).await;
    Told::Foreign(reason)
}

/// Asks until there is an answer.
async fn ask(registry: Arc<Registry>, id: u32) -> Told {
    loop {
        match next(id, registry.schema(id).await) {
            Next::End(told) => return told,
            Next::Ask(reason) => {
                tracing::warn!(id, reason, "events wait for their schema; asking again");
            }
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

fn next(id: u32, answer: Result<Arc<str>, RegistryError>) -> Next {
    match answer {
        Ok(schema) => Next::End(Told::Schema(id, schema)),
        Err(away @ RegistryError::Away { .. }) => {
            Next::Ask(service::exit::Failure::failed(away).report())
        }
        Err(none @ (RegistryError::UnknownSchema { .. } | RegistryError::NotAvro { .. })) => {
            Next::End(Told::Foreign(none.to_string()))
        }
        Err(
            error @ (RegistryError::Address
            | RegistryError::Client(_)
            | RegistryError::Denied { .. }
            | RegistryError::Incompatible { .. }
            | RegistryError::Contradiction { .. }
            | RegistryError::Refused { .. }
            | RegistryError::Unintelligible { .. }
            | RegistryError::TooLarge { .. }),
        ) => Next::End(Told::Unusable(error)),
    }
}

#[cfg(test)]
mod tests;
