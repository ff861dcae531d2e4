//! Deduplication: which provider events a subscriber has already accepted.
//!
//! Providers repeat a webhook until they are answered, some for weeks, and after an outage of ours
//! they repeat it although it was stored. Ids are therefore remembered longer than any provider's
//! schedule of retries (35 days), by the stream's own time, inside the subscriber's state: they survive
//! what the state survives.
//!
//! An entry has 12 bytes: the first 8 of a SHA-256 over role and id, and the append time in whole
//! seconds. Two different ids of one subscriber meet with a probability of n²/2⁶⁵: for the 8,192 ids
//! that are kept at most, one in 10¹¹. 8,192 entries are 96 KiB, and 234 events a day for 35 days; of a
//! subscriber with more, the oldest ids are forgotten early, which is counted.

use std::time::Duration;

use schemas::Timestamp;
pub use schemas::state::Role;
use sha2::{Digest, Sha256};

const HASH: usize = 8;
const ENTRY: usize = HASH + 4;

/// What stands before an id when it is hashed: one event in two roles is two events.
const fn tag(role: Role) -> u8 {
    match role {
        Role::Own => 0,
        Role::Sender => 1,
        Role::Receiver => 2,
        Role::Forward => 3,
    }
}

/// How long and how many.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// How long an id is remembered, by append time.
    pub window: Duration,
    /// How many ids at most.
    pub most: usize,
}

/// A subscriber's ids, packed as its state keeps them.
#[derive(Debug)]
pub struct SeenIds<'a> {
    packed: &'a mut Vec<u8>,
    memory: Memory,
}

impl<'a> SeenIds<'a> {
    /// Reads and changes `packed` in place. A trailing part of an entry is cut off.
    pub fn of(packed: &'a mut Vec<u8>, memory: Memory) -> Self {
        packed.truncate(packed.len() / ENTRY * ENTRY);
        Self { packed, memory }
    }

    /// Whether the event was accepted in this role within the window before `at`.
    pub fn contains(&self, id: &str, role: Role, at: Timestamp) -> bool {
        let wanted = hash(id, role);
        let (entries, _) = self.packed.as_chunks::<ENTRY>();
        entries.iter().any(|entry| entry.starts_with(&wanted) && !self.expired(*entry, at))
    }

    /// In which second (Unix) the event was accepted in this role, if that is still remembered.
    pub fn accepted_at(&self, id: &str, role: Role) -> Option<i64> {
        let wanted = hash(id, role);
        let (entries, _) = self.packed.as_chunks::<ENTRY>();
        let entry = entries.iter().rev().find(|entry| entry.starts_with(&wanted))?;
        let [.., a, b, c, d] = *entry;
        Some(i64::from(u32::from_be_bytes([a, b, c, d])))
    }

    /// Remembers that the event was accepted at `at`, and drops what has expired by then. Returns how
    /// many ids had to be forgotten although their time was not over.
    pub fn remember(&mut self, id: &str, role: Role, at: Timestamp) -> usize {
        let mut kept = Vec::with_capacity(self.packed.len() + ENTRY);
        let (entries, _) = self.packed.as_chunks::<ENTRY>();
        for entry in entries.iter().filter(|entry| !self.expired(**entry, at)) {
            kept.extend_from_slice(entry);
        }
        kept.extend_from_slice(&hash(id, role));
        kept.extend_from_slice(&seconds(at).to_be_bytes());
        let too_many = (kept.len() / ENTRY).saturating_sub(self.memory.most.max(1));
        kept.drain(..too_many * ENTRY);
        *self.packed = kept;
        too_many
    }

    fn expired(&self, entry: [u8; ENTRY], at: Timestamp) -> bool {
        let [.., a, b, c, d] = entry;
        let age = i64::from(seconds(at)) - i64::from(u32::from_be_bytes([a, b, c, d]));
        age > i64::try_from(self.memory.window.as_secs()).unwrap_or(i64::MAX)
    }
}

