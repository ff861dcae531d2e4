//! What the value of a record says, in whichever framing it was written: for commands that show events.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use registry::Registry;
use schemas::LifecycleEvent;
use schemas::codec::{Codec, CodecError, Framing};
use service::exit::Failure;
use tokio::runtime::Handle;

/// Reads events, and asks the schema registry what it needs for that, each schema once.
///
/// A registry that is away keeps nobody from redriving, for which no body is read: it is said once that
/// bodies and ages cannot be told, and that is all.
pub(crate) struct Bodies {
    known: Mutex<Known>,
    schemas: Option<Schemas>,
}

/// A registry, and the runtime on which it is asked.
#[derive(Clone)]
pub(crate) struct Schemas {
    pub(crate) registry: Arc<Registry>,
    pub(crate) runtime: Handle,
}

struct Known {
    codec: Codec<LifecycleEvent>,
    asked_in_vain: HashSet<u32>,
}

impl Bodies {
    pub(crate) fn new(schemas: Option<Schemas>) -> Result<Self, CodecError> {
        let codec = Codec::new(Framing::SingleObject)?;
        let known = Mutex::new(Known { codec, asked_in_vain: HashSet::new() });
        Ok(Self { known, schemas })
    }

    /// The event, unless the body is none, or its schema cannot be had. Waits for the registry, so that
    /// it must not be called on the runtime's own threads.
    pub(crate) fn event(&self, body: &[u8]) -> Option<LifecycleEvent> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.codec.decode(body) {
            Ok(event) => Some(event),
            Err(CodecError::UnknownSchemaId(id)) => {
                known.learn(id, self.schemas.as_ref()?);
                known.codec.decode(body).ok()
            }
            Err(
                CodecError::Schema(..)
                | CodecError::Encode(_)
                | CodecError::Framing
                | CodecError::UnknownFingerprint(_)
                | CodecError::Decode(_),
            ) => None,
        }
    }
}

impl std::fmt::Debug for Bodies {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Bodies").finish_non_exhaustive()
    }
}

impl Known {
    fn learn(&mut self, id: u32, schemas: &Schemas) {
        if self.asked_in_vain.contains(&id) {
            return;
        }
        let told = schemas.runtime.block_on(schemas.registry.schema(id)).map_err(Failure::failed);
        let learned =
            told.and_then(|schema| self.codec.learn(id, &schema).map_err(Failure::failed));
        if let Err(failure) = learned {
            self.asked_in_vain.insert(id);
            let reason = failure.report();
            tracing::warn!(id, reason, "bodies of this schema, and their age, cannot be told");
        }
    }
}
