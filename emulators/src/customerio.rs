//! Customer.io's Track API, version 2.
//!
//! `rules` reads one item of a request into an operation or refuses it; `profiles` carries the
//! operation out. This module is the API around both: credentials, sizes, batches, statuses. Sources:
//! Customer.io's Track API specification (OpenAPI, read 2026-08-22) and, where it is silent,
//! what other integrations report.

mod profiles;
mod refusal;
mod rules;
mod settings;

use std::collections::HashSet;

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::exchange::{Moment, Received, Reply, Vendor};
use crate::people::Person;
use crate::violations::{Findings, Rule};
use profiles::{Profiles, Slot};
use refusal::Refusal;
use rules::Identifier;
pub use settings::{Region, Settings};

/// A batch of more bytes is refused as a whole. Documented as 500 kB; read as the smaller of the
/// two readings.
const BATCH_LIMIT: usize = 500_000;
/// An item of more bytes is refused. Documented as 32 kB.
const ITEM_LIMIT: usize = 32_000;

/// What Customer.io knows.
#[derive(Debug)]
pub struct Workspace {
    settings: Settings,
    profiles: Profiles,
    rate: Rate,
}

#[derive(Debug, Default)]
struct Rate {
    second: u64,
    requests: u64,
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    batch: Vec<&'a RawValue>,
}

impl Workspace {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings, profiles: Profiles::default(), rate: Rate::default() }
    }

    fn is_authorized(&self, request: &Received) -> bool {
        let expected =
            format!("{}:{}", self.settings.site_id, self.settings.api_key.expose_secret());
        request
            .header("authorization")
            .and_then(|value| value.strip_prefix("Basic "))
            .and_then(|encoded| STANDARD.decode(encoded).ok())
            .is_some_and(|decoded| decoded == expected.as_bytes())
    }

    fn pace(&mut self, now: Moment, findings: &mut Findings) {
        let second = now.elapsed.as_secs();
        if self.rate.second != second {
            self.rate = Rate { second, requests: 0 };
        }
        self.rate.requests += 1;
        if self.rate.requests == self.settings.fair_use_per_second + 1 {
            let detail = format!("more than {} in a second", self.settings.fair_use_per_second);
            findings.note(Rule::RateAboveFairUse, detail);
        }
    }

    fn entity(&mut self, request: &Received, now: Moment, findings: &mut Findings) -> Reply {
        let done = std::str::from_utf8(&request.body)
            .map_err(|_| Refusal::malformed("the body is not UTF-8"))
            .and_then(|text| self.item(text, now, findings));
        match done {
            Ok(_) => Reply::json(200, json!({})),
            Err(refusal) => {
                findings.note(refusal.rule, refusal.place());
                Reply::json(400, json!({"errors": [refusal.to_json()]}))
            }
        }
    }

    fn batch(&mut self, request: &Received, now: Moment, findings: &mut Findings) -> Reply {
        let items = match read_batch(&request.body) {
            Ok(items) => items,
            Err(refusal) => {
                findings.note(refusal.rule, refusal.place());
                return Reply::json(400, json!({"errors": [refusal.to_json()]}));
            }
        };
        let mut errors = Vec::new();
        let mut with_event = HashSet::new();
        for (index, item) in items.iter().enumerate() {
            match self.item(item.get(), now, findings) {
                Ok(Some(slot)) if !with_event.insert(slot) => {
                    findings.note(Rule::TwoEventsOfOnePersonInBatch, format!("item {index}"));
                }
                Ok(_) => {}
                Err(refusal) => {
                    findings.note(refusal.rule, format!("item {index}: {}", refusal.place()));
                    let mut error = refusal.to_json();
                    error["batch_index"] = json!(index);
                    errors.push(error);
                }
            }
        }
        if errors.is_empty() {
            Reply::json(200, json!({}))
        } else {
            Reply::json(207, json!({"errors": errors}))
        }
    }

    /// Reads and applies one item; says whose story an event belongs to.
    fn item(
        &mut self,
        text: &str,
        now: Moment,
        findings: &mut Findings,
    ) -> Result<Option<Slot>, Refusal> {
        if text.len() > ITEM_LIMIT {
            return Err(Refusal::too_large(text.len()));
        }
        let operation = rules::read_item(text, findings)?;
        Ok(self.profiles.apply(operation, now, findings))
    }
}

fn read_batch(body: &[u8]) -> Result<Vec<&RawValue>, Refusal> {
    if body.len() > BATCH_LIMIT {
        return Err(Refusal::too_large(body.len()));
    }
    let batch: Batch<'_> = serde_json::from_slice(body)
        .map_err(|_| Refusal::malformed("not an object with an array named batch"))?;
    if batch.batch.is_empty() {
        return Err(Refusal::malformed("an empty batch"));
    }
    Ok(batch.batch)
}

impl Vendor for Workspace {
    fn concerns(&self, request: &Received) -> Vec<String> {
        let items = match request.path.as_str() {
            "/api/v2/entity" => serde_json::from_slice(&request.body).map(|item| vec![item]),
            "/api/v2/batch" => {
                serde_json::from_slice(&request.body).map(|batch: Batch<'_>| batch.batch)
            }
            _ => return Vec::new(),
        };
        let mut people: Vec<String> = items
            .unwrap_or_default()
            .into_iter()
            .flat_map(|item: &RawValue| rules::people_of(item.get()))
            .map(|identifier: Identifier| self.profiles.key_of(&identifier))
            .collect();
        people.sort_unstable();
        people.dedup();
        people
    }

    fn apply(&mut self, request: &Received, now: Moment, findings: &mut Findings) -> Reply {
        if !self.is_authorized(request) {
            findings.note(Rule::Unauthorized, "Basic site_id:api_key");
            return self.failure(401);
        }
        self.pace(now, findings);
        let has_body = request.method == Method::POST;
        if has_body && !request.says_json() {
            findings.note(Rule::MissingContentType, "application/json");
        }
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/api/v2/entity") => self.entity(request, now, findings),
            ("POST", "/api/v2/batch") => self.batch(request, now, findings),
            ("GET", "/api/v1/accounts/region") => Reply::json(200, self.settings.region.to_json()),
            (_, "/api/v2/entity" | "/api/v2/batch" | "/api/v1/accounts/region") => {
                findings.note(Rule::UnknownEndpoint, "method");
                Reply::empty(405)
            }
            _ => {
                findings.note(Rule::UnknownEndpoint, "path");
                Reply::empty(404)
            }
        }
    }

    fn failure(&self, status: u16) -> Reply {
        match status {
            401 => Reply::json(401, json!({"meta": {"error": "Unauthorized request"}})),
            _ => Reply::empty(status),
        }
    }

    fn people(&self) -> Vec<Person> {
        self.profiles.people()
    }

    fn person(&self, who: &str) -> Option<Person> {
        self.profiles.person(who)
    }

    fn hook(&mut self, _name: &str, _argument: &Value, _now: Moment) -> Option<Reply> {
        None
    }

    fn reset(&mut self) {
        self.profiles = Profiles::default();
        self.rate = Rate::default();
    }
}

#[cfg(test)]
mod tests;
