//! The decisions of production against a simulated cluster and destination: every schedule of failures,
//! crashes, replaced owners that go on, calls that take effect late, commits in doubt, outages,
//! redrives and refreshes that a random walk finds.
//!
//! What decides is real: [`Partition`], [`Log`], the marks and their text, [`Lease`](crate::lease::Lease)
//! and the patience of a successor, the tenure beside the marks, the schedule. What is simulated is
//! around it: topics with transactions, owners of which one may be a zombie, calls on the wire, and
//! the guard by which a destination never shows an older state over a later one.
//!
//! Each rule of the lane protocol can be switched off, and then the walk must find what it prevents.

mod broker;
mod owner;
mod world;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use schemas::Timestamp;
use strum::EnumIter;
use strum::IntoEnumIterator;

use self::world::World;
use super::*;
use crate::lease::Terms;

/// A subscriber and a sequence.
type Event = (u8, i64);

/// What was violated, in words.
type Verdict = Result<(), String>;

/// What a record is about, and where it was read.
#[derive(Clone, Copy, Debug)]
struct Content {
    event: Event,
    turn: Turn,
    place: Place,
}

/// The rules, by their numbers in the lane protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter)]
enum Rule {
    /// 1: one owner for both topics of a partition.
    OneOwner,
    /// 2: the retry topic is read to its end before anything is processed.
    RetryFirst,
    /// 2: committed offsets are read when no open transaction can change them.
    StableOffsets,
    /// 3: a lane is ordered by sequence.
    Sequence,
    /// 4: moves of a lane enter the log in sequence.
    SerialMoves,
    /// 5: a move and its done marks are one transaction, refused from an owner that was replaced.
    Transactions,
    /// 6: done marks are a set.
    Bitmap,
    /// 7: both topics are committed as one.
    OneCommit,
    /// 8: what keeps the prefix, or lies for long, is appended anew.
    AppendAnew,
    /// 9: copies are recognised by exact identity.
    ExactIdentity,
    /// 10: a redriven event waits for everything live.
    RedrivenLast,
    /// 11: no call begins without a lease.
    Lease,
    /// 11: a successor waits for the calls of an owner that did not end cleanly.
    SuccessorWaits,
    /// 11: what a process knows of its own calls counts only if nobody else was the owner since.
    OwnWord,
    /// 12: nothing of a lane is sent while an unanswered call may take effect.
    Quarantine,
    /// 13: what a destination shows only goes forward.
    ForwardOnly,
    /// 14: after a commit in doubt everything starts from what is committed.
    AnewAfterDoubt,
    /// 15: time in which the destination is out of service does not count towards the horizon.
    OutagesExcused,
    /// 16: a refresh waits for everything live.
    RefreshedLast,
    /// 16: of several refreshes each is itself, and the latest counts.
    LatestRefresh,
}

#[derive(Clone, Copy, Debug)]
enum Who {
    Owner,
    Zombie,
}

#[derive(Clone, Debug)]
enum Step {
    ReadEvent(Who),
    ReadRetry,
    Begin(Who),
    Finish { who: Who, which: usize, how: How },
    Checkpoint(Who),
    Commit(Who),
    DoubtfulCommit { landed: bool },
    Crash { commit_landed: bool },
    Replace,
    TakeBack,
    HandOver,
    Land { which: usize },
    Wait { millis: i64 },
    Outage { millis: u64 },
    Redrive { which: usize },
    Refresh { which: usize },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Delivers,
    Fails,
    AppliesAndFails,
    TimesOut,
    Refuses,
}

const START: Timestamp = Timestamp::from_millis(1_000);
const TIMEOUT: Duration = Duration::from_millis(10);
/// A call that nobody waits for any more has its effect within this time, or never.
const QUARANTINE: Duration = Duration::from_millis(10);
const TERMS: Terms = Terms { lease: Duration::from_millis(15), landing: Duration::from_millis(20) };
const BOUNDS: Bounds = Bounds {
    undone_events: 12,
    departures: 3,
    undone_retry: 1_000,
    undone_bytes: usize::MAX,
    crowded_marks: 8,
    longest_stay: Duration::from_millis(100),
};

fn bounds(off: Option<Rule>) -> Bounds {
    if off == Some(Rule::AppendAnew) {
        let longest_stay = Duration::from_hours(1);
        return Bounds { crowded_marks: usize::MAX, longest_stay, ..BOUNDS };
    }
    BOUNDS
}

fn schedule(off: Option<Rule>) -> Arc<Schedule> {
    Arc::new(Schedule {
        in_place: vec![Duration::from_millis(2)],
        delays: vec![Duration::from_millis(10), Duration::from_millis(30)],
        horizon: Duration::from_millis(200),
        quarantine: if off == Some(Rule::Quarantine) { Duration::ZERO } else { QUARANTINE },
    })
}

/// The stopwatch of everybody: it shows the same as the wall, and began with it.
fn since_start(now: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(now.millis() - START.millis()).unwrap())
}

fn ensure(holds: bool, violation: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(violation()) }
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![4 => Just(Who::Owner), 1 => Just(Who::Zombie)]
}

