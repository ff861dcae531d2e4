//! Signed webhook → durable in Kafka → 200.

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use end_to_end::ports;
use end_to_end::processes::{Binary, Process};
use end_to_end::sign;
use end_to_end::supervise::Supervised;
use schemas::headers::Correlation;
use schemas::topics::Topic;

use crate::ground::{Ground, Side};
use crate::payload::{Renewals, Webhook};
use crate::peer::Peer;
use crate::report::{Chart, Counters, Goal, Report, Row};
use crate::sample::{Flaws, Sample, Series};
use crate::statistics::{Spread, interleaved, percentile};
use crate::topics::Tail;
use crate::usage::Usage;
use crate::volley::{Answered, Signed, fire, request};

pub(crate) const SUBSCRIBERS: usize = 10_000;
/// Senders at once, each with a connection that stays open.
const CONNECTIONS: usize = 256;
/// One in so many requests is signed by somebody else, and must be refused.
const STRANGERS: usize = 50;
const LISTENS_WITHIN: Duration = Duration::from_mins(2);
const LIMIT_ENDS_WITHIN: Duration = Duration::from_mins(2);
const POLL: Duration = Duration::from_millis(50);

/// Something that takes webhooks.
pub(crate) struct Server {
    series: Series,
    /// What 99 of 100 answers did not exceed in each run, in milliseconds.
    almost_all: Vec<f64>,
    port: u16,
    usage: Usage,
    /// What it wrote, unless it writes nothing.
    raw: Option<Tail>,
    /// Ends with it.
    _running: Running,
}

/// Held so that it runs.
enum Running {
    Binary { _process: Process },
    Program { _process: Supervised },
}

pub(crate) fn run(ground: &Ground) -> Result<Report> {
    let requests = ground.scale.pick(25_000, 5_000);
    let blocks = ground.scale.pick(5, 1);
    let mut renewals = Renewals::of(SUBSCRIBERS)?;
    let mut servers = [tributary(ground)?, vertx(ground)?, no_op(ground)?];
    let produced_into = ground.side("limit", Binary::Ingest, &[])?;
    let mut produced = Series::new("limit: librdkafka alone");
    for server in &mut servers {
        // Compilers of the peer have seen everything before anything counts.
        for _ in 0..ground.scale.pick(3, 2) {
            measure(server, &mut renewals, requests)?;
        }
    }
    for (turn, place) in interleaved(&[0, 1, 2], blocks).into_iter().enumerate() {
        let server = &mut servers[place];
        let (sample, mut millis) = measure(server, &mut renewals, requests)?;
        server.almost_all.push(percentile(&mut millis, 99));
        ground.tell(&mut server.series, turn, sample)?;
        if place == 2 {
            let sample = produce(ground, &produced_into, requests)?;
            ground.tell(&mut produced, turn, sample)?;
        }
    }
    let almost_all = servers.each_ref().map(|server| Spread::of(&server.almost_all));
    let [ours, theirs, no_op] = servers.map(|server| server.series);
    let mut report = report(ground, requests, &[&ours, &theirs, &no_op, &produced]);
    for (whose, almost_all) in
        ["", "the peer's: ", "the no-op server's: "].into_iter().zip(almost_all)
    {
        let what = format!("{whose}99 of 100 answers within, all connections busy");
        report.rows.push(Row::new(&what, "ms", Goal::None, almost_all));
    }
    Ok(report)
}

