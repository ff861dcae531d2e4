//! One cell: a trouble at a destination, a manner of running, and what must hold whatever they are.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use emulators::{Credentials, Effect, Fault, Outage};
use end_to_end::broker::Broker;
use end_to_end::destinations::Where;
use end_to_end::journeys::{self, Journey};
use end_to_end::judge::Finding;
use end_to_end::latency::{Clocks, Latencies};
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::schedule::{self, Sending, Shape};
use end_to_end::sender::Tally;
use service::clock::{Clock, SystemClock};
use tokio::sync::oneshot;

use crate::grid::account::{Books, Place, closed, counted, nothing_is_done_unseen};
use crate::grid::trouble::{MANNERS, Manner, TROUBLES, Trouble};

const KILLS: usize = 3;
const WEBHOOKS: usize = 120;
const SPREAD_OVER: Duration = Duration::from_secs(8);
/// People whose story begins later than this are held back where an instance joins, until just before it is killed:
/// how soon it had joined must not decide whether anything was under way then.
const HELD_BACK_AFTER: Duration = Duration::from_secs(4);
const QUIET: Duration = Duration::from_secs(3);
/// A breaker asks every fifteen seconds at least; a member that was killed is missed after as long.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
const READY_WITHIN: Duration = Duration::from_mins(1);
const ENDS_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    number: usize,
    pub(crate) trouble: Trouble,
    pub(crate) manner: Manner,
    pub(crate) at: Where,
    is_long: bool,
}

/// The cells of a run, the steady ones last: the first share the machine with a broker that has just started.
pub(crate) fn cells(seed: u64, is_long: bool) -> Vec<Cell> {
    let turn = usize::try_from(seed % 6).unwrap();
    let mut cells = Vec::new();
    for (row, trouble) in TROUBLES.into_iter().enumerate() {
        let of_this_run = MANNERS[(row + turn) % MANNERS.len()];
        for manner in MANNERS.into_iter().filter(|manner| is_long || *manner == of_this_run) {
            let number = cells.len();
            let at =
                if (number + turn).is_multiple_of(2) { Where::Customerio } else { Where::Intercom };
            cells.push(Cell { number, trouble, manner, at, is_long });
        }
    }
    for manner in MANNERS {
        let number = cells.len();
        let trouble = Trouble::Nothing;
        cells.push(Cell { number, trouble, manner, at: Where::Customerio, is_long });
    }
    cells.sort_by_key(|cell| cell.manner == Manner::Steady);
    cells
}

/// What was seen of a cell in which everything held that can be judged by itself.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) cell: Cell,
    /// In the order of [`Where::BOTH`].
    destinations: [Observed; 2],
}

/// What was seen at one destination.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) latencies: Latencies,
    /// How often its line began anew by itself while the latencies were measured.
    pub(crate) begun_anew: usize,
}

impl Report {
    pub(crate) fn at(&self, at: Where) -> &Observed {
        let [customerio, intercom] = &self.destinations;
        match at {
            Where::Customerio => customerio,
            Where::Intercom => intercom,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cell { trouble, manner, at, .. } = self.cell;
        write!(formatter, "{trouble:?} at {at:?}, {manner:?}")?;
        for at in Where::BOTH {
            let Observed { latencies, begun_anew } = self.at(at);
            write!(formatter, "; {} {latencies}, begun anew {begun_anew}", at.name())?;
        }
        Ok(())
    }
}

impl Cell {
    /// Runs it.
    pub(crate) async fn withstand(self, broker: &Broker, seed: u64) -> Report {
        let seed = seed.wrapping_add(u64::try_from(self.number).unwrap());
        let pipeline = self.pipeline(broker).await;
        let journeys = journeys::generate(seed, SystemClock::new().now_millis(), WEBHOOKS);
        let unlucky = journeys.iter().max_by_key(|journey| journey.shown().len()).unwrap();
        let first = journeys.iter().min_by_key(|journey| journey.shown().len()).unwrap();
        let (opening, sendings): (Vec<_>, Vec<_>) =
            schedule::schedule(&journeys, Shape::disordered(seed, SPREAD_OVER))
                .into_iter()
                .partition(|sending| journeys[sending.place.0] == *first);
        begun(&pipeline, opening, first).await;
        self.begin(&pipeline, &unlucky.who, seed);
        let clocks = Clocks::read(&pipeline.destinations);
        let at_first = Where::BOTH.map(|at| beginnings(&pipeline, at));
        let (early, late) = match self.manner {
            Manner::Joined => by_beginning(sendings, HELD_BACK_AFTER),
            Manner::Steady | Manner::Killed => (sendings, Vec::new()),
        };
        let (last, hears) = oneshot::channel();
        let sending = tokio::spawn(send_in_turns(&pipeline, early, hears, late));
        let mut pipeline = self.disturb(pipeline, last).await;
        for place in Where::BOTH {
            nothing_is_done_unseen(&pipeline, &journeys, place);
        }
        let tally = sending.await.unwrap();
        self.end(&pipeline).await;
        self.judge(&mut pipeline, &journeys, unlucky).await;
        let [customerio, intercom] = Where::BOTH.map(|at| {
            let arrivals = clocks.arrivals(&pipeline.destinations, at, &journeys);
            (Latencies::between(&tally, &arrivals), beginnings(&pipeline, at))
        });
        let destinations = [
            Observed { latencies: customerio.0, begun_anew: customerio.1 - at_first[0] },
            Observed { latencies: intercom.0, begun_anew: intercom.1 - at_first[1] },
        ];
        Report { cell: self, destinations }
    }

