//! The contacts, what finds them, and what is done to them.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::events::UNIX_SECONDS;
use super::refusals::Refusal;
use crate::people::{Person, Standing};
use crate::violations::{Findings, Rule};

/// A contact's place in the list; stays theirs.
pub(super) type Slot = usize;

/// How a request names a contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    ContactId(String),
    ExternalId(String),
    Email(String),
}

#[derive(Debug)]
pub(super) struct Contact {
    pub(super) person: Person,
    pub(super) role: String,
    pub(super) created_at: u64,
    updated_at: u64,
    merged_into: Option<Slot>,
}

#[derive(Debug, Default)]
pub(super) struct Contacts {
    list: Vec<Contact>,
    by_contact_id: HashMap<String, Slot>,
    by_external_id: HashMap<String, Slot>,
    by_email: HashMap<String, Vec<Slot>>,
}

/// Texts that may be null; an address may not.
const TEXTS: [&str; 4] = ["phone", "name", "avatar", "owner_id"];

impl Contacts {
    pub(super) fn get(&self, slot: Slot) -> &Contact {
        &self.list[slot]
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut Contact {
        &mut self.list[slot]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Contact> {
        self.list.iter()
    }

    /// Those with an address, however it is written.
    pub(super) fn with_email<'a>(
        &'a self,
        email: &str,
    ) -> impl Iterator<Item = &'a Contact> + use<'a> {
        let slots = self.by_email.get(&email.to_lowercase());
        slots.into_iter().flatten().map(|slot| &self.list[*slot])
    }

    /// Everybody a reference finds, whatever has become of them.
    pub(super) fn find(&self, reference: &Reference) -> Vec<Slot> {
        match reference {
            Reference::ContactId(id) => self.by_contact_id.get(id).copied().into_iter().collect(),
            Reference::ExternalId(id) => self.by_external_id.get(id).copied().into_iter().collect(),
            Reference::Email(email) => {
                self.by_email.get(&email.to_lowercase()).cloned().unwrap_or_default()
            }
        }
    }

    /// The key under which a contact's requests are told to overlap, however it is named.
    pub(super) fn key_of(&self, reference: &Reference) -> String {
        if let [slot] = self.find(reference)[..] {
            let person = &self.list[slot].person;
            return match &person.id {
                Some(external_id) => format!("external_id:{external_id}"),
                None => format!("contact:{}", person.vendor_id),
            };
        }
        match reference {
            Reference::ContactId(id) => format!("contact:{id}"),
            Reference::ExternalId(id) => format!("external_id:{id}"),
            Reference::Email(email) => format!("email:{}", email.to_lowercase()),
        }
    }

    /// The living contact that a look-up by this reference shows.
    pub(super) fn show(&self, reference: &Reference) -> Result<Slot, Refusal> {
        let Some(&slot) = self.find(reference).first() else { return Err(Refusal::not_found()) };
        match self.list[slot].person.standing {
            Standing::Merged => {
                Err(Refusal::merged_into(&self.list[self.canonical(slot)].person.vendor_id))
            }
            Standing::Archived => Err(Refusal::not_found()),
            Standing::Active | Standing::Suppressed | Standing::Deleted => Ok(slot),
        }
    }

    /// The one living contact an event is about.
    pub(super) fn addressee(&self, reference: &Reference) -> Result<Slot, Refusal> {
        let found = self.find(reference);
        let standing = |slot: &Slot| self.list[*slot].person.standing;
        let living: Vec<Slot> =
            found.iter().copied().filter(|slot| standing(slot) == Standing::Active).collect();
        match living[..] {
            [slot] => Ok(slot),
            [] if found.iter().any(|slot| standing(slot) == Standing::Archived) => {
                let rule = Rule::ArchivedContact;
                Err(Refusal::fault(404, "not_found", "User Not Found", rule, "event"))
            }
            [] => {
                let rule = Rule::EventForUnknownContact;
                Err(Refusal::fault(404, "not_found", "User Not Found", rule, "event"))
            }
            [..] => {
                let message = "Multiple existing users match this email address";
                let rule = Rule::AmbiguousEmail;
                Err(Refusal::fault(409, "conflict", message, rule, "event"))
            }
        }
    }

    fn canonical(&self, mut slot: Slot) -> Slot {
        while let Some(next) = self.list[slot].merged_into {
            slot = next;
        }
        slot
    }

    /// `POST /contacts`, its custom attributes already checked.
    pub(super) fn create(
        &mut self,
        body: &Map<String, Value>,
        unix_seconds: u64,
    ) -> Result<Slot, Refusal> {
        let text = |field: &str| body.get(field).and_then(Value::as_str);
        if [text("external_id"), text("email"), text("role")].iter().all(Option::is_none) {
            return Err(Refusal::missing("one of email, external_id, role"));
        }
        if let Some(slot) = self.matching(text("external_id"), text("email"), None) {
            return Err(self.conflict(slot));
        }
        let slot = self.list.len();
        let vendor_id = format!("{:024x}", 0x0069_0000_0000_0000_0000_0000_u128 + slot as u128);
        self.by_contact_id.insert(vendor_id.clone(), slot);
        let person = Person {
            id: None,
            vendor_id,
            email: None,
            attributes: Map::new(),
            events: Vec::new(),
            ignored_duplicates: 0,
            ignored_updates: 0,
            updates: 0,
            standing: Standing::Active,
        };
        self.list.push(Contact {
            person,
            role: "user".to_owned(),
            created_at: unix_seconds,
            updated_at: unix_seconds,
            merged_into: None,
        });
        self.write(slot, body, unix_seconds);
        Ok(slot)
    }

    /// `PUT /contacts/{id}`, its custom attributes already checked: the last write wins.
    pub(super) fn update(
        &mut self,
        slot: Slot,
        body: &Map<String, Value>,
        unix_seconds: u64,
    ) -> Result<(), Refusal> {
        let external_id = body.get("external_id").and_then(Value::as_str);
        if let Some(other) = self.matching(external_id, None, Some(slot)) {
            return Err(self.conflict(other));
        }
        self.write(slot, body, unix_seconds);
        Ok(())
    }

    /// Whom a new contact would repeat: the same external id, or the same address unless both have
    /// external ids, which are then different people who share it.
    fn matching(
        &self,
        external_id: Option<&str>,
        email: Option<&str>,
        except: Option<Slot>,
    ) -> Option<Slot> {
        let by_external_id = external_id.and_then(|id| self.by_external_id.get(id)).copied();
        by_external_id.filter(|slot| Some(*slot) != except).or_else(|| {
            self.by_email
                .get(&email?.to_lowercase())?
                .iter()
                .copied()
                .find(|slot| self.list[*slot].person.id.is_none() || external_id.is_none())
        })
    }

    fn conflict(&self, slot: Slot) -> Refusal {
        let contact = &self.list[self.canonical(slot)];
        let kind = match contact.person.standing {
            Standing::Archived => "An archived contact",
            Standing::Active | Standing::Suppressed | Standing::Deleted | Standing::Merged => {
                "A contact"
            }
        };
        let id = &contact.person.vendor_id;
        let message = format!("{kind} matching those details already exists with id={id}");
        Refusal::expected(409, "conflict", &message)
    }

    fn write(&mut self, slot: Slot, body: &Map<String, Value>, unix_seconds: u64) {
        for (field, value) in body {
            match (field.as_str(), value) {
                ("external_id", Value::String(id)) => self.set_external_id(slot, id),
                ("email", Value::String(email)) => self.set_email(slot, email),
                ("role", Value::String(role)) => self.list[slot].role.clone_from(role),
                ("custom_attributes", Value::Object(custom)) => {
                    let all = &mut self.list[slot].person.attributes;
                    let mine = all.entry("custom_attributes").or_insert_with(|| json!({}));
                    for (name, value) in custom {
                        mine[name] = value.clone();
                    }
                }
                ("external_id" | "role" | "custom_attributes", _) => {}
                _ => {
                    self.list[slot].person.attributes.insert(field.clone(), value.clone());
                }
            }
        }
        let contact = &mut self.list[slot];
        contact.updated_at = unix_seconds;
        contact.person.updates += 1;
    }

    fn set_external_id(&mut self, slot: Slot, external_id: &str) {
        let before = self.list[slot].person.id.replace(external_id.to_owned());
        if let Some(before) = before {
            self.by_external_id.remove(&before);
        }
        self.by_external_id.insert(external_id.to_owned(), slot);
    }

    fn set_email(&mut self, slot: Slot, email: &str) {
        let before = self.list[slot].person.email.replace(email.to_lowercase());
        if let Some(slots) = before.and_then(|before| self.by_email.get_mut(&before)) {
            slots.retain(|other| *other != slot);
        }
        self.by_email.entry(email.to_lowercase()).or_default().push(slot);
    }

    pub(super) fn set_standing(&mut self, slot: Slot, standing: Standing) -> Value {
        let person = &mut self.list[slot].person;
        person.standing = standing;
        json!({"type": "contact", "id": person.vendor_id, "external_id": person.id,
            "archived": standing == Standing::Archived})
    }

    /// Moves the events of one contact to another, which answers for both from then on.
    pub(super) fn merge(&mut self, from: Slot, into: Slot) {
        let into = self.canonical(into);
        if from == into {
            return;
        }
        let gone = &mut self.list[from];
        gone.merged_into = Some(into);
        gone.person.standing = Standing::Merged;
        let moved = std::mem::take(&mut gone.person.events);
        for slots in self.by_email.values_mut() {
            slots.retain(|slot| *slot != from);
        }
        let events = &mut self.list[into].person.events;
        events.extend(moved);
        events.sort_by_key(|event| event.order);
    }
}

impl Contact {
    /// The contact as the API shows it.
    pub(super) fn to_json(&self) -> Value {
        let person = &self.person;
        let attribute = |name: &str| person.attributes.get(name).cloned().unwrap_or(Value::Null);
        json!({
            "type": "contact",
            "id": person.vendor_id,
            "workspace_id": "emulated",
            "external_id": person.id,
            "role": self.role,
            "email": person.email,
            "phone": attribute("phone"),
            "name": attribute("name"),
            "owner_id": attribute("owner_id"),
            "unsubscribed_from_emails": attribute("unsubscribed_from_emails"),
            "created_at": self.created_at,
            "updated_at": self.updated_at,
            "signed_up_at": attribute("signed_up_at"),
            "last_seen_at": attribute("last_seen_at"),
            "custom_attributes": person.attributes.get("custom_attributes").unwrap_or(&json!({})),
        })
    }
}

/// Checks the fields of a contact that need no look-up.
pub(super) fn check(body: &Map<String, Value>, findings: &mut Findings) -> Result<(), Refusal> {
    for (field, value) in body {
        let is_valid = match field.as_str() {
            "role" => value == "user" || value == "lead",
            "external_id" | "email" => value.as_str().is_some_and(|text| !text.is_empty()),
            "signed_up_at" | "last_seen_at" => {
                value.is_null() || value.as_u64().is_some_and(|time| UNIX_SECONDS.contains(&time))
            }
            "email_verified" | "unsubscribed_from_emails" => value.is_null() || value.is_boolean(),
            "custom_attributes" => value.is_null() || value.is_object(),
            name if TEXTS.contains(&name) => value.is_null() || value.is_string(),
            _ => {
                findings.note(Rule::UnknownField, field.clone());
                continue;
            }
        };
        if !is_valid {
            let rule =
                if field.ends_with("_at") { Rule::NotUnixSeconds } else { Rule::InvalidField };
            return Err(Refusal::invalid(rule, field, "has the wrong type or form"));
        }
    }
    if body.contains_key("email_verified") && !body.get("email").is_some_and(Value::is_string) {
        return Err(Refusal::invalid(Rule::MissingField, "email", "is needed by email_verified"));
    }
    Ok(())
}
