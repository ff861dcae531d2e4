//! Raw → deduplicated, ordered Avro, exactly once.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::Result;
use end_to_end::processes::{Binary, Process};
use end_to_end::supervise::{Signal, Supervised};
use end_to_end::workspace;
use schemas::topics::Topic;

use crate::ground::{Ground, Side};
use crate::ingest::limit;
use crate::limits::copy_through_group;
use crate::outcome::{Judged, Outcome};
use crate::payload::{Renewals, Webhook};
use crate::peer::{Peer, await_joined};
use crate::report::{Chart, Counters, Goal, Report, Row};
use crate::sample::{Sample, Series};
use crate::statistics::interleaved;
use crate::topics::{Filler, Standing, Tail};
use crate::usage::Usage;

pub(crate) const SUBSCRIBERS: usize = 10_000;
/// On all sides.
const COMMIT_INTERVAL_MS: u32 = 100;
/// On all sides; longer than it takes to fill a topic while its reader stands still.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
const BEGINS_WITHIN: Duration = Duration::from_secs(10);
pub(crate) const READ_WITHIN: Duration = Duration::from_mins(10);
const POLL: Duration = Duration::from_millis(20);

/// Something that reads a raw topic and writes events.
pub(crate) struct Reader {
    pub(crate) series: Series,
    pub(crate) running: Running,
    raw: String,
    filler: Filler,
    standing: Standing,
    outcome: Outcome,
}

/// What runs.
pub(crate) enum Running {
    Binary(Process),
    Program(Supervised),
}

impl Running {
    /// Waits until the process is there, which it is not at once after its start.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let deadline = Instant::now() + BEGINS_WITHIN;
        loop {
            let pid = match self {
                Self::Binary(process) => process.pid(),
                Self::Program(program) => program.pid(),
            };
            if pid.is_some() || Instant::now() >= deadline {
                return Usage::of(pid);
            }
            std::thread::sleep(POLL);
        }
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        match self {
            Self::Binary(process) => process.signal(signal),
            Self::Program(program) => program.signal(signal),
        }
    }
}

impl Reader {
    pub(crate) fn new(
        ground: &Ground,
        side: &Side,
        name: &str,
        group: &str,
        running: Running,
    ) -> Result<Self> {
        let (cluster, raw) = (ground.cluster(), Topic::Raw.name(&side.prefix));
        let filler = Filler::open(&cluster)?;
        filler.warm(&raw)?;
        Ok(Self {
            series: Series::new(name),
            running,
            filler,
            standing: Standing::of(&cluster, group, &raw)?,
            outcome: Outcome::open(Tail::open(&cluster, Topic::Events.name(&side.prefix))?)?,
            raw,
        })
    }

    /// One run: it stands still while the topic is filled, and then reads all of it.
    pub(crate) fn measure(&mut self, webhooks: &[Webhook], judged: Judged) -> Result<Sample> {
        let usage = self.running.usage()?;
        self.running.signal(Signal::Stop);
        usage.await_stop()?;
        self.fill(webhooks)?;
        let ends = self.standing.ends()?;
        let worked = usage.cpu()?;
        let began = Instant::now();
        self.running.signal(Signal::Continue);
        self.standing.await_arrival(&ends, READ_WITHIN)?;
        let took = began.elapsed();
        let cpu = usage.cpu()?.saturating_sub(worked);
        let flaws = match judged {
            Judged::ByContent => self.outcome.flaws(webhooks)?,
            Judged::ByCount => self.outcome.miscount(webhooks)?,
        };
        Ok(Sample { events: webhooks.len(), took, cpu, peak: usage.peak_memory()?, flaws })
    }

    pub(crate) fn fill(&self, webhooks: &[Webhook]) -> Result<()> {
        self.filler.fill(webhooks.iter().map(|webhook| webhook.record(&self.raw)))
    }

    /// Waits until it has read all that is there.
    pub(crate) fn await_end(&self) -> Result<()> {
        self.standing.await_arrival(&self.standing.ends()?, READ_WITHIN)
    }

