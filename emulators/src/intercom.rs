//! Intercom's REST API, versions 2.14 to 2.16: contacts, their custom attributes, events.
//!
//! `contacts`, `attributes`, `events` and `search` hold a part of the rules each; this module is
//! the API around them: credentials, headers, rate limit, routing. Sources: Intercom's OpenAPI
//! description 2.16 (read 2026-08-21), its page on rate limiting, its help article 5245634 on events, and
//! for the 409 its repository's pull request 543.

mod attributes;
mod contacts;
mod events;
mod history;
mod refusals;
mod search;
mod settings;

use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use crate::exchange::{Moment, Received, Reply, Vendor};
use crate::people::{Person, Standing};
use crate::violations::{Findings, Rule};
use attributes::Attributes;
use contacts::{Contact, Contacts, Reference, Slot};
use history::History;
use refusals::Refusal;
pub use settings::{Region, Settings};

/// Seconds of a rate-limit window.
const WINDOW: u64 = 10;

/// What Intercom knows.
#[derive(Debug)]
pub struct Workspace {
    settings: Settings,
    contacts: Contacts,
    attributes: Attributes,
    history: History,
    window: Window,
}

#[derive(Debug, Default)]
struct Window {
    number: u64,
    requests: u64,
}

impl Workspace {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            contacts: Contacts::default(),
            attributes: Attributes::default(),
            history: History::default(),
            window: Window::default(),
        }
    }

    fn authenticate(&self, request: &Received) -> Result<(), Refusal> {
        let expected = format!("Bearer {}", self.settings.access_token.expose_secret());
        if request.header("authorization") == Some(expected.as_str()) {
            return Ok(());
        }
        let (message, rule) = ("Access Token Invalid", Rule::Unauthorized);
        Err(Refusal::fault(401, "unauthorized", message, rule, "bearer token"))
    }

    /// Counts a request; the headers every authenticated reply carries, and whether it is too many.
    fn count(&mut self, now: Moment) -> (Vec<(&'static str, String)>, Result<(), Refusal>) {
        let number = now.unix_seconds() / WINDOW;
        if self.window.number != number {
            self.window = Window { number, requests: 0 };
        }
        self.window.requests += 1;
        let limit = self.settings.requests_per_ten_seconds;
        let headers = vec![
            ("x-ratelimit-limit", limit.to_string()),
            ("x-ratelimit-remaining", limit.saturating_sub(self.window.requests).to_string()),
            ("x-ratelimit-reset", ((number + 1) * WINDOW).to_string()),
        ];
        let admitted = if self.window.requests > limit {
            let message = format!("Exceeded rate limit of {limit} in 10_seconds");
            Err(Refusal::expected(429, "rate_limit_exceeded", &message))
        } else {
            Ok(())
        };
        (headers, admitted)
    }

    fn route(
        &mut self,
        request: &Received,
        now: Moment,
        findings: &mut Findings,
    ) -> Result<Reply, Refusal> {
        let segments = request.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let by_id = |id: &str| Reference::ContactId(id.to_owned());
        match (request.method.as_str(), &path[..]) {
            ("GET", ["me"]) => Ok(Reply::json(200, me(self.settings.region))),
            ("POST", ["events"]) => self.submit(&body(request, findings)?, findings),
            ("GET", ["contacts", "find_by_external_id", id]) => {
                self.show(&Reference::ExternalId((*id).to_owned()))
            }
            ("POST", ["contacts", "search"]) => {
                let query = body(request, findings)?;
                search::search(&query, &self.contacts, now.unix, self.settings.search_delay)
                    .map(|found| Reply::json(200, found))
            }
            ("POST", ["contacts"]) => self.create(&body(request, findings)?, now, findings),
            ("PUT", ["contacts", id]) => {
                self.update(&by_id(id), &body(request, findings)?, now, findings)
            }
            ("GET", ["contacts", id]) => self.show(&by_id(id)),
            ("POST", ["contacts", id, "archive"]) => self.stand(&by_id(id), Standing::Archived),
            ("POST", ["contacts", id, "unarchive"]) => self.stand(&by_id(id), Standing::Active),
            ("GET", ["data_attributes"]) => {
                self.attributes.list(request.parameter("model").as_deref())
            }
            ("POST", ["data_attributes"]) => {
                self.attributes.declare(&body(request, findings)?, now.unix_seconds())
            }
            (_, ["me" | "events" | "data_attributes"] | ["contacts", ..]) => {
                let rule = Rule::UnknownEndpoint;
                Err(Refusal::fault(405, "client_error", "Method Not Allowed", rule, "method"))
            }
            _ => {
                let rule = Rule::UnknownEndpoint;
                Err(Refusal::fault(404, "not_found", "The path does not exist", rule, "path"))
            }
        }
    }

    fn show(&self, reference: &Reference) -> Result<Reply, Refusal> {
        let slot = self.contacts.show(reference)?;
        Ok(Reply::json(200, self.contacts.get(slot).to_json()))
    }

    fn create(
        &mut self,
        body: &Map<String, Value>,
        now: Moment,
        findings: &mut Findings,
    ) -> Result<Reply, Refusal> {
        contacts::check(body, findings)?;
        self.check_custom(body)?;
        let slot = self.contacts.create(body, now.unix_seconds())?;
        Ok(Reply::json(200, self.contacts.get(slot).to_json()))
    }

    fn update(
        &mut self,
        reference: &Reference,
        body: &Map<String, Value>,
        now: Moment,
        findings: &mut Findings,
    ) -> Result<Reply, Refusal> {
        let slot =
            self.contacts.show(reference).map_err(|refusal| self.explain(reference, refusal))?;
        contacts::check(body, findings)?;
        self.check_custom(body)?;
        self.contacts.update(slot, body, now.unix_seconds())?;
        Ok(Reply::json(200, self.contacts.get(slot).to_json()))
    }

    fn check_custom(&self, body: &Map<String, Value>) -> Result<(), Refusal> {
        match body.get("custom_attributes").and_then(Value::as_object) {
            Some(custom) => self.attributes.check(custom),
            None => Ok(()),
        }
    }

    /// An archived contact may be looked for, but is not to be written to.
    fn explain(&self, reference: &Reference, refusal: Refusal) -> Refusal {
        let found = self.contacts.find(reference);
        let archived = |slot: &Slot| self.contacts.get(*slot).person.standing == Standing::Archived;
        if found.iter().any(archived) {
            return refusal.because(Rule::ArchivedContact, "unarchive it first");
        }
        refusal
    }

    fn stand(&mut self, reference: &Reference, standing: Standing) -> Result<Reply, Refusal> {
        let slot = self.contacts.find(reference).first().copied().ok_or_else(Refusal::not_found)?;
        Ok(Reply::json(200, self.contacts.set_standing(slot, standing)))
    }

    /// `POST /events`.
    fn submit(
        &mut self,
        body: &Map<String, Value>,
        findings: &mut Findings,
    ) -> Result<Reply, Refusal> {
        let event = events::read(body, findings)?;
        let slot = self.contacts.addressee(&event.contact)?;
        let person = &mut self.contacts.get_mut(slot).person;
        self.history.record(slot, event, person, findings)?;
        Ok(Reply::empty(202))
    }

    fn merge(&mut self, argument: &Value) -> Option<()> {
        let find = |contacts: &Contacts, field: &str| {
            let reference = Reference::ExternalId(argument[field].as_str()?.to_owned());
            contacts.find(&reference).first().copied()
        };
        let (from, into) = (find(&self.contacts, "from")?, find(&self.contacts, "into")?);
        self.contacts.merge(from, into);
        Some(())
    }
}

