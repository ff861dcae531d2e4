//! `<binary> healthcheck`: whether the instance beside it is ready.
//!
//! An image without a shell has no `curl`, so whoever starts containers by hand (Docker Compose) asks the binary
//! itself. It reads the same configuration, asks the admin port on this machine once, and exits 0 when it says ready,
//! else with the reasons. Kubernetes does not need it: it asks `/livez` and `/readyz` itself.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::Binary;
use crate::config::Config;

/// How long connecting, asking and answering may take, each.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest answer that is read: readiness gives one line for each reason.
const LONGEST: u64 = 64 * 1024;

/// Why an instance counts as not healthy.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// Nobody answers there, or not in time.
    #[error("no answer from {address}")]
    Unreachable {
        /// Who was asked.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// It answers that it is not. Holds its reasons, one a line.
    #[error("{address} answers {status}: {reasons}")]
    NotReady {
        /// Who was asked.
        address: String,
        /// Not 200.
        status: u16,
        /// Its words.
        reasons: String,
    },
}

/// Asks the admin port that this configuration gives to this binary.
pub(crate) fn ready(binary: Binary, config: &Config) -> Result<(), Unhealthy> {
    let listens = match binary {
        Binary::Ingest => &config.ingest.admin,
        Binary::Transform => &config.transform.admin,
        Binary::Deliver => &config.deliver.admin,
    };
    ask(&reachable(listens), "/readyz")
}

/// Whether `path` at `address` (`host:port`) answers 200.
///
/// # Errors
/// When it answers anything else, or nothing within two seconds.
pub fn ask(address: &str, path: &str) -> Result<(), Unhealthy> {
    let (status, body) = get(address, path)
        .map_err(|source| Unhealthy::Unreachable { address: address.to_owned(), source })?;
    if status == 200 {
        return Ok(());
    }
    let reasons = body.trim_end().replace('\n', "; ");
    Err(Unhealthy::NotReady { address: address.to_owned(), status, reasons })
}

/// Where to find on this machine what listens there: an address that stands for every interface is none to connect to.
pub fn reachable(listens: &str) -> String {
    let anywhere = listens.strip_prefix("0.0.0.0:").map(|port| format!("127.0.0.1:{port}"));
    let anywhere =
        anywhere.or_else(|| listens.strip_prefix("[::]:").map(|port| format!("[::1]:{port}")));
    anywhere.unwrap_or_else(|| listens.to_owned())
}

/// HTTP/1.0, so that the answer is neither chunked nor kept open.
fn get(address: &str, path: &str) -> io::Result<(u16, String)> {
    let nowhere = || io::Error::new(ErrorKind::NotFound, "the name stands for no address");
    let address = address.to_socket_addrs()?.next().ok_or_else(nowhere)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(LONGEST).read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "the answer is not HTTP"))
}

/// Status and body of an answer in HTTP/1.0; `None` where it is none.
pub fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::admin::{Admin, Readiness, routes};
    use crate::metrics::{Dimensions, Registry};

    /// Asks a real admin server with this readiness.
    async fn asked(readiness: Readiness) -> Result<(), Unhealthy> {
        let admin = Admin::bind("127.0.0.1:0").await.expect("a free port");
        let address = admin.address().expect("bound").to_string();
        let registry = Arc::new(Registry::new(Dimensions::default()).expect("fresh"));
        let until = CancellationToken::new();
        let serving = tokio::spawn(admin.serve(routes(readiness, registry), until.clone()));
        let answer = tokio::task::spawn_blocking(move || ask(&address, "/readyz"));
        let answer = answer.await.expect("no panic");
        until.cancel();
        serving.await.expect("no panic").expect("served");
        answer
    }

    #[tokio::test]
    async fn healthy_is_what_says_ready() {
        asked(Readiness::new()).await.expect("ready");
    }

    #[tokio::test]
    async fn what_is_not_ready_is_quoted_with_its_reasons() {
        let readiness = Readiness::new();
        let _joined = readiness.register("kafka", "not joined");
        let _room = readiness.register("queue", "full");
        let error = asked(readiness).await.expect_err("not ready");
        let text = error.to_string();
        assert!(text.ends_with("answers 503: kafka: not joined; queue: full"), "{text}");
    }

    #[test]
    fn nobody_there_is_not_healthy() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = port.local_addr().expect("bound").to_string();
        drop(port);
        let error = ask(&address, "/readyz").expect_err("nobody listens");
        assert!(matches!(error, Unhealthy::Unreachable { .. }), "{error}");
    }

    #[test]
    fn what_listens_everywhere_is_asked_on_the_loopback() {
        assert_eq!(reachable("0.0.0.0:9101"), "127.0.0.1:9101");
        assert_eq!(reachable("[::]:9101"), "[::1]:9101");
        assert_eq!(reachable("10.1.2.3:9101"), "10.1.2.3:9101");
        assert_eq!(reachable("localhost:9101"), "localhost:9101");
    }

    #[test]
    fn what_is_not_http_is_no_answer() {
        assert_eq!(
            parse("HTTP/1.0 503 Service Unavailable\r\n\r\nno"),
            Some((503, "no".to_owned()))
        );
        assert_eq!(parse("SSH-2.0-OpenSSH"), None);
    }

    #[test]
    fn an_answer_has_a_status_and_a_body_or_is_none() {
        let answer = "HTTP/1.0 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno";
        assert_eq!(parse(answer), Some((503, "no".to_owned())));
        assert_eq!(parse("SSH-2.0-OpenSSH"), None);
    }
}
