//! Events → a destination in trouble: what arrives out of order, twice or never, and what a destination that is well
//! notices of it.

mod destination;
mod ledger;
mod load;
mod report;
mod trouble;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use end_to_end::processes::Binary;
use end_to_end::sign;
use end_to_end::workspace;
use schemas::topics::Topic;

use self::destination::Destination;
use self::ledger::{Ledger, Told};
use self::load::{Load, Sender};
use self::trouble::{Calls, Trouble};
use crate::ground::{Ground, Scale, Side, say};
use crate::lifecycle::Lifecycle;
use crate::peer::{Peer, await_joined};
use crate::report::Report;
use crate::sample::Sample;
use crate::topics::Tail;
use crate::transform::Running;

const LATENCY: Duration = Duration::from_millis(20);
/// How long a call may take, on all sides, and how long ours takes it for possible that it still has its effect.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Between two tries of an event that left its place, on all sides.
const DELAY: Duration = Duration::from_secs(1);
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
/// As `setup` makes topics; the peer has a thread for each.
const PARTITIONS: u32 = 6;
/// Calls a second that either of our destinations takes, about what the peer's threads can make.
const CEILING: u32 = 300;
/// Between two looks at what is owed.
const POLL: Duration = Duration::from_millis(100);
/// What should not come, comes by then.
const SETTLED: Duration = Duration::from_secs(2);

/// How long everything takes.
#[derive(Debug, Clone, Copy)]
struct Times {
    /// Runs without trouble, one before and one after.
    calm: Duration,
    /// The run with it.
    trouble: Duration,
    outage_after: Duration,
    outage: Duration,
    /// After which ours gives an event up. The outage does not count.
    horizon: Duration,
    /// Events of the subscriber whom the destination never takes.
    never_taken: usize,
    /// By when everything must have been delivered or given up, after the last event.
    settles_within: Duration,
}

const FULL: Times = Times {
    calm: Duration::from_secs(15),
    trouble: Duration::from_mins(1),
    outage_after: Duration::from_secs(10),
    outage: Duration::from_secs(30),
    horizon: Duration::from_secs(4),
    never_taken: 3,
    settles_within: Duration::from_mins(2),
};

const QUICK: Times = Times {
    calm: Duration::from_secs(2),
    trouble: Duration::from_secs(8),
    outage_after: Duration::from_secs(1),
    outage: Duration::from_secs(5),
    horizon: Duration::from_secs(2),
    never_taken: 2,
    settles_within: Duration::from_secs(30),
};

impl Times {
    fn of(scale: Scale) -> Self {
        scale.pick(FULL, QUICK)
    }

    /// The peer cannot tell an outage from an event that nobody will ever take, so that its attempts have to outlast one.
    fn attempts(self) -> u64 {
        (self.outage.as_secs() + 4) / DELAY.as_secs()
    }
}

/// What a run came to.
struct Outcome {
    sample: Sample,
    /// Messages that came again after their effect.
    repeated: usize,
    /// Calls for an event after one for a later event of the same subscriber.
    behind: usize,
    /// From the last event that was written until all were delivered or given up.
    settled: Duration,
    /// How long the events took to the destination that is well, in milliseconds.
    well: Vec<f64>,
}

/// Something that delivers.
struct Deliverer {
    name: &'static str,
    running: Running,
    sender: Sender,
    /// The destination in trouble.
    troubled: Destination,
    /// The one that is well, where there is one.
    well: Option<Destination>,
    dead_letters: Tail,
    /// So many runs were made, each with subscribers of its own.
    runs: usize,
}

pub(crate) fn run(ground: &Ground) -> Result<Report> {
    let times = Times::of(ground.scale);
    let ours = || {
        let mut ours = tributary(ground, times)?;
        let before = ours.measure(ground, times.calm, None)?;
        let trouble = ours.measure(ground, times.trouble, Some(times))?;
        Ok([before, trouble, ours.measure(ground, times.calm, None)?])
    };
    let peer = || spring(ground, times)?.measure(ground, times.trouble, Some(times));
    let (ours, peer): (Result<_>, _) = match ground.scale {
        Scale::Full => (ours(), peer()),
        // Beside each other, which nobody's times survive; what is out of order, is so all the same.
        Scale::Quick => std::thread::scope(|scope| {
            let peer = scope.spawn(peer);
            let ours = ours();
            let peer = peer.join();
            (ours, peer.unwrap_or_else(|_| bail!("the run of the peer broke off")))
        }),
    };
    Ok(report::of(ground, times, &ours?, &peer?))
}

impl Deliverer {
    /// One run: events are written at a steady rate for so long, and then everything is waited for.
    fn measure(
        &mut self,
        ground: &Ground,
        length: Duration,
        trouble: Option<Times>,
    ) -> Result<Outcome> {
        self.runs += 1;
        let never_taken = trouble.map_or(0, |times| times.never_taken);
        let load = Load { run: self.runs, length, never_taken };
        let trouble = trouble.map_or_else(Trouble::default, |times| Trouble {
            outage: times.outage_after..times.outage_after + times.outage,
            never_takes: load.never_taken_key(),
            calls: Calls::SomeFail,
        });
        let usage = self.running.usage()?;
        let (worked, began) = (usage.cpu()?, Instant::now());
        self.troubled.begin(trouble);
        if let Some(well) = &self.well {
            well.begin(Trouble::default());
        }
        let told = self.sender.send(&load)?;
        let (given_up, settled) = self.settle(&told, Times::of(ground.scale).settles_within)?;
        let cpu = usage.cpu()?.saturating_sub(worked);
        let judged = |ledger: &Ledger| {
            let flaws = ledger.judge(&told, &given_up, &load.never_taken_key());
            (flaws, ledger.repeated, ledger.behind)
        };
        let (flaws, repeated, behind) = self.troubled.look(judged);
        let (missed, well) = self.well.as_ref().map_or_else(Default::default, |well| {
            well.look(|ledger| (ledger.judge(&told, &[], ""), ledger.latencies(&told)))
        });
        let (took, peak) = (began.elapsed(), usage.peak_memory()?);
        let sample = Sample { events: told.len(), took, cpu, peak, flaws: flaws.and(missed) };
        self.tell(ground, &sample, settled)?;
        Ok(Outcome { sample, repeated, behind, settled, well })
    }

