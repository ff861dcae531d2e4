//! The lane of sudden faults: processes, the broker, connections, clocks, destinations. One after the other.

use std::time::{Duration, Instant};

use emulators::{Credentials, Effect, Outage};
use serde_json::json;
use tokio::runtime::Handle;

use super::diary::Diary;
use super::programme::{Ending, Fault, Step, Trouble};
use super::relay::Relay;
use super::{ChaosError, Refused};
use crate::broker::{Broker, Tool};
use crate::destinations::{Destinations, Where};
use crate::journeys::Journey;
use crate::keyring::Keyring;
use crate::processes::{Binary, Process};
use crate::proxy::{self, Api, Extent, Proxy};
use crate::schedule::Sending;

/// Longer than a binary's own time to drain.
const STOPS_WITHIN: Duration = Duration::from_secs(40);

/// Longer than the session time-out.
const MISSED_WITHIN: Duration = Duration::from_mins(1);

/// Beyond which a call is given up, and before which what is late must have landed: `timeout`, and `quarantine` more.
const LATE: Duration = Duration::from_millis(2_500);
const SLOW: Duration = Duration::from_millis(1_200);

/// One in so many calls is struck where not all are.
const SHARE: f64 = 0.1;

/// What it disturbs.
#[derive(Debug)]
pub(super) struct Sudden<'a> {
    pub(super) diary: &'a Diary<'a>,
    pub(super) brokers: &'a mut [Broker],
    /// How often one of them was ended: they take turns.
    pub(super) ended: usize,
    pub(super) proxies: &'a [Proxy],
    pub(super) processes: [&'a mut Process; 3],
    pub(super) destinations: &'a Destinations,
    pub(super) runtime: Handle,
    pub(super) keyring: &'a Keyring,
    pub(super) journeys: &'a [Journey],
    pub(super) sendings: &'a [Sending],
    pub(super) seed: u64,
    /// Told of restarts.
    pub(super) relay: Option<&'a Relay>,
    /// Groups whose offsets go ahead of what they have done while they are away, where that bug is planted.
    pub(super) early: Option<Vec<String>>,
    /// Whom a destination has refused.
    pub(super) refused: Vec<Refused>,
}

