//! Logs: one line an event, to standard error, as JSON or text.
//!
//! Invariant for everyone who logs: no secret, e-mail address or body in any field.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::{Layer, Registry, layer::SubscriberExt};

use crate::config::{LogFormat, Telemetry};

/// Why logs cannot be written as asked.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter is not one.
    #[error("`{0}` is not a log filter")]
    Filter(String),
    /// Something else already takes the logs of this process.
    #[error("logs are already being written")]
    Taken(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// Begins to log, for the rest of the process. `RUST_LOG`, when set, wins over the configured
/// filter.
pub fn init(telemetry: &Telemetry) -> Result<(), InitError> {
    let asked = std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = asked.unwrap_or_else(|| telemetry.log.clone());
    let subscriber = subscriber(&filter, telemetry.log_format, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(InitError::Taken)
}

/// Reads a filter: a level, or levels of targets, with commas between them.
///
/// The library takes a level that is missing for `error`, so that `info,` would be less than `info`.
pub(crate) fn targets(filter: &str) -> Option<Targets> {
    let is_whole = |directive: &str| directive.split('=').all(|part| !part.trim().is_empty());
    filter.split(',').all(is_whole).then(|| filter.parse().ok()).flatten()
}

fn subscriber(
    filter: &str,
    format: LogFormat,
    writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static,
) -> Result<impl Subscriber + Send + Sync, InitError> {
    let targets = targets(filter).ok_or_else(|| InitError::Filter(filter.to_owned()))?;
    let lines = fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(false).boxed(),
    };
    Ok(Registry::default().with(lines.with_filter(targets)))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(filter: &str, format: LogFormat) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = subscriber(filter, format, move || writer.clone()).expect("a filter");
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(source = "dodo", "accepted");
            tracing::debug!("hidden");
        });
        String::from_utf8(sink.0.lock().expect("not poisoned").clone()).expect("UTF-8")
    }

    #[test]
    fn json_lines_have_their_fields_at_the_top() {
        let text = logged("info", LogFormat::Json);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with('{') && text.contains(r#""source":"dodo""#), "{text}");
        assert!(text.contains(r#""message":"accepted""#), "{text}");
    }

    #[test]
    fn text_is_for_people_and_the_filter_holds() {
        let text = logged("warn,service=info", LogFormat::Text);
        assert!(text.contains(r#"accepted source="dodo""#), "{text}");
        assert!(!text.contains("hidden"), "{text}");
        assert_eq!(logged("error", LogFormat::Text), "");
    }

    #[test]
    fn a_wrong_filter_is_an_error() {
        for filter in ["", "info,=", "info,", "info,transform=", "=debug", "info,transform=loud"] {
            assert!(subscriber(filter, LogFormat::Text, io::stderr).is_err(), "{filter}");
        }
    }
}
