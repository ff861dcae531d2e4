//! The `tributary.yaml` of a run on this machine: the shape a user writes, with free ports and known secrets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{ports, sign};

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receiver {
    /// An emulator at this base URL.
    Emulator { base_url: String },
    /// The vendor itself; its credentials come from the environment.
    Real,
}

/// Where the binaries listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listeners {
    /// For webhooks.
    pub webhooks: u16,
    /// Admin ports.
    pub ingest: u16,
    pub transform: u16,
    pub deliver: u16,
}

impl Listeners {
    /// The documented ports where they are free, others where not.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn usual() -> std::io::Result<Self> {
        Ok(Self {
            webhooks: ports::free_or(8080)?,
            ingest: ports::free_or(9101)?,
            transform: ports::free_or(9102)?,
            deliver: ports::free_or(9103)?,
        })
    }

    /// Ports of nobody else, for tests that run side by side.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn free() -> std::io::Result<Self> {
        Ok(Self {
            webhooks: ports::free()?,
            ingest: ports::free()?,
            transform: ports::free()?,
            deliver: ports::free()?,
        })
    }
}

/// Everything that differs from run to run.
#[derive(Debug, Clone)]
pub struct Configuration {
    pub brokers: String,
    /// The address of a schema registry, if there is one.
    pub schema_registry: Option<String>,
    /// Keeps the runs that share a broker apart.
    pub topic_prefix: String,
    /// Where the secrets of the sources are files, as [`crate::keyring::write`] writes them.
    pub secrets: Option<PathBuf>,
    pub listeners: Listeners,
    pub state_dir: PathBuf,
    pub reorder_window: Duration,
    /// The waits of the retry topic, as written in the file.
    pub retry_delays: String,
    /// Calls a second to each destination.
    pub rate_per_second: u32,
    pub customerio: Receiver,
    pub intercom: Receiver,
}

impl Configuration {
    /// For a test that fills and reads topics of its own: whatever would listen has a free port, and nobody serves
    /// the destinations.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn without_destinations(
        brokers: &str,
        topic_prefix: &str,
        folder: &Path,
    ) -> std::io::Result<Self> {
        let unused = Receiver::Emulator { base_url: "http://127.0.0.1:9".to_owned() };
        Ok(Self {
            brokers: brokers.to_owned(),
            schema_registry: None,
            topic_prefix: topic_prefix.to_owned(),
            secrets: None,
            listeners: Listeners::free()?,
            state_dir: folder.join("state"),
            reorder_window: Duration::from_secs(1),
            retry_delays: "[1s]".to_owned(),
            rate_per_second: 100,
            customerio: unused.clone(),
            intercom: unused,
        })
    }

    /// The file's text.
    pub fn render(&self) -> String {
        let Listeners { webhooks, ingest, transform, deliver } = self.listeners;
        format!(
            "kafka:
  brokers: {brokers}
  topic_prefix: \"{prefix}\"
  partitions: 6
  replication_factor: 1

{registry}{sources}
ingest:
  listen: 127.0.0.1:{webhooks}
  admin: 127.0.0.1:{ingest}

transform:
  admin: 127.0.0.1:{transform}
  state_dir: {state_dir}
  reorder_window: {window}ms

deliver:
  admin: 127.0.0.1:{deliver}
  lease: 2s

destinations:
{customerio}{intercom}
telemetry:
  log: info
  log_format: text
",
            brokers = self.brokers,
            prefix = self.topic_prefix,
            registry = self.registry(),
            sources = self.sources(),
            state_dir = quoted(&self.state_dir),
            window = self.reorder_window.as_millis(),
            customerio =
                self.destination("customerio", &self.customerio, &self.customerio_account()),
            intercom = self.destination("intercom", &self.intercom, &self.intercom_account()),
        )
    }

    fn registry(&self) -> String {
        let section = |url| format!("schema_registry:\n  url: {url}\n\n");
        self.schema_registry.as_ref().map(section).unwrap_or_default()
    }

    fn sources(&self) -> String {
        let said = |option: &str, file: &str, secret: &str| match &self.secrets {
            None => format!("    {option}: [\"{secret}\"]\n"),
            Some(folder) => format!("    {option}_file: {}\n", quoted(&folder.join(file))),
        };
        format!(
            "sources:\n\
             \x20 stripe:\n    provider: stripe\n{}\
             \x20   user_id: [/data/object/metadata/user_id]\n\
             \x20 dodo:\n    provider: dodo\n{}\
             \x20 revenuecat:\n    provider: revenuecat\n{}{}\
             \x20 purchasely:\n    provider: purchasely\n{}",
            said("secrets", "stripe", sign::STRIPE_SECRET),
            said("secrets", "dodo", sign::DODO_SECRET),
            said("authorization", "revenuecat-authorization", sign::REVENUECAT_AUTHORIZATION),
            said("secrets", "revenuecat", sign::REVENUECAT_SECRET),
            said("secrets", "purchasely", sign::PURCHASELY_SECRET),
        )
    }

    fn destination(&self, name: &str, receiver: &Receiver, account: &str) -> String {
        // An emulator gives up a call when its caller does.
        let quarantine = match receiver {
            Receiver::Emulator { .. } => "1s",
            Receiver::Real => "10s",
        };
        format!(
            "  {name}:
    type: {name}
    region: us
{account}    rate_limit: {rate}/s
    retry: {{ delays: {delays}, horizon: 48h, quarantine: {quarantine} }}
",
            rate = self.rate_per_second,
            delays = self.retry_delays,
        )
    }

    fn customerio_account(&self) -> String {
        match &self.customerio {
            Receiver::Emulator { base_url } => format!(
                "    base_url: {base_url}\n    site_id: emulator-site\n    api_key: emulator-key\n"
            ),
            Receiver::Real => "    site_id: \"${CUSTOMERIO_SITE_ID}\"\n    \
                               api_key: \"${CUSTOMERIO_API_KEY}\"\n"
                .to_owned(),
        }
    }

    fn intercom_account(&self) -> String {
        match &self.intercom {
            Receiver::Emulator { base_url } => {
                format!("    base_url: {base_url}\n    access_token: emulator-token\n")
            }
            Receiver::Real => "    access_token: \"${INTERCOM_ACCESS_TOKEN}\"\n".to_owned(),
        }
    }
}

