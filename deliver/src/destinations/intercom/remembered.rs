//! Contact ids by identifier, and up to which event their attributes are, so that most events need no
//! look-up and none writes over what is newer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::progress::Progress;

/// Beyond this many the map is emptied: looking up again costs one request each.
const MOST: usize = 100_000;

/// Shared by all visits of one workspace.
#[derive(Default)]
pub(super) struct Remembered(Mutex<HashMap<String, Contact>>);

struct Contact {
    id: String,
    /// Up to which event of which source its attributes are: by the attribute that says so.
    shown: Vec<(String, Progress)>,
}

/// What is known of a contact before it is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing.
    Nothing,
    /// Its id; what it shows may be newer than what is to be written.
    Id(String),
    /// Its id, and that what it shows is older.
    Older(String),
}

impl std::fmt::Debug for Remembered {
    /// Without its content: it names people.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Remembered")
    }
}

impl Remembered {
    /// What is known of the contact, for an event that would take it this far.
    pub(super) fn contact(&self, person: &str, attribute: &str, told: &Progress) -> Known {
        let known = self.lock();
        let Some(contact) = known.get(person) else { return Known::Nothing };
        let shown = contact.shown.iter().find(|(source, _)| source == attribute);
        match shown {
            Some((_, shown)) if shown.is_older_than(told) => Known::Older(contact.id.clone()),
            Some(_) | None => Known::Id(contact.id.clone()),
        }
    }

    /// The contact has this id.
    pub(super) fn learn(&self, person: &str, id: &str) {
        let mut known = self.lock();
        if known.get(person).is_some_and(|contact| contact.id == id) {
            return;
        }
        if known.len() >= MOST {
            known.clear();
        }
        let contact = Contact { id: id.to_owned(), shown: Vec::new() };
        known.insert(person.to_owned(), contact);
    }

    /// The contact's attributes are at least this far.
    pub(super) fn shows(&self, person: &str, attribute: &str, progress: &Progress) {
        let mut known = self.lock();
        let Some(contact) = known.get_mut(person) else { return };
        match contact.shown.iter_mut().find(|(source, _)| source == attribute) {
            Some((_, shown)) if shown.is_older_than(progress) => *shown = progress.clone(),
            Some(_) => {}
            None => {
                // Most people are known by one source, and a vector makes room for four unasked.
                contact.shown.reserve_exact(1);
                contact.shown.push((attribute.to_owned(), progress.clone()));
            }
        }
    }

    pub(super) fn unlearn(&self, person: &str) {
        self.lock().remove(person);
    }

    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Contact>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
