//! A store that lives as long as its owner: for replays, which must begin with nothing, and for tests.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use schemas::Timestamp;

use super::{Batch, Change, Link, Store, StoreError};

/// Keeps everything in memory, encoded.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    entries: HashMap<Vec<u8>, Vec<u8>>,
    waiting: BTreeSet<Vec<u8>>,
    checkpoint: i64,
    links: HashMap<Vec<u8>, Link>,
    links_position: i64,
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>, StoreError> {
        Ok(self.entries.get(key).map(|value| Cow::Borrowed(value.as_slice())))
    }

    fn apply(&mut self, batch: Batch) -> Result<(), StoreError> {
        for Change { key, value, waits } in batch.changes {
            if waits {
                self.waiting.insert(key.clone());
            } else {
                self.waiting.remove(&key);
            }
            match value {
                Some(value) => self.entries.insert(key, value),
                None => self.entries.remove(&key),
            };
        }
        self.checkpoint = batch.checkpoint;
        Ok(())
    }

    fn checkpoint(&self) -> i64 {
        self.checkpoint
    }

    fn waiting(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        for key in &self.waiting {
            if let Some(value) = self.entries.get(key) {
                each(key, value);
            }
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        0
    }

    fn link(&self, key: &[u8]) -> Result<Option<Link>, StoreError> {
        Ok(self.links.get(key).cloned())
    }

    fn learn(&mut self, links: Vec<Link>, position: i64) -> Result<(), StoreError> {
        self.links.extend(links.into_iter().map(|link| (link.key.clone(), link)));
        self.links_position = position;
        Ok(())
    }

    fn links_position(&self) -> i64 {
        self.links_position
    }

    fn purge_links(&mut self, older_than: Timestamp, at_most: usize) -> Result<usize, StoreError> {
        let old = self.links.values().filter(|link| link.appended_at < older_than);
        let old: Vec<_> = old.take(at_most).map(|link| link.key.clone()).collect();
        for key in &old {
            self.links.remove(key);
        }
        Ok(old.len())
    }

    fn clear(&mut self) -> Result<(), StoreError> {
        *self = Self::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str, value: Option<&str>, waits: bool) -> Change {
        let value = value.map(|value| value.as_bytes().to_vec());
        Change { key: key.as_bytes().to_vec(), value, waits }
    }

    fn waiting(store: &MemoryStore) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        store.waiting(&mut |key, _| found.push(key.to_vec())).unwrap();
        found
    }

    #[test]
    fn keeps_the_latest_value_and_forgets_what_is_gone() {
        let mut store = MemoryStore::default();
        let first = vec![entry("a", Some("1"), true), entry("b", Some("2"), true)];
        store.apply(Batch { changes: first, checkpoint: 2 }).unwrap();
        assert_eq!(waiting(&store), [b"a".to_vec(), b"b".to_vec()]);
        let second = vec![entry("a", Some("3"), false), entry("b", None, false)];
        store.apply(Batch { changes: second, checkpoint: 5 }).unwrap();
        assert_eq!(store.get(b"a").unwrap().as_deref(), Some(b"3".as_slice()));
        assert_eq!(store.get(b"b").unwrap(), None);
        assert_eq!(store.checkpoint(), 5);
        assert!(waiting(&store).is_empty());
    }

    #[test]
    fn keeps_links_with_a_position_of_their_own() {
        let mut store = MemoryStore::default();
        let link = |subscriber: &str| Link {
            key: b"shop/charge/ch_1".to_vec(),
            subscriber: subscriber.to_owned(),
            appended_at: Timestamp::from_millis(7),
        };
        store.learn(vec![link("shop/a"), link("shop/b")], 9).unwrap();
        assert_eq!(store.link(b"shop/charge/ch_1").unwrap(), Some(link("shop/b")), "the latest");
        assert_eq!((store.links_position(), store.checkpoint()), (9, 0));
        store.clear().unwrap();
        assert_eq!((store.link(b"shop/charge/ch_1").unwrap(), store.links_position()), (None, 0));
    }
}
