//! What goes wrong when: drawn from a seed, before anything runs.
//!
//! Pure: the same seed and length give the same programme. Two lanes run side by side. In each, kinds of faults are
//! dealt like cards: all of them once in any order, then all of them again. What disturbs a single thing (a process,
//! the broker, a connection, a destination) is in one lane, so that it is told apart what each costs; what takes its
//! time (instances that come and go, a disk that fills up, secrets that are replaced) is in the other, beneath it.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::destinations::Where;
use crate::processes::Binary;

/// Before the first fault: everything is to flow.
const LEAD_IN: Duration = Duration::from_secs(6);

/// How long a secret takes to be known to `ingest`, which reads its files every 20 s, and some.
pub const KNOWN_WITHIN: Duration = Duration::from_secs(23);
/// How long old and new secrets are both in use.
pub const OVERLAP: Duration = Duration::from_secs(8);
/// How long the last signature with an old one can be under way.
pub const LAST_OLD: Duration = Duration::from_secs(3);

/// Further than this no clock is off: a signature may be five minutes from it.
const MOST_SKEW_SECONDS: i64 = 240;

/// How something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// SIGTERM.
    InGoodOrder,
    /// SIGKILL.
    Killed,
}

/// What is wrong at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Some calls are answered 500.
    SomeFail,
    /// Every call is answered 503.
    IsDown,
    /// Every connection that brings a call is reset.
    Resets,
    /// Nobody listens.
    IsClosed,
    /// Every call is answered 429 with the rest of the time as `Retry-After`.
    SaysWait,
    /// Some calls are not answered and have no effect.
    HangsBefore,
    /// Some calls have their effect and are not answered.
    HangsAfter,
    /// Some connections are reset before the call has its effect.
    CutsBefore,
    /// Some connections are reset after it.
    CutsAfter,
    /// Some answers come late, though in time.
    IsSlow,
    /// Some calls have their effect only after the caller has given them up.
    IsLate,
    /// Every call is answered 401.
    RefusesCredentials,
    /// Some calls are answered by a gateway, with 502 and a page for people.
    AnswersNonsense,
    /// Every call about one person is answered 400: the only trouble for which something may be parked.
    RefusesSomebody,
}

impl Trouble {
    pub const ALL: [Self; 14] = [
        Self::SomeFail,
        Self::IsDown,
        Self::Resets,
        Self::IsClosed,
        Self::SaysWait,
        Self::HangsBefore,
        Self::HangsAfter,
        Self::CutsBefore,
        Self::CutsAfter,
        Self::IsSlow,
        Self::IsLate,
        Self::RefusesCredentials,
        Self::AnswersNonsense,
        Self::RefusesSomebody,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::SomeFail => "some calls fail (500)",
            Self::IsDown => "is down (503)",
            Self::Resets => "resets every connection",
            Self::IsClosed => "nobody listens",
            Self::SaysWait => "says wait (429)",
            Self::HangsBefore => "hangs before the effect",
            Self::HangsAfter => "hangs after the effect",
            Self::CutsBefore => "cuts before the effect",
            Self::CutsAfter => "cuts after the effect",
            Self::IsSlow => "answers slowly",
            Self::IsLate => "takes effect late",
            Self::RefusesCredentials => "refuses credentials (401)",
            Self::AnswersNonsense => "a gateway's page (502)",
            Self::RefusesSomebody => "refuses one person (400)",
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGKILL, and away for a while.
    Kill(Binary),
    /// The broker ends, is away for a while, and starts again with its data.
    Broker(Ending),
    /// Every connection of this binary to the broker is cut, again and again.
    Cut(Binary),
    /// Every answer of the broker to this binary comes late.
    Delay(Binary, Duration),
    /// The clocks of `ingest` and of whoever signs are so many seconds apart.
    Skew(i64),
    /// A destination is in trouble.
    At(Where, Trouble),
    /// One more instance comes, and goes again.
    Join(Binary, Ending),
    /// One more instance of `transform` comes, and the disk of its state is full for a while.
    FillDisk,
    /// All sources get new secrets; the old ones are valid for a while beside them, and then no longer.
    Rotate,
}

/// Faults of one kind share a line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Kill(Binary),
    Broker(Ending),
    Cut(Binary),
    Delay(Binary),
    Skew,
    At(Trouble),
    Join(Binary),
    FillDisk,
    Rotate,
}

