//! Every kind of fault at a destination, while `deliver` runs, is killed, or shares its work with an instance that
//! comes and goes: nothing is lost, nothing takes effect twice, nobody's order changes, and the other destination
//! never notices.
//!
//! A run takes every fault once, each in one manner; `TRIBUTARY_TEST_SEED` from 0 to 5 chooses others, and
//! `TRIBUTARY_LONG_TESTS` takes all, with outages as long as real ones.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use emulators::{Credentials, Effect, Fault, Outage};
use end_to_end::broker::Broker;
use end_to_end::journeys::{self, Journey};
use end_to_end::judge::Finding;
use end_to_end::pipeline::{Pipeline, Plan};
use end_to_end::schedule::{self, Shape};
use end_to_end::sender::{self, Manners};
use service::clock::{Clock, SystemClock};

/// Cells that run side by side: most of their time is waiting.
const SIDE_BY_SIDE: usize = 3;
const KILLS: usize = 3;
const WEBHOOKS: usize = 120;
const SPREAD_OVER: Duration = Duration::from_secs(8);
const QUIET: Duration = Duration::from_secs(3);
/// A breaker asks every fifteen seconds at least; a member that was killed is missed after as long.
const PATIENCE: Duration = Duration::from_mins(2);
const READY_WITHIN: Duration = Duration::from_mins(1);
const ENDS_WITHIN: Duration = Duration::from_secs(30);

/// What is wrong with a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    OnePercentFails,
    OnePersonFails,
    OnePersonIsRefused,
    IsDown,
    SaysWait,
    TimesOutAfterTheEffect,
    Resets,
    IsSlow,
    RefusesCredentials,
}

const TROUBLES: [Trouble; 9] = [
    Trouble::OnePercentFails,
    Trouble::OnePersonFails,
    Trouble::OnePersonIsRefused,
    Trouble::IsDown,
    Trouble::SaysWait,
    Trouble::TimesOutAfterTheEffect,
    Trouble::Resets,
    Trouble::IsSlow,
    Trouble::RefusesCredentials,
];

/// What happens to `deliver` meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Steady,
    Killed,
    Joined,
}

const MANNERS: [Manner; 3] = [Manner::Steady, Manner::Killed, Manner::Joined];

/// The destination that is in trouble; the other must not notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Customerio,
    Intercom,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    number: usize,
    trouble: Trouble,
    manner: Manner,
    at: Where,
    is_long: bool,
}

fn cells(seed: u64, is_long: bool) -> Vec<Cell> {
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
    cells
}

#[test]
fn no_trouble_at_a_destination_loses_repeats_or_reorders_anything() {
    let seed = match std::env::var("TRIBUTARY_TEST_SEED") {
        Ok(told) => told.parse().expect("TRIBUTARY_TEST_SEED is a number"),
        Err(_) => 1,
    };
    let broker = Broker::shared().expect("a broker to test against");
    let all = cells(seed, std::env::var_os("TRIBUTARY_LONG_TESTS").is_some());
    let cells = Arc::new(Mutex::new(all.into_iter()));
    let next = || cells.lock().unwrap_or_else(PoisonError::into_inner).next();
    std::thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                while let Some(cell) = next() {
                    println!("{}", runtime.block_on(cell.withstand(broker, seed)));
                }
            });
        }
    });
}

