//! The people of the workspace and what operations do to them.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use serde_json::{Map, Value};

use super::rules::{ATTRIBUTE_COUNT_LIMIT, Creation, Event, Identifier, Identify, Operation};
use crate::exchange::Moment;
use crate::people::{self, Person, Standing};
use crate::violations::{Findings, Rule};

/// A person's place in the list; stays theirs.
pub(super) type Slot = usize;

/// Everybody, with what finds them.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    list: Vec<Profile>,
    found_by: HashMap<Identifier, Slot>,
    /// Event ids seen, with a fingerprint of the first event that bore them.
    seen: HashMap<u128, u64>,
    effective_events: u64,
}

#[derive(Debug)]
struct Profile {
    person: Person,
    phone: Option<String>,
    identified: bool,
    /// The time of the latest attribute update.
    updated_at: u64,
}

impl Profiles {
    /// Carries an operation out; says whose story an event belongs to.
    pub(super) fn apply(
        &mut self,
        operation: Operation,
        now: Moment,
        findings: &mut Findings,
    ) -> Option<Slot> {
        match operation {
            Operation::Identify(identify) => self.identify(identify, now, findings),
            Operation::Event(event) => return Some(self.event(event, now, findings)),
            Operation::Delete(who) => self.delete(&who),
            Operation::Suppress(who) => {
                let slot = self.find_or_create(&who);
                let person = &mut self.list[slot].person;
                person.standing = Standing::Suppressed;
                person.attributes.clear();
            }
            Operation::Unsuppress(who) => {
                if let Some(slot) = self.find(&who) {
                    self.list[slot].person.standing = Standing::Active;
                }
            }
            Operation::Merge { primary, secondary } => self.merge(&primary, &secondary),
            Operation::Aside => {}
        }
        None
    }

    /// The key under which a person's requests are told to overlap, however they are named.
    pub(super) fn key_of(&self, who: &Identifier) -> String {
        let known = self.find(who).and_then(|slot| self.list[slot].person.id.clone());
        match (known, who) {
            (Some(id), _) => format!("id:{id}"),
            (None, Identifier::Id(id)) => format!("id:{id}"),
            (None, Identifier::Email(email)) => format!("email:{email}"),
            (None, Identifier::Phone(phone)) => format!("phone:{phone}"),
            (None, Identifier::CioId(cio_id)) => format!("cio_id:{cio_id}"),
        }
    }

    pub(super) fn people(&self) -> Vec<Person> {
        self.list.iter().map(|profile| profile.person.clone()).collect()
    }

    pub(super) fn person(&self, who: &str) -> Option<Person> {
        let text = who.to_owned();
        [
            Identifier::Id(text.clone()),
            Identifier::Email(who.to_lowercase()),
            Identifier::CioId(text),
        ]
        .iter()
        .find_map(|identifier| self.find(identifier))
        .or_else(|| self.list.iter().rposition(|gone| gone.person.id.as_deref() == Some(who)))
        .map(|slot| self.list[slot].person.clone())
    }

    fn find(&self, who: &Identifier) -> Option<Slot> {
        self.found_by.get(who).copied()
    }

    fn find_or_create(&mut self, who: &Identifier) -> Slot {
        if let Some(slot) = self.find(who) {
            return slot;
        }
        let slot = self.list.len();
        let vendor_id = format!("{:012x}", 0x0a00_0000_0000_u64 + slot as u64);
        self.found_by.insert(Identifier::CioId(vendor_id.clone()), slot);
        self.found_by.insert(who.clone(), slot);
        let (mut id, mut email, mut phone) = (None, None, None);
        match who {
            Identifier::Id(text) => id = Some(text.clone()),
            Identifier::Email(text) => email = Some(text.clone()),
            Identifier::Phone(text) => phone = Some(text.clone()),
            Identifier::CioId(_) => {}
        }
        let person = Person {
            id,
            vendor_id,
            email,
            attributes: Map::new(),
            events: Vec::new(),
            ignored_duplicates: 0,
            ignored_updates: 0,
            updates: 0,
            standing: Standing::Active,
        };
        self.list.push(Profile { person, phone, identified: false, updated_at: 0 });
        slot
    }

    fn identify(&mut self, identify: Identify, now: Moment, findings: &mut Findings) {
        let Identify { who, timestamp, mut attributes, creation } = identify;
        if creation == Creation::Never && self.find(&who).is_none() {
            return;
        }
        let slot = self.adopt(&who, &attributes).unwrap_or_else(|| self.find_or_create(&who));
        let timestamp = timestamp.unwrap_or(now.unix_seconds());
        let profile = &mut self.list[slot];
        profile.identified = true;
        if profile.person.standing == Standing::Suppressed {
            return;
        }
        if timestamp < profile.updated_at {
            profile.person.ignored_updates += 1;
            return;
        }
        profile.updated_at = timestamp;
        profile.person.updates += 1;
        for kind in ["id", "email", "phone"] {
            if let Some(value) = attributes.remove(kind) {
                self.rename(slot, kind, &value, findings);
            }
        }
        self.list[slot].set(attributes, findings);
    }

