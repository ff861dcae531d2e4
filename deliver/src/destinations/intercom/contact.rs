//! One visit: find the contact, bring it up to date, record the event.
//!
//! Known id → update, or read it where what it shows may be newer. Otherwise look it up → update, follow
//! a merge, or create; a create that finds the contact there after all reads it like one that is known,
//! and gives it our id where it has none, so that the next look-up finds it. Attributes are written only
//! over older ones, the event is always sent. A 404 after all that means the id was stale: it is
//! looked up once more, and only then the event waits.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::declared::LeftOut;
use super::judge::{Conflict, InTheWay, Judgement, Seen, judge};
use super::plan::{Afterwards, Message, Yields};
use super::progress::Progress;
use super::remembered::{Known, Remembered};
use super::requests::{find, named};
use crate::destinations::{Answer, Conversation, Identifier, Request, Turn, Verdict};
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
    /// The contact was in the way of its own creation: it may go by no id of ours.
    adopts: bool,
    writing: Writing,
    left_out: LeftOut,
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

/// What an update carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Attributes,
    AttributesAndId,
    /// The contact shows newer attributes.
    IdAlone,
}

impl Visit {
    pub(super) fn new(messages: Vec<Message>, remembered: Arc<Remembered>) -> Self {
        let mut visit = Self {
            messages,
            remembered,
            step: Step::Find,
            hops: 0,
            repairs: 0,
            adopts: false,
            writing: Writing::Attributes,
            left_out: LeftOut::default(),
        };
        visit.step = match visit.known() {
            Known::Nothing => Step::Find,
            Known::Id(contact) => Step::Follow(contact),
            Known::Older(contact) if visit.tells_nothing() => Step::Follow(contact),
            Known::Older(contact) => Step::Update(contact),
        };
        visit
    }

    fn known(&self) -> Known {
        let person_and_message = self.person().zip(self.message());
        person_and_message.map_or(Known::Nothing, |(person, message)| {
            self.remembered.contact(&person, &message.progress_attribute, &message.progress)
        })
    }

    /// The contact shows the attributes of this event.
    fn is_shown(&self) {
        if let Some((person, message)) = self.person().zip(self.message()) {
            self.remembered.shows(&person, &message.progress_attribute, &message.progress);
        }
    }

    fn message(&self) -> Option<&Message> {
        self.messages.first()
    }

    fn tells_nothing(&self) -> bool {
        self.message().is_some_and(Message::tells_nothing)
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
                let body = self.update(message);
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
        body.extend(named(&message.identifier));
        body.extend(self.attributes(message));
        Value::Object(body)
    }

    fn update(&self, message: &Message) -> Map<String, Value> {
        let mut body = match self.writing {
            Writing::Attributes | Writing::AttributesAndId => self.attributes(message),
            Writing::IdAlone => Map::new(),
        };
        match self.writing {
            Writing::Attributes => {}
            Writing::AttributesAndId | Writing::IdAlone => body.extend(named(&message.identifier)),
        }
        body
    }

    fn attributes(&self, message: &Message) -> Map<String, Value> {
        let mut body = message.standard.clone();
        if let Some(custom) = self.left_out.rest(&message.custom) {
            body.insert("custom_attributes".to_owned(), Value::Object(custom));
        }
        body
    }

    /// The contact is there: on to its attributes, unless it shows newer ones.
    fn found(&mut self, seen: &Seen, contact: String) -> Option<Verdict> {
        self.learn(&contact);
        if self.tells_nothing() {
            return self.finish(contact);
        }
        let shows_newer = self.shows_newer(seen);
        let needs_id = self.adopts
            && seen.external_id.is_none()
            && self
                .message()
                .is_some_and(|message| matches!(message.identifier, Identifier::Id(_)));
        self.writing = match (shows_newer, needs_id) {
            (true, false) => return self.overtaken(contact),
            (true, true) => Writing::IdAlone,
            (false, true) => Writing::AttributesAndId,
            (false, false) => Writing::Attributes,
        };
        self.step = Step::Update(contact);
        None
    }