    /// What came out since this was asked last.
    pub(crate) fn outcome(&mut self) -> &mut Outcome {
        &mut self.outcome
    }
}

pub(crate) fn run(ground: &Ground) -> Result<Report> {
    let unique = ground.scale.pick(60_000, 12_000);
    let blocks = ground.scale.pick(5, 1);
    let mut readers = [
        tributary(ground, SESSION_TIMEOUT, &[])?,
        streams(ground, SESSION_TIMEOUT)?.0,
        copy_through(ground)?,
    ];
    let mut renewals = Renewals::of(SUBSCRIBERS)?;
    for _ in 0..ground.scale.pick(3, 2) {
        // Everybody is known, and compilers of the peer have seen everything, before anything counts.
        let webhooks = renewals.batch(unique);
        for (place, reader) in readers.iter_mut().enumerate() {
            reader.measure(&webhooks, judged(place))?;
        }
    }
    for (turn, pass) in interleaved(&[0, 1, 2], blocks).chunks(3).enumerate() {
        let webhooks = renewals.batch(unique);
        for &place in pass {
            let reader = &mut readers[place];
            let sample = reader.measure(&webhooks, judged(place))?;
            ground.tell(&mut reader.series, turn, sample)?;
        }
    }
    let [ours, theirs, limit] = readers.map(|reader| reader.series);
    Ok(report(ground, unique, &[&ours, &theirs, &limit]))
}

fn judged(place: usize) -> Judged {
    if place == 2 { Judged::ByCount } else { Judged::ByContent }
}

fn report(ground: &Ground, unique: usize, all: &[&Series; 3]) -> Report {
    let [ours, theirs, limit] = all;
    let memory = |series: &Series| series.spread(|sample| sample.peak / 1e6);
    let of_limit = ours.ratio(limit, Sample::rate).map(|ratio| ratio.scaled(100.0));
    let share = ours.ratio(theirs, |sample| sample.peak);
    let rows = vec![
        Row::new(
            "webhooks for a second of processor time, by the peer's",
            "×",
            Goal::AtLeast(3.0),
            ours.ratio(theirs, Sample::thrift),
        ),
        Row::new("rate, of the copy-through's", "%", Goal::AtLeast(80.0), of_limit),
        Row::new("highest memory, by the peer's", "×", Goal::AtMost(1.0 / 3.0), share),
        Row::new("processor time a webhook", "µs", Goal::None, ours.spread(Sample::cost)),
        Row::new(
            "the peer's processor time a webhook",
            "µs",
            Goal::None,
            theirs.spread(Sample::cost),
        ),
        Row::new(
            "the copy-through's processor time a webhook",
            "µs",
            Goal::None,
            limit.spread(Sample::cost),
        ),
        Row::new("rate", "/s", Goal::None, ours.spread(Sample::rate)),
        Row::new("the peer's rate", "/s", Goal::None, theirs.spread(Sample::rate)),
        Row::new("the copy-through's rate", "/s", Goal::None, limit.spread(Sample::rate)),
        Row::new("highest memory", "MB", Goal::None, memory(ours)),
        Row::new("the peer's highest memory", "MB", Goal::None, memory(theirs)),
    ];
    Report {
        stage: ground.stage.to_owned(),
        title: "transform: raw → deduplicated, ordered Avro, exactly once".to_owned(),
        circumstances: ground.circumstances(),
        method: vec![
            format!(
                "{unique} renewals of {SUBSCRIBERS} subscribers a run, one in ten twice; each becomes two events. The reader \
                 stands still while its topic is filled, then reads all of it: the clock runs until its group has committed \
                 the last record."
            ),
            format!(
                "All sides: one worker, six partitions, commits every {COMMIT_INTERVAL_MS} ms, lz4, no reorder window. Peer: Kafka Streams \
                 4.3, `exactly_once_v2`, RocksDB with Bloom filters and a bounded shared cache, store cache, Jackson, Avro, 512 MB of heap \
                 (`bench/peers/kafka-streams`). Limit: the same client and store with one read, one write and two encodings a \
                 record, and nothing understood."
            ),
            "After each run every event is read back: each webhook has both of its events once, and everybody's are numbered \
             without a gap."
                .to_owned(),
        ],
        rows,
        counters: all.iter().map(|series| Counters::of(series)).collect(),
        charts: vec![
            Chart::of("webhooks for a second of processor time", all, Sample::thrift),
            Chart::of("webhooks a second", all, Sample::rate),
            Chart::of("highest memory, MB", all, |sample| sample.peak / 1e6),
        ],
    }
}

