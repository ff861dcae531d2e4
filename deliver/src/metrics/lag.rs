//! How far a destination's line is behind.

use std::sync::Arc;

use service::metrics::{Latest, amount};
use stream::{Lag, Watcher};

use super::{EVENTS, Metrics, RETRY};

#[derive(Debug)]
struct Behind {
    destination: String,
    retry_topic: String,
    shown: Latest<3>,
}

impl Watcher for Behind {
    fn lags(&self, lags: Vec<Lag>) {
        self.shown.show(lags.into_iter().map(|Lag { topic, partition, records }| {
            let topic = if topic == self.retry_topic { RETRY } else { EVENTS };
            let labels = [self.destination.clone(), topic.to_owned(), partition.to_string()];
            (labels, amount(records))
        }));
    }
}

impl Metrics {
    /// Shows how far a destination's line is behind in its two topics.
    pub fn lag_of(&self, destination: &str, retry_topic: &str) -> Arc<dyn Watcher> {
        Arc::new(Behind {
            destination: destination.to_owned(),
            retry_topic: retry_topic.to_owned(),
            shown: Latest::of(self.lag.clone()),
        })
    }
}