    /// The contact shows something newer: on to the event, or a refresh has come too late.
    fn overtaken(&mut self, contact: String) -> Option<Verdict> {
        match self.message().map(|message| message.yields) {
            Some(Yields::ToLater) => Some(Verdict::Outdated),
            Some(Yields::ToSame) | None => self.record(contact),
        }
    }

    /// Whether what the contact shows is to stay.
    fn shows_newer(&self, seen: &Seen) -> bool {
        let Some((person, message)) = self.person().zip(self.message()) else { return false };
        let text = seen.custom.get(&message.progress_attribute).and_then(Value::as_str);
        let Some(shown) = text.and_then(Progress::parse) else { return false };
        let is_written_over = match message.yields {
            Yields::ToSame => shown.is_older_than(&message.progress),
            Yields::ToLater => !message.progress.is_older_than(&shown),
        };
        if is_written_over {
            return false;
        }
        self.remembered.shows(&person, &message.progress_attribute, &shown);
        true
    }

    /// The contact is up to date: on to the event, where there is one.
    fn record(&mut self, contact: String) -> Option<Verdict> {
        if self.message().is_some_and(|message| message.event.is_some()) {
            self.step = Step::Record(contact);
            return None;
        }
        self.finish(contact)
    }

    /// Everything is told: on to what follows.
    fn finish(&mut self, contact: String) -> Option<Verdict> {
        if self.archives() {
            self.step = Step::Archive(contact);
            return None;
        }
        Some(self.delivered())
    }

    /// Nobody is there: created to be told something, and for nothing else.
    fn nobody(&mut self) -> Option<Verdict> {
        if self.tells_nothing() {
            return Some(self.delivered());
        }
        self.step = Step::Create;
        None
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
        match self.step.clone() {
            Step::Find => match seen.id.clone() {
                Some(contact) => self.found(seen, contact),
                None => self.nobody(),
            },
            Step::Follow(contact) => {
                let contact = seen.id.clone().unwrap_or(contact);
                self.found(seen, contact)
            }
            Step::Create => match seen.id.clone() {
                Some(contact) => {
                    self.learn(&contact);
                    self.is_shown();
                    self.record(contact)
                }
                None => self.repair(),
            },
            Step::Update(contact) => {
                if self.writing != Writing::IdAlone {
                    self.is_shown();
                }
                self.record(contact)
            }
            Step::Record(contact) => self.finish(contact),
            Step::Archive(_) => Some(self.delivered()),
        }
    }

    fn delivered(&mut self) -> Verdict {
        self.left_out.why().map_or(Verdict::Delivered, Verdict::DeliveredWithoutAttributes)
    }

    /// The next step, or the verdict.
    fn next(&mut self, judgement: Judgement) -> Option<Verdict> {
        match judgement {
            Judgement::Done(seen) => self.advance(&seen),
            Judgement::Absent if self.step == Step::Find => self.nobody(),
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
            Judgement::Conflict(conflict) => self.conflict(conflict),
            Judgement::AttributesRefused { failure, said } => {
                let Some(message) = self.messages.first() else {
                    return Some(Verdict::Park(failure));
                };
                // The same step again, with less.
                self.left_out.leave_out(message, failure, &said).map(Verdict::Park)
            }
            Judgement::Over(verdict) => Some(verdict),
        }
    }

    /// Only who creates may have been overtaken; anywhere else the contact in the way stays there.
    fn conflict(&mut self, Conflict { with, failure }: Conflict) -> Option<Verdict> {
        let creates = self.step == Step::Create;
        match with {
            InTheWay::Contact(contact) if creates => {
                // What it shows may be newer than what is to be written.
                self.adopts = true;
                self.step = Step::Follow(contact);
                None
            }
            InTheWay::Unnamed if creates => {
                Some(Verdict::Retry(Failure { reason: Reason::NotReady, ..failure }))
            }
            // It is done already: the answer was lost, or a colleague was faster.
            InTheWay::Archived if creates && self.archives() => Some(self.delivered()),
            InTheWay::Contact(_) | InTheWay::Archived | InTheWay::Unnamed => {
                Some(Verdict::Park(failure))
            }
        }
    }

    fn archives(&self) -> bool {
        self.message().is_some_and(|message| message.afterwards == Afterwards::Archive)
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
