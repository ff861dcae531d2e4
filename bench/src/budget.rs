//! Where each millisecond of an event's way goes: four legs that follow on each other.
//!
//! Both ends of every leg were seen from outside: the sender and the destination are of this process, and so is a
//! [`follower`](crate::follower) that reads the events beside `deliver`. Between these, the timestamp of an event's record
//! is the moment at which `transform` handed it to its producer, of whole milliseconds by the clock of the same machine.
//! Because each leg begins where the one before it ends, they make up the whole of every single event; medians do so about,
//! the slowest of a hundred do not: hardly an event is slow everywhere.
//!
//! A leg may be a little less than nothing: the 200 is on its way back to the sender while `transform` has the record
//! already, and of two readers of one event either may be the first.

use std::collections::HashMap;
use std::time::Instant;

use end_to_end::destinations::Where;
use end_to_end::journeys::Journey;
use end_to_end::latency::Way;
use service::clock::{Clock, SystemClock};

use crate::follower::Read;
use crate::report::{Place, Row};
use crate::statistics::percentile;

/// Of an event's way, in its order.
const LEGS: [&str; 4] = [
    "webhook sent → answered 200 by `ingest`",
    "→ event handed to its producer by `transform`",
    "→ readable as committed",
    "→ called by `deliver`",
];

/// The two clocks of one machine at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    at: Instant,
    /// Since the epoch, as records have it.
    millis: f64,
}

impl Clocks {
    pub(crate) fn read() -> Self {
        let (at, now) = (Instant::now(), SystemClock::new().now());
        // Microseconds since the epoch are below 2^52.
        #[expect(clippy::cast_precision_loss, reason = "see above")]
        let millis = now.as_microsecond() as f64 / 1e3;
        Self { at, millis }
    }

    /// Milliseconds since the moment of the clocks, negative before it.
    fn of(self, moment: Instant) -> f64 {
        match moment.checked_duration_since(self.at) {
            Some(since) => since.as_secs_f64() * 1e3,
            None => -self.at.duration_since(moment).as_secs_f64() * 1e3,
        }
    }

    /// The same of a record's timestamp, which is cut to milliseconds: its middle is right on average.
    fn of_record(self, written: schemas::Timestamp) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "milliseconds since the epoch are fewer still"
        )]
        let millis = written.millis() as f64;
        millis + 0.5 - self.millis
    }
}

/// How long each leg of one event took, in milliseconds.
pub(crate) type Legs = [f64; 4];

/// The legs of all ways whose event was read, and how many there are of which it was not.
pub(crate) fn join(
    clocks: Clocks,
    ways: &[Way],
    journeys: &[Journey],
    read: &[Read],
) -> (Vec<Legs>, usize) {
    let read: HashMap<(&str, &str), &Read> =
        read.iter().map(|read| ((read.id.as_str(), read.name), read)).collect();
    let legs: Vec<Legs> = ways
        .iter()
        .filter_map(|way| {
            let webhook = journeys.get(way.place.0)?.webhooks.get(way.place.1)?;
            let read = read.get(&(webhook.event_id.as_str(), way.name))?;
            let written = clocks.of_record(read.written);
            let [sent, accepted, readable, arrived] =
                [way.sent, way.accepted, read.readable, way.arrived].map(|at| clocks.of(at));
            Some([accepted - sent, written - accepted, readable - written, arrived - readable])
        })
        .collect();
    let missed = ways.len() - legs.len();
    (legs, missed)
}

/// Under one load, the legs of the events of both destinations, in the order of [`Where::BOTH`].
pub(crate) struct Load {
    pub(crate) name: &'static str,
    pub(crate) legs: [Vec<Legs>; 2],
}

/// The table of one window: a line for each leg, and below them their sum beside the whole as it was measured.
pub(crate) fn rows(table: &str, loads: &[Load]) -> Vec<Row> {
    let mut rows = Vec::new();
    for Load { name, legs } in loads {
        for percent in [50, 99] {
            let column = format!("{name}, {percent} of 100 within");
            let mut put = |line: &str, millis: f64| {
                let place = Place { table: table.to_owned(), column: column.clone() };
                rows.push(Row::placed(place, line, "ms", millis));
            };
            for (line, millis) in lines(legs, percent) {
                put(&line, millis);
            }
        }
    }
    rows
}

