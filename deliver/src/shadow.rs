//! What a destination in shadow would have been sent: one note an event, in `deliver.<destination>.shadow`.
//!
//! A note is written in the transaction that marks its event done in the shadow's group, so that there is exactly one
//! for each event that would have been sent, and none for an event that was skipped: those are counted. It holds the
//! requests as a conversation makes them with a destination that is well and has never met the person, as
//! `deliver preview` shows them, and so it holds what they say about people. It holds no credentials, and no query of
//! a webhook's URL, which may be one.

use schemas::LifecycleEvent;
use schemas::headers::Header;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::destinations::{Elsewhere, Method, Request};

/// A note, as it is written. It is about people, hence only its size is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Note(Vec<u8>);

impl std::fmt::Debug for Note {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Note({} bytes)", self.0.len())
    }
}

/// What a note says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// Of the event.
    pub event_id: String,
    /// The event's type.
    pub event: String,
    /// The event's place in the subscriber's story.
    pub sequence: i64,
    /// When it happened, RFC 3339.
    pub occurred_at: String,
    /// In the order in which they would have been made.
    pub requests: Vec<Asked>,
    /// Bytes of a note that would have been too long for a message: there, paths and bodies are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out_bytes: Option<usize>,
}

/// A request of a note.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The path without a query.
    pub path: String,
    /// By what a receiver of signed messages recognises a repetition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Scheme and host, where that is not the destination's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What would have been sent there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

impl std::fmt::Debug for Planned {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Planned({}, {} requests)", self.event, self.requests.len())
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Asked({:?})", self.method)
    }
}

impl Note {
    /// What would have been sent of `event`, in at most `longest` bytes: of what is longer, no more than which
    /// requests there would have been.
    pub fn of(event: &LifecycleEvent, requests: &[Request], longest: usize) -> Self {
        let planned = Planned {
            event_id: event.event_id.clone(),
            event: event.event_type.name().to_owned(),
            sequence: event.sequence,
            occurred_at: event.occurred_at.to_string(),
            requests: requests.iter().map(Asked::of).collect(),
            left_out_bytes: None,
        };
        let whole = planned.written();
        if whole.len() <= longest {
            return Self(whole);
        }
        Self(planned.without_contents(whole.len()).written())
    }

    /// As it is written.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What kind of text every note is.
    pub fn content_type() -> Header {
        Header::text("content-type", "application/json")
    }
}

impl Planned {
    /// Reads a note; none where it is none.
    pub fn read(note: &[u8]) -> Option<Self> {
        serde_json::from_slice(note).ok()
    }

    fn without_contents(self, bytes: usize) -> Self {
        let bare =
            |asked: Asked| Asked { path: String::new(), message_id: None, body: None, ..asked };
        Self {
            requests: self.requests.into_iter().map(bare).collect(),
            left_out_bytes: Some(bytes),
            ..self
        }
    }

    fn written(&self) -> Vec<u8> {
        // Strings and numbers alone: there is nothing in it that JSON could not hold.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Asked {
    fn of(request: &Request) -> Self {
        let text = |body: &[u8]| Value::String(String::from_utf8_lossy(body).into_owned());
        let json = |body: &Vec<u8>| serde_json::from_slice(body).unwrap_or_else(|_| text(body));
        Self {
            method: request.method,
            path: request.shown_path().into_owned(),
            message_id: request.message_id.clone(),
            origin: request.elsewhere.as_ref().map(|elsewhere| elsewhere.origin.clone()),
            body: request.body.as_ref().map(json),
        }
    }

    /// The request, but for the query that it may have had.
    pub fn request(&self) -> Request {
        Request {
            method: self.method,
            path: self.path.clone(),
            body: self.body.as_ref().map(|body| body.to_string().into_bytes()),
            message_id: self.message_id.clone(),
            elsewhere: self.origin.clone().map(|origin| Elsewhere { origin, headers: Vec::new() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use schemas::EventType;
    use serde_json::json;

    use super::*;
    use crate::destinations::samples;

    fn requests() -> Vec<Request> {
        let body = json!({"email": "ada@example.com", "price": 14.90});
        vec![
            Request::get("/contacts?token=SECRET"),
            Request::post("/events", &body).identified("msg-1"),
        ]
    }

    fn note(longest: usize) -> Planned {
        let event = samples::event(EventType::SubscriptionRenewed);
        let note = Note::of(&event, &requests(), longest);
        assert!(!format!("{note:?}").contains("ada"), "{note:?}");
        Planned::read(note.bytes()).unwrap()
    }

    #[test]
    fn a_note_is_read_as_it_was_written_but_for_the_query_of_a_url() {
        let note = note(10_000);
        assert_eq!((note.event.as_str(), note.sequence), ("subscription_renewed", 7));
        let event = samples::event(EventType::SubscriptionRenewed);
        assert_eq!(note.occurred_at, event.occurred_at.to_string());
        let read: Vec<_> = note.requests.iter().map(Asked::request).collect();
        assert_eq!(read[1], requests()[1]);
        assert_eq!(read[0].path, "/contacts?(not shown)");
    }

    #[test]
    fn a_note_that_is_too_long_for_a_message_says_only_which_requests_there_would_have_been() {
        let note = note(200);
        assert!(note.left_out_bytes.unwrap() > 200);
        let methods: Vec<_> = note.requests.iter().map(|asked| asked.method).collect();
        assert_eq!(methods, [Method::Get, Method::Post]);
        assert!(note.requests.iter().all(|asked| asked.body.is_none() && asked.path.is_empty()));
    }

    #[test]
    fn what_is_no_note_is_not_read() {
        assert_eq!(Planned::read(b"{}"), None);
    }
}