    /// A new id with the address of a person who has no id yet belongs to that person.
    fn adopt(&mut self, who: &Identifier, attributes: &Map<String, Value>) -> Option<Slot> {
        let Identifier::Id(id) = who else { return None };
        if self.find(who).is_some() {
            return None;
        }
        let email = attributes.get("email")?.as_str()?.to_lowercase();
        let slot = self.find(&Identifier::Email(email))?;
        let person = &mut self.list[slot].person;
        if person.id.is_some() {
            return None;
        }
        person.id = Some(id.clone());
        self.found_by.insert(who.clone(), slot);
        Some(slot)
    }

    /// Sets an identifier given as an attribute; one that is somebody else's is dropped.
    fn rename(&mut self, slot: Slot, kind: &str, value: &Value, findings: &mut Findings) {
        let Some(text) = value.as_str().filter(|text| !text.is_empty()) else {
            findings.note(Rule::InvalidField, format!("attributes.{kind}"));
            return;
        };
        let identifier = match kind {
            "id" => Identifier::Id(text.to_owned()),
            "email" => Identifier::Email(text.to_lowercase()),
            _ => Identifier::Phone(text.to_owned()),
        };
        let owner = self.find(&identifier);
        if owner == Some(slot) {
            return;
        }
        let id_is_set = self.list[slot].person.id.is_some();
        if owner.is_some() || (kind == "id" && id_is_set) {
            findings.note(Rule::IdentityConflict, format!("attributes.{kind}"));
            return;
        }
        let profile = &mut self.list[slot];
        let previous = match &identifier {
            Identifier::Id(id) => {
                profile.person.id = Some(id.clone());
                None
            }
            Identifier::Email(email) => {
                profile.person.email.replace(email.clone()).map(Identifier::Email)
            }
            Identifier::Phone(_) | Identifier::CioId(_) => {
                profile.phone.replace(text.to_owned()).map(Identifier::Phone)
            }
        };
        if let Some(previous) = previous {
            self.found_by.remove(&previous);
        }
        self.found_by.insert(identifier, slot);
    }

    fn event(&mut self, event: Event, now: Moment, findings: &mut Findings) -> Slot {
        let slot = self.find_or_create(&event.who);
        let profile = &mut self.list[slot];
        if !profile.identified {
            findings.note(Rule::EventBeforeIdentify, "nobody identified this person");
        }
        let at = event.timestamp.unwrap_or(now.unix_seconds());
        if let Some((_, bits)) = event.id {
            let print = fingerprint(&(slot, &event.name, at));
            if let Some(first) = self.seen.get(&bits) {
                profile.person.ignored_duplicates += 1;
                if *first != print {
                    findings.note(Rule::EventIdReused, "with another person, name or time");
                }
                return slot;
            }
            self.seen.insert(bits, print);
        }
        if profile.person.standing == Standing::Suppressed {
            return slot;
        }
        profile.person.events.push(people::Event {
            name: event.name,
            id: event.id.map(|(id, _)| id),
            at,
            attributes: event.attributes,
            order: self.effective_events,
            request: findings.request(),
        });
        self.effective_events += 1;
        slot
    }

    fn delete(&mut self, who: &Identifier) {
        if let Some(slot) = self.find(who) {
            self.found_by.retain(|_, found| *found != slot);
            self.list[slot].person.standing = Standing::Deleted;
        }
    }

    /// Moves everything of `secondary` to `primary`; nothing happens unless both exist.
    fn merge(&mut self, primary: &Identifier, secondary: &Identifier) {
        let (Some(into), Some(from)) = (self.find(primary), self.find(secondary)) else { return };
        if into == from {
            return;
        }
        let moved = std::mem::take(&mut self.list[from].person.events);
        let attributes = std::mem::take(&mut self.list[from].person.attributes);
        let person = &mut self.list[into].person;
        person.events.extend(moved);
        person.events.sort_by_key(|event| event.order);
        for (name, value) in attributes {
            person.attributes.entry(name).or_insert(value);
        }
        self.found_by.retain(|_, found| *found != from);
        self.list[from].person.standing = Standing::Merged;
    }
}

impl Profile {
    /// Null and empty text remove an attribute; beyond the limit new ones are dropped.
    fn set(&mut self, attributes: Map<String, Value>, findings: &mut Findings) {
        let mine = &mut self.person.attributes;
        for (name, value) in attributes {
            if value.is_null() || value == "" {
                mine.remove(&name);
            } else if mine.len() < ATTRIBUTE_COUNT_LIMIT || mine.contains_key(&name) {
                mine.insert(name, value);
            } else {
                findings.note(Rule::TooManyAttributes, "more than 300 for one person");
            }
        }
    }
}

fn fingerprint(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
