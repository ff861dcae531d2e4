//! By what a repetition of a call is recognised.
//!
//! By what it says and not by its place among the calls of its event: a mended handler that leaves out a call, or makes
//! another before it, must not give what was never taken the id of what was.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// Ids for what comes of one event.
#[derive(Debug)]
pub struct Ids<'a> {
    event_id: &'a str,
    /// How many there were of each so far.
    told: BTreeMap<String, usize>,
}

impl<'a> Ids<'a> {
    /// For this event.
    pub fn of(event_id: &'a str) -> Self {
        Self { event_id, told: BTreeMap::new() }
    }

    /// The id of what is told apart by these; the second of the same has another.
    pub fn next(&mut self, told_apart_by: &[&str]) -> String {
        let mut digest = Sha256::new();
        for text in told_apart_by {
            // With its length, so that no two lists give the same bytes.
            digest.update(format!("{}:", text.len()));
            digest.update(text);
        }
        let bits =
            digest.finalize().iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        let digest = format!("{bits:016x}");
        let id = format!("{}.{digest}", self.event_id);
        let before = self.told.entry(digest).or_default();
        let number = *before;
        *before += 1;
        if number == 0 { id } else { format!("{id}.{number}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_does_not_depend_on_what_else_is_told() {
        let mut all = Ids::of("e");
        let (first, second, again) = (all.next(&["a", "b"]), all.next(&["c"]), all.next(&["c"]));
        assert_eq!(Ids::of("e").next(&["c"]), second);
        assert_eq!(Ids::of("e").next(&["a", "b"]), first);
        assert_eq!(again, format!("{second}.1"));
        assert_ne!(Ids::of("e").next(&["ab", ""]), first);
        assert_ne!(Ids::of("f").next(&["c"]), second);
    }
}