fn lines([customerio, intercom]: &[Vec<Legs>; 2], percent: usize) -> Vec<(String, f64)> {
    let of =
        |legs: &mut dyn Iterator<Item = f64>| percentile(&mut legs.collect::<Vec<_>>(), percent);
    let [.., deliver] = LEGS;
    let mut lines = Vec::new();
    let mut shared = 0.0;
    // As far as here an event has one way, whoever is told of it.
    for (place, leg) in LEGS.into_iter().enumerate().take(3) {
        let took = of(&mut customerio.iter().chain(intercom).map(|legs| legs[place]));
        shared += took;
        lines.push((leg.to_owned(), took));
    }
    for (at, legs) in Where::BOTH.into_iter().zip([customerio, intercom]) {
        let (name, took) = (at.name(), of(&mut legs.iter().map(|legs| legs[3])));
        lines.push((format!("{name}: {deliver}"), took));
        lines.push((format!("{name}: sum of these legs"), shared + took));
        let whole = of(&mut legs.iter().map(|legs| legs.iter().sum()));
        lines.push((format!("{name}: webhook sent → called, measured"), whole));
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use end_to_end::journeys::generate;
    use schemas::Timestamp;

    use super::*;

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() < 1e-6
    }

    /// Ways and reads of the first webhook of a story: sent at 0, answered after 3 ms, written 20 ms after the epoch of
    /// the clocks, readable after 30 ms, called after 42 ms.
    fn one() -> (Clocks, Vec<Journey>, Way, Read) {
        let journeys = generate(1, 1_790_000_000_000, 0);
        let at = Instant::now() + Duration::from_secs(1);
        let clocks = Clocks { at, millis: 1_790_000_000_000.5 };
        let after = |millis| at + Duration::from_millis(millis);
        let name = "subscription_started";
        let way = Way { place: (0, 0), name, sent: at, accepted: after(3), arrived: after(42) };
        let read = Read {
            id: journeys[0].webhooks[0].event_id.clone(),
            name,
            written: Timestamp::from_millis(1_790_000_000_020),
            readable: after(30),
        };
        (clocks, journeys, way, read)
    }

    #[test]
    fn each_leg_begins_where_the_one_before_it_ends() {
        let (clocks, journeys, way, read) = one();
        let (legs, missed) = join(clocks, &[way], &journeys, &[read]);
        assert_eq!(missed, 0);
        let took = legs[0];
        for (leg, expected) in took.into_iter().zip([3.0, 17.0, 10.0, 12.0]) {
            assert!(near(leg, expected), "{took:?}");
        }
        assert!(near(took.iter().sum(), 42.0));
    }

    #[test]
    fn what_was_seen_before_the_clocks_were_read_counts_as_well() {
        let (clocks, journeys, way, read) = one();
        let later =
            Clocks { at: clocks.at + Duration::from_millis(500), millis: clocks.millis + 500.0 };
        let (legs, _) = join(later, &[way], &journeys, &[read]);
        assert!(near(legs[0][1], 17.0) && near(legs[0][3], 12.0), "{legs:?}");
    }

    #[test]
    fn an_event_that_was_read_before_the_200_came_takes_time_from_no_leg_and_gives_none() {
        let (clocks, journeys, way, read) = one();
        let early = Read { written: Timestamp::from_millis(1_790_000_000_002), ..read };
        let (legs, _) = join(clocks, &[way], &journeys, &[early]);
        assert!(near(legs[0][1], -1.0) && near(legs[0].iter().sum(), 42.0), "{legs:?}");
    }

    #[test]
    fn an_event_is_known_by_its_webhook_and_its_name() {
        let (clocks, journeys, way, read) = one();
        let of = |read: Read| join(clocks, &[way], &journeys, &[read]).1;
        assert_eq!(of(Read { name: "trial_started", ..read.clone() }), 1);
        assert_eq!(of(Read { id: "another".to_owned(), ..read }), 1);
    }

    #[test]
    fn a_table_has_each_leg_their_sum_and_the_whole_for_each_load() {
        let customerio: Vec<Legs> = vec![[1.0, 2.0, 3.0, 4.0], [1.0, 4.0, 3.0, 4.0]];
        let load = |name| Load { name, legs: [customerio.clone(), vec![[1.0, 2.0, 3.0, 8.0]]] };
        let rows = rows("no window", &[load("idle"), load("half load")]);
        assert_eq!(rows.len(), 2 * 2 * 9);
        let of = |what: &str, percent: usize| {
            let column = format!("idle, {percent} of 100 within");
            let row = rows.iter().find(|row| {
                row.what == what && row.place.as_ref().is_some_and(|place| place.column == column)
            });
            row.unwrap().spread.unwrap().median
        };
        assert!(near(of(LEGS[1], 50), 2.0) && near(of(LEGS[1], 99), 4.0));
        assert!(near(of("intercom: → called by `deliver`", 50), 8.0));
        assert!(near(of("customerio: sum of these legs", 50), 10.0));
        assert!(near(of("customerio: webhook sent → called, measured", 99), 12.0));
        assert!(near(of("intercom: webhook sent → called, measured", 50), 14.0));
    }
}