    async fn pipeline(self, broker: &Broker) -> Pipeline {
        let name = format!("grid-{}", self.number);
        let plan = Plan {
            reorder_window: Duration::from_secs(2),
            retry_delays: "[500ms, 1s, 2s]".to_owned(),
            environment: vec![
                ("TRIBUTARY__KAFKA__SESSION_TIMEOUT".to_owned(), "6s".to_owned()),
                ("TRIBUTARY__DESTINATIONS__CUSTOMERIO__TIMEOUT".to_owned(), "2s".to_owned()),
                ("TRIBUTARY__DESTINATIONS__INTERCOM__TIMEOUT".to_owned(), "2s".to_owned()),
            ],
            ..Plan::for_test(&name, broker).unwrap()
        };
        Pipeline::start(plan, &|_| ()).await.unwrap()
    }

    fn begin(self, pipeline: &Pipeline, unlucky: &str, seed: u64) {
        let destinations = &pipeline.destinations;
        let fault = match self.trouble {
            Trouble::Nothing => return,
            Trouble::OnePercentFails => Fault::always(Effect::respond(500)).chance(0.01, seed),
            Trouble::OnePersonFails => Fault::always(Effect::respond(500)).person(unlucky),
            Trouble::OnePersonIsRefused => {
                let refused = Fault::always(Effect::respond(400)).person(unlucky);
                if self.at == Where::Intercom { refused.path("/events") } else { refused }
            }
            Trouble::IsDown => {
                return destinations.switch(self.at, Outage::Unavailable, Credentials::Accepted);
            }
            Trouble::SaysWait => {
                for after in [1, 5] {
                    let (after, length) = (Duration::from_secs(after), Duration::from_secs(2));
                    destinations
                        .inject(self.at, Fault::always(Effect::Throttle).window(after, length));
                }
                return;
            }
            Trouble::TimesOutAfterTheEffect => {
                Fault::always(Effect::HangAfterApplying).chance(0.1, seed).times(6)
            }
            Trouble::Resets => {
                destinations.inject(
                    self.at,
                    Fault::always(Effect::ResetBeforeApplying).chance(0.05, seed).times(10),
                );
                Fault::always(Effect::ResetAfterApplying).chance(0.05, seed + 1).times(10)
            }
            Trouble::IsSlow => {
                Fault::always(Effect::DelayReply { millis: 1_200 }).chance(0.3, seed).times(60)
            }
            Trouble::RefusesCredentials => {
                return destinations.switch(self.at, Outage::Off, Credentials::Refused);
            }
        };
        destinations.inject(self.at, fault);
    }

