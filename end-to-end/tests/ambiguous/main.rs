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
//!
//! `TRIBUTARY_LONG_TESTS` runs every fault at every call instead of a sample; `TRIBUTARY_TEST_SEED` repeats a run.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot be had fails it"
)]

mod faults;
mod feed;
mod ledger;
mod subject;

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use end_to_end::broker::Broker;
use end_to_end::proxy::Proxy;
use end_to_end::workspace;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use service::clock::{Clock, SystemClock};

use crate::faults::{Round, grid, sample};
use crate::feed::Feeding;
use crate::ledger::Ledger;
use crate::subject::{Manner, Subject};

/// So many are disturbed side by side: a fault costs waiting, not work.
const SIDE_BY_SIDE: usize = 8;

/// Rounds of faults that one of them goes through in the long run.
const ROUNDS: usize = 8;

/// From the last fault of a round until everything is in order again. An open transaction that nobody ends lives for
/// its time-out and the coordinator's scan, and the workers' pauses come on top.
const RECOVERS_WITHIN: Duration = Duration::from_mins(2);

/// A call of the start that has not been made for this long after the trigger needs another start.
const STARTS_AGAIN_AFTER: Duration = Duration::from_secs(20);

const POLL: Duration = Duration::from_millis(50);

/// What all cases share.
pub(crate) struct Ground {
    pub(crate) broker: Broker,
    pub(crate) proxy: Proxy,
}

impl Ground {
    fn new() -> Self {
        // The broker must be told the proxy's port, and the proxy the broker's: whoever is first needs a port that
        // stays free for the other.
        let port = end_to_end::ports::free().unwrap();
        drop(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is still free"));
        let folder = workspace::fresh_run_folder("ambiguous").unwrap();
        let broker = Broker::start_behind(port, &folder, &|_| ()).expect("a broker of one's own");
        let proxy = Proxy::start(port, broker.behind_proxy().unwrap()).unwrap();
        Self { broker, proxy }
    }
}

fn seed() -> u64 {
    match std::env::var("TRIBUTARY_TEST_SEED") {
        Ok(told) => told.parse().expect("TRIBUTARY_TEST_SEED is a number"),
        Err(_) => u64::try_from(SystemClock::new().now_millis()).unwrap(),
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
    println!("TRIBUTARY_TEST_SEED={seed} repeats this run");
    let ground = Ground::new();
    let mut cases = cases(&mut StdRng::seed_from_u64(seed));
    std::thread::scope(|scope| {
        while !cases.is_empty() {
            let next: Vec<_> = cases.drain(..cases.len().min(SIDE_BY_SIDE)).collect();
            let ground = &ground;
            let running: Vec<_> =
                next.into_iter().map(|case| scope.spawn(move || case.withstand(ground))).collect();
            for case in running {
                println!("{}", case.join().expect("a case failed, see above"));
            }
        }
    });
}

fn cases(random: &mut StdRng) -> Vec<Case> {
    let programmes = if std::env::var_os("TRIBUTARY_LONG_TESTS").is_some() {
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
        let mut subject = Subject::start(ground, &name, manner);
        let mut ledger = Ledger::open(subject.cluster(), subject.prefix());
        let feeding = Feeding::start(subject.cluster(), subject.prefix(), seed);
        for round in &rounds {
            disturb(ground, &name, round, &mut subject);
            let told = feeding.told();
            recover(&mut ledger, told, &mut subject, round);
        }
        let mut feed = feeding.stop();
        recover(&mut ledger, feed.told(), &mut subject, &rounds[rounds.len() - 1]);
        subject.assert_in_order(&name);
        ledger.assert_flawless(&feed, &name);
        let doubts = subject.doubts();
        assert!(doubts > 0, "{name}: no fault left any doubt");

        // Only what is in the topics: whoever believed something else would show it now.
        subject.start_from_nothing();
        feed.tell_everybody_and_repeat_everything();
        recover(&mut ledger, feed.told(), &mut subject, &rounds[rounds.len() - 1]);
        subject.assert_in_order(&name);
        ledger.assert_flawless(&feed, &name);
        let done: u32 = ground.proxy.done(&name).values().sum();
        format!("{name}: {done} faults, {doubts} doubts, {} events", feed.told())
    }
}

/// Until every fault of the round has happened.
fn disturb(ground: &Ground, name: &str, round: &Round, subject: &mut Subject) {
    ground.proxy.disturb(name, round.faults.clone());
    let began = Instant::now();
    let mut armed = Instant::now();
    loop {
        let left = ground.proxy.left(name);
        if left.is_empty() {
            return;
        }
        assert!(
            began.elapsed() < RECOVERS_WITHIN,
            "{name}: {left:?} of {round:?} never came about"
        );
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

/// Until every event told so far can be read.
fn recover(ledger: &mut Ledger, told: usize, subject: &mut Subject, round: &Round) {
    let began = Instant::now();
    while ledger.read_on() < told {
        let seen = ledger.read_on();
        assert!(
            began.elapsed() < RECOVERS_WITHIN,
            "{seen} of {told} events came out after {round:?}; {}",
            subject.log()
        );
        subject.assert_alive();
        std::thread::sleep(POLL);
    }
}