fn report(ground: &Ground, requests: usize, all: &[&Series; 4]) -> Report {
    let [ours, theirs, no_op, produced] = all;
    let memory = |series: &Series| series.spread(|sample| sample.peak / 1e6);
    let percent = |other: &Series| ours.ratio(other, Sample::rate).map(|ratio| ratio.scaled(100.0));
    let rows = vec![
        Row::new(
            "requests for a second of processor time, by the peer's",
            "×",
            Goal::AtLeast(3.0),
            ours.ratio(theirs, Sample::thrift),
        ),
        Row::new("rate, of the no-op server's", "%", Goal::AtLeast(60.0), percent(no_op)),
        Row::new("processor time a request", "µs", Goal::AtMost(35.0), ours.spread(Sample::cost)),
        Row::new("highest memory", "MB", Goal::AtMost(60.0), memory(ours)),
        Row::new("rate", "/s", Goal::None, ours.spread(Sample::rate)),
        Row::new("the peer's rate", "/s", Goal::None, theirs.spread(Sample::rate)),
        Row::new(
            "the peer's processor time a request",
            "µs",
            Goal::None,
            theirs.spread(Sample::cost),
        ),
        Row::new("the peer's highest memory", "MB", Goal::None, memory(theirs)),
        Row::new(
            "the no-op server's processor time a request",
            "µs",
            Goal::None,
            no_op.spread(Sample::cost),
        ),
        Row::new("rate, of what librdkafka writes alone", "%", Goal::None, percent(produced)),
    ];
    Report {
        stage: ground.stage.to_owned(),
        title: "ingest: signed webhook → durable in Kafka → 200".to_owned(),
        circumstances: ground.circumstances(),
        method: vec![
            format!(
                "{requests} requests a run over {CONNECTIONS} connections, RevenueCat's RENEWAL of 1.1 KB with \
                 `Authorization` and HMAC, {SUBSCRIBERS} subscribers; one in {STRANGERS} is signed by a stranger and must \
                 get 401."
            ),
            "Peer: Vert.x 4.5 with epoll and kafka-clients 4.3 (`bench/peers/vertx-ingest`): an event loop for each core, \
             one producer, streaming JSON, lz4, `linger.ms` 1, 512 MB of heap. Limits: an axum handler that reads the body; \
             librdkafka writing the same records without requests."
                .to_owned(),
            "After each run the topic is read: whatever was answered 200 has to be there once (else lost or doubled), \
             whatever was not must not (misjudged)."
                .to_owned(),
        ],
        rows,
        counters: all.iter().map(|series| Counters::of(series)).collect(),
        charts: vec![
            Chart::of("requests for a second of processor time", all, Sample::thrift),
            Chart::of("requests a second", all, Sample::rate),
        ],
    }
}

pub(crate) fn tributary(ground: &Ground) -> Result<Server> {
    let side = ground.side("tributary", Binary::Ingest, &[])?;
    let process = side.start()?;
    Ok(Server {
        series: Series::new("tributary ingest"),
        almost_all: Vec::new(),
        port: side.configuration.listeners.webhooks,
        usage: Usage::of(process.pid())?,
        raw: Some(Tail::open(&ground.cluster(), Topic::Raw.name(&side.prefix))?),
        _running: Running::Binary { _process: process },
    })
}

fn vertx(ground: &Ground) -> Result<Server> {
    let peer = Peer::build("vertx-ingest", "VertxIngest")?;
    let side = ground.side("vertx", Binary::Ingest, &[])?;
    let port = ports::free()?;
    let settings = [
        ("brokers", ground.broker.address().to_owned()),
        ("topic", Topic::Raw.name(&side.prefix)),
        ("port", port.to_string()),
        ("authorization", sign::REVENUECAT_AUTHORIZATION.to_owned()),
        ("secret", sign::REVENUECAT_SECRET.to_owned()),
    ];
    let process = peer.start(ground, side.folder(), ("512m", &settings))?;
    let raw = Some(Tail::open(&ground.cluster(), Topic::Raw.name(&side.prefix))?);
    server("Vert.x and kafka-clients", port, process, raw)
}

fn no_op(ground: &Ground) -> Result<Server> {
    let port = ports::free()?;
    let words = ["limit", "no-op", "--port", &port.to_string()].map(OsString::from);
    let process = limit(ground, "no-op", &words)?;
    server("limit: no-op server", port, process, None)
}

fn server(side: &str, port: u16, mut process: Supervised, raw: Option<Tail>) -> Result<Server> {
    let deadline = Instant::now() + LISTENS_WITHIN;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = process.ended()?;
        ensure!(ended.is_none(), "{side} ended: {}", process.last_words(20));
        ensure!(Instant::now() < deadline, "{side} does not listen: {}", process.last_words(20));
        std::thread::sleep(POLL);
    }
    let usage = Usage::of(process.pid())?;
    let running = Running::Program { _process: process };
    let (series, almost_all) = (Series::new(side), Vec::new());
    Ok(Server { series, almost_all, port, usage, raw, _running: running })
}

/// Starts this very program as one of the limits, on the core that is measured.
pub(crate) fn limit(ground: &Ground, name: &str, words: &[OsString]) -> Result<Supervised> {
    let own = std::env::current_exe().context("finding this program")?;
    let words = std::iter::once(own.into_os_string()).chain(words.iter().cloned()).collect();
    ground.start(&ground.folder, name, words)
}

