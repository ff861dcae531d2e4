//! The first event after SIGKILL, with the state of very many subscribers.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::ground::{Ground, say};
use crate::outcome::EVENTS;
use crate::payload::{Renewals, Webhook};
use crate::report::{Chart, Counters, Goal, Report, Row};
use crate::sample::{Sample, Series};
use crate::statistics::interleaved;
use crate::transform::{Again, Reader, Running, streams, tributary};

/// On both sides: a member that was killed is missed for so long.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);
/// Webhooks that are told at a time while the state grows.
const PORTION: usize = 50_000;
/// Told after the kill; they reach most partitions.
const NEWS: usize = 24;
const RECOVERS_WITHIN: Duration = Duration::from_mins(15);
const POLL: Duration = Duration::from_millis(20);

/// One that can be killed and started again.
struct Mortal {
    reader: Reader,
    /// Of the peer; ours knows itself how.
    again: Option<Again>,
    renewals: Renewals,
}

pub(crate) fn run(ground: &Ground) -> Result<Report> {
    let subscribers = ground.scale.pick(1_000_000, 20_000);
    let (theirs, again) = streams(ground, SESSION_TIMEOUT)?;
    let renewals = || Renewals::of(subscribers);
    let ours = tributary(ground, SESSION_TIMEOUT, &[])?;
    let mut both = [
        Mortal { reader: ours, again: None, renewals: renewals()? },
        Mortal { reader: theirs, again: Some(again), renewals: renewals()? },
    ];
    for mortal in &mut both {
        say(&format!("  {}: telling it of {subscribers} subscribers", mortal.reader.series.side));
        mortal.grow(subscribers)?;
    }
    for (turn, place) in interleaved(&[0, 1], ground.scale.pick(2, 1)).into_iter().enumerate() {
        let mortal = &mut both[place];
        let sample = mortal.recover(ground)?;
        let (side, seconds) = (&mortal.reader.series.side, sample.took.as_secs_f64());
        say(&format!(
            "  {side:<28} first event after {seconds:.2} s, {} wrong",
            sample.flaws.sum()
        ));
        ground.raw.note(side, turn, &sample)?;
        mortal.reader.series.samples.push(sample);
    }
    let [ours, theirs] = both.map(|mortal| mortal.reader.series);
    Ok(report(ground, subscribers, &[&ours, &theirs]))
}

impl Mortal {
    fn grow(&mut self, subscribers: usize) -> Result<()> {
        let mut told = 0;
        while told < subscribers {
            let portion = PORTION.min(subscribers - told);
            let webhooks: Vec<Webhook> = (0..portion).map(|_| self.renewals.next()).collect();
            self.reader.fill(&webhooks)?;
            self.reader.await_end()?;
            let flaws = self.reader.outcome().flaws(&webhooks)?;
            ensure!(flaws.sum() == 0, "{} told {flaws:?} while it grew", self.reader.series.side);
            told += portion;
        }
        Ok(())
    }

    /// From the start of the new process to the first new event. Its processor time is that of the recovery.
    fn recover(&mut self, ground: &Ground) -> Result<Sample> {
        let webhooks: Vec<Webhook> = (0..NEWS).map(|_| self.renewals.next()).collect();
        self.kill()?;
        self.reader.fill(&webhooks)?;
        let began = Instant::now();
        self.start_again(ground)?;
        let usage = self.reader.running.usage()?;
        let mut told = Vec::new();
        let mut first = None;
        while told.len() < NEWS * EVENTS {
            self.reader.outcome().read_on(&mut told)?;
            if !told.is_empty() {
                first.get_or_insert_with(|| began.elapsed());
            }
            ensure!(
                began.elapsed() < RECOVERS_WITHIN,
                "{} does not recover",
                self.reader.series.side
            );
            std::thread::sleep(POLL);
        }
        // Whatever was told twice would have come with what is told now.
        self.reader.await_end()?;
        self.reader.outcome().read_on(&mut told)?;
        let flaws = self.reader.outcome().judge(&webhooks, &told);
        let (cpu, peak) = (usage.cpu()?, usage.peak_memory()?);
        let took = first.unwrap_or_default();
        Ok(Sample { events: NEWS, took, cpu, peak, flaws })
    }

    fn kill(&mut self) -> Result<()> {
        match &mut self.reader.running {
            Running::Binary(process) => process.kill()?,
            Running::Program(program) => {
                program.signal(end_to_end::supervise::Signal::Kill);
                let ended = program.wait(Duration::from_secs(10))?;
                ensure!(ended.is_some(), "a killed process does not end");
            }
        }
        Ok(())
    }

    fn start_again(&mut self, ground: &Ground) -> Result<()> {
        match (&mut self.reader.running, &self.again) {
            (Running::Binary(process), _) => process.start_again()?,
            (Running::Program(program), Some(again)) => *program = again.begin(ground)?,
            (Running::Program(_), None) => {}
        }
        Ok(())
    }
}

fn report(ground: &Ground, subscribers: usize, all: &[&Series; 2]) -> Report {
    let [ours, theirs] = all;
    let seconds = |sample: &Sample| sample.took.as_secs_f64();
    let cpu = |sample: &Sample| sample.cpu.as_secs_f64();
    let rows = vec![
        Row::new("first new event after the start", "s", Goal::AtMost(10.0), ours.spread(seconds)),
        Row::new("the peer's first new event", "s", Goal::None, theirs.spread(seconds)),
        Row::new("processor time until everything is told", "s", Goal::None, ours.spread(cpu)),
        Row::new("the peer's processor time", "s", Goal::None, theirs.spread(cpu)),
    ];
    Report {
        stage: ground.stage.to_owned(),
        title: "recovery: the first event after SIGKILL".to_owned(),
        circumstances: ground.circumstances(),
        method: vec![
            format!(
                "{subscribers} subscribers with one renewal each; then the process is killed, {NEWS} more renewals are written, and the \
                 process is started again. Session time-out of {} s and static membership on both sides. Peer: as for transform.",
                SESSION_TIMEOUT.as_secs()
            ),
            "The clock runs from the start of the process (the peer's with its JVM) until the first new event can be read \
             as committed."
                .to_owned(),
        ],
        rows,
        counters: all.iter().map(|series| Counters::of(series)).collect(),
        charts: vec![Chart::of("seconds to the first new event", all, seconds)],
    }
}
