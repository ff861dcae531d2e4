//! Ambiguous outcomes: `transform` asks, and does not learn what came of it.
//!
//! The binary as it is shipped reaches a real broker only through a proxy, which loses, delays and cuts chosen
//! requests and answers while records keep coming in. Whatever happens, each told event must come out once, in order
//! and in sequence; nothing may be parked; the process must not die; and when it is over, another start that has
//! nothing but the topics must be able to go on from them.
//!
//! A worker that is in doubt drops its producer and begins again from the topics. Only here does the doubt really
//! come about: the client library makes good by itself what passes within its time-outs, so most faults here outlast
//! them. It is told to be impatient in all cases but one, so that it repeats often; the one has the shipped settings.
//! What it makes good is not harmless either: the copy of a request that was repeated may meet a later transaction.
//!
//! The long run has every fault at every call instead of a sample.

mod faults;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use end_to_end::broker::Broker;
use end_to_end::proxy::Proxy;
use end_to_end::{ports, workspace};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use self::faults::{Round, grid, sample};
use crate::transform::feed::Feeding;
use crate::transform::installation::{Installation, Instance};
use crate::transform::ledger::Ledger;
use crate::transform::{is_long, seed};

/// So many are disturbed side by side: a fault costs waiting, not work.
const SIDE_BY_SIDE: usize = 8;

/// Rounds of faults that one of them goes through in the long run.
const ROUNDS: usize = 8;

/// From the last fault of a round until events come again. An open transaction that nobody ends lives for its time-out
/// and the coordinator's scan, and the workers' pauses come on top.
const RECOVERS_WITHIN: Duration = Duration::from_mins(1);

/// Until the faults of a round have happened, with as many starts as that takes.
const HAPPENS_WITHIN: Duration = Duration::from_mins(3);

/// A call of the start that has not been made for this long after the trigger needs another start.
const STARTS_AGAIN_AFTER: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(50);

/// Between two records of the feed.
const PACE: Duration = Duration::from_millis(15);

/// How the client library is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It soon gives up a request and repeats it, and soon gives up a record.
    Impatient,
    /// As users run it.
    AsShipped,
}

impl Manner {
    fn properties(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Impatient => &[
                ("KAFKA__PROPERTIES__SOCKET_TIMEOUT_MS", "1500"),
                ("KAFKA__PROPERTIES__MESSAGE_TIMEOUT_MS", "3000"),
                ("KAFKA__PROPERTIES__RECONNECT_BACKOFF_MAX_MS", "500"),
            ],
            Self::AsShipped => &[],
        }
    }
}

/// What all cases share.
struct Ground {
    broker: Broker,
    proxy: Proxy,
    /// Held by whoever creates topics: many at once are more than a small broker answers in time.
    creating: Mutex<()>,
}

impl Ground {
    fn new() -> Self {
        let port = ports::free().unwrap();
        let folder = workspace::fresh_run_folder("ambiguous").unwrap();
        let broker = Broker::start_behind(port, &folder, &|_| ()).expect("a broker of one's own");
        let proxy = Proxy::start(port, broker.behind_proxy().unwrap()).unwrap();
        Self { broker, proxy, creating: Mutex::default() }
    }

    /// An installation of its own, whose instances know the broker only through the proxy. `name` is
    /// their client id there.
    fn installation(&self, name: &str, manner: Manner) -> Installation {
        let _turn = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses = (self.proxy.address(), self.broker.address().to_owned());
        let properties = [("KAFKA__PARTITIONS", "3"), ("KAFKA__PROPERTIES__CLIENT_ID", name)];
        Installation::new(name, (&addresses.0, &addresses.1), &properties).told(manner.properties())
    }
}

/// One subject's fate.
struct Case {
    name: String,
    manner: Manner,
    rounds: Vec<Round>,
    seed: u64,
}

#[test]
fn no_event_is_lost_doubled_or_torn_whatever_request_or_answer_is_lost_late_or_cut() {
    let seed = seed();
    let ground = Ground::new();
    let cases = Mutex::new(cases(&mut StdRng::seed_from_u64(seed)).into_iter());
    let next = || cases.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(case) = next() {
                    println!("{}", case.withstand(&ground));
                }
            });
        }
    });
}

fn cases(random: &mut StdRng) -> Vec<Case> {
    let programmes = if is_long() {
        grid(random).chunks(ROUNDS).map(<[Round]>::to_vec).collect()
    } else {
        sample(SIDE_BY_SIDE - 1, random)
    };
    let impatient = programmes.into_iter().map(|rounds| (Manner::Impatient, rounds));
    let as_shipped = (Manner::AsShipped, vec![Round::patient()]);
    std::iter::once(as_shipped)
        .chain(impatient)
        .enumerate()
        .map(|(number, (manner, rounds))| {
            let name = format!("ambiguous-{number}");
            Case { name, manner, rounds, seed: random.random() }
        })
        .collect()
}

impl Case {
    /// Runs it; says in one line what happened.
    fn withstand(self, ground: &Ground) -> String {
        let Self { name, manner, rounds, seed } = self;
        let installation = ground.installation(&name, manner);
        let mut subject = installation.instance(&name);
        let (cluster, prefix) = (installation.cluster(), installation.prefix());
        let mut ledger = Ledger::open(cluster, prefix);
        let feeding = Feeding::start(cluster, prefix, seed, PACE);
        for round in &rounds {
            disturb(ground, &name, round, &mut subject);
            recover(&mut ledger, feeding.told(), &mut subject);
        }
        let mut feed = feeding.stop();
        recover(&mut ledger, feed.told(), &mut subject);
        ledger.assert_flawless(&feed, &name);
        subject.assert_in_order(&name);
        let doubts = subject.doubts();
        let least = rounds.iter().filter(|round| round.leaves_doubt()).count();
        assert!(doubts >= least, "{name}: {doubts} doubts after {rounds:?}; {}", subject.log());

        // Only what is in the topics: whoever believed something else would show it now.
        subject.start_from_nothing();
        feed.tell_everybody_and_repeat_everything();
        recover(&mut ledger, feed.told(), &mut subject);
        ledger.assert_flawless(&feed, &name);
        subject.assert_in_order(&name);
        let done: u32 = ground.proxy.done(&name).values().sum();
        format!("{name}: {done} faults, {doubts} doubts, {} events", feed.told())
    }
}

/// Until every fault of the round has happened.
fn disturb(ground: &Ground, name: &str, round: &Round, subject: &mut Instance) {
    ground.proxy.disturb(name, round.faults.clone());
    let began = Instant::now();
    let mut armed = Instant::now();
    loop {
        let left = ground.proxy.left(name);
        if left.is_empty() {
            return;
        }
        assert!(began.elapsed() < HAPPENS_WITHIN, "{name}: {left:?} of {round:?} never came about");
        if armed.elapsed() > STARTS_AGAIN_AFTER
            && let Some(trigger) = round.trigger
        {
            ground.proxy.disturb(name, [vec![trigger], left].concat());
            armed = Instant::now();
        }
        subject.assert_alive();
        std::thread::sleep(POLL);
    }
}

/// Until as many events can be read as were told, or no more come.
fn recover(ledger: &mut Ledger, told: usize, subject: &mut Instance) {
    let mut seen = 0;
    let mut since = Instant::now();
    while seen < told && since.elapsed() < RECOVERS_WITHIN {
        subject.assert_alive();
        std::thread::sleep(POLL);
        let now = ledger.read_on();
        if now > seen {
            (seen, since) = (now, Instant::now());
        }
    }
}