impl Cell {
    /// Runs it; says in one line what was seen.
    async fn withstand(self, broker: &Broker, seed: u64) -> String {
        let seed = seed.wrapping_add(u64::try_from(self.number).unwrap());
        let pipeline = self.pipeline(broker).await;
        let journeys = journeys::generate(seed, SystemClock::new().now_millis(), WEBHOOKS);
        let unlucky = journeys.iter().max_by_key(|journey| journey.shown().len()).unwrap();
        self.begin(&pipeline, &unlucky.who, seed);
        let shape = Shape {
            seed,
            duplicates_percent: 10,
            shuffle_within: Duration::from_millis(300),
            spread_over: SPREAD_OVER,
            step: Duration::from_millis(100),
        };
        let sendings = schedule::schedule(&journeys, shape);
        let sent = sendings.len();
        let manners = Manners::to(pipeline.configuration.listeners.webhooks);
        let sending = tokio::spawn(sender::send(sendings, manners, |_| ()));
        let mut pipeline = self.disturb(pipeline).await;
        let tally = sending.await.unwrap();
        assert_eq!((tally.all_accepted(), tally.all_refused()), (sent, 0), "{self:?}");
        self.end(&pipeline).await;
        self.judge(&mut pipeline, &journeys, unlucky).await
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

    fn inject(self, pipeline: &Pipeline, fault: Fault) {
        match self.at {
            Where::Customerio => pipeline.destinations.customerio.inject(fault),
            Where::Intercom => pipeline.destinations.intercom.inject(fault),
        }
    }

    fn switch(self, pipeline: &Pipeline, outage: Outage, credentials: Credentials) {
        match self.at {
            Where::Customerio => {
                pipeline.destinations.customerio.set_outage(outage);
                pipeline.destinations.customerio.set_credentials(credentials);
            }
            Where::Intercom => {
                pipeline.destinations.intercom.set_outage(outage);
                pipeline.destinations.intercom.set_credentials(credentials);
            }
        }
    }

    fn begin(self, pipeline: &Pipeline, unlucky: &str, seed: u64) {
        let fault = match self.trouble {
            Trouble::OnePercentFails => Fault::always(Effect::respond(500)).chance(0.01, seed),
            Trouble::OnePersonFails => Fault::always(Effect::respond(500)).person(unlucky),
            Trouble::OnePersonIsRefused => {
                let refused = Fault::always(Effect::respond(400)).person(unlucky);
                if self.at == Where::Intercom { refused.path("/events") } else { refused }
            }
            Trouble::IsDown => {
                return self.switch(pipeline, Outage::Unavailable, Credentials::Accepted);
            }
            Trouble::SaysWait => {
                for after in [1, 5] {
                    let (after, length) = (Duration::from_secs(after), Duration::from_secs(2));
                    self.inject(pipeline, Fault::always(Effect::Throttle).window(after, length));
                }
                return;
            }
            Trouble::TimesOutAfterTheEffect => {
                Fault::always(Effect::HangAfterApplying).chance(0.1, seed).times(6)
            }
            Trouble::Resets => {
                self.inject(
                    pipeline,
                    Fault::always(Effect::ResetBeforeApplying).chance(0.05, seed).times(10),
                );
                Fault::always(Effect::ResetAfterApplying).chance(0.05, seed + 1).times(10)
            }
            Trouble::IsSlow => {
                Fault::always(Effect::DelayReply { millis: 1_200 }).chance(0.3, seed).times(60)
            }
            Trouble::RefusesCredentials => {
                return self.switch(pipeline, Outage::Off, Credentials::Refused);
            }
        };
        self.inject(pipeline, fault);
    }

    /// What happens to `deliver` while webhooks are on their way.
    async fn disturb(self, mut pipeline: Pipeline) -> Pipeline {
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
            Trouble::OnePercentFails
            | Trouble::OnePersonFails
            | Trouble::OnePersonIsRefused
            | Trouble::SaysWait
            | Trouble::TimesOutAfterTheEffect
            | Trouble::Resets
            | Trouble::IsSlow => return,
        };
        tokio::time::sleep(if self.is_long { real } else { short }).await;
        self.switch(pipeline, Outage::Off, Credentials::Accepted);
    }

    async fn judge(
        self,
        pipeline: &mut Pipeline,
        journeys: &[Journey],
        unlucky: &Journey,
    ) -> String {
        let of_one = unlucky.shown().len();
        let logs = pipeline.setting.folder.display().to_string();
        if matches!(self.trouble, Trouble::OnePersonFails | Trouble::OnePersonIsRefused) {
            let others: Vec<_> =
                journeys.iter().filter(|journey| journey.who != unlucky.who).cloned().collect();
            let settled = self.settled(pipeline, &others).await;
            let own = pipeline.destinations.findings(std::slice::from_ref(unlucky));
            let [in_trouble, other] = self.sorted(settled);
            let [own, _] = self.sorted(own);
            assert_eq!((in_trouble.lost, own.lost), (0, of_one), "{self:?}: {in_trouble}; {logs}");
            assert_eq!((own.doubled, other.lost), (0, 0), "{self:?}: {other}; {logs}");
        }
        if self.trouble == Trouble::OnePersonFails {
            match self.at {
                Where::Customerio => pipeline.destinations.customerio.clear_faults(),
                Where::Intercom => pipeline.destinations.intercom.clear_faults(),
            }
        }
        let parked = if self.trouble == Trouble::OnePersonIsRefused { of_one } else { 0 };
        let settled = if parked == 0 {
            self.settled(pipeline, journeys).await
        } else {
            pipeline.destinations.findings(journeys)
        };
        let [in_trouble, other] = self.sorted(settled);
        assert!(other.is_flawless(), "{self:?}: the other destination: {other}; {logs}");
        let Finding { lost, doubled, out_of_order, strangers, violations, .. } = in_trouble;
        let found = (lost, doubled, out_of_order, strangers, violations);
        assert_eq!(found, (parked, 0, 0, 0, 0), "{self:?}: {in_trouble}; {logs}");
        format!("{:?} at {:?}, {:?}: {in_trouble}", self.trouble, self.at, self.manner)
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