    /// Waits until everything was delivered or given up, or should have been; and for what should not come after that.
    /// Returns what was given up, and how long it took.
    fn settle(&mut self, told: &[Told], within: Duration) -> Result<(Vec<String>, Duration)> {
        let (began, mut given_up) = (Instant::now(), Vec::new());
        loop {
            self.read_dead_letters(&mut given_up)?;
            let owed = self.troubled.look(|ledger| ledger.owed(told, &given_up));
            let well = self.well.as_ref();
            let owed = owed + well.map_or(0, |well| well.look(|ledger| ledger.owed(told, &[])));
            if owed == 0 || began.elapsed() > within {
                break;
            }
            std::thread::sleep(POLL);
        }
        let settled = began.elapsed();
        std::thread::sleep(SETTLED);
        self.read_dead_letters(&mut given_up)?;
        Ok((given_up, settled))
    }

    fn read_dead_letters(&mut self, given_up: &mut Vec<String>) -> Result<()> {
        let codec = &self.sender.events.codec;
        self.dead_letters.read(|record| {
            let event = codec.decode(&record.value.unwrap_or_default());
            // One that cannot be read is none of ours, and then one of ours is missed.
            given_up.extend(event.ok().map(|event| event.event_id));
        })
    }

    fn tell(&self, ground: &Ground, sample: &Sample, settled: Duration) -> Result<()> {
        let (name, events, wrong) = (self.name, sample.events, sample.flaws.sum());
        say(&format!(
            "  {name:<28} {events} events, all over {:.1} s after the last, {wrong} wrong",
            settled.as_secs_f64()
        ));
        ground.raw.note(name, self.runs, sample)
    }
}

fn tributary(ground: &Ground, times: Times) -> Result<Deliverer> {
    let (troubled, well) = (Destination::start(LATENCY)?, Destination::start(LATENCY)?);
    let section = |name: &str, destination: &Destination| {
        format!(
            "  {name}:\n    type: webhook\n    url: {}\n    secrets: [\"{}\"]\n    rate_limit: {CEILING}/s\n    \
             timeout: {}ms\n    retry:\n      in_place: [100ms, 500ms]\n      delays: [{}ms]\n      \
             horizon: {}ms\n      quarantine: {}ms\n",
            destination.url(),
            sign::DODO_SECRET,
            TIMEOUT.as_millis(),
            DELAY.as_millis(),
            times.horizon.as_millis(),
            TIMEOUT.as_millis()
        )
    };
    let destinations =
        format!("destinations:\n{}{}", section("troubled", &troubled), section("well", &well));
    let side = ground.side_to("tributary", Binary::Deliver, &[], Some(&destinations))?;
    let running = Running::Binary(side.start()?);
    let dead_letters = Topic::Dead("troubled".to_owned()).name(&side.prefix);
    deliverer(ground, &side, ("tributary deliver", running), (troubled, Some(well)), dead_letters)
}

fn spring(ground: &Ground, times: Times) -> Result<Deliverer> {
    let troubled = Destination::start(LATENCY)?;
    let peer = Peer::build("spring-retry", "Retry")?;
    // Any of ours makes the topic of the events.
    let side = ground.side("spring", Binary::Transform, &[])?;
    let schema = workspace::root().join("schemas").join("lifecycle_event.avsc");
    let secret = sign::DODO_SECRET.strip_prefix("whsec_").context("the secret has no prefix")?;
    let events = Topic::Events.name(&side.prefix);
    let settings = [
        ("brokers", ground.broker.address().to_owned()),
        ("group", format!("{}deliver", side.prefix)),
        ("events", events.clone()),
        ("schema", schema.display().to_string()),
        ("session", SESSION_TIMEOUT.as_millis().to_string()),
        ("partitions", PARTITIONS.to_string()),
        ("attempts", times.attempts().to_string()),
        ("delay", DELAY.as_millis().to_string()),
        ("timeout", TIMEOUT.as_millis().to_string()),
        ("secret", secret.to_owned()),
        ("url", troubled.url()),
    ];
    let mut process = peer.start(ground, side.folder(), ("512m", &settings))?;
    await_joined(&mut process, "Spring Kafka")?;
    let running = Running::Program(process);
    deliverer(ground, &side, ("Spring Kafka", running), (troubled, None), format!("{events}-dlt"))
}

fn deliverer(
    ground: &Ground,
    side: &Side,
    (name, running): (&'static str, Running),
    (troubled, well): (Destination, Option<Destination>),
    dead_letters: String,
) -> Result<Deliverer> {
    let sender = Sender::open(ground, Lifecycle::of(&side.prefix)?)?;
    let dead_letters = Tail::open(&ground.cluster(), dead_letters)?;
    Ok(Deliverer { name, running, sender, troubled, well, dead_letters, runs: 0 })
}
