//! A store that lives as long as the tenure of its partition, filled from the whole changelog.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Batch, Change, Store, StoreError};

/// Keeps everything in memory, encoded.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    entries: HashMap<Vec<u8>, Vec<u8>>,
    checkpoint: i64,
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>, StoreError> {
        Ok(self.entries.get(key).map(|value| Cow::Borrowed(value.as_slice())))
    }

    fn apply(&mut self, batch: Batch) -> Result<(), StoreError> {
        for Change { key, value } in batch.changes {
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

    fn scan(&self, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StoreError> {
        self.entries.iter().for_each(|(key, value)| each(key, value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_latest_value_and_forgets_what_is_gone() {
        let mut store = MemoryStore::default();
        let entry = |key: &str, value: Option<&str>| Change {
            key: key.as_bytes().to_vec(),
            value: value.map(|value| value.as_bytes().to_vec()),
        };
        let first = vec![entry("a", Some("1")), entry("b", Some("2"))];
        store.apply(Batch { changes: first, checkpoint: 2 }).unwrap();
        let second = vec![entry("a", Some("3")), entry("b", None)];
        store.apply(Batch { changes: second, checkpoint: 5 }).unwrap();
        assert_eq!(store.get(b"a").unwrap().as_deref(), Some(b"3".as_slice()));
        assert_eq!(store.get(b"b").unwrap(), None);
        assert_eq!(store.checkpoint(), 5);
        let mut seen = 0;
        store.scan(&mut |_, _| seen += 1).unwrap();
        assert_eq!(seen, 1);
    }
}
