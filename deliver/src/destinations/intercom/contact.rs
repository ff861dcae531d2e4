//! One visit: find the contact, bring it up to date, record the event.
//!
//! Known id → update, or read it where what it shows may be newer. Otherwise look it up → update, follow
//! a merge, or create; a create that finds the contact there after all updates it. Attributes are written
//! only over an older sequence, the event is always sent. A 404 after all that means the id was stale: it
//! is looked up once more, and only then the event waits.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::judge::{Judgement, Seen, judge};
use super::plan::{Afterwards, Message};
use super::remembered::{Known, Remembered};
use crate::destinations::{
    Answer, Conversation, Identifier, Reply, Request, Turn, Verdict, segment,
};
use crate::failure::{Failure, Reason};

/// Merges of merges that are followed.
const MOST_HOPS: u8 = 3;

/// The visit of one contact.
#[derive(Debug)]
pub struct Visit {
    messages: Vec<Message>,
    remembered: Arc<Remembered>,
    step: Step,
    hops: u8,
    /// Times the contact was looked up again after it was not where it should be.
    repairs: u8,
    without_attributes: Option<Failure>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Find,
    Follow(String),
    Create,
    Update(String),
    Record(String),
    Archive(String),
}

impl Visit {
    pub(super) fn new(messages: Vec<Message>, remembered: Arc<Remembered>) -> Self {
        let mut visit = Self {
            messages,
            remembered,
            step: Step::Find,
            hops: 0,
            repairs: 0,
            without_attributes: None,
        };
        visit.step = match visit.known() {
            Known::Nothing => Step::Find,
            Known::Id(contact) => Step::Follow(contact),
            Known::Older(contact) => Step::Update(contact),
        };
        visit
    }

    fn known(&self) -> Known {
        let person_and_message = self.person().zip(self.message());
        person_and_message.map_or(Known::Nothing, |(person, message)| {
            self.remembered.contact(&person, &message.source_sequence)
        })
    }

    /// What the contact shows is not older than this event.
    fn is_shown(&self) {
        if let Some((person, message)) = self.person().zip(self.message()) {
            self.remembered.shows(&person, &message.source_sequence);
        }
    }

    fn message(&self) -> Option<&Message> {
        self.messages.first()
    }

    /// How the contact is remembered.
    fn person(&self) -> Option<String> {
        self.message().map(|message| match &message.identifier {
            Identifier::Id(id) => format!("id:{id}"),
            Identifier::Email(email) => format!("email:{}", email.to_lowercase()),
        })
    }

    fn request(&self) -> Request {
        let Some(message) = self.message() else { return Request::get("/me") };
        match &self.step {
            Step::Find => find(&message.identifier),
            Step::Follow(contact) => Request::get(format!("/contacts/{contact}")),
            Step::Create => Request::post("/contacts", &self.create(message)),
            Step::Update(contact) => {
                let body = self.attributes(message);
                Request::put(format!("/contacts/{contact}"), &Value::Object(body))
            }
            Step::Record(contact) => {
                let mut body = message.event.clone().unwrap_or_default();
                body.insert("id".to_owned(), Value::from(contact.as_str()));
                Request::post("/events", &Value::Object(body))
            }
            Step::Archive(contact) => {
                Request::post(format!("/contacts/{contact}/archive"), &json!({}))
            }
        }
    }

    fn create(&self, message: &Message) -> Value {
        let mut body = Map::new();
        body.insert("role".to_owned(), Value::from("user"));
        match &message.identifier {
            Identifier::Id(id) => body.insert("external_id".to_owned(), Value::from(id.as_str())),
            Identifier::Email(email) => {
                body.insert("email".to_owned(), Value::from(email.as_str()))
            }
        };
        body.extend(self.attributes(message));
        Value::Object(body)
    }

    fn attributes(&self, message: &Message) -> Map<String, Value> {
        let mut body = message.standard.clone();
        if self.without_attributes.is_none() {
            body.insert("custom_attributes".to_owned(), Value::Object(message.custom.clone()));
        }
        body
    }

    /// The contact is there: on to its attributes, unless it shows newer ones.
    fn found(&mut self, seen: &Seen, contact: String) -> Option<Verdict> {
        let shown = self.message().and_then(|message| {
            let (attribute, sequence) = &message.source_sequence;
            let text = seen.custom.get(attribute)?.as_str()?;
            text.parse::<i64>().ok().map(|shown| shown >= *sequence)
        });
        self.learn(&contact);
        if shown == Some(true) {
            self.is_shown();
            return self.record(contact);
        }
        self.step = Step::Update(contact);
        None
    }