    /// What happens to `deliver` while webhooks are on their way. Says when the last of it is about to come.
    async fn disturb(self, mut pipeline: Pipeline, last: oneshot::Sender<()>) -> Pipeline {
        // The moments are meant to be arbitrary.
        let pause = Duration::from_millis(2_300);
        match self.manner {
            Manner::Steady => {}
            Manner::Killed => {
                for _ in 0..KILLS {
                    tokio::time::sleep(pause).await;
                    pipeline.deliver.kill().unwrap();
                    pipeline.deliver.start_again().unwrap();
                }
            }
            Manner::Joined => {
                let mut second = pipeline.another_deliver().unwrap();
                second.wait_until_ready(READY_WITHIN).unwrap();
                tokio::time::sleep(pause).await;
                assert!(second.terminate(ENDS_WITHIN).unwrap().success(), "{self:?}");
                second.start_again().unwrap();
                second.wait_until_ready(READY_WITHIN).unwrap();
                last.send(()).expect("the sender waits for this");
                tokio::time::sleep(pause).await;
                second.kill().unwrap();
            }
        }
        pipeline
    }

    /// The trouble is over, where it ends by itself.
    async fn end(self, pipeline: &Pipeline) {
        let (short, real) = match self.trouble {
            Trouble::IsDown => (Duration::from_secs(2), Duration::from_secs(30)),
            Trouble::RefusesCredentials => (Duration::from_secs(2), Duration::from_mins(1)),
            Trouble::Nothing
            | Trouble::OnePercentFails
            | Trouble::OnePersonFails
            | Trouble::OnePersonIsRefused
            | Trouble::SaysWait
            | Trouble::TimesOutAfterTheEffect
            | Trouble::Resets
            | Trouble::IsSlow => return,
        };
        tokio::time::sleep(if self.is_long { real } else { short }).await;
        pipeline.destinations.switch(self.at, Outage::Off, Credentials::Accepted);
    }

    async fn judge(self, pipeline: &mut Pipeline, journeys: &[Journey], unlucky: &Journey) {
        let of_one = unlucky.shown().len();
        let logs = pipeline.setting.folder.display().to_string();
        if matches!(self.trouble, Trouble::OnePersonFails | Trouble::OnePersonIsRefused) {
            let others: Vec<_> =
                journeys.iter().filter(|journey| journey.who != unlucky.who).cloned().collect();
            // Who fails is tried again and again: it is never quiet.
            let settled =
                pipeline.destinations.settle(&others, Duration::ZERO, PATIENCE, &|_| ()).await;
            let own = pipeline.destinations.findings(std::slice::from_ref(unlucky));
            let [in_trouble, other] = self.sorted(settled);
            let [own, _] = self.sorted(own);
            assert_eq!((in_trouble.lost, own.lost), (0, of_one), "{self:?}: {in_trouble}; {logs}");
            assert_eq!((own.doubled, other.lost), (0, 0), "{self:?}: {other}; {logs}");
        }
        if self.trouble == Trouble::OnePersonFails {
            self.accounted(pipeline, journeys, (unlucky, Place::Waiting), self.at);
            pipeline.destinations.clear_faults(self.at);
        }
        let parked = if self.trouble == Trouble::OnePersonIsRefused { of_one } else { 0 };
        let held = if parked == 0 { Place::Done } else { Place::Parked };
        if parked == 0 {
            self.settled(pipeline, journeys).await;
        }
        self.accounted(pipeline, journeys, (unlucky, held), self.at);
        self.accounted(pipeline, journeys, (unlucky, Place::Done), self.at.other());
        let [in_trouble, other] = self.sorted(pipeline.destinations.findings(journeys));
        assert!(other.is_flawless(), "{self:?}: the other destination: {other}; {logs}");
        let Finding { lost, doubled, out_of_order, strangers, violations, .. } = in_trouble;
        let found = (lost, doubled, out_of_order, strangers, violations);
        assert_eq!(found, (parked, 0, 0, 0, 0), "{self:?}: {in_trouble}; {logs}");
    }

