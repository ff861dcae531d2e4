//! How long the records that wait for a link have waited.
//!
//! Counted by this machine's stopwatch from the moment a record was read or its partition restored,
//! never by the stream's time: after an outage the stream's time runs through hours in seconds, and the
//! record that would teach the link may still lie unread in another partition. While the line stands
//! nothing is read, so that time does not count either.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// Which records of one partition wait, and since when.
#[derive(Clone, Debug)]
pub struct Patience {
    timeout: Duration,
    in_order: BTreeSet<(Duration, Arc<str>, i64)>,
    of_key: HashMap<Arc<str>, BTreeMap<i64, Duration>>,
}

impl Patience {
    /// Nothing waits yet; what will may do so for `timeout`.
    pub fn of(timeout: Duration) -> Self {
        Self { timeout, in_order: BTreeSet::new(), of_key: HashMap::new() }
    }

    /// A record of `key` waits from now on.
    pub fn begin(&mut self, key: &Arc<str>, offset: i64, local: Duration) {
        self.of_key.entry(Arc::clone(key)).or_default().insert(offset, local);
        self.in_order.insert((local, Arc::clone(key), offset));
    }

    /// Everything that waits has the whole time again, from now on.
    pub fn begin_anew(&mut self, local: Duration) {
        let waiting = std::mem::take(&mut self.in_order);
        self.in_order = waiting.into_iter().map(|(_, key, offset)| (local, key, offset)).collect();
        for since in self.of_key.values_mut().flat_map(BTreeMap::values_mut) {
            *since = local;
        }
    }

    /// A record waits no longer.
    pub fn end(&mut self, key: &str, offset: i64) {
        let Some((shared, _)) = self.of_key.get_key_value(key) else { return };
        let shared = Arc::clone(shared);
        if let Some(offsets) = self.of_key.get_mut(&shared) {
            if let Some(since) = offsets.remove(&offset) {
                self.in_order.remove(&(since, Arc::clone(&shared), offset));
            }
            if offsets.is_empty() {
                self.of_key.remove(&shared);
            }
        }
    }

    /// The key under which something waits, shared.
    pub fn waits_under(&self, key: &str) -> Option<Arc<str>> {
        self.of_key.get_key_value(key).map(|(shared, _)| Arc::clone(shared))
    }

    /// Every key under which something waits, in order.
    pub fn keys(&self) -> Vec<Arc<str>> {
        let mut keys: Vec<_> = self.of_key.keys().map(Arc::clone).collect();
        keys.sort();
        keys
    }

    /// The records that have waited for as long as they may, the longest waiting first.
    pub fn exhausted(&self, local: Duration) -> Vec<(Arc<str>, i64)> {
        let over = self.in_order.iter().take_while(|(since, _, _)| *since + self.timeout <= local);
        over.map(|(_, key, offset)| (Arc::clone(key), *offset)).collect()
    }

    /// How long from `local` on until the first has waited for as long as it may; `None` when nothing
    /// waits.
    pub fn until_exhausted(&self, local: Duration) -> Option<Duration> {
        self.in_order.first().map(|(since, _, _)| (*since + self.timeout).saturating_sub(local))
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        self.in_order.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn each_record_has_its_own_time() {
        let mut patience = Patience::of(seconds(10));
        let (a, b): (Arc<str>, Arc<str>) = (Arc::from("a"), Arc::from("b"));
        assert_eq!(patience.until_exhausted(seconds(0)), None);
        patience.begin(&a, 5, seconds(3));
        patience.begin(&b, 6, seconds(1));
        patience.begin(&a, 7, seconds(4));
        assert_eq!(patience.until_exhausted(seconds(5)), Some(seconds(6)));
        assert!(patience.exhausted(seconds(10)).is_empty());
        assert_eq!(patience.exhausted(seconds(13)), [(Arc::clone(&b), 6), (Arc::clone(&a), 5)]);
        patience.begin_anew(seconds(20));
        assert_eq!(patience.until_exhausted(seconds(20)), Some(seconds(10)));
        assert_eq!((patience.exhausted(seconds(29)).len(), patience.len()), (0, 3));
        patience.end("b", 6);
        patience.end("a", 5);
        patience.end("a", 99);
        assert_eq!((patience.len(), patience.keys()), (1, vec![a]));
        patience.end("a", 7);
        assert!(patience.is_empty() && patience.waits_under("a").is_none());
    }
}