impl Sudden<'_> {
    /// Carries out all of it, and gives back whom destinations have refused. What takes longer than was thought
    /// (a start of the broker) moves what follows; what would then end after `until` is left out.
    ///
    /// # Errors
    /// When something cannot be started again: then there is nothing left to judge.
    pub(super) fn run(
        mut self,
        steps: &[Step],
        until: Duration,
    ) -> Result<Vec<Refused>, ChaosError> {
        for step in steps {
            self.diary.sleep_until(step.at);
            if self.diary.elapsed() + step.lasts > until {
                break;
            }
            self.look_after_processes()?;
            self.diary.begins(step.fault);
            let ended = self.happen(step)?;
            self.diary.ended(step.fault, ended);
        }
        self.diary.sleep_until(until);
        self.look_after_processes()?;
        Ok(self.refused)
    }

    /// Nothing that goes wrong may end a binary by itself.
    fn look_after_processes(&mut self) -> Result<(), ChaosError> {
        for process in &mut self.processes {
            if let Some(status) = process.ended()? {
                let name = process.binary().name();
                self.diary.wrong(format!("{name} ended by itself: {status}"));
                process.start_again()?;
            }
        }
        Ok(())
    }

    fn happen(&mut self, step: &Step) -> Result<Instant, ChaosError> {
        match step.fault {
            Fault::Kill(binary) => {
                let process = self.process(binary);
                process.kill()?;
                std::thread::sleep(step.lasts);
                if binary == Binary::Deliver {
                    self.plant()?;
                }
                let ended = Instant::now();
                self.process(binary).start_again()?;
                Ok(ended)
            }
            Fault::Broker(ending) => {
                let place = self.ended % self.brokers.len();
                self.ended += 1;
                let Some(broker) = self.brokers.get_mut(place) else { return Ok(Instant::now()) };
                match ending {
                    Ending::InGoodOrder => broker.stop()?,
                    Ending::Killed => broker.kill()?,
                }
                std::thread::sleep(step.lasts);
                let ended = Instant::now();
                broker.start_again()?;
                Ok(ended)
            }
            Fault::Cut(binary) => Ok(self.disturb(binary, proxy::Effect::CutAll, step.lasts)),
            Fault::Delay(binary, by) => {
                Ok(self.disturb(binary, proxy::Effect::DelayAnswer(by), step.lasts))
            }
            Fault::Skew(seconds) => {
                self.keyring.set_clock(seconds);
                std::thread::sleep(step.lasts);
                self.keyring.set_clock(0);
                Ok(Instant::now())
            }
            Fault::At(at, trouble) => {
                self.begin(at, trouble, step);
                std::thread::sleep(step.lasts);
                if trouble == Trouble::IsClosed {
                    self.runtime.block_on(self.open_port(at));
                }
                let ended = Instant::now();
                self.destinations.clear_faults(at);
                Ok(ended)
            }
            // Of the other lane.
            Fault::Join(..) | Fault::FillDisk | Fault::Rotate => Ok(Instant::now()),
        }
    }

    /// What a bug does between an end of `deliver` and its next start.
    fn plant(&self) -> Result<(), ChaosError> {
        if let Some(relay) = self.relay {
            relay.restarted();
        }
        if let Some(broker) = self.brokers.first() {
            for group in self.early.iter().flatten() {
                skip_to_the_end(broker, group)?;
            }
        }
        Ok(())
    }

    fn process(&mut self, binary: Binary) -> &mut Process {
        let [ingest, transform, deliver] = &mut self.processes;
        match binary {
            Binary::Ingest => ingest,
            Binary::Transform => transform,
            Binary::Deliver => deliver,
        }
    }

    fn disturb(&self, binary: Binary, effect: proxy::Effect, lasts: Duration) -> Instant {
        let extent = Extent::For(lasts);
        let fault = |api| proxy::Fault { api, effect, after: 0, extent };
        for proxy in self.proxies {
            proxy.disturb(binary.name(), Api::ALL.map(fault).to_vec());
        }
        std::thread::sleep(lasts);
        // A call that was not made meanwhile must not be struck later.
        for proxy in self.proxies {
            proxy.disturb(binary.name(), Vec::new());
        }
        Instant::now()
    }

    fn begin(&mut self, at: Where, trouble: Trouble, step: &Step) {
        let destinations = self.destinations;
        let some = |effect| emulators::Fault::always(effect).chance(SHARE, self.seed);
        let fault = match trouble {
            Trouble::IsDown => {
                return destinations.switch(at, Outage::Unavailable, Credentials::Accepted);
            }
            Trouble::Resets => {
                return destinations.switch(at, Outage::Reset, Credentials::Accepted);
            }
            Trouble::RefusesCredentials => {
                return destinations.switch(at, Outage::Off, Credentials::Refused);
            }
            Trouble::IsClosed => return self.runtime.block_on(self.close_port(at)),
            Trouble::RefusesSomebody => {
                let Some(journey) = somebody(self.sendings, step) else { return };
                let Journey { who, subscriber, .. } = &self.journeys[journey];
                self.refused.push(Refused { at, subscriber: subscriber.clone() });
                let refuses = emulators::Fault::always(Effect::respond(400)).person(who);
                // At Intercom a contact is not refused for what an event says.
                if at == Where::Intercom { refuses.path("/events") } else { refuses }
            }
            Trouble::SaysWait => {
                emulators::Fault::always(Effect::Throttle).window(Duration::ZERO, step.lasts)
            }
            Trouble::SomeFail => some(Effect::respond(500)),
            Trouble::HangsBefore => some(Effect::HangBeforeApplying),
            Trouble::HangsAfter => some(Effect::HangAfterApplying),
            Trouble::CutsBefore => some(Effect::ResetBeforeApplying),
            Trouble::CutsAfter => some(Effect::ResetAfterApplying),
            Trouble::IsSlow => some(Effect::DelayReply { millis: millis(SLOW) }),
            Trouble::IsLate => some(Effect::DelayApplying { millis: millis(LATE) }),
            Trouble::AnswersNonsense => some(Effect::Respond {
                status: 502,
                body: Some(json!("<html><h1>Bad Gateway</h1></html>")),
                retry_after_seconds: None,
            }),
        };
        destinations.inject(at, fault);
    }

    async fn close_port(&self, at: Where) {
        match at {
            Where::Customerio => self.destinations.customerio.close_port().await,
            Where::Intercom => self.destinations.intercom.close_port().await,
        }
    }

    async fn open_port(&self, at: Where) {
        match at {
            Where::Customerio => self.destinations.customerio.open_port().await,
            Where::Intercom => self.destinations.intercom.open_port().await,
        }
    }
}

/// SIGTERM, which a binary must follow with exit code 0 whatever else goes wrong.
pub(super) fn end_in_good_order(process: &mut Process, diary: &Diary) -> Result<(), ChaosError> {
    let name = process.binary().name();
    match process.terminate(STOPS_WITHIN) {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            diary.wrong(format!("{name} ended with {status} after SIGTERM"));
            Ok(())
        }
        Err(error) => {
            diary.wrong(error.to_string());
            Ok(process.kill()?)
        }
    }
}

/// Marks everything as done, as soon as the group misses its member.
fn skip_to_the_end(broker: &Broker, group: &str) -> Result<(), ChaosError> {
    let deadline = Instant::now() + MISSED_WITHIN;
    let reset = ["--group", group, "--reset-offsets", "--to-latest", "--all-topics", "--execute"];
    loop {
        match broker.tool(Tool::ConsumerGroups, &reset) {
            // It succeeds, and says so, also while it may not.
            Ok(said) if !said.contains("Error") => return Ok(()),
            Ok(_) | Err(_) if Instant::now() < deadline => {}
            Ok(said) => return Err(ChaosError::Planting { said }),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The journey of which most is sent during a step.
fn somebody(sendings: &[Sending], step: &Step) -> Option<usize> {
    let mut counts = std::collections::BTreeMap::new();
    let during = sendings.iter().filter(|sending| (step.at..step.ends()).contains(&sending.at));
    for sending in during.filter(|sending| !sending.webhook.expects.is_empty()) {
        *counts.entry(sending.place.0).or_insert(0) += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(journey, _)| journey)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
