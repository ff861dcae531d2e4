//! Events → an HTTP destination that answers after 20 ms, in order for each subscriber.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Context, Result};
use end_to_end::processes::Binary;
use end_to_end::sign;
use end_to_end::supervise::Signal;
use end_to_end::workspace;
use schemas::topics::Topic;
use stream::Record;

use crate::ground::{Ground, Side};
use crate::ingest::limit_ends;
use crate::lifecycle::Lifecycle;
use crate::peer::Peer;
use crate::receiver::{Came, Receiver};
use crate::report::{Chart, Counters, Goal, Report, Row};
use crate::sample::{Flaws, Sample, Series};
use crate::statistics::{Spread, count, interleaved};
use crate::topics::Filler;
use crate::transform::Running;

const LATENCY: Duration = Duration::from_millis(20);
/// Calls at once, on all sides.
const CONCURRENCY: usize = 100;
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);
const DELIVERED_WITHIN: Duration = Duration::from_mins(10);

/// How many subscribers share the events of a run, and how many events there are, in full and quick.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    subscribers: usize,
    events: (usize, usize),
}

pub(crate) const CELLS: [Cell; 3] = [
    Cell { subscribers: 20, events: (5_000, 1_500) },
    Cell { subscribers: 1_000, events: (25_000, 6_000) },
    Cell { subscribers: 100_000, events: (100_000, 6_000) },
];

impl Cell {
    /// Events a second, if calls cost nothing but the time until their answer.
    fn ideal(self) -> f64 {
        count(CONCURRENCY.min(self.subscribers)) / LATENCY.as_secs_f64()
    }
}

/// Something that delivers.
pub(crate) struct Deliverer {
    name: &'static str,
    running: Running,
    receiver: Receiver,
    filler: Filler,
    events: Lifecycle,
    /// So many runs were made, each with subscribers of its own.
    runs: usize,
}

impl Deliverer {
    fn new(
        ground: &Ground,
        side: &Side,
        name: &'static str,
        (running, receiver): (Running, Receiver),
    ) -> Result<Self> {
        let (filler, events) = (Filler::open(&ground.cluster())?, Lifecycle::of(&side.prefix)?);
        filler.warm(&events.topic)?;
        Ok(Self { name, running, receiver, filler, events, runs: 0 })
    }

    /// One run: it stands still while the topic is filled, and then delivers all of it.
    pub(crate) fn measure(&mut self, cell: Cell, events: usize) -> Result<Sample> {
        let usage = self.running.usage()?;
        self.running.signal(Signal::Stop);
        usage.await_stop()?;
        self.runs += 1;
        let records = (0..events).map(|place| self.record(place, cell.subscribers));
        self.filler.fill(records.collect::<Result<Vec<_>>>()?)?;
        let worked = usage.cpu()?;
        self.running.signal(Signal::Continue);
        let Came { answered, took, flaws } = self.receiver.await_all(events, DELIVERED_WITHIN)?;
        let cpu = usage.cpu()?.saturating_sub(worked);
        let flaws = Flaws { doubled: flaws.doubled.max(answered - events), ..flaws };
        Ok(Sample { events, took, cpu, peak: usage.peak_memory()?, flaws })
    }

    fn record(&self, place: usize, subscribers: usize) -> Result<Record> {
        let (who, sequence) = (place % subscribers, place / subscribers + 1);
        self.events.record(&format!("person-{}-{who}", self.runs), sequence)
    }
}

/// A client that calls and does nothing else.
struct Caller {
    receiver: Receiver,
    runs: usize,
}

impl Caller {
    fn measure(&mut self, ground: &Ground, cell: Cell, events: usize) -> Result<Sample> {
        self.runs += 1;
        let connections = CONCURRENCY.min(cell.subscribers);
        let [port, connections, requests, run] =
            [usize::from(self.receiver.port()), connections, events, self.runs]
                .map(|it| it.to_string());
        let words = ["limit", "call", "--port", &port, "--connections", &connections];
        let more = ["--requests", &requests, "--run", &run];
        let words: Vec<OsString> = words.into_iter().chain(more).map(OsString::from).collect();
        let (took, cpu) = limit_ends(ground, "call", &words)?;
        let Came { flaws, .. } = self.receiver.await_all(events, DELIVERED_WITHIN)?;
        Ok(Sample { events, took, cpu, peak: 0.0, flaws })
    }
}

pub(crate) fn run(ground: &Ground) -> Result<Report> {
    let mut limit = Caller { receiver: Receiver::start(LATENCY)?, runs: 0 };
    let mut all = [
        tributary(ground)?,
        parallel_consumer(ground, "Parallel Consumer, core", "core")?,
        parallel_consumer(ground, "Parallel Consumer, Vert.x", "vertx")?,
    ];
    let mut cells = Vec::new();
    for cell in CELLS {
        let (full, quick) = cell.events;
        let events = ground.scale.pick(full, quick);
        for deliverer in &mut all {
            // Connections are open, and compilers of the peers have seen everything, before anything counts.
            deliverer.measure(cell, events.min(5_000))?;
        }
        let mut series = all.each_ref().map(|deliverer| named(deliverer.name, cell));
        let mut called = named("limit: calls alone", cell);
        for (turn, place) in
            interleaved(&[0, 1, 2], ground.scale.pick(2, 1)).into_iter().enumerate()
        {
            let sample = all[place].measure(cell, events)?;
            ground.tell(&mut series[place], turn, sample)?;
            if place == 0 {
                let sample = limit.measure(ground, cell, events)?;
                ground.tell(&mut called, turn, sample)?;
            }
        }
        let [ours, core, vertx] = series;
        cells.push((cell, [ours, core, vertx, called]));
    }
    Ok(report(ground, &cells))
}

