//! A producer that frames its records by an id of the registry, which gives no answer: its partition waits, the others
//! go on, and nothing is parked.

use std::time::{Duration, Instant};

use ::registry::{Registry, Settings};
use end_to_end::broker::Broker;
use end_to_end::registry::Registry as Server;
use end_to_end::workspace;
use schemas::LifecycleEvent;
use schemas::codec::{Codec, Described, Framing};
use schemas::samples::full_event;
use schemas::topics::Topic;
use tokio::runtime::Runtime;

use crate::transform::feed::{Feeding, SOURCE, raw};
use crate::transform::installation::Installation;
use crate::transform::ledger::Ledger;
use crate::transform::links::append;
use crate::transform::seed;

const EVENTS: usize = 300;
const WITHIN: Duration = Duration::from_mins(1);

/// Somebody's schema: ours with a field in front.
fn theirs() -> String {
    let field = r#"{"name": "added", "type": ["null", "string"], "default": null}"#;
    let newest = LifecycleEvent::VERSIONS.last().unwrap();
    newest.replacen(r#""fields": ["#, &format!(r#""fields": [{field},"#), 1)
}

/// An event of theirs, in which that field is null.
fn framed(id: u32, who: &str) -> Vec<u8> {
    let mut event = full_event();
    who.clone_into(&mut event.subscriber.id);
    let mut ours = Vec::new();
    Codec::new(Framing::Registry(id)).unwrap().encode(&event, &mut ours).unwrap();
    let (frame, datum) = ours.split_at(5);
    [frame, &[0], datum].concat()
}

#[test]
fn a_record_whose_schema_cannot_be_had_waits_and_the_other_partitions_go_on() {
    let broker = Broker::shared().expect("a broker to test against");
    let address = (broker.address(), broker.address());
    let folder = workspace::fresh_run_folder("waiting-registry").unwrap();
    let mut server = Server::start(&folder, &|_| ()).unwrap();
    let url = server.url();
    let installation = Installation::new("schema-waits", address, &[("KAFKA__PARTITIONS", "4")]);
    let settings = Settings { url: url.clone().into(), folder: None, patience: WITHIN };
    let somebody = Registry::open(&settings).unwrap();
    let runtime = Runtime::new().unwrap();
    let id = runtime.block_on(somebody.writer_id("theirs-value", &theirs())).unwrap();
    let installation = installation.told(&[("SCHEMA_REGISTRY__URL", &url)]);
    let mut instance = installation.instance("only");

    let newest = LifecycleEvent::VERSIONS.last().unwrap();
    let subject = ::registry::subject(&Topic::Events.name(installation.prefix()));
    let ours = runtime.block_on(somebody.writer_id(&subject, newest)).unwrap();
    let mut ledger = Ledger::counting(installation.cluster(), installation.prefix());
    ledger.learn(ours, newest);

    server.freeze();
    let topic = Topic::Raw.name(installation.prefix());
    let mut record = raw(&topic, (SOURCE, "stranger"), ("theirs", "native.told"), String::new());
    record.value = Some(framed(id, "stranger"));
    append(&installation, [record]);
    let pace = Duration::from_millis(1);
    let feeding = Feeding::start(installation.cluster(), installation.prefix(), seed(), pace);
    let began = Instant::now();
    while !instance.logged().contains("a partition waits for the registry") {
        assert!(began.elapsed() < WITHIN, "it does not wait; {}", instance.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let seen = ledger.read_on();
    installation.await_events(&mut ledger, seen + EVENTS, WITHIN);
    server.thaw();
    let told = feeding.stop().told() + 1;
    installation.await_events(&mut ledger, told, WITHIN);
    instance.assert_in_order("schema-waits");
    assert_eq!(instance.doubts(), 0, "no worker had to begin again; {}", instance.log());
}
