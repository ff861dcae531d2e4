//! Contact ids by identifier, and up to which event their attributes are, so that most events need no
//! look-up and none writes over what is newer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::progress::Progress;

/// As many as were last met are remembered, and up to twice as many in all: looking up again costs one request each.
const LATEST: usize = 20_000;

/// Shared by all visits of one workspace.
#[derive(Default)]
pub(super) struct Remembered(Mutex<Generations>);

/// Those who were met of late, and those before them. When there are too many of the first, they take the place of the
/// second, so that never everybody is forgotten at once.
#[derive(Default)]
struct Generations {
    latest: HashMap<String, Contact>,
    before: HashMap<String, Contact>,
}

impl Generations {
    /// Who is asked for is met.
    fn get(&mut self, person: &str) -> Option<&mut Contact> {
        if let Some((person, contact)) = self.before.remove_entry(person) {
            self.insert(person, contact);
        }
        self.latest.get_mut(person)
    }

    fn insert(&mut self, person: String, contact: Contact) {
        if self.latest.len() >= LATEST {
            self.before = std::mem::take(&mut self.latest);
        }
        self.before.remove(&person);
        self.latest.insert(person, contact);
    }

    fn remove(&mut self, person: &str) {
        self.latest.remove(person);
        self.before.remove(person);
    }
}

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
        let mut known = self.lock();
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
        let contact = Contact { id: id.to_owned(), shown: Vec::new() };
        known.insert(person.to_owned(), contact);
    }

    /// The contact's attributes are at least this far.
    pub(super) fn shows(&self, person: &str, attribute: &str, progress: &Progress) {
        let mut known = self.lock();
        let Some(contact) = known.get(person) else { return };
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
        *self.lock() = Generations::default();
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_met_again_is_kept_and_of_the_others_there_is_a_bound() {
        let remembered = Remembered::default();
        remembered.learn("ann", "1");
        for number in 0..10 * LATEST {
            remembered.learn(&format!("other-{number}"), "2");
            if number % LATEST == 0 {
                assert!(remembered.id("ann"), "after {number}");
            }
        }
        assert!(remembered.id("ann"));
        assert!(remembered.id(&format!("other-{}", 10 * LATEST - 1)), "the last one met");
        assert!(!remembered.id("other-0"));
        let known = remembered.lock();
        assert!(known.latest.len() + known.before.len() <= 2 * LATEST);
    }

    #[test]
    fn whoever_is_unlearned_is_in_neither_generation() {
        let remembered = Remembered::default();
        remembered.learn("ann", "1");
        for number in 0..LATEST {
            remembered.learn(&format!("other-{number}"), "2");
        }
        remembered.unlearn("ann");
        assert!(!remembered.id("ann"));
        remembered.forget();
        assert!(!remembered.id("other-1"));
    }

    impl Remembered {
        fn id(&self, person: &str) -> bool {
            self.lock().get(person).is_some()
        }
    }
}