fn named(name: &str, cell: Cell) -> Series {
    Series::new(format!("{name}, {}", cell.subscribers))
}

fn report(ground: &Ground, cells: &[(Cell, [Series; 4])]) -> Report {
    let mut rows = Vec::new();
    let share = |series: &Series, cell: Cell| -> Option<Spread> {
        series.spread(|sample| sample.rate() / cell.ideal() * 100.0)
    };
    for (cell, [ours, core, vertx, called]) in cells {
        let subscribers = cell.subscribers;
        let what = |what: &str| format!("{subscribers} subscribers: {what}");
        let goal = Goal::AtLeast(95.0);
        let peers = [("core", core), ("Vert.x", vertx)];
        rows.push(Row::new(&what("rate, of the ideal"), "%", goal, share(ours, *cell)));
        let of_calls = ours.ratio(called, Sample::rate).map(|ratio| ratio.scaled(100.0));
        rows.push(Row::new(&what("rate, of calls alone"), "%", Goal::None, of_calls));
        for (module, peer) in peers {
            let ratio = ours.ratio(peer, Sample::cost);
            let text = what(&format!("processor time a request, by {module}'s"));
            rows.push(Row::new(&text, "×", Goal::AtMost(1.0 / 3.0), ratio));
        }
        let text = what("processor time a request");
        rows.push(Row::new(&text, "µs", Goal::None, ours.spread(Sample::cost)));
        for (module, peer) in peers {
            let text = what(&format!("{module}'s rate, of the ideal"));
            rows.push(Row::new(&text, "%", Goal::None, share(peer, *cell)));
        }
    }
    let charts = cells.iter().map(|(cell, series)| {
        let title = format!("{} subscribers: rate, % of the ideal", cell.subscribers);
        Chart::of(&title, &series.each_ref(), |sample| sample.rate() / cell.ideal() * 100.0)
    });
    let all = cells.iter().flat_map(|(_, series)| series);
    Report {
        stage: ground.stage.to_owned(),
        title: "deliver: a destination that answers after 20 ms, in order for each subscriber".to_owned(),
        circumstances: ground.circumstances(),
        method: vec![
            format!(
                "{CONCURRENCY} calls at once; the ideal is the smaller of {CONCURRENCY} and the number of subscribers, by 20 ms. The \
                 deliverer stands still while its topic is filled, then delivers all of it: the clock runs at the \
                 destination, from the first message to the last answer."
            ),
            "The destination shares its core with the broker and its clock ticks in milliseconds: what it can be called at \
             most is measured beside it, by a client that calls over as many connections and does nothing else."
                .to_owned(),
            "Each event is a message of its own, signed as Standard Webhooks has it. Peer: Parallel Consumer 0.5.3.3 in key \
             order (`bench/peers/parallel-consumer`), its core with the JDK's HTTP client and its Vert.x module, connections \
             that stay open, 512 MB of heap."
                .to_owned(),
            "The destination counts what has its effect twice, what comes out of sequence, and what comes while another of the \
             same subscriber has no answer yet."
                .to_owned(),
        ],
        rows,
        counters: all.map(Counters::of).collect(),
        charts: charts.collect(),
    }
}

pub(crate) fn tributary(ground: &Ground) -> Result<Deliverer> {
    let receiver = Receiver::start(LATENCY)?;
    let (concurrency, session) =
        (CONCURRENCY.to_string(), format!("{}s", SESSION_TIMEOUT.as_secs()));
    let destination = format!(
        "destinations:\n  hooks:\n    type: webhook\n    url: {}\n    secrets: [\"{}\"]\n    rate_limit: 1000000/s\n",
        receiver.url(),
        sign::DODO_SECRET
    );
    let environment = [
        ("DELIVER__CONCURRENCY", concurrency.as_str()),
        ("KAFKA__SESSION_TIMEOUT", session.as_str()),
        // It commits nothing while it stands still, and must not take that for having been replaced.
        ("DELIVER__LEASE", session.as_str()),
    ];
    let side = ground.side_to("tributary", Binary::Deliver, &environment, Some(&destination))?;
    let running = Running::Binary(side.start()?);
    Deliverer::new(ground, &side, "tributary deliver", (running, receiver))
}

fn parallel_consumer(
    ground: &Ground,
    name: &'static str,
    module: &'static str,
) -> Result<Deliverer> {
    let receiver = Receiver::start(LATENCY)?;
    let peer = Peer::build("parallel-consumer", "Deliver")?;
    // Any of ours makes the topic of the events.
    let side = ground.side(module, Binary::Transform, &[])?;
    let schema = workspace::root().join("schemas").join("lifecycle_event.avsc");
    let secret = sign::DODO_SECRET.strip_prefix("whsec_").context("the secret has no prefix")?;
    let settings = [
        ("brokers", ground.broker.address().to_owned()),
        ("group", format!("{}deliver", side.prefix)),
        ("events", Topic::Events.name(&side.prefix)),
        ("schema", schema.display().to_string()),
        ("session", SESSION_TIMEOUT.as_millis().to_string()),
        ("concurrency", CONCURRENCY.to_string()),
        ("secret", secret.to_owned()),
        ("url", receiver.url()),
        ("module", module.to_owned()),
    ];
    let process = peer.start(ground, side.folder(), ("512m", &settings))?;
    Deliverer::new(ground, &side, name, (Running::Program(process), receiver))
}
