//! What the runs with a destination in trouble came to.

use super::{CEILING, DELAY, LATENCY, Outcome, TIMEOUT, Times};
use crate::ground::Ground;
use crate::report::{Counters, Goal, Report, Row};
use crate::sample::Flaws;
use crate::statistics::{Spread, count, percentile};

/// How much longer an event may take to the destination that is well while the other is in trouble.
const UNMOVED: f64 = 1.2;

const OURS: &str = "tributary deliver";
const THEIRS: &str = "Spring Kafka";

/// Of ours there is a run before the trouble, one in it, and one after it.
pub(super) fn of(ground: &Ground, times: Times, ours: &[Outcome; 3], peer: &Outcome) -> Report {
    Report {
        stage: ground.stage.to_owned(),
        title: "faults: order and once, when a destination fails".to_owned(),
        circumstances: ground.circumstances(),
        method: method(times),
        rows: rows(ours, peer),
        counters: counters(ours, peer),
        charts: Vec::new(),
    }
}

fn method(times: Times) -> Vec<String> {
    let Times { trouble, outage, horizon, never_taken, .. } = times;
    vec![
        format!(
            "100 events a second of 100 subscribers for {} s, to a destination that answers after {} ms and is in trouble: one \
             in 100 events is answered 500 when it comes first, one in 200 has its effect when it comes first and is never \
             answered, everything is answered 503 for {} s, and {never_taken} events are of a subscriber who is always answered 500.",
            trouble.as_secs(),
            LATENCY.as_millis(),
            outage.as_secs()
        ),
        "The destination knows messages again by `webhook-id`: one that comes again has no second effect. Out of order is an \
         event whose effect comes after that of a later one of the same subscriber; one in the dead letters has none. *In \
         vain* is given up what is of nobody but that one subscriber."
            .to_owned(),
        format!(
            "Both sides: two retries on the spot after 100 ms and 500 ms, then one every {} s from a retry topic, calls of at \
             most {} s. Ours gives an event up {} s after its first failure, in which the outage does not count, and holds back \
             what is later of the same subscriber until then; at most {CEILING} calls a second to each destination.",
            DELAY.as_secs(),
            TIMEOUT.as_secs(),
            horizon.as_secs()
        ),
        format!(
            "Peer: Spring for Apache Kafka 3.3 with `@RetryableTopic` (`bench/peers/spring-retry`): a thread for each of six \
             partitions, retries on the spot before the retry topic, one retry topic with a fixed delay, {} attempts, which \
             outlast the outage, 512 MB of heap.",
            times.attempts()
        ),
        format!(
            "Ours has a second destination, which is well, in the same process: how long events take to it is compared with \
             runs of {} s before and after, in which the first is well, too.",
            times.calm.as_secs()
        ),
    ]
}

fn rows(ours: &[Outcome; 3], peer: &Outcome) -> Vec<Row> {
    let [before, trouble, after] = ours;
    let one = |value: usize| Spread::of(&[count(value)]);
    let mut rows = Vec::new();
    for (outcome, whose, goal) in
        [(trouble, "", Goal::AtMost(0.0)), (peer, "the peer's ", Goal::None)]
    {
        let Flaws { lost, doubled, disordered, misjudged } = outcome.sample.flaws;
        let figures = [
            ("events out of order", disordered),
            ("doubled effects", doubled),
            ("lost events", lost),
            ("events given up in vain", misjudged),
            ("calls behind one for a later event", outcome.behind),
        ];
        rows.extend(
            figures
                .map(|(what, number)| Row::new(&format!("{whose}{what}"), "", goal, one(number))),
        );
    }
    let of = |outcome: &Outcome, percent| percentile(&mut outcome.well.clone(), percent);
    let calm = [of(before, 99), of(after, 99)];
    let moved = calm.map(|calm| of(trouble, 99) / calm);
    let all = |percent| Spread::of(&[of(before, percent), of(after, percent)]);
    let within = |percent| format!("the destination that is well: {percent} of 100 within");
    rows.extend([
        Row::new(
            "99 of 100 within, beside a destination in trouble, by without",
            "×",
            Goal::AtMost(UNMOVED),
            Spread::of(&moved),
        ),
        Row::new(&within(99), "ms", Goal::None, Spread::of(&[of(trouble, 99)])),
        Row::new(&format!("{}, without trouble", within(99)), "ms", Goal::None, all(99)),
        Row::new(&within(50), "ms", Goal::None, Spread::of(&[of(trouble, 50)])),
        Row::new(&format!("{}, without trouble", within(50)), "ms", Goal::None, all(50)),
    ]);
    for (outcome, whose) in [(trouble, ""), (peer, "the peer's ")] {
        let settled = Spread::of(&[outcome.settled.as_secs_f64()]);
        let text = format!("{whose}time from the last event until all is over");
        rows.push(Row::new(&text, "s", Goal::None, settled));
        let text = format!("{whose}messages that came again after their effect");
        rows.push(Row::new(&text, "", Goal::None, one(outcome.repeated)));
    }
    rows
}

