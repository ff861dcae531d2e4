//! `transform replay`: the same events again, from the raw topic and nothing else.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use end_to_end::broker::Broker;
use schemas::event::LifecycleEvent;
use schemas::headers::Header;
use schemas::topics::Topic;
use stream::Reader;

use crate::transform::feed::{Feeding, raw};
use crate::transform::installation::Installation;
use crate::transform::ledger::Ledger;
use crate::transform::links;
use crate::transform::seed;

const RECOVERS_WITHIN: Duration = Duration::from_mins(1);
const EVENTS: usize = 300;

/// A record of an events topic, as far as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    partition: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<Header>,
}

fn shown(installation: &Installation, prefix: &str) -> Vec<Shown> {
    let reader = Reader::open(installation.cluster(), "shown").unwrap();
    let topic = Topic::Events.name(prefix);
    let mut all = Vec::new();
    for partition in 0..reader.partitions(&topic).unwrap() {
        let range = reader.low_and_high(&topic, partition).unwrap();
        let each = |stream::Received { partition, key, value, headers, .. }| {
            all.push(Shown { partition, key, value, headers });
            ControlFlow::Continue(())
        };
        reader.read_to(&topic, partition, range, each).unwrap();
    }
    all
}

fn replay(installation: &Installation, from: &str, into: &str) -> String {
    let output = installation.command("replay", &["replay", "--from", from, "--into", into]);
    let said = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}{complaint}");
    said
}

#[test]
fn a_replay_from_the_beginning_gives_the_live_events_byte_for_byte_however_often() {
    let broker = Broker::shared().expect("a broker to test against");
    let address = (broker.address(), broker.address());
    let installation = Installation::new("replay", address, &[("KAFKA__PARTITIONS", "4")]);
    let mut instance = installation.instance("only");
    let mut ledger = Ledger::open(installation.cluster(), installation.prefix());
    let pace = Duration::from_millis(2);
    let feeding = Feeding::start(installation.cluster(), installation.prefix(), seed(), pace);
    while feeding.told() < EVENTS {
        std::thread::sleep(Duration::from_millis(500));
        instance.kill_and_start_again();
        instance.await_ready();
    }
    let feed = feeding.stop();
    // Records of whom only a link says whose they are; what it decided lies in raw as copies.
    let linked = links::tell_disputes_and_a_transfer(&installation);
    let told = feed.told() + linked;
    installation.await_events(&mut ledger, told, RECOVERS_WITHIN);
    instance.assert_in_order("replay");

    let live = shown(&installation, installation.prefix());
    assert_eq!(live.len(), told);
    let prefix = |name: &str| format!("{}{name}.", installation.prefix());
    for name in ["first", "second"] {
        replay(&installation, "beginning", &prefix(name));
        let again = shown(&installation, &prefix(name));
        assert!(again == live, "{name}: {} events, {} live", again.len(), live.len());
    }

    let middle = &ledger.events()[told / 2];
    let from = middle.received_at.to_string();
    let said = replay(&installation, &from, &prefix("later"));
    assert!(said.contains("states begin empty"), "{said}");
    let mut later = Ledger::open(installation.cluster(), &prefix("later"));
    assert!(later.read_on() > 0);
    let ids = |events: &[LifecycleEvent]| -> BTreeSet<_> {
        events.iter().map(|event| (event.event_id.clone(), event.event_type)).collect()
    };
    assert!(ids(later.events()).is_subset(&ids(ledger.events())), "the same ids and types");
    assert!(later.events().len() < told);
}

#[test]
fn a_replay_writes_to_no_topic_that_is_live_or_has_something_in_it() {
    let broker = Broker::shared().expect("a broker to test against");
    let address = (broker.address(), broker.address());
    let installation = Installation::new("refused", address, &[("KAFKA__PARTITIONS", "2")]);
    let refused = |into: &str| {
        let words = ["replay", "--from", "beginning", "--into", into];
        let output = installation.command("replay", &words);
        assert_eq!(output.status.code(), Some(78));
        String::from_utf8(output.stderr).unwrap()
    };
    let own = refused(installation.prefix());
    assert!(own.contains("own prefix"), "{own}");
    let into = format!("{}again.", installation.prefix());
    replay(&installation, "beginning", &into);
    let topic = Topic::Events.name(&into);
    links::append(&installation, [raw(&topic, ("own", "x"), ("id", "type"), "{}".to_owned())]);
    let full = refused(&into);
    assert!(full.contains("is not empty"), "{full}");
}
