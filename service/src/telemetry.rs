//! Logs: one line an event, to standard error, as JSON or text.
//!
//! Invariant for everyone who logs: no secret, e-mail address or body in any field.

use std::io;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{LogFormat, Telemetry};

/// Why logs cannot be written as asked.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter is not one.
    #[error("`{filter}` is not a log filter")]
    Filter {
        /// What was asked for.
        filter: String,
        /// Where it goes wrong.
        #[source]
        cause: tracing_subscriber::filter::ParseError,
    },
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

fn subscriber(
    filter: &str,
    format: LogFormat,
    writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static,
) -> Result<Box<dyn Subscriber + Send + Sync>, InitError> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|cause| InitError::Filter { filter: filter.to_owned(), cause })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match format {
        LogFormat::Json => Box::new(lines.json().flatten_event(true).finish()),
        LogFormat::Text => Box::new(lines.with_ansi(false).finish()),
    })
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
        assert!(subscriber("info,=", LogFormat::Text, io::stderr).is_err());
    }
}
