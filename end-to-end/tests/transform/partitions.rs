//! Another number of partitions: refused where subscribers have states, and possible by moving on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use end_to_end::broker::Broker;
use schemas::topics::Topic;
use stream::{Group, Membership, Polled, Progress, TopicPartition, Transactions};

use crate::transform::feed::Feeding;
use crate::transform::installation::Installation;
use crate::transform::ledger::Ledger;
use crate::transform::seed;

const EVENTS: usize = 150;
const WITHIN: Duration = Duration::from_mins(1);

fn installation(name: &str, partitions: &str) -> Installation {
    let broker = Broker::shared().expect("a broker to test against");
    let address = (broker.address(), broker.address());
    Installation::new(name, address, &[("KAFKA__PARTITIONS", partitions)])
}

#[test]
fn subscribers_go_on_in_an_installation_with_more_partitions() {
    let seed = seed();
    let old = installation("fewer", "3");
    let mut ledger = Ledger::open(old.cluster(), old.prefix());
    let mut instance = old.instance("old");
    let feeding = Feeding::start(old.cluster(), old.prefix(), seed, Duration::from_millis(2));
    old.await_events(&mut ledger, EVENTS, WITHIN);

    let new = installation("more", "8");
    let adopt = || new.command("adopt", &["adopt", "--from", old.prefix()]);
    let refused = String::from_utf8(adopt().stderr).unwrap();
    assert!(refused.contains("2 workers of") && refused.contains("end both"), "{refused}");

    // It ends in the middle of the stream: some are held, and some are not processed at all.
    instance.terminate();
    std::thread::sleep(Duration::from_millis(100));
    let mut feed = feeding.stop();
    ledger.read_on();
    assert!(ledger.events().len() < feed.told(), "nothing was left unprocessed");
    let adopted = adopt();
    let said = String::from_utf8_lossy(&adopted.stdout).into_owned();
    assert!(adopted.status.success(), "{said}{}", String::from_utf8_lossy(&adopted.stderr));
    assert!(said.contains("state records") && !said.contains(", 0 records"), "{said}");

    let mut instance = new.instance("new");
    feed.go_on_at(new.prefix());
    feed.tell_everybody_and_repeat_everything();
    let before = ledger.events().len();
    let mut later = Ledger::open(new.cluster(), new.prefix());
    new.await_events(&mut later, feed.told() - before, WITHIN);
    later.assert_flawless_after(&ledger, &feed, "more");
    instance.assert_in_order("more");

    instance.terminate();
    let refused = String::from_utf8(adopt().stderr).unwrap();
    assert!(refused.contains("has begun already"), "{refused}");
}

#[test]
fn topics_that_have_grown_under_live_state_are_refused_with_the_way_out() {
    let grown = installation("grown", "6");
    // As a worker leaves it that committed when there were four.
    let raw = Topic::Raw.name(grown.prefix());
    let cluster = grown.cluster();
    let group = format!("{}transform", grown.prefix());
    let mut transactions = Transactions::open(cluster, &format!("{group}-of-old")).unwrap();
    let mut member = Group::join(cluster, &group, &[&raw], &Membership::default()).unwrap();
    let deadline = Instant::now() + WITHIN;
    while !matches!(member.poll(Duration::from_millis(100)).unwrap(), Polled::Assigned(_)) {
        assert!(Instant::now() < deadline, "no partition was assigned");
    }
    let partition = TopicPartition { topic: raw.as_str().into(), partition: 1 };
    let metadata = "partitions=4".to_owned();
    transactions.begin().unwrap();
    let progress = [Progress { partition, next_offset: 0, metadata }];
    let committed: BTreeMap<_, _> =
        transactions.commit(&progress, &member.member().unwrap()).unwrap();
    assert!(committed.is_empty(), "nothing but the offset");
    drop(member);

    for command in ["check", "run"] {
        let output = grown.command("one", &[command]);
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success(), "{command}: {complaint}");
        for word in ["written for 4 partitions", "topics have 6", "transform adopt"] {
            assert!(complaint.contains(word), "{command}: {complaint}");
        }
    }
}
