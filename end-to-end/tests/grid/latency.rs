//! How long events took, from the moment `ingest` accepted their webhook to the moment a destination had them.

use std::fmt;
use std::time::{Duration, Instant};

use emulators::{Emulator, Vendor};
use end_to_end::journeys::Journey;
use end_to_end::pipeline::Destinations;
use end_to_end::sender::Tally;

/// What the emulators' own clocks showed at one moment of this process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    at: Instant,
    customerio: Duration,
    intercom: Duration,
}

impl Clocks {
    pub(crate) fn read(destinations: &Destinations) -> Self {
        Self {
            at: Instant::now(),
            customerio: destinations.customerio.running_for(),
            intercom: destinations.intercom.running_for(),
        }
    }

    /// Of the events at Customer.io and at Intercom whose webhooks the tally knows.
    pub(crate) fn latencies(
        self,
        destinations: &Destinations,
        journeys: &[Journey],
        tally: &Tally,
    ) -> [Latencies; 2] {
        let Destinations { customerio, intercom } = destinations;
        [
            Latencies::of(customerio, (self.at, self.customerio), journeys, tally),
            Latencies::of(intercom, (self.at, self.intercom), journeys, tally),
        ]
    }
}

/// How long each event took, the shortest first.
#[derive(Debug, Clone)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    fn of<V: Vendor>(
        emulator: &Emulator<V>,
        (at, clock): (Instant, Duration),
        journeys: &[Journey],
        tally: &Tally,
    ) -> Self {
        let requests = emulator.requests();
        let mut all = Vec::new();
        for (number, journey) in journeys.iter().enumerate() {
            let shown = journey.shown();
            let webhooks = journey.webhooks.iter().enumerate();
            let accepted = webhooks.flat_map(|(index, webhook)| {
                let accepted = tally.accepted_at.get(&(number, index));
                let told = webhook.expects.iter().filter(|name| shown.contains(name));
                told.map(move |_| accepted)
            });
            let events = emulator.events_of(&journey.who);
            for (event, accepted) in events.iter().zip(accepted) {
                let Some(accepted) = accepted else { continue };
                let request = &requests[usize::try_from(event.request).unwrap()];
                let arrived = Duration::from_millis(request.arrived_millis);
                all.push(arrived.saturating_sub(clock + accepted.into_std().duration_since(at)));
            }
        }
        all.sort();
        Self(all)
    }

    /// What so many of a hundred did not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100).saturating_sub(1);
        self.0.get(place).copied().unwrap_or_default()
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, high, highest] = [50, 99, 100].map(|percent| self.percentile(percent));
        write!(formatter, "{median:.2?} / {high:.2?} / {highest:.2?}")
    }
}