impl Vendor for Workspace {
    fn concerns(&self, request: &Received) -> Vec<String> {
        let segments = request.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let reference = match &path[..] {
            ["events"] => named(&request.body, &["id", "user_id", "email"]),
            ["contacts"] => named(&request.body, &["external_id", "email"]),
            ["contacts", "search"] => None,
            ["contacts", "find_by_external_id", id] => {
                Some(Reference::ExternalId((*id).to_owned()))
            }
            ["contacts", id, ..] => Some(Reference::ContactId((*id).to_owned())),
            _ => None,
        };
        reference.map(|reference| self.contacts.key_of(&reference)).into_iter().collect()
    }

    fn apply(&mut self, request: &Received, now: Moment, findings: &mut Findings) -> Reply {
        if let Err(refusal) = self.authenticate(request) {
            return refusal.answer(findings);
        }
        let (headers, within) = self.count(now);
        let outcome = within.and_then(|()| check_headers(request));
        let mut reply = match outcome.and_then(|()| self.route(request, now, findings)) {
            Ok(reply) => reply,
            Err(refusal) => refusal.answer(findings),
        };
        reply.headers.extend(headers);
        reply
    }

    fn failure(&self, status: u16) -> Reply {
        refusals::failure(status)
    }

    fn people(&self) -> Vec<Person> {
        self.contacts.iter().map(|contact: &Contact| contact.person.clone()).collect()
    }

