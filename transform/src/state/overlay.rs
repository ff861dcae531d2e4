//! The states that the open transaction has looked at or changed, over the store.
//!
//! Every read meets the overlay first, so that two records of one subscriber in one transaction see
//! each other. It goes to the store only when the transaction has committed, and is dropped with its
//! line when anything is in doubt.

use std::collections::HashMap;
use std::sync::Arc;

use schemas::codec::{Codec, CodecError};
use schemas::state::SubscriberState;

use super::{Batch, Change, Link, PARTITION_KEY, Store, StoreError};

/// Why a state cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The store failed; the partition has to be rebuilt.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A state cannot be read or written.
    #[error("the state of a subscriber cannot be read or written")]
    Codec(#[from] CodecError),
}

/// One subscriber's state in the open transaction.
#[derive(Clone, Debug, Default)]
pub struct Open {
    /// The state, as the transaction leaves it.
    pub state: SubscriberState,
    changed: bool,
    stored: bool,
}

impl Open {
    /// The state, to be changed: it will be written.
    pub fn change(&mut self) -> &mut SubscriberState {
        self.changed = true;
        &mut self.state
    }
}

/// A store and what the open transaction lays over it.
#[derive(Clone, Debug)]
pub struct Overlay<S> {
    store: S,
    open: HashMap<Arc<str>, Open>,
}

impl<S: Store> Overlay<S> {
    /// Nothing laid over `store` yet.
    pub fn over(store: S) -> Self {
        Self { store, open: HashMap::new() }
    }

    /// The state of a subscriber; empty for one who was never seen.
    pub fn open(
        &mut self,
        key: &Arc<str>,
        codec: &Codec<SubscriberState>,
    ) -> Result<&mut Open, StateError> {
        if !self.open.contains_key(key) {
            let stored = self.store.get(key.as_bytes())?;
            let found = stored.map(|bytes| codec.decode(&bytes)).transpose()?;
            let stored = found.is_some();
            let state = found.unwrap_or_default();
            self.open.insert(Arc::clone(key), Open { state, changed: false, stored });
        }
        Ok(self.open.entry(Arc::clone(key)).or_default())
    }

    /// Shows every committed state in which something waits.
    pub fn waiting(
        &self,
        codec: &Codec<SubscriberState>,
        each: &mut dyn FnMut(&str, &SubscriberState),
    ) -> Result<(), StateError> {
        let mut broken = None;
        self.store.waiting(&mut |key, value| {
            let Ok(key) = std::str::from_utf8(key) else {
                // Only the partition's own record has a key that is no text.
                debug_assert_eq!(key, PARTITION_KEY);
                return;
            };
            match codec.decode(value) {
                Ok(state) => each(key, &state),
                Err(cause) => broken = Some(cause),
            }
        })?;
        broken.map_or(Ok(()), |cause| Err(cause.into()))
    }

    /// The link of a key, however old.
    pub fn link(&self, key: &str) -> Result<Option<Link>, StateError> {
        Ok(self.store.link(key.as_bytes())?)
    }

    /// The store takes in links; `position` is the offset of their topic after the last of them. They
    /// hold whatever becomes of the open transaction.
    pub fn learn(&mut self, links: Vec<Link>, position: i64) -> Result<(), StateError> {
        Ok(self.store.learn(links, position)?)
    }

    /// Bytes that the store takes on disk.
    pub fn bytes(&self) -> u64 {
        self.store.bytes()
    }

    /// Offset of the links topic up to which the store has followed.
    pub fn links_position(&self) -> i64 {
        self.store.links_position()
    }

