//! The whole pipeline under fire, and a verdict: `cargo xtask chaos`.
//!
//! Webhooks of all four providers come in at a steady rate, a tenth of them twice, and forged ones among them, while a
//! [`programme`] drawn from a seed disturbs everything: binaries and the broker are killed, connections to the broker
//! cut and delayed ([`sudden`]), destinations fail in every way, instances come and go, a disk fills up and secrets
//! are replaced ([`slow`]). Then everything is let be, until nothing is under way, and judged ([`verdict`]): every
//! webhook that was answered 200 is told to both destinations, once and in order, or lies in the dead letters for a
//! reason that was given; nothing else is there.
//!
//! A person's webhooks are sent one after the other ([`Order::OneAfterTheOther`]). Else those that meet an outage could
//! come later than the reorder window, and would be told late: right, but not what was written down as expected.

pub mod diary;
mod ground;
mod plant;
pub mod programme;
mod recovery;
mod relay;
mod slow;
mod sudden;
pub mod verdict;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use service::clock::{Clock, SystemClock};
use tokio::runtime::Handle;

use self::diary::Diary;
use self::ground::Ground;
pub use self::plant::Plant;
use self::programme::{Kind, programme};
use self::slow::Slow;
use self::sudden::Sudden;
use self::verdict::{Sent, Verdict};
use crate::Narrate;
use crate::broker::BrokerError;
use crate::configuration::Configuration;
use crate::destinations::{Destinations, Where};
use crate::journeys::{self, Journey};
use crate::keyring::{Honesty, Keyring, Signing};
use crate::latency::Clocks;
use crate::pipeline::PipelineError;
use crate::processes::ProcessError;
use crate::schedule::{self, Sending, Shape};
use crate::sender::{self, Manners, Order, Tally};
use crate::sign::Secrets;

/// Webhooks a second: what two cores carry together with the broker, the emulators and the sender, with room to catch up.
pub const RATE: u32 = 40;
/// One forged among so many genuine ones.
const FORGED: usize = 40;
/// Between a person's webhooks, so that faults fall into the middle of stories.
const STEP: Duration = Duration::from_millis(1_500);
/// No nearer than that to the next.
const WITHIN: Duration = Duration::from_millis(300);
/// Webhooks of as many people can be waiting for an outage to end.
const WAITING: usize = 512;
/// After the last fault. Longer than anything takes to come back.
const GIVE_UP_AFTER: Duration = Duration::from_mins(1);

