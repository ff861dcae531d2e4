//! Teaching the threads that judge records the schemas which producers of one's own write with.
//!
//! Such a producer may frame its events by the registry's id of a schema, which may be older or newer
//! than the one known here. The registry is asked before the record is judged, once per id and thread.
//! While it is away the line waits, as it does for the broker; an id that the registry does not know, or
//! that is no Avro, is left alone, and the record is parked for it.

use std::sync::Arc;

use registry::{Registry, RegistryError};
use schemas::Provider;
use tokio::runtime::Handle;

use crate::record::{Judged, Raw, judge};
use crate::sources::{Sources, native};

/// Asks on behalf of threads that may block.
#[derive(Clone, Debug)]
pub struct Teacher {
    registry: Option<Arc<Registry>>,
    runtime: Handle,
}

impl Teacher {
    /// Asks this registry, if there is one. To be called within a Tokio runtime.
    pub fn new(registry: Option<Arc<Registry>>) -> Self {
        Self { registry, runtime: Handle::current() }
    }

    /// Sees to it that the thread can read the record, as far as anybody can. Blocks; must not be called
    /// from asynchronous code. Fails where the registry gave no answer: the record must not be judged.
    pub fn prepare(&self, raw: &Raw<'_>, sources: &Sources) -> Result<(), RegistryError> {
        let (Some(registry), Some(id)) = (&self.registry, unlearned(raw, sources)) else {
            return Ok(());
        };
        match self.runtime.block_on(registry.schema(id)) {
            Ok(schema) => {
                if native::learn(id, &schema).is_err() {
                    tracing::warn!(id, "the registry's schema cannot be used to read events");
                }
                Ok(())
            }
            Err(RegistryError::UnknownSchema { .. } | RegistryError::NotAvro { .. }) => Ok(()),
            Err(error) => Err(error),
        }
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
    use std::time::Duration;

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

    /// A registry that knows one schema of ours and one that is not Avro.
    async fn registry() -> String {
        let answer = |Path(id): Path<u32>| async move {
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
        format!("http://{address}")
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
        let teacher = teacher(registry().await);
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

    #[tokio::test]
    async fn neither_webhooks_nor_an_installation_without_a_registry_ask_anything() {
        let nobody = Teacher::new(None);
        assert_eq!(prepared(&nobody, "crm", framed(41)).await, (true, Some(41)));
        let teacher = teacher(registry().await);
        assert_eq!(prepared(&teacher, "shop", framed(KNOWN)).await, (true, Some(KNOWN)));
    }
}