    /// The contact is up to date: on to the event, where there is one.
    fn record(&mut self, contact: String) -> Option<Verdict> {
        if self.message().is_some_and(|message| message.event.is_some()) {
            self.step = Step::Record(contact);
            return None;
        }
        Some(self.delivered())
    }

    fn learn(&self, contact: &str) {
        if let Some(person) = self.person() {
            self.remembered.learn(&person, contact);
        }
    }

    /// The contact is not where it should be: once, everything begins again.
    fn repair(&mut self) -> Option<Verdict> {
        if let Some(person) = self.person() {
            self.remembered.unlearn(&person);
        }
        self.repairs += 1;
        self.step = Step::Find;
        let gone = || Failure::new(Reason::NotReady, "the contact is not to be found");
        (self.repairs > 1).then(|| Verdict::Retry(gone()))
    }

    /// What follows a success of the present step; a verdict when that was all.
    fn advance(&mut self, seen: &Seen) -> Option<Verdict> {
        let afterwards = self.message().map_or(Afterwards::Nothing, |message| message.afterwards);
        match self.step.clone() {
            Step::Find => match seen.id.clone() {
                Some(contact) => return self.found(seen, contact),
                None => self.step = Step::Create,
            },
            Step::Follow(contact) => {
                let contact = seen.id.clone().unwrap_or(contact);
                return self.found(seen, contact);
            }
            Step::Create => match seen.id.clone() {
                Some(contact) => {
                    self.learn(&contact);
                    self.is_shown();
                    return self.record(contact);
                }
                None => return self.repair(),
            },
            Step::Update(contact) => {
                self.is_shown();
                return self.record(contact);
            }
            Step::Record(contact) if afterwards == Afterwards::Archive => {
                self.step = Step::Archive(contact);
            }
            Step::Record(_) | Step::Archive(_) => return Some(self.delivered()),
        }
        None
    }

    fn delivered(&mut self) -> Verdict {
        self.without_attributes
            .take()
            .map_or(Verdict::Delivered, Verdict::DeliveredWithoutAttributes)
    }

    /// The next step, or the verdict.
    fn next(&mut self, judgement: Judgement) -> Option<Verdict> {
        match judgement {
            Judgement::Done(seen) => self.advance(&seen),
            Judgement::Absent if self.step == Step::Find => {
                self.step = Step::Create;
                None
            }
            Judgement::Absent => self.repair(),
            Judgement::MovedTo(contact) => {
                self.hops += 1;
                if self.hops > MOST_HOPS {
                    let failure = Failure::new(Reason::NotReady, "merged too many times");
                    return Some(Verdict::Retry(failure));
                }
                self.step = Step::Follow(contact);
                None
            }
            Judgement::Exists(contact) if self.step == Step::Create => {
                self.learn(&contact);
                self.step = Step::Update(contact);
                None
            }
            Judgement::Exists(_) => {
                let message = "another contact has this e-mail address or id";
                Some(Verdict::Park(Failure::new(Reason::Refused, message).answered(409, None)))
            }
            Judgement::AttributesRefused(failure) if self.without_attributes.is_none() => {
                // The same step again, with what needs no declaration.
                self.without_attributes = Some(failure);
                None
            }
            Judgement::Archived(failure) | Judgement::AttributesRefused(failure) => {
                Some(Verdict::Park(failure))
            }
            Judgement::Over(verdict) => Some(verdict),
        }
    }
}

impl Conversation for Visit {
    fn begin(&mut self) -> Request {
        self.request()
    }

    fn judge(&mut self, answer: &Answer) -> Turn {
        match self.next(judge(answer)) {
            None => Turn::Ask(self.request()),
            Some(verdict) => Turn::Over(vec![verdict; self.messages.len()]),
        }
    }
}

/// What is answered about a person who is not there yet. The id stands for the one Intercom will give.
pub(super) fn first_answer(request: &Request) -> Reply {
    let looks_up = request.path.starts_with("/contacts/find_by_external_id/");
    let (status, body) = match request.path.as_str() {
        _ if looks_up => (404, json!({})),
        "/contacts/search" => (200, json!({"type": "list", "data": []})),
        "/events" => (202, json!({})),
        _ => (200, json!({"type": "contact", "id": "NEWCONTACT"})),
    };
    Reply { status, body: body.to_string().into_bytes(), ..Reply::default() }
}

/// By id directly; by address only the search can, which learns of new contacts late.
fn find(identifier: &Identifier) -> Request {
    match identifier {
        Identifier::Id(id) => {
            Request::get(format!("/contacts/find_by_external_id/{}", segment(id)))
        }
        Identifier::Email(email) => {
            let query = json!({"field": "email", "operator": "=", "value": email});
            Request::post("/contacts/search", &json!({ "query": query }))
        }
    }
}
