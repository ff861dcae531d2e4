//! What an orchestrator sees of the three binaries: alive whatever becomes of Kafka, ready or with a reason why not,
//! and ended when asked. (That nothing is lost when they end under load is shown in `pipeline.rs`.)
#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use end_to_end::broker::Broker;
use end_to_end::configuration::Configuration;
use end_to_end::processes::{Binary, Process, Setting};
use end_to_end::supervise::Signal;
use end_to_end::{http, ports};
use service::clock::{Clock, SystemClock};

const PATIENCE: Duration = Duration::from_mins(1);
/// As docs/running-with-compose.md says.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// Nothing waits for anything: the process is gone as soon as it is told.
const AT_ONCE: Duration = Duration::from_secs(3);

/// Each binary with its admin port.
fn all(configuration: &Configuration) -> [(Binary, u16); 3] {
    let listeners = configuration.listeners;
    [
        (Binary::Ingest, listeners.ingest),
        (Binary::Transform, listeners.transform),
        (Binary::Deliver, listeners.deliver),
    ]
}

fn setting(configuration: &Configuration, folder: &Path) -> Setting {
    let file = folder.join("tributary.yaml");
    std::fs::write(&file, configuration.render()).unwrap();
    Setting {
        configuration: file,
        folder: folder.to_path_buf(),
        environment: Vec::new(),
        binaries: None,
    }
}

/// Waits for an answer that is wanted; the last one is in the message when it does not come.
fn await_answer(process: &mut Process, port: u16, path: &str, wanted: impl Fn(u16, &str) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = http::get(port, path);
        if answer.as_ref().is_ok_and(|(status, body)| wanted(*status, body)) {
            return;
        }
        let name = process.binary().name();
        assert_eq!(process.ended().unwrap(), None, "{name} ended");
        assert!(Instant::now() < deadline, "{name} answers {path} with {answer:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn without_kafka_each_is_alive_says_what_it_waits_for_and_ends_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = format!("127.0.0.1:{}", ports::free().unwrap());
    let configuration =
        Configuration::without_destinations(&nowhere, "health.", folder.path()).unwrap();
    let setting = setting(&configuration, folder.path());
    let mut running: Vec<_> = all(&configuration)
        .into_iter()
        .map(|(binary, port)| (Process::start(binary, &setting, port).unwrap(), port))
        .collect();
    for (process, port) in &mut running {
        await_answer(process, *port, "/livez", |status, _| status == 200);
        await_answer(process, *port, "/readyz", |status, why| {
            status == 503 && why.contains(&nowhere)
        });
    }
    for (process, port) in &mut running {
        await_answer(process, *port, "/livez", |status, _| status == 200);
        let status = process.terminate(ENDS_WITHIN).unwrap();
        assert!(status.success(), "{}: {status}", process.binary().name());
    }
}

#[test]
fn a_second_signal_ends_what_still_waits_for_a_sender() {
    let broker = Broker::shared().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let prefix = format!("health-{:x}.", SystemClock::new().now_millis());
    let configuration =
        Configuration::without_destinations(broker.address(), &prefix, folder.path()).unwrap();
    let setting = setting(&configuration, folder.path());
    setting.command(Binary::Ingest, "setup", PATIENCE).unwrap();
    let [(binary, port), ..] = all(&configuration);
    let mut ingest = Process::start(binary, &setting, port).unwrap();
    ingest.wait_until_ready(PATIENCE).unwrap();
    let webhooks = configuration.listeners.webhooks;
    let mut sender = TcpStream::connect((Ipv4Addr::LOCALHOST, webhooks)).unwrap();
    sender
        .write_all(b"POST /webhooks/purchasely HTTP/1.1\r\ncontent-length: 9\r\nhost: it\r\n\r\n")
        .unwrap();
    ingest.signal(Signal::Terminate);
    await_answer(&mut ingest, port, "/readyz", |status, why| {
        status == 503 && why.contains("ending")
    });
    let status = ingest.terminate(AT_ONCE).unwrap();
    assert_eq!(status.code(), Some(1), "a second signal is no good order");
}