/// How long all is let be at most, and how long nothing must come before nothing more is coming.
const DRAINS_WITHIN: Duration = Duration::from_mins(4);
const QUIET: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two lines that say how far it is.
const TELLS_EVERY: Duration = Duration::from_secs(10);

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum ChaosError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("{doing} failed")]
    Io { doing: &'static str, source: std::io::Error },
    #[error("the broker listens for nobody behind the proxy")]
    NoProxy,
    #[error("the offsets of a group could not be set: {said}")]
    Planting { said: String },
    #[error("a part of the run did not come to its end")]
    Torn(#[from] tokio::task::JoinError),
    #[error("dead letters cannot be read: {0}")]
    Letters(#[from] serde_json::Error),
}

/// Whom a destination has refused, so that something may be parked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    pub at: Where,
    pub subscriber: String,
}

/// What is to be run.
#[derive(Debug, Clone, Copy)]
pub struct Chaos {
    pub length: Duration,
    pub seed: u64,
    /// The bug to be found, if one is planted.
    pub plant: Option<Plant>,
    /// How many there are, of which one at a time goes away.
    pub brokers: usize,
}

/// What is sent.
struct Load {
    journeys: Vec<Journey>,
    sendings: Vec<Sending>,
    forged: Vec<Sending>,
}

impl Load {
    fn new(chaos: Chaos) -> Self {
        let now = SystemClock::new().now_millis();
        let webhooks = usize::try_from(chaos.length.as_secs()).unwrap_or(0)
            * usize::try_from(RATE).unwrap_or(0);
        let journeys = journeys::generate(chaos.seed, now, webhooks);
        // People of another moment are other people: what is shown of them is shown by mistake.
        let others = journeys::generate(chaos.seed, now + 1, webhooks / FORGED);
        let shape = Shape {
            seed: chaos.seed,
            duplicates_percent: 10,
            shuffle_within: WITHIN,
            spread_over: chaos.length,
            step: STEP,
        };
        let sendings = schedule::schedule(&journeys, shape);
        let forged = schedule::schedule(&others, shape);
        Self { journeys, sendings, forged }
    }
}

/// Runs it: with lines about what happens, and a verdict at the end. Ends all that it started.
///
/// # Errors
/// When something cannot be started, at the beginning or again: then there is nothing to judge.
pub async fn run(chaos: Chaos, narrate: Narrate<'_>) -> Result<Verdict, ChaosError> {
    let mut ground = Ground::prepare(chaos, narrate).await?;
    let load = Load::new(chaos);
    let clocks = Clocks::read(&ground.pipeline.destinations);
    let keyring = Arc::new(Keyring::default());
    let diary = Diary::new(narrate);
    let began = Instant::now();
    let glimpse = Arc::new(Mutex::new(Glimpse::default()));
    let port = ground.pipeline.configuration.listeners.webhooks;
    let manners = |honesty| Manners {
        signing: Signing { keyring: Arc::clone(&keyring), honesty },
        order: Order::OneAfterTheOther,
        concurrency: WAITING,
        give_up_at: Some((began + chaos.length + GIVE_UP_AFTER).into()),
        ..Manners::to(port)
    };
    let genuine = tokio::spawn(sender::send(
        load.sendings.clone(),
        manners(Honesty::Genuine),
        Glimpse::watch(&glimpse, &load.journeys),
    ));
    let signed = match chaos.plant {
        Some(Plant::ForgedAccepted) => Honesty::Genuine,
        Some(Plant::OffsetEarly | Plant::DoubledOnRetry | Plant::ReorderedOnRestart) | None => {
            Honesty::Forged
        }
    };
    let forged = tokio::spawn(sender::send(load.forged.clone(), manners(signed), |_| ()));
    let refused = tokio::task::block_in_place(|| {
        everything_goes_wrong(&mut ground, chaos, &load, (&keyring, &diary, &glimpse))
    })?;
    diary.say("everything is let be, until nothing is under way");
    let sent = Sent { genuine: genuine.await?, forged: forged.await?, refused };
    drain(&ground.pipeline.destinations, &load.journeys, &sent, narrate).await;
    let verdict =
        verdict::reach(chaos, &mut ground, &load.journeys, &sent, (clocks, began), &diary)?;
    if !verdict.is_clean() {
        ground.keep_groups()?;
    }
    Ok(verdict)
}

/// The two lanes side by side, each on a thread of its own, and a third that tells how far it is.
fn everything_goes_wrong(
    ground: &mut Ground,
    chaos: Chaos,
    load: &Load,
    (keyring, diary, glimpse): (&Keyring, &Diary, &Mutex<Glimpse>),
) -> Result<Vec<Refused>, ChaosError> {
    let impossible: Vec<Kind> = ground.impossible.iter().map(|(kind, _)| *kind).collect();
    let mut programme = programme(chaos.seed, chaos.length, &impossible);
    programme.sudden.splice(..0, chaos.plant.and_then(Plant::first));
    let beside = ground.pipeline.beside();
    let destinations = ground.pipeline.destinations.clone();
    let pipeline = &mut ground.pipeline;
    let slow = Slow {
        diary,
        beside,
        keyring,
        secrets: &ground.secrets,
        made: 0,
        current: Secrets::default(),
    };
    let sudden = Sudden {
        diary,
        brokers: &mut ground.brokers,
        ended: 0,
        proxies: &ground.proxies,
        processes: [&mut pipeline.ingest, &mut pipeline.transform, &mut pipeline.deliver],
        destinations: &destinations,
        runtime: Handle::current(),
        keyring,
        journeys: &load.journeys,
        sendings: &load.sendings,
        seed: chaos.seed,
        relay: ground.relay.as_ref(),
        early: (chaos.plant == Some(Plant::OffsetEarly)).then(|| groups(&pipeline.configuration)),
        refused: Vec::new(),
    };
    std::thread::scope(|scope| {
        scope.spawn(|| tell(diary, &destinations, glimpse, chaos.length));
        let slow = scope.spawn(|| slow.run(&programme.slow, chaos.length));
        let refused = sudden.run(&programme.sudden, chaos.length);
        match slow.join() {
            Ok(ended) => ended.and(refused),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// The consumer groups of `deliver`.
fn groups(configuration: &Configuration) -> Vec<String> {
    let prefix = &configuration.topic_prefix;
    Where::BOTH.map(|at| format!("{prefix}deliver.{}", at.name())).to_vec()
}

/// What can be said while it runs.
#[derive(Debug, Default)]
struct Glimpse {
    looked: Option<Instant>,
    accepted: usize,
    /// Events that a destination is to show of what was accepted.
    expected: usize,
}

impl Glimpse {
    fn watch(
        glimpse: &Arc<Mutex<Self>>,
        journeys: &[Journey],
    ) -> impl Fn(&Tally) + Send + Sync + use<> {
        let glimpse = Arc::clone(glimpse);
        let mut shown = BTreeMap::new();
        for (number, journey) in journeys.iter().enumerate() {
            let visible = journey.shown();
            for (index, webhook) in journey.webhooks.iter().enumerate() {
                let events = webhook.expects.iter().filter(|name| visible.contains(name));
                shown.insert((number, index), events.count());
            }
        }
        move |tally| {
            let mut glimpse = glimpse.lock().unwrap_or_else(PoisonError::into_inner);
            glimpse.accepted = tally.all_accepted();
            // Adding all up for each answer would be most of the work.
            if glimpse.looked.is_none_or(|looked| looked.elapsed() > Duration::from_secs(1)) {
                glimpse.looked = Some(Instant::now());
                let places = tally.accepted_at.keys();
                glimpse.expected = places.filter_map(|place| shown.get(place)).sum();
            }
        }
    }
}

/// A line now and then: what goes wrong, how fast webhooks come in, how far behind each destination is.
fn tell(diary: &Diary<'_>, destinations: &Destinations, glimpse: &Mutex<Glimpse>, until: Duration) {
    let mut before = 0;
    while diary.elapsed() + TELLS_EVERY < until {
        std::thread::sleep(TELLS_EVERY);
        let (accepted, expected) = {
            let glimpse = glimpse.lock().unwrap_or_else(PoisonError::into_inner);
            (glimpse.accepted, glimpse.expected)
        };
        let [customerio, intercom] = Where::BOTH.map(|at| {
            let shown: usize = destinations.seen(at).values().map(Vec::len).sum();
            expected.saturating_sub(shown)
        });
        let rate = u64::try_from(accepted - before).unwrap_or(0) / TELLS_EVERY.as_secs();
        before = accepted;
        diary.say(&format!(
            "{accepted} webhooks taken ({rate}/s), events to come at customerio {customerio}, \
             intercom {intercom}; now: {}",
            diary.now()
        ));
    }
}

/// Until nothing is missing but what may be parked, and nothing has come for a while; or until it has lasted too long.
async fn drain(
    destinations: &Destinations,
    journeys: &[Journey],
    sent: &Sent,
    narrate: Narrate<'_>,
) {
    let is_refused = |journey: &&Journey| {
        sent.refused.iter().any(|refused| refused.subscriber == journey.subscriber)
    };
    let others: Vec<Journey> = journeys.iter().filter(|it| !is_refused(it)).cloned().collect();
    let settling = destinations.settle(&others, QUIET, PATIENCE, &|_| ());
    if tokio::time::timeout(DRAINS_WITHIN, settling).await.is_err() {
        narrate("something still comes");
    }
}