/// Ours, told more than what all sides have in common.
pub(crate) fn tributary(
    ground: &Ground,
    session: Duration,
    more: &[(&str, &str)],
) -> Result<Reader> {
    let (commit, session) = (format!("{COMMIT_INTERVAL_MS}ms"), format!("{}s", session.as_secs()));
    let common = [
        ("TRANSFORM__WORKERS", "1"),
        ("TRANSFORM__COMMIT_INTERVAL", commit.as_str()),
        ("KAFKA__SESSION_TIMEOUT", session.as_str()),
        ("TRANSFORM__INSTANCE_ID", "one"),
    ];
    let side = ground.side("tributary", Binary::Transform, &[&common[..], more].concat())?;
    let process = side.start()?;
    let group = format!("{}transform", side.prefix);
    Reader::new(ground, &side, "tributary transform", &group, Running::Binary(process))
}

/// The peer, and how it is started again.
pub(crate) fn streams(ground: &Ground, session: Duration) -> Result<(Reader, Again)> {
    let peer = Peer::build("kafka-streams", "Lifecycle")?;
    let side = ground.side("streams", Binary::Transform, &[])?;
    let application = format!("{}streams", side.prefix);
    let schema = workspace::root().join("schemas").join("lifecycle_event.avsc");
    let settings = vec![
        ("brokers", ground.broker.address().to_owned()),
        ("application", application.clone()),
        ("raw", Topic::Raw.name(&side.prefix)),
        ("events", Topic::Events.name(&side.prefix)),
        ("schema", schema.display().to_string()),
        ("state", side.folder().join("state").display().to_string()),
        ("commit", COMMIT_INTERVAL_MS.to_string()),
        ("session", session.as_millis().to_string()),
        ("threads", "1".to_owned()),
        ("instance", "one".to_owned()),
    ];
    let again = Again { peer, folder: side.folder().to_owned(), settings };
    let running = Running::Program(again.start(ground)?);
    let reader = Reader::new(ground, &side, "Kafka Streams", &application, running)?;
    Ok((reader, again))
}

/// What it takes to start the peer once more.
pub(crate) struct Again {
    peer: Peer,
    folder: std::path::PathBuf,
    settings: Vec<(&'static str, String)>,
}

impl Again {
    /// Starts it and waits until it has joined.
    pub(crate) fn start(&self, ground: &Ground) -> Result<Supervised> {
        let mut process = self.begin(ground)?;
        await_joined(&mut process, "Kafka Streams")?;
        Ok(process)
    }

    /// Starts it.
    pub(crate) fn begin(&self, ground: &Ground) -> Result<Supervised> {
        self.peer.start(ground, &self.folder, ("512m", &self.settings))
    }
}

fn copy_through(ground: &Ground) -> Result<Reader> {
    let side = ground.side("limit", Binary::Transform, &[])?;
    let state = side.folder().join("state").display().to_string();
    let interval = COMMIT_INTERVAL_MS.to_string();
    let words =
        ["limit", "copy-through", "--brokers", ground.broker.address(), "--prefix", &side.prefix];
    let more = ["--state-dir", &state, "--commit-interval-ms", &interval];
    let words: Vec<OsString> = words.into_iter().chain(more).map(OsString::from).collect();
    let mut process = limit(ground, "copy-through", &words)?;
    await_joined(&mut process, "the copy-through")?;
    let group = copy_through_group(&side.prefix);
    Reader::new(ground, &side, "limit: copy-through", &group, Running::Program(process))
}