    /// Every changed state, encoded, in the order of the keys. One in which nothing is left is gone.
    pub fn changes(&self, codec: &Codec<SubscriberState>) -> Result<Vec<Change>, StateError> {
        let mut changes = Vec::new();
        for (key, open) in self.open.iter().filter(|(_, open)| open.changed) {
            let key = key.as_bytes().to_vec();
            if open.state == SubscriberState::default() {
                if open.stored {
                    changes.push(Change { key, value: None, waits: false });
                }
                continue;
            }
            let mut bytes = Vec::new();
            codec.encode(&open.state, &mut bytes)?;
            let waits = !open.state.held.is_empty()
                || !open.state.waiting.is_empty()
                || open.state.forgotten_at.is_some();
            changes.push(Change { key, value: Some(bytes), waits });
        }
        changes.sort();
        Ok(changes)
    }

    /// The transaction has committed: the store takes in what it wrote.
    pub fn committed(&mut self, batch: Batch) -> Result<(), StateError> {
        self.open.clear();
        Ok(self.store.apply(batch)?)
    }
}

#[cfg(test)]
impl<S> Overlay<S> {
    pub(crate) fn into_store(self) -> S {
        self.store
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MemoryStore;
    use crate::testing::facts;
    use schemas::Timestamp;
    use schemas::codec::Framing;
    use schemas::state::Held;

    fn held() -> Held {
        Held { facts: facts("evt_1", 1), appended_at: Timestamp::from_millis(2) }
    }

    fn committed(overlay: &mut Overlay<MemoryStore>, codec: &Codec<SubscriberState>) {
        let changes = overlay.changes(codec).unwrap();
        overlay.committed(Batch { changes, checkpoint: 1 }).unwrap();
    }

    #[test]
    fn a_second_look_meets_the_first_change_before_and_after_the_commit() {
        let codec = Codec::new(Framing::SingleObject).unwrap();
        let mut overlay = Overlay::over(MemoryStore::default());
        let key = Arc::from("shop/a");
        overlay.open(&key, &codec).unwrap().change().sequence = 1;
        let open = overlay.open(&key, &codec).unwrap().change();
        open.sequence += 1;
        open.held.push(held());
        committed(&mut overlay, &codec);
        assert_eq!(overlay.open(&key, &codec).unwrap().state.sequence, 2);
        assert!(overlay.changes(&codec).unwrap().is_empty(), "looking is no change");
        let mut seen = Vec::new();
        overlay
            .waiting(&codec, &mut |key, state| seen.push((key.to_owned(), state.sequence)))
            .unwrap();
        assert_eq!(seen, [("shop/a".to_owned(), 2)]);
    }

    #[test]
    fn a_state_in_which_nothing_is_left_is_gone_and_was_never_there_if_it_never_was_stored() {
        let codec = Codec::new(Framing::SingleObject).unwrap();
        let mut overlay = Overlay::over(MemoryStore::default());
        let key = Arc::from("shop/charge/ch_1");
        overlay.open(&key, &codec).unwrap().change().seconds.push(1);
        overlay.open(&key, &codec).unwrap().change().seconds.clear();
        assert!(overlay.changes(&codec).unwrap().is_empty());
        let waiting = &mut overlay.open(&key, &codec).unwrap().change().held;
        waiting.push(held());
        committed(&mut overlay, &codec);
        overlay.open(&key, &codec).unwrap().change().held.clear();
        let gone = Change { key: key.as_bytes().to_vec(), value: None, waits: false };
        assert_eq!(overlay.changes(&codec).unwrap(), [gone]);
    }

    #[test]
    fn a_state_that_cannot_be_read_is_an_error_and_never_an_empty_state() {
        let codec = Codec::new(Framing::SingleObject).unwrap();
        let mut store = MemoryStore::default();
        let value = Some(b"damaged".to_vec());
        let changes = vec![Change { key: b"shop/a".to_vec(), value, waits: true }];
        store.apply(Batch { changes, checkpoint: 1 }).unwrap();
        let mut overlay = Overlay::over(store);
        assert!(overlay.open(&Arc::from("shop/a"), &codec).is_err());
        assert!(overlay.waiting(&codec, &mut |_, _| ()).is_err());
    }
}
