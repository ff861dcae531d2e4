//! Requests made of a destination, by what was answered.

use std::time::Duration;

use service::metrics::{CounterFamily, HistogramSeries};

use super::Metrics;
use crate::destinations::{Answer, Transport};

/// The statuses that are told apart: those that the destinations document, and those of what stands before them.
const STATUSES: [&str; 26] = [
    "200", "201", "202", "204", "207", "301", "302", "307", "308", "400", "401", "402", "403",
    "404", "405", "408", "409", "410", "413", "415", "422", "429", "500", "502", "503", "504",
];
/// Any other status.
const OTHER: &str = "other";

/// Everything that is told apart.
pub(super) fn codes() -> Vec<&'static str> {
    let failures = [Transport::Unreachable, Transport::TimedOut, Transport::Lost];
    STATUSES.into_iter().chain([OTHER]).chain(failures.map(word)).collect()
}

fn word(failure: Transport) -> &'static str {
    match failure {
        Transport::Unreachable => "unreachable",
        Transport::TimedOut => "timed_out",
        Transport::Lost => "lost",
    }
}

fn code(answer: &Answer) -> &'static str {
    match answer {
        Answer::Replied(reply) => {
            let status = reply.status.to_string();
            STATUSES.into_iter().find(|known| *known == status).unwrap_or(OTHER)
        }
        Answer::Failed(failure) => word(*failure),
    }
}

/// Counts the answers of one destination.
#[derive(Clone, Debug)]
pub struct Answers {
    destination: String,
    by_code: CounterFamily<2>,
    seconds: HistogramSeries,
}

impl Answers {
    /// An answer came, or failed to, after so long.
    pub fn count(&self, answer: &Answer, took: Duration) {
        self.by_code.with([&self.destination, code(answer)]).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

impl Metrics {
    /// To count what a destination answers.
    pub fn answers_of(&self, destination: &str) -> Answers {
        Answers {
            destination: destination.to_owned(),
            by_code: self.answers.clone(),
            seconds: self.answer_seconds.with([destination]),
        }
    }
}

#[cfg(test)]
mod tests {
    use service::metrics::{Dimensions, Registry};

    use super::*;
    use crate::destinations::Reply;

    #[test]
    fn an_answer_counts_under_its_status_and_one_that_did_not_come_under_why() {
        let mut registry = Registry::new(Dimensions::default()).unwrap();
        let answers = Metrics::register(&mut registry).unwrap().answers_of("crm");
        let replied = |status| Answer::Replied(Reply { status, ..Reply::default() });
        for answer in [replied(429), replied(418), Answer::Failed(Transport::TimedOut)] {
            answers.count(&answer, Duration::from_millis(20));
        }
        let text = registry.text().unwrap();
        for code in ["429", "other", "timed_out"] {
            let line =
                format!("tributary_deliver_answers_total{{code=\"{code}\",destination=\"crm\"}} 1");
            assert!(text.contains(&line), "{line} is not in\n{text}");
        }
        assert!(text.contains("tributary_deliver_answer_seconds_count{destination=\"crm\"} 3"));
    }
}
