//! Contact ids by identifier, so that most events need no look-up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Beyond this many the map is emptied: looking up again costs one request each.
const MOST: usize = 100_000;

/// Shared by all visits of one workspace.
#[derive(Default)]
pub(super) struct Remembered(Mutex<HashMap<String, String>>);

impl std::fmt::Debug for Remembered {
    /// Without its content: it names people.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Remembered")
    }
}

impl Remembered {
    pub(super) fn contact(&self, person: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(person).cloned()
    }

    pub(super) fn learn(&self, person: &str, contact: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(person.to_owned(), contact.to_owned());
    }

    pub(super) fn unlearn(&self, person: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(person);
    }

    pub(super) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
