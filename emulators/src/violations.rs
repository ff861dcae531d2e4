//! The record of what a well-behaved client would not have sent.
//!
//! A violation names a rule and a place (a field, an item of a batch), never a value: the record
//! may be printed in full by a failing test or by the demo.

use serde::Serialize;

/// What was broken. The words are stable: tests and the demo select by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Missing or wrong credentials.
    Unauthorized,
    /// Intercom: `Intercom-Version` missing or not one this client may use.
    InvalidVersion,
    /// Intercom: no `Accept: application/json`.
    NotAcceptable,
    /// The body is sent without `Content-Type: application/json`.
    MissingContentType,
    /// No such endpoint, or not with this method.
    UnknownEndpoint,
    /// Not JSON, or not the shape the endpoint takes.
    MalformedBody,
    /// A required field is missing or empty.
    MissingField,
    /// A field has the wrong type or form.
    InvalidField,
    /// A field the vendor does not know and drops in silence.
    UnknownField,
    /// An action or type the vendor does not have.
    UnknownAction,
    /// None, or more than one, of the identifiers.
    NotOneIdentifier,
    /// A batch or a body beyond the size limit.
    BodyTooLarge,
    /// One item (or an entity) beyond the size limit.
    ItemTooLarge,
    /// A name or a value is longer than the vendor takes.
    TooLong,
    /// More attributes than the vendor keeps.
    TooManyAttributes,
    /// Customer.io: an event's `id` is no ULID.
    InvalidUlid,
    /// A time is not Unix seconds (milliseconds, text, a fraction).
    NotUnixSeconds,
    /// Customer.io: an event without an `id`: a retry would be a second event.
    EventWithoutId,
    /// An event or update without its time.
    MissingTimestamp,
    /// Customer.io: an `id` seen before with another person, name or time: a real event is lost.
    EventIdReused,
    /// Customer.io: an event for a person nobody identified creates an empty profile.
    EventBeforeIdentify,
    /// Customer.io: two events of a person in one batch, whose order the vendor does not promise.
    TwoEventsOfOnePersonInBatch,
    /// Customer.io: an attribute that overrides who receives the campaign's mail.
    ReservedAttribute,
    /// Customer.io: an id or address that belongs to somebody else; dropped in silence.
    IdentityConflict,
    /// The client sends faster than the vendor's fair use.
    RateAboveFairUse,
    /// Intercom: an event for a contact that does not exist (404).
    EventForUnknownContact,
    /// Intercom: an update or event for an archived contact.
    ArchivedContact,
    /// Intercom: the address belongs to several contacts.
    AmbiguousEmail,
    /// Intercom: a custom attribute nobody declared.
    UndeclaredAttribute,
    /// Intercom: a custom attribute's value is not of its declared type.
    AttributeTypeMismatch,
    /// Intercom: more than ten metadata keys; the rest is dropped in silence.
    TooManyMetadataKeys,
    /// Intercom: a metadata value of no documented type.
    InvalidMetadata,
    /// Intercom: more than 120 event names.
    TooManyEventNames,
    /// Intercom: the vendor rewrites this event name.
    EventNameRewritten,
    /// Intercom: two different events of one contact, name and second are merged into one.
    DistinctEventsMerged,
    /// Two requests for one person were under way at once.
    ConcurrentRequestsForPerson,
    /// A request arrived before the time the vendor had said to wait for.
    RequestInsideRetryAfter,
}

/// One thing a well-behaved client would not have done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Index of the request, as in [`crate::RequestRecord::index`].
    pub request: u64,
    /// What was broken.
    pub rule: Rule,
    /// Where: field names, item numbers, sizes. Never a value.
    pub detail: String,
}

/// The violations of one request while it is judged.
#[derive(Debug)]
pub struct Findings {
    request: u64,
    found: Vec<Violation>,
}

impl Findings {
    pub(crate) fn of_request(request: u64) -> Self {
        Self { request, found: Vec::new() }
    }

    pub(crate) fn request(&self) -> u64 {
        self.request
    }

    pub(crate) fn note(&mut self, rule: Rule, detail: impl Into<String>) {
        self.found.push(Violation { request: self.request, rule, detail: detail.into() });
    }

    pub(crate) fn into_violations(self) -> Vec<Violation> {
        self.found
    }

    #[cfg(test)]
    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.found.iter().map(|violation| violation.rule).collect()
    }
}