    /// Every event that was told is in one place, once: those of the unlucky person in `held`, all others delivered
    /// or not for this destination.
    fn accounted(
        self,
        pipeline: &Pipeline,
        journeys: &[Journey],
        (unlucky, held): (&Journey, Place),
        at: Where,
    ) {
        let context = format!("{self:?}, at {at:?}; {}", pipeline.setting.folder.display());
        let account = tokio::task::block_in_place(|| closed(&Books::of(pipeline, at.name()), held));
        let told = journeys.iter().flat_map(|journey| &journey.webhooks);
        let told: usize = told.map(|webhook| webhook.expects.len()).sum();
        assert_eq!((account.told(), account.twice()), (told, 0), "{context}");
        for journey in journeys {
            let place = if journey.who == unlucky.who { held } else { Place::Done };
            assert_eq!(account.of(journey, place), journey.shown(), "{context}");
        }
        let (away, undone) = (account.count(held), told - account.count(Place::Done));
        let expected =
            if held == Place::Done { (told, 0) } else { (account.all_of(unlucky, held), away) };
        assert_eq!((away, undone), expected, "{context}");
        assert_eq!(
            account.done_but_not_shown(journeys, &pipeline.destinations.seen(at)),
            [""; 0],
            "{context}"
        );
        if self.manner == Manner::Steady && held != Place::Waiting {
            let counted = counted(pipeline, at);
            // A line that began anew may have counted something twice.
            let is_exact = beginnings(pipeline, at) == 0;
            assert!(counted == told || (!is_exact && counted > told), "{counted}: {context}");
        }
    }

    async fn settled(self, pipeline: &Pipeline, journeys: &[Journey]) -> [Finding; 2] {
        pipeline.destinations.settle(journeys, QUIET, PATIENCE, &|_| ()).await
    }

    /// The one in trouble first.
    fn sorted(self, [customerio, intercom]: [Finding; 2]) -> [Finding; 2] {
        match self.at {
            Where::Customerio => [customerio, intercom],
            Where::Intercom => [intercom, customerio],
        }
    }
}

/// How often a destination's line began anew by itself so far, in any process.
fn beginnings(pipeline: &Pipeline, at: Where) -> usize {
    let folder = &pipeline.setting.folder;
    let label = format!("destination=\"{}\"", at.name());
    let logs = [folder.join("deliver.log"), folder.join("another").join("deliver.log")];
    let texts = logs.iter().filter_map(|log| std::fs::read_to_string(log).ok());
    let count = |text: String| {
        let anew =
            text.lines().filter(|line| line.contains("starting again from what is committed"));
        anew.filter(|line| line.contains(&label)).count()
    };
    texts.map(count).sum()
}

/// Sends everything; all of it is accepted.
fn send(pipeline: &Pipeline, sendings: Vec<Sending>) -> impl Future<Output = Tally> + use<> {
    let sent = sendings.len();
    let sending = pipeline.send(sendings, |_| ());
    async move {
        let tally = sending.await;
        assert_eq!((tally.all_accepted(), tally.all_refused()), (sent, 0));
        tally
    }
}

/// Sends the first, and the others when it is said.
fn send_in_turns(
    pipeline: &Pipeline,
    early: Vec<Sending>,
    turn: oneshot::Receiver<()>,
    late: Vec<Sending>,
) -> impl Future<Output = Tally> + use<> {
    let waits = !late.is_empty();
    let (early, late) = (send(pipeline, early), send(pipeline, late));
    async move {
        let mut tally = early.await;
        if waits {
            turn.await.expect("who joins is killed in the end");
        }
        tally.absorb(late.await);
        tally
    }
}

/// Those of people whose story begins within this time, and those of the others with this time taken off.
fn by_beginning(sendings: Vec<Sending>, within: Duration) -> (Vec<Sending>, Vec<Sending>) {
    let mut begins = BTreeMap::new();
    for Sending { at, place, .. } in &sendings {
        let first = begins.entry(place.0).or_insert(*at);
        *first = (*first).min(*at);
    }
    let (early, mut late): (Vec<_>, Vec<_>) =
        sendings.into_iter().partition(|sending| begins[&sending.place.0] < within);
    for sending in &mut late {
        sending.at -= within;
    }
    (early, late)
}

/// Sends one story, and returns when both destinations show it: whatever slows a start is over then.
async fn begun(pipeline: &Pipeline, mut opening: Vec<Sending>, first: &Journey) {
    let begins = opening.iter().map(|sending| sending.at).min().unwrap_or_default();
    for sending in &mut opening {
        sending.at -= begins;
    }
    send(pipeline, opening).await;
    let first = std::slice::from_ref(first);
    let shown = pipeline.destinations.settle(first, Duration::ZERO, PATIENCE, &|_| ()).await;
    assert_eq!(shown.map(|finding| finding.lost), [0, 0]);
}
