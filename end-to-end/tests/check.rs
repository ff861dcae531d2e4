//! `check` of all three binaries: whichever is asked, every mistake of the file is told at once, with its line and
//! its path, and the exit code is that of a wrong configuration.

use std::process::Command;

use end_to_end::processes::{self, Binary};

const MISTAKEN: &str = r#"kafka:
  broker: localhost:9092
  partitions: 0
sources:
  Shop:
    provider: stripe
    secrets: ["planted"]
  crm:
    provider: nativ
ingest:
  ack_timeout: 0s
transform:
  workers: many
deliver:
  concurrency: 0
destinations:
  customerio:
    type: customerio
    region: mars
    site_id: "planted-site"
    api_key: "planted-key"
telemetri: {}
"#;

/// Line and path of each.
const MISTAKES: [(usize, &str); 10] = [
    (1, "kafka: `brokers` is required"),
    (2, "kafka.broker: "),
    (3, "kafka.partitions: "),
    (5, "sources.Shop: "),
    (9, "sources.crm.provider: "),
    (11, "ingest.ack_timeout: "),
    (13, "transform.workers: "),
    (15, "deliver.concurrency: "),
    (19, "destinations.customerio.region: "),
    (22, "telemetri: "),
];

#[test]
fn every_binary_tells_every_planted_mistake_with_path_and_line_and_exits_with_64() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mistaken.yaml");
    std::fs::write(&file, MISTAKEN).unwrap();
    for binary in [Binary::Ingest, Binary::Transform, Binary::Deliver] {
        let output = Command::new(processes::path(binary))
            .args(["check", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let name = binary.name();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{name}: {said}");
        for (line, path) in MISTAKES {
            let told = format!("mistaken.yaml:{line}: {path}");
            assert!(said.contains(&told), "{name} does not say {told:?}: {said}");
        }
        assert!(!said.contains("planted"), "{name} shows a secret: {said}");
    }
}