/// As a double-quoted YAML scalar.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use service::clock::SystemClock;
    use service::config::{Loader, Variables, Vocabulary};

    use super::*;
    use crate::keyring;
    use crate::sign::Secrets;

    fn configuration(customerio: Receiver) -> Configuration {
        Configuration {
            brokers: "127.0.0.1:9092".to_owned(),
            schema_registry: Some("http://127.0.0.1:8081/apis".to_owned()),
            topic_prefix: "run-1.".to_owned(),
            secrets: None,
            listeners: Listeners { webhooks: 8080, ingest: 9101, transform: 9102, deliver: 9103 },
            state_dir: PathBuf::from("state"),
            reorder_window: Duration::from_secs(2),
            retry_delays: "[1s, 5s]".to_owned(),
            rate_per_second: 100,
            customerio,
            intercom: Receiver::Emulator { base_url: "http://127.0.0.1:9202".to_owned() },
        }
    }

    #[test]
    fn the_binaries_accept_what_is_written() {
        let base_url = "http://127.0.0.1:9201".to_owned();
        let configuration = configuration(Receiver::Emulator { base_url });
        let folder = tempfile::tempdir().expect("a folder");
        keyring::write(folder.path(), &[&Secrets::default()]).expect("written");
        let in_files = Some(folder.path().to_path_buf());
        accepted(&Configuration { secrets: in_files, ..configuration.clone() });
        accepted(&configuration);
    }

    fn accepted(configuration: &Configuration) {
        let text = configuration.render();
        let loader = Loader {
            binary: service::Binary::Deliver,
            variables: &Variables::default(),
            vocabulary: Vocabulary::default(),
            clock: Arc::new(SystemClock::new()),
        };
        let config = loader.read("tributary.yaml", &text).expect("a valid configuration");
        assert_eq!(config.sources.len(), 4);
        assert_eq!(config.destinations.len(), 2);
        assert!(config.schema_registry.url.is_some());
    }

    #[test]
    fn real_credentials_stay_in_the_environment() {
        let text = configuration(Receiver::Real).render();
        assert!(text.contains("api_key: \"${CUSTOMERIO_API_KEY}\""));
        assert!(!text.contains("emulator-site"));
    }
}