/// Whole seconds since 1970, held at the ends of what 4 bytes hold (until 2106).
fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.seconds().max(0)).unwrap_or(u32::MAX)
}

fn hash(id: &str, role: Role) -> [u8; HASH] {
    let digest = Sha256::new().chain_update([tag(role)]).chain_update(id).finalize();
    let mut hash = [0; HASH];
    hash.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MEMORY: Memory = Memory { window: Duration::from_secs(100), most: 8 };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000 + 7)
    }

    #[test]
    fn remembers_for_the_whole_window_and_not_longer() {
        let mut packed = Vec::new();
        let mut seen = SeenIds::of(&mut packed, MEMORY);
        assert!(!seen.contains("evt_1", Role::Own, at(0)));
        assert_eq!(seen.remember("evt_1", Role::Own, at(0)), 0);
        assert!(seen.contains("evt_1", Role::Own, at(100)));
        assert!(!seen.contains("evt_1", Role::Own, at(101)));
        assert!(!seen.contains("evt_2", Role::Own, at(0)));
        seen.remember("evt_2", Role::Own, at(101));
        assert_eq!(packed.len(), ENTRY, "the expired one is gone");
    }

    #[test]
    fn tells_the_second_in_which_an_event_was_accepted() {
        let mut packed = Vec::new();
        let mut seen = SeenIds::of(&mut packed, MEMORY);
        seen.remember("evt_1", Role::Sender, at(40));
        assert_eq!(seen.accepted_at("evt_1", Role::Sender), Some(40));
        assert_eq!(seen.accepted_at("evt_1", Role::Own), None);
    }

    #[test]
    fn forgets_the_oldest_beyond_the_cap_and_says_so() {
        let mut packed = Vec::new();
        let mut seen = SeenIds::of(&mut packed, MEMORY);
        let forgotten: Vec<_> =
            (0..10).map(|id| seen.remember(&id.to_string(), Role::Own, at(id))).collect();
        assert_eq!(forgotten, [0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert!(!seen.contains("1", Role::Own, at(10)));
        assert!(seen.contains("2", Role::Own, at(10)));
    }

    #[test]
    fn survives_bytes_that_were_cut_short() {
        let mut packed = vec![0; ENTRY + 5];
        SeenIds::of(&mut packed, MEMORY).remember("evt_1", Role::Own, at(0));
        assert_eq!(packed.len(), 2 * ENTRY);
    }

    #[test]
    fn each_role_of_an_event_is_remembered_by_itself() {
        let mut packed = Vec::new();
        let mut seen = SeenIds::of(&mut packed, MEMORY);
        let roles = [Role::Own, Role::Sender, Role::Receiver, Role::Forward];
        for (at_second, role) in (0..).zip(roles) {
            assert!(!seen.contains("X", role, at(at_second)), "{role:?}");
            seen.remember("X", role, at(at_second));
            assert!(seen.contains("X", role, at(at_second)));
        }
    }

    proptest! {
        #[test]
        fn knows_what_a_plain_list_knows(
            steps in prop::collection::vec((0_u8..6, 0_i64..60), 1..200)
        ) {
            let mut packed = Vec::new();
            let mut naive: Vec<(u8, i64)> = Vec::new();
            let mut now = 0;
            for (id, later) in steps {
                now += later;
                let mut seen = SeenIds::of(&mut packed, MEMORY);
                naive.retain(|(_, when)| now - when <= 100);
                let known = naive.iter().any(|(other, _)| *other == id);
                prop_assert_eq!(seen.contains(&id.to_string(), Role::Own, at(now)), known);
                if !known {
                    let forgotten = seen.remember(&id.to_string(), Role::Own, at(now));
                    naive.push((id, now));
                    prop_assert_eq!(forgotten, naive.len().saturating_sub(8));
                    if forgotten > 0 {
                        naive.remove(0);
                    }
                }
            }
        }
    }
}