impl Kind {
    /// All of those that disturb a single thing.
    pub fn sudden() -> Vec<Self> {
        let mut all =
            vec![Self::Broker(Ending::InGoodOrder), Self::Broker(Ending::Killed), Self::Skew];
        for binary in Binary::ALL {
            all.extend([Self::Kill(binary), Self::Cut(binary), Self::Delay(binary)]);
        }
        all.extend(Trouble::ALL.map(Self::At));
        all
    }

    /// All of those that take their time.
    pub fn slow() -> Vec<Self> {
        let joins = [Binary::Transform, Binary::Deliver].map(Self::Join);
        joins.into_iter().chain([Self::FillDisk, Self::Rotate]).collect()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(binary) => write!(formatter, "kill -9 {}", binary.name()),
            Self::Broker(Ending::InGoodOrder) => formatter.write_str("stop the broker"),
            Self::Broker(Ending::Killed) => formatter.write_str("kill -9 the broker"),
            Self::Cut(binary) => write!(formatter, "cut {} off from the broker", binary.name()),
            Self::Delay(binary) => {
                write!(formatter, "delay the broker's answers to {}", binary.name())
            }
            Self::Skew => formatter.write_str("clocks of ingest and senders apart"),
            Self::At(trouble) => write!(formatter, "destination: {}", trouble.name()),
            Self::Join(binary) => write!(formatter, "one more {} comes and goes", binary.name()),
            Self::FillDisk => formatter.write_str("fill the disk of one more transform"),
            Self::Rotate => formatter.write_str("replace the secrets of all sources"),
        }
    }
}

impl Fault {
    pub fn kind(self) -> Kind {
        match self {
            Self::Kill(binary) => Kind::Kill(binary),
            Self::Broker(ending) => Kind::Broker(ending),
            Self::Cut(binary) => Kind::Cut(binary),
            Self::Delay(binary, _) => Kind::Delay(binary),
            Self::Skew(_) => Kind::Skew,
            Self::At(_, trouble) => Kind::At(trouble),
            Self::Join(binary, _) => Kind::Join(binary),
            Self::FillDisk => Kind::FillDisk,
            Self::Rotate => Kind::Rotate,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at, trouble) => write!(formatter, "{}: {}", at.name(), trouble.name()),
            Self::Skew(seconds) => write!(formatter, "{} by {seconds:+} s", self.kind()),
            Self::Delay(_, by) => write!(formatter, "{} by {} ms", self.kind(), by.as_millis()),
            Self::Join(_, Ending::Killed) => write!(formatter, "{} by kill -9", self.kind()),
            Self::Kill(_)
            | Self::Broker(_)
            | Self::Cut(_)
            | Self::Join(_, Ending::InGoodOrder)
            | Self::FillDisk
            | Self::Rotate => self.kind().fmt(formatter),
        }
    }
}

/// A fault and its time, counted from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub at: Duration,
    pub lasts: Duration,
    pub fault: Fault,
}

impl Step {
    pub fn ends(&self) -> Duration {
        self.at + self.lasts
    }
}

/// Both lanes, each in the order of its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programme {
    pub sudden: Vec<Step>,
    pub slow: Vec<Step>,
}

impl Programme {
    pub fn all(&self) -> impl Iterator<Item = &Step> {
        self.sudden.iter().chain(&self.slow)
    }
}

/// What happens within `length`, as far as it fits, without the kinds that are not possible here.
pub fn programme(seed: u64, length: Duration, impossible: &[Kind]) -> Programme {
    let mut random = StdRng::seed_from_u64(seed);
    let mut lane = |kinds: Vec<Kind>, pause: (u64, u64)| {
        // Each lane has its own dice, so that what is impossible in one changes nothing in the other.
        let mut random = StdRng::seed_from_u64(random.random());
        let steps = deal(&kinds, pause, length, &mut random);
        steps.into_iter().filter(|step| !impossible.contains(&step.fault.kind())).collect()
    };
    Programme {
        sudden: lane(Kind::sudden(), (1_000, 7_000)),
        slow: lane(Kind::slow(), (1_000, 8_000)),
    }
}

/// Deals until the time is over. What does not fit any more is left out, and what is shorter comes in its place.
fn deal(
    kinds: &[Kind],
    (shortest, longest): (u64, u64),
    length: Duration,
    random: &mut StdRng,
) -> Vec<Step> {
    let (mut steps, mut at) = (Vec::new(), LEAD_IN);
    loop {
        let before = steps.len();
        let mut round = kinds.to_vec();
        round.shuffle(random);
        for kind in round {
            let (fault, lasts) = draw(kind, random);
            let pause = Duration::from_millis(random.random_range(shortest..longest));
            if at + lasts <= length {
                steps.push(Step { at, lasts, fault });
                at += lasts + pause;
            }
        }
        if steps.len() == before {
            return steps;
        }
    }
}