/// Runs it to its end: how long its work took by its own words, and how much processor time.
pub(crate) fn limit_ends(
    ground: &Ground,
    name: &str,
    words: &[OsString],
) -> Result<(Duration, Duration)> {
    let mut process = limit(ground, name, words)?;
    let ended = process.wait(LIMIT_ENDS_WITHIN)?;
    ensure!(ended.is_some_and(|status| status.success()), "{name}: {}", process.last_words(20));
    let said = process.last_words(1);
    let mut micros = said.split(' ').map(|micros| micros.parse().map(Duration::from_micros));
    let (Some(Ok(took)), Some(Ok(cpu))) = (micros.next(), micros.next()) else {
        anyhow::bail!("{name} said {said}");
    };
    Ok((took, cpu))
}

/// One run, and how long each answer took, in milliseconds.
pub(crate) fn measure(
    server: &mut Server,
    renewals: &mut Renewals,
    requests: usize,
) -> Result<(Sample, Vec<f64>)> {
    let webhooks: Vec<Webhook> = (0..requests).map(|_| renewals.next()).collect();
    let signed = |place: usize| {
        if place % STRANGERS == STRANGERS - 1 { Signed::ByAStranger } else { Signed::Rightly }
    };
    let sent = webhooks.iter().enumerate().map(|(place, webhook)| request(webhook, signed(place)));
    let sent = sent.collect();
    let worked = server.usage.cpu()?;
    let Answered { took, statuses, millis } = fire(server.port, sent, CONNECTIONS)?;
    let cpu = server.usage.cpu()?.saturating_sub(worked);
    let flaws = match &mut server.raw {
        None => Flaws::default(),
        Some(raw) => {
            let mut written: HashMap<String, usize> = HashMap::new();
            raw.read(|record| {
                let id = Correlation::of(&record.headers).event_id.unwrap_or_default().to_owned();
                *written.entry(id).or_default() += 1;
            })?;
            let sent = webhooks.iter().zip(&statuses).enumerate();
            judge(sent.map(|(place, (webhook, status))| {
                let times = written.get(&webhook.id).copied().unwrap_or_default();
                (signed(place), *status, times)
            }))
        }
    };
    let peak = server.usage.peak_memory()?;
    Ok((Sample { events: requests, took, cpu, peak, flaws }, millis))
}

/// Of each request who signed it, what was answered, and how often the topic holds it.
fn judge(sent: impl Iterator<Item = (Signed, u16, usize)>) -> Flaws {
    let mut flaws = Flaws::default();
    for (signed, status, times) in sent {
        match (signed, status, times) {
            (Signed::Rightly, 200, 1) | (Signed::ByAStranger, 401, 0) => {}
            (Signed::Rightly, 200, 0) => flaws.lost += 1,
            (Signed::Rightly, 200, _) => flaws.doubled += 1,
            (Signed::Rightly | Signed::ByAStranger, ..) => flaws.misjudged += 1,
        }
    }
    flaws
}

fn produce(ground: &Ground, side: &Side, records: usize) -> Result<Sample> {
    let brokers = ground.broker.address();
    let (count, subscribers) = (records.to_string(), SUBSCRIBERS.to_string());
    let words = ["limit", "produce", "--brokers", brokers, "--prefix", &side.prefix];
    let more = ["--records", &count, "--subscribers", &subscribers];
    let words: Vec<OsString> = words.into_iter().chain(more).map(OsString::from).collect();
    let (took, cpu) = limit_ends(ground, "produce", &words)?;
    Ok(Sample { events: records, took, cpu, peak: 0.0, flaws: Flaws::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_answered_200_has_to_be_there_once_and_nothing_else_may_be() {
        let right = [(Signed::Rightly, 200, 1), (Signed::ByAStranger, 401, 0)];
        assert_eq!(judge(right.into_iter()), Flaws::default());
        assert_eq!(judge([(Signed::Rightly, 200, 0)].into_iter()).lost, 1);
        assert_eq!(judge([(Signed::Rightly, 200, 2)].into_iter()).doubled, 1);
        for wrong in [
            (Signed::Rightly, 401, 0),
            (Signed::Rightly, 503, 0),
            (Signed::ByAStranger, 200, 1),
            (Signed::ByAStranger, 401, 1),
        ] {
            assert_eq!(judge([wrong].into_iter()).misjudged, 1, "{wrong:?}");
        }
    }
}
