//! How long events took, from the moment `ingest` accepted their webhook to the moment a destination had them.

use std::fmt;
use std::time::{Duration, Instant};

use emulators::{Emulator, Vendor};

use crate::destinations::{Destinations, Where};
use crate::journeys::Journey;
use crate::sender::Tally;

/// What the emulators' own clocks showed at one moment of this process.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    at: Instant,
    customerio: Duration,
    intercom: Duration,
}

/// An event that a destination shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Place of the journey of its webhook, then of the webhook in it.
    pub place: (usize, usize),
    pub name: &'static str,
    pub at: Instant,
}

/// When an event was where, as both ends show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Place of the journey of its webhook, then of the webhook in it.
    pub place: (usize, usize),
    pub name: &'static str,
    pub sent: Instant,
    pub accepted: Instant,
    pub arrived: Instant,
}

impl Way {
    /// The ways of the events whose webhooks the tally knows.
    pub fn all(tally: &Tally, arrivals: &[Arrival]) -> Vec<Self> {
        let known = arrivals.iter().filter_map(|&Arrival { place, name, at }| {
            let sent = tally.sent_at.get(&place)?.into_std();
            let accepted = tally.accepted_at.get(&place)?.into_std();
            Some(Self { place, name, sent, accepted, arrived: at })
        });
        known.collect()
    }

    /// From the 200 to the call.
    pub fn took(&self) -> Duration {
        self.arrived.saturating_duration_since(self.accepted)
    }
}

impl Clocks {
    pub fn read(destinations: &Destinations) -> Self {
        Self {
            at: Instant::now(),
            customerio: destinations.customerio.running_for(),
            intercom: destinations.intercom.running_for(),
        }
    }

    /// When one of them got what it shows, as far as people's stories stand there from their beginning. A story in
    /// which something is missing is told up to its end only, as if the last were missing.
    pub fn arrivals(
        self,
        destinations: &Destinations,
        at: Where,
        journeys: &[Journey],
    ) -> Vec<Arrival> {
        let Destinations { customerio, intercom } = destinations;
        match at {
            Where::Customerio => self.of(customerio, self.customerio, journeys),
            Where::Intercom => self.of(intercom, self.intercom, journeys),
        }
    }

    fn of<V: Vendor>(
        self,
        emulator: &Emulator<V>,
        clock: Duration,
        journeys: &[Journey],
    ) -> Vec<Arrival> {
        let requests = emulator.requests();
        let mut all = Vec::new();
        for (number, journey) in journeys.iter().enumerate() {
            let shown = journey.shown();
            let webhooks = journey.webhooks.iter().enumerate();
            let places = webhooks.flat_map(|(index, webhook)| {
                let told = webhook.expects.iter().filter(|name| shown.contains(name));
                told.map(move |name| ((number, index), *name))
            });
            for (event, (place, name)) in emulator.events_of(&journey.who).iter().zip(places) {
                let request = usize::try_from(event.request).ok();
                let Some(request) = request.and_then(|place| requests.get(place)) else { continue };
                let since = Duration::from_millis(request.arrived_millis).saturating_sub(clock);
                all.push(Arrival { place, name, at: self.at + since });
            }
        }
        all
    }
}

/// How long some things took, the shortest first.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// Of the events whose webhooks the tally knows.
    pub fn between(tally: &Tally, arrivals: &[Arrival]) -> Self {
        Way::all(tally, arrivals).iter().map(Way::took).collect()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// What so many of a hundred did not exceed.
    pub fn percentile(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(place).copied().unwrap_or_default()
    }
}

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(all: I) -> Self {
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort();
        Self(all)
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, high, highest] = [50, 99, 100].map(|percent| self.percentile(percent));
        write!(formatter, "{median:.2?} / {high:.2?} / {highest:.2?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_what_so_many_did_not_exceed() {
        let latencies: Latencies = (1..=10).rev().map(Duration::from_secs).collect();
        let seconds = [0, 50, 51, 99, 100].map(|percent| latencies.percentile(percent).as_secs());
        assert_eq!(seconds, [1, 5, 6, 10, 10]);
        assert_eq!(Latencies::default().percentile(50), Duration::ZERO);
    }
}
