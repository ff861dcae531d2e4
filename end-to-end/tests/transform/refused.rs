//! What must not begin does not begin, and says why.

use std::time::Duration;

use ::registry::{Registry, Settings};
use end_to_end::broker::Broker;
use end_to_end::registry::Registry as Server;
use end_to_end::workspace;
use schemas::topics::Topic;
use stream::Reader;
use tokio::runtime::Runtime;

use crate::transform::feed::Feeding;
use crate::transform::installation::Installation;
use crate::transform::ledger::Ledger;
use crate::transform::seed;

#[test]
fn a_schema_that_may_not_follow_those_of_its_subject_stops_the_start_before_the_first_record() {
    let broker = Broker::shared().expect("a broker to test against");
    let address = (broker.address(), broker.address());
    let installation = Installation::new("incompatible", address, &[("KAFKA__PARTITIONS", "2")]);
    let folder = workspace::fresh_run_folder("incompatible-registry").unwrap();
    let server = Server::start(&folder, &|_| ()).unwrap();
    let url = server.url();
    let installation = installation.told(&[("SCHEMA_REGISTRY__URL", &url)]);

    let subject = ::registry::subject(&Topic::Events.name(installation.prefix()));
    let settings = Settings { url: url.into(), folder: None, patience: Duration::from_secs(30) };
    let somebody = Registry::open(&settings).unwrap();
    let theirs = r#"{"type": "record", "name": "LifecycleEvent", "fields": []}"#;
    Runtime::new().unwrap().block_on(somebody.writer_id(&subject, theirs)).unwrap();

    let pace = Duration::from_millis(1);
    let feeding = Feeding::start(installation.cluster(), installation.prefix(), seed(), pace);
    while feeding.told() == 0 {
        std::thread::yield_now();
    }
    let output = installation.command("only", &["run"]);
    assert!(feeding.stop().told() > 0);
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("incompatible") && said.contains(&subject), "{said}");

    let group = format!("{}transform", installation.prefix());
    let reader = Reader::open(installation.cluster(), &group).unwrap();
    let raw = Topic::Raw.name(installation.prefix());
    for partition in 0..reader.partitions(&raw).unwrap() {
        assert_eq!(reader.committed(&raw, partition).unwrap(), None, "partition {partition}");
    }
    let mut ledger = Ledger::open(installation.cluster(), installation.prefix());
    assert_eq!(ledger.read_on(), 0);
}
