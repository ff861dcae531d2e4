//! The emulators of Customer.io and Intercom as the two destinations of a run: what goes wrong at one, and what both
//! show.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use emulators::{
    Credentials, CustomerIo, CustomerIoSettings, Fault, Intercom, IntercomSettings, Outage, Person,
    Standing, Violation,
};

use crate::journeys::Journey;
use crate::judge::{Finding, Parked, Seen, judge};

const POLL: Duration = Duration::from_millis(200);

/// Calls in ten seconds that the Intercom emulator takes: so many that the run is as fast as the machine. What
/// happens at the vendor's real limit is a test of its own.
const INTERCOM_CALLS: u64 = 8_000;

/// One of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Where {
    Customerio,
    Intercom,
}

impl Where {
    pub const BOTH: [Self; 2] = [Self::Customerio, Self::Intercom];

    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Customerio => Self::Intercom,
            Self::Intercom => Self::Customerio,
        }
    }

    /// As it is called in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Customerio => "customerio",
            Self::Intercom => "intercom",
        }
    }
}

/// Both emulators.
#[derive(Debug, Clone)]
pub struct Destinations {
    pub customerio: CustomerIo,
    pub intercom: Intercom,
}

impl Destinations {
    /// Both emulators on free ports of this machine.
    ///
    /// # Errors
    /// When there is no free port.
    pub async fn start() -> std::io::Result<Self> {
        let local = || -> std::io::Result<SocketAddr> {
            Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, crate::ports::free()?)))
        };
        let intercom = IntercomSettings {
            requests_per_ten_seconds: INTERCOM_CALLS,
            ..IntercomSettings::default()
        };
        Ok(Self {
            customerio: CustomerIo::start(local()?, CustomerIoSettings::default()).await?,
            intercom: Intercom::start(local()?, intercom).await?,
        })
    }

    /// Adds a fault at one of them.
    pub fn inject(&self, at: Where, fault: Fault) {
        match at {
            Where::Customerio => self.customerio.inject(fault),
            Where::Intercom => self.intercom.inject(fault),
        }
    }

    /// Whether one of them is there at all, and knows us.
    pub fn switch(&self, at: Where, outage: Outage, credentials: Credentials) {
        match at {
            Where::Customerio => {
                self.customerio.set_outage(outage);
                self.customerio.set_credentials(credentials);
            }
            Where::Intercom => {
                self.intercom.set_outage(outage);
                self.intercom.set_credentials(credentials);
            }
        }
    }

    /// One of them is well again.
    pub fn clear_faults(&self, at: Where) {
        match at {
            Where::Customerio => self.customerio.clear_faults(),
            Where::Intercom => self.intercom.clear_faults(),
        }
    }

    /// What one of them shows.
    pub fn seen(&self, at: Where) -> Seen {
        match at {
            Where::Customerio => seen(&self.customerio.people()),
            Where::Intercom => seen(&self.intercom.people()),
        }
    }

    /// What both show now, compared with what the journeys must lead to.
    pub fn findings(&self, journeys: &[Journey]) -> [Finding; 2] {
        Where::BOTH.map(|at| self.finding(at, journeys, &Parked::new()))
    }

    /// What one shows now, compared with what the journeys must lead to, except for what is parked.
    pub fn finding(&self, at: Where, journeys: &[Journey], parked: &Parked) -> Finding {
        judge(at.name(), journeys, &self.seen(at), parked, self.violations(at).len())
    }

    /// What was wrong with the requests to one of them.
    pub fn violations(&self, at: Where) -> Vec<Violation> {
        match at {
            Where::Customerio => self.customerio.violations(),
            Where::Intercom => self.intercom.violations(),
        }
    }

    /// Waits until nothing is missing any more and nothing has come for `quiet`, or until nothing has come for
    /// `patience` although something is missing. `progress` hears how many events each shows.
    pub async fn settle(
        &self,
        journeys: &[Journey],
        quiet: Duration,
        patience: Duration,
        progress: &(dyn Fn([usize; 2]) + Sync),
    ) -> [Finding; 2] {
        let mut last = 0;
        let mut since = Instant::now();
        loop {
            let requests = self.requests();
            if requests != last {
                last = requests;
                since = Instant::now();
            }
            let looked = Instant::now();
            let findings = self.findings(journeys);
            progress([findings[0].shown, findings[1].shown]);
            let complete = !findings.iter().any(Finding::is_incomplete);
            let still_for = since.elapsed();
            if still_for >= patience || (complete && still_for >= quiet) {
                return findings;
            }
            // Where much is shown, looking must not be what they are busy with.
            tokio::time::sleep(POLL.max(looked.elapsed() * 4)).await;
        }
    }

    /// How many requests both have had.
    pub fn requests(&self) -> usize {
        self.customerio.request_count() + self.intercom.request_count()
    }
}

/// Each person's event names, under what identifies the person. An alias shows nothing of its own.
fn seen(people: &[Person]) -> Seen {
    people
        .iter()
        .filter(|person| person.standing != Standing::Merged)
        .map(|person| {
            let who = person.id.as_ref().or(person.email.as_ref()).unwrap_or(&person.vendor_id);
            let events = person.events.iter().map(|event| event.name.clone()).collect();
            (who.clone(), events)
        })
        .collect()
}