    fn person(&self, who: &str) -> Option<Person> {
        let who = who.to_owned();
        [
            Reference::ExternalId(who.clone()),
            Reference::Email(who.clone()),
            Reference::ContactId(who),
        ]
        .iter()
        .find_map(|reference| self.contacts.find(reference).first().copied())
        .map(|slot| self.contacts.get(slot).person.clone())
    }

    fn hook(&mut self, name: &str, argument: &Value, now: Moment) -> Option<Reply> {
        let fields = argument.as_object().cloned().unwrap_or_default();
        let done = match name {
            "merge" => {
                self.merge(argument).map(|()| Reply::empty(204)).ok_or_else(Refusal::not_found)
            }
            "archive" => {
                let external_id = argument["external_id"].as_str().unwrap_or_default();
                self.stand(&Reference::ExternalId(external_id.to_owned()), Standing::Archived)
            }
            "create_contact" => {
                // What is done in the user interface is not the client's to answer for.
                self.create(&fields, now, &mut Findings::of_request(0))
            }
            "declare_attribute" => self.attributes.declare(&fields, now.unix_seconds()),
            _ => return None,
        };
        Some(done.unwrap_or_else(|refusal| refusal.answer(&mut Findings::of_request(0))))
    }

    fn reset(&mut self) {
        *self = Self::new(self.settings.clone());
    }
}

/// The contact that a body names by the first of the fields it has.
fn named(body: &[u8], fields: &[&str]) -> Option<Reference> {
    let body: Map<String, Value> = serde_json::from_slice(body).ok()?;
    fields.iter().find_map(|field| {
        let text = body.get(*field)?.as_str()?.to_owned();
        Some(match *field {
            "id" => Reference::ContactId(text),
            "email" => Reference::Email(text),
            _ => Reference::ExternalId(text),
        })
    })
}

/// Stricter than Intercom, which falls back to the version chosen in the workspace's settings.
fn check_headers(request: &Received) -> Result<(), Refusal> {
    if !matches!(request.header("intercom-version"), Some("2.14" | "2.15" | "2.16")) {
        let message = "The requested version could not be found";
        let (code, rule) = ("intercom_version_invalid", Rule::InvalidVersion);
        return Err(Refusal::fault(400, code, message, rule, "Intercom-Version"));
    }
    if !request.header("accept").is_some_and(|accept| accept.contains("application/json")) {
        let message = "The Accept header should be application/json";
        let (code, rule) = ("media_type_not_acceptable", Rule::NotAcceptable);
        return Err(Refusal::fault(406, code, message, rule, "Accept"));
    }
    Ok(())
}

fn body(request: &Received, findings: &mut Findings) -> Result<Map<String, Value>, Refusal> {
    if !request.says_json() {
        findings.note(Rule::MissingContentType, "application/json");
    }
    serde_json::from_slice(&request.body).map_err(|_| {
        let (code, message) = ("bad_request", "The body is not a JSON object");
        Refusal::fault(400, code, message, Rule::MalformedBody, "body")
    })
}

fn me(region: Region) -> Value {
    json!({
        "type": "admin", "id": "1", "name": "Emulated admin", "email": "admin@example.com",
        "email_verified": true, "has_inbox_seat": true,
        "app": {"type": "app", "id_code": "emulated", "name": "Emulated workspace",
            "created_at": 1_700_000_000, "secure": false, "identity_verification": false,
            "timezone": "UTC", "region": region.word()},
    })
}

#[cfg(test)]
mod tests;