/// How exactly a kind of fault happens this time.
fn draw(kind: Kind, random: &mut StdRng) -> (Fault, Duration) {
    let mut millis = |from, to| Duration::from_millis(random.random_range(from..to));
    match kind {
        Kind::Kill(binary) => (Fault::Kill(binary), millis(0, 4_000)),
        Kind::Broker(ending) => (Fault::Broker(ending), millis(0, 3_000)),
        Kind::Cut(binary) => (Fault::Cut(binary), millis(1_000, 6_000)),
        Kind::Delay(binary) => {
            let by = millis(100, 1_500);
            (Fault::Delay(binary, by), millis(2_000, 6_000))
        }
        Kind::Skew => {
            let lasts = millis(4_000, 8_000);
            let off = random.random_range(5..=MOST_SKEW_SECONDS);
            let off = if random.random_ratio(1, 2) { off } else { -off };
            (Fault::Skew(off), lasts)
        }
        Kind::At(trouble) => {
            let lasts = millis(2_000, 7_000);
            let at = Where::BOTH[usize::from(random.random_ratio(1, 2))];
            (Fault::At(at, trouble), lasts)
        }
        Kind::Join(binary) => {
            let lasts = millis(9_000, 18_000);
            let killed = random.random_ratio(1, 2);
            let ending = if killed { Ending::Killed } else { Ending::InGoodOrder };
            (Fault::Join(binary, ending), lasts)
        }
        Kind::FillDisk => (Fault::FillDisk, millis(12_000, 20_000)),
        Kind::Rotate => (Fault::Rotate, KNOWN_WITHIN * 2 + OVERLAP + LAST_OLD),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LENGTH: Duration = Duration::from_mins(10);
    const SEEDS: std::ops::Range<u64> = 0..300;

    #[test]
    fn the_same_seed_gives_the_same_programme_and_another_another() {
        for seed in SEEDS {
            assert_eq!(programme(seed, LENGTH, &[]), programme(seed, LENGTH, &[]));
            assert_ne!(programme(seed, LENGTH, &[]), programme(seed + 1, LENGTH, &[]));
        }
    }

    #[test]
    fn every_kind_occurs_in_ten_minutes() {
        let all: BTreeSet<Kind> = Kind::sudden().into_iter().chain(Kind::slow()).collect();
        for seed in SEEDS {
            let programme = programme(seed, LENGTH, &[]);
            let kinds: BTreeSet<Kind> = programme.all().map(|step| step.fault.kind()).collect();
            assert_eq!(kinds, all, "seed {seed}");
        }
    }

    #[test]
    fn faults_are_bounded_and_follow_each_other_and_the_last_ends_in_time() {
        for seed in SEEDS {
            for minutes in [1, 2, 3, 10] {
                let length = Duration::from_mins(minutes);
                let programme = programme(seed, length, &[]);
                assert!(programme.sudden.len() >= 3, "seed {seed}");
                for lane in [&programme.sudden, &programme.slow] {
                    assert!(lane.is_sorted_by(|one, next| one.ends() < next.at), "seed {seed}");
                    assert!(lane.iter().all(|step| step.at >= LEAD_IN && step.ends() <= length));
                    assert!(lane.iter().all(|step| step.lasts <= Duration::from_mins(1)));
                }
            }
        }
    }

    #[test]
    fn clocks_are_off_by_less_than_a_signature_may_be() {
        for seed in SEEDS {
            for step in programme(seed, LENGTH, &[]).sudden {
                if let Fault::Skew(seconds) = step.fault {
                    assert!(seconds != 0 && seconds.abs() < 300, "{seconds}");
                }
            }
        }
    }

    #[test]
    fn what_is_impossible_is_left_out_and_changes_nothing_else() {
        let (all, some) =
            (programme(1, LENGTH, &[]), programme(1, LENGTH, &[Kind::FillDisk, Kind::Rotate]));
        assert_eq!(all.sudden, some.sudden);
        let left = all.slow.into_iter().filter(|step| matches!(step.fault, Fault::Join(..)));
        assert_eq!(left.collect::<Vec<_>>(), some.slow);
    }
}