fn step() -> impl Strategy<Value = Step> {
    let how = prop_oneof![
        6 => Just(How::Delivers), 3 => Just(How::Fails), 1 => Just(How::AppliesAndFails),
        2 => Just(How::TimesOut), 1 => Just(How::Refuses),
    ];
    let finish = (who(), any::<usize>(), how);
    prop_oneof![
        8 => who().prop_map(Step::ReadEvent),
        4 => Just(Step::ReadRetry),
        10 => who().prop_map(Step::Begin),
        10 => finish.prop_map(|(who, which, how)| Step::Finish { who, which, how }),
        4 => who().prop_map(Step::Checkpoint),
        6 => who().prop_map(Step::Commit),
        1 => any::<bool>().prop_map(|landed| Step::DoubtfulCommit { landed }),
        1 => any::<bool>().prop_map(|commit_landed| Step::Crash { commit_landed }),
        1 => Just(Step::Replace),
        1 => Just(Step::TakeBack),
        1 => Just(Step::HandOver),
        3 => any::<usize>().prop_map(|which| Step::Land { which }),
        4 => (1_i64..15).prop_map(|millis| Step::Wait { millis }),
        1 => (1_u64..150).prop_map(|millis| Step::Outage { millis }),
        1 => any::<usize>().prop_map(|which| Step::Redrive { which }),
        1 => any::<usize>().prop_map(|which| Step::Refresh { which }),
    ]
}

impl Rule {
    /// What goes wrong without it, in the words of the violation.
    fn prevents(self) -> &'static str {
        match self {
            Self::OneOwner | Self::RetryFirst | Self::Sequence | Self::SerialMoves => "overtook",
            Self::Transactions | Self::AnewAfterDoubt => "owed in several places",
            Self::StableOffsets | Self::Bitmap | Self::OneCommit => "sent though a commit said",
            Self::AppendAnew => "the topic forgets it",
            Self::ExactIdentity => "is lost",
            Self::RedrivenLast | Self::RefreshedLast => "went before what is live",
            Self::LatestRefresh => "is in two places",
            Self::Lease | Self::SuccessorWaits | Self::OwnWord | Self::Quarantine => {
                "after a later one"
            }
            Self::ForwardOnly => "is shown over",
            Self::OutagesExcused => "the destination's own fault",
        }
    }
}

fn walk(lanes: &[u8], steps: &[Step], off: Option<Rule>) -> Verdict {
    let mut world = World::new(lanes, off)?;
    for step in steps {
        world.run(step)?;
    }
    world.sit_out_an_outage()?;
    world.come_to_rest()
}

/// Takes walks until one finds a violation, or the one that the absent rule prevents: says which.
fn search(walks: u32, off: Option<Rule>) -> Verdict {
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let config = Config {
        cases: walks,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..Config::default()
    };
    let lanes = prop::collection::vec(0_u8..3, 1..16);
    let steps = prop::collection::vec(step(), 0..250);
    let found = TestRunner::new_with_rng(config, seed).run(&(lanes, steps), |(lanes, steps)| {
        match walk(&lanes, &steps, off) {
            Err(other) if off.is_some_and(|rule| !other.contains(rule.prevents())) => Ok(()),
            verdict => verdict.map_err(TestCaseError::fail),
        }
    });
    match found {
        Ok(()) => Ok(()),
        Err(TestError::Fail(violation, _) | TestError::Abort(violation)) => {
            Err(violation.message().to_owned())
        }
    }
}

#[test]
fn nothing_is_lost_overtaken_doubled_or_sent_after_it_was_done() {
    let long = std::env::var_os("TRIBUTARY_LONG_TESTS").is_some();
    assert_eq!(search(if long { 200_000 } else { 3_000 }, None), Ok(()));
}

/// A head and its follower leave together, the commit is cut in the middle, and the successor sends
/// before it has read what was left: too rare for a random walk.
fn cut_moves() -> Vec<Step> {
    let me = Who::Owner;
    let fails = || [Step::Begin(me), Step::Finish { who: me, which: 0, how: How::Fails }];
    let commit = || [Step::Checkpoint(me), Step::Commit(me)];
    let mut steps = vec![Step::ReadEvent(me), Step::ReadEvent(me)];
    steps.extend(commit());
    steps.extend(fails());
    steps.push(Step::Wait { millis: 2 });
    steps.extend(fails());
    steps.extend([Step::Checkpoint(me), Step::Crash { commit_landed: true }]);
    steps.push(Step::Wait { millis: 40 });
    steps.extend(commit());
    steps.extend([Step::Begin(me), Step::Finish { who: me, which: 0, how: How::Delivers }]);
    steps
}

#[test]
fn every_rule_is_needed() {
    let mut not_missed = Vec::new();
    for rule in Rule::iter() {
        let found = if rule == Rule::SerialMoves {
            walk(&[0, 0], &cut_moves(), Some(rule))
        } else {
            search(20_000, Some(rule))
        };
        match found {
            Err(violation) if violation.contains(rule.prevents()) => {
                println!("without {rule:?}: {violation}");
            }
            other => not_missed.push((rule, other)),
        }
    }
    assert_eq!(not_missed, []);
}

#[test]
fn moves_that_are_one_transaction_cannot_be_cut() {
    assert_eq!(walk(&[0, 0], &cut_moves(), None), Ok(()));
}
