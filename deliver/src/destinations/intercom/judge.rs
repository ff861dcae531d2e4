//! What an answer means, beyond what means the same everywhere.

use serde::Deserialize;
use serde_json::Value;

use crate::destinations::{Answer, Reply, Verdict, trouble};
use crate::failure::{Failure, Reason};

/// What an answer means to a visit.
#[derive(Debug)]
pub(super) enum Judgement {
    /// Done as asked.
    Done(Seen),
    /// Not there, or not any more.
    Absent,
    /// Merged into the contact with this id.
    MovedTo(String),
    /// Another contact is in the way.
    Conflict(Conflict),
    /// Custom attributes are not declared, or of another type.
    AttributesRefused {
        /// The answer.
        failure: Failure,
        /// What it says of them, from which their names can be told.
        said: Vec<String>,
    },
    /// Anything else.
    Over(Verdict),
}

/// What a 409 says. What it means depends on what was asked for.
#[derive(Debug)]
pub(super) struct Conflict {
    /// Which contact is in the way.
    pub(super) with: InTheWay,
    /// The answer.
    pub(super) failure: Failure,
}

/// The contact that is in the way.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InTheWay {
    /// One with this id.
    Contact(String),
    /// One that is archived.
    Archived,
    /// The answer does not say which.
    Unnamed,
}

/// What an answer shows of a contact.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The contact's id, where one is in the answer.
    pub(super) id: Option<String>,
    /// By what we know it; `None` also where no contact is in the answer.
    pub(super) external_id: Option<String>,
    /// Its custom attributes.
    pub(super) custom: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct Contact {
    id: String,
    #[serde(default)]
    external_id: Option<String>,
    #[serde(default)]
    custom_attributes: Option<serde_json::Map<String, Value>>,
}

#[derive(Deserialize)]
struct Found {
    data: Vec<Contact>,
}

#[derive(Default, Deserialize)]
struct Errors {
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    errors: Vec<ApiError>,
}

#[derive(Deserialize)]
struct ApiError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    field: Option<String>,
}

pub(super) fn judge(answer: &Answer) -> Judgement {
    if let Some(verdict) = trouble(answer) {
        return Judgement::Over(verdict);
    }
    let Answer::Replied(reply) = answer else {
        return Judgement::Over(Verdict::Retry(Failure::new(Reason::UnexpectedAnswer, "")));
    };
    match reply.status {
        200..=299 => Judgement::Done(seen(&reply.body)),
        404 => Judgement::Absent,
        410 => moved(reply),
        409 => Judgement::Conflict(conflict(reply)),
        400 | 422 => refused(reply),
        _ => Judgement::Over(Verdict::Park(failure(reply, Reason::Refused))),
    }
}

/// A contact, or the first of a search; an answer without either shows nothing. Its id goes into paths as it stands, so
/// that nothing but an id is taken for one.
fn seen(body: &[u8]) -> Seen {
    let contact = serde_json::from_slice::<Contact>(body).ok().or_else(|| {
        serde_json::from_slice::<Found>(body).ok().and_then(|found| found.data.into_iter().next())
    });
    match contact.filter(|contact| is_contact_id(&contact.id)) {
        None => Seen::default(),
        Some(contact) => Seen {
            id: Some(contact.id),
            external_id: contact.external_id.filter(|id| !id.is_empty()),
            custom: contact.custom_attributes.unwrap_or_default(),
        },
    }
}

/// `Link: </contacts/{id}>; rel="canonical"`.
fn moved(reply: &Reply) -> Judgement {
    let target = reply.link.as_deref().and_then(|link| {
        let path = link.split_once('<')?.1.split_once('>')?.0;
        let id = path.rsplit_once("/contacts/")?.1;
        is_contact_id(id).then(|| id.to_owned())
    });
    target.map_or(Judgement::Absent, Judgement::MovedTo)
}

/// `A contact matching those details already exists with id=<id>`, or `An archived contact …`.
fn conflict(reply: &Reply) -> Conflict {
    let errors = errors(reply);
    let messages: Vec<&str> =
        errors.errors.iter().filter_map(|error| error.message.as_deref()).collect();
    if messages.iter().any(|message| message.contains("archived contact")) {
        let failure = failure(reply, Reason::PersonArchived);
        return Conflict { with: InTheWay::Archived, failure };
    }
    let id = messages.iter().find_map(|message| {
        let rest = message.split_once("id=")?.1;
        let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(rest.len());
        is_contact_id(&rest[..end]).then(|| rest[..end].to_owned())
    });
    let with = id.map_or(InTheWay::Unnamed, InTheWay::Contact);
    Conflict { with, failure: failure(reply, Reason::Refused) }
}

/// A workspace that has had 120 names of events takes no further one (help article 5245634, read
/// 2026-11): whoever runs it must hear of that, as no event of that name will ever be taken.
fn refused(reply: &Reply) -> Judgement {
    let told = errors(reply);
    let too_many = |error: &ApiError| {
        error.message.as_deref().is_some_and(|message| message.contains("active event names"))
    };
    if told.errors.iter().any(too_many) {
        return Judgement::Over(Verdict::Park(failure(reply, Reason::TooManyNames)));
    }
    let failure = failure(reply, Reason::Refused);
    let is_about_attributes = |text: &String| {
        text.contains("custom_attribute") || text.to_lowercase().contains("custom attribute")
    };
    let invalid = told.errors.into_iter().filter(|error| error.code == "parameter_invalid");
    let invalid = invalid.map(|error| [error.field, error.message].into_iter().flatten().collect());
    let said: Vec<Vec<String>> =
        invalid.filter(|texts: &Vec<String>| texts.iter().any(is_about_attributes)).collect();
    if said.is_empty() {
        return Judgement::Over(Verdict::Park(failure));
    }
    Judgement::AttributesRefused { failure, said: said.concat() }
}

fn errors(reply: &Reply) -> Errors {
    serde_json::from_slice(&reply.body).unwrap_or_default()
}

/// The id of the request stands in the body, too.
fn failure(reply: &Reply, reason: Reason) -> Failure {
    let mut failure = reply.failure(reason);
    failure.request_id = failure.request_id.or(errors(reply).request_id);
    failure
}

fn is_contact_id(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|letter| letter.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contact_whose_id_is_none_is_no_contact() {
        let shown = |id: &str| seen(format!(r#"{{"id": "{id}"}}"#).as_bytes()).id;
        assert_eq!(shown("66f1a2b3c4d5e6f708192a3b").as_deref(), Some("66f1a2b3c4d5e6f708192a3b"));
        for id in ["", "..", "a/archive", "a?b", "a#b", "a b"] {
            assert_eq!(shown(id), None, "{id}");
        }
    }
}