fn counters(ours: &[Outcome; 3], peer: &Outcome) -> Vec<Counters> {
    let counted = |side: &str, flaws: Flaws| {
        let Flaws { lost, doubled, disordered, misjudged } = flaws;
        Counters { side: side.to_owned(), lost, doubled, disordered, misjudged }
    };
    let flaws = ours.iter().map(|outcome| outcome.sample.flaws);
    let all = flaws.fold(Flaws::default(), Flaws::and);
    vec![counted(OURS, all), counted(THEIRS, peer.sample.flaws)]
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::ledger::{Call, Ledger, Told};
    use super::*;
    use crate::report::Verdict;
    use crate::sample::Sample;

    /// The outcome of these events of one subscriber, which take effect in this order.
    fn outcome(order: &[i64]) -> Outcome {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        let told: Vec<Told> = (1..=order.len())
            .map(|sequence| Told { event_id: sequence.to_string(), key: "s/1".to_owned(), at: now })
            .collect();
        for sequence in order {
            let id = sequence.to_string();
            let call = Call { message_id: &id, event_id: &id, key: "s/1", sequence: *sequence };
            ledger.come(call, now + Duration::from_millis(5));
            ledger.take(call);
        }
        let (took, cpu) = (Duration::from_secs(1), Duration::ZERO);
        let flaws = ledger.judge(&told, &[], "");
        Outcome {
            sample: Sample { events: told.len(), took, cpu, peak: 0.0, flaws },
            repeated: ledger.repeated,
            behind: ledger.behind,
            settled: Duration::ZERO,
            well: ledger.latencies(&told),
        }
    }

    fn report(ours: &[i64], peer: &[i64]) -> Report {
        let ours = [outcome(&[1]), outcome(ours), outcome(&[1])];
        let peer = outcome(peer);
        Report {
            stage: "faults".to_owned(),
            title: String::new(),
            circumstances: String::new(),
            method: method(super::super::FULL),
            rows: rows(&ours, &peer),
            counters: counters(&ours, &peer),
            charts: Vec::new(),
        }
    }

    fn missed(report: &Report) -> Vec<&str> {
        let missed = report.rows.iter().filter(|row| row.verdict() == Verdict::Missed);
        missed.map(|row| row.what.as_str()).collect()
    }

    #[test]
    fn order_is_held_against_us_and_shown_of_the_peer() {
        let good = report(&[1, 2, 3], &[2, 1, 3]);
        assert!(good.is_correct() && missed(&good).is_empty());
        assert_eq!(good.counters[1].disordered, 1);
        let bad = report(&[2, 1, 3], &[1, 2, 3]);
        assert!(!bad.is_correct());
        assert_eq!(missed(&bad), ["events out of order", "calls behind one for a later event"]);
    }

    #[test]
    fn a_destination_that_is_well_and_waits_longer_for_the_other_is_a_goal_missed() {
        let mut ours = [outcome(&[1]), outcome(&[1]), outcome(&[1])];
        let ratio = |ours: &[Outcome; 3]| rows(ours, &outcome(&[1]))[10].verdict();
        assert_eq!(ratio(&ours), Verdict::Met);
        ours[1].well = vec![7.0];
        assert_eq!(ratio(&ours), Verdict::Missed);
    }
}
