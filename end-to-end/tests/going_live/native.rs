//! The integration that runs until the switch: it gets the webhooks that `ingest` gets, and calls both destinations in
//! its own way. From the moment on at which it is switched off, by the provider's time, it tells nothing.

use std::collections::HashSet;

use bytes::Bytes;
use end_to_end::destinations::Destinations;
use end_to_end::journeys::{Provider, Webhook};
use end_to_end::schedule::Sending;
use http_body_util::Full;
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tokio::time::Instant;

/// What it calls a renewal.
pub(crate) const TOLD: &[&str] = &["native renewal"];

/// Basic credentials of the emulator: `emulator-site:emulator-key`.
const CUSTOMERIO: &str = "Basic ZW11bGF0b3Itc2l0ZTplbXVsYXRvci1rZXk=";
const INTERCOM: &str = "Bearer emulator-token";

pub(crate) struct Native {
    client: Client<HttpConnector, Full<Bytes>>,
    customerio: String,
    intercom: String,
    /// What it was told already: a webhook may come twice.
    known: HashSet<String>,
    /// Requests made, to Customer.io and to Intercom.
    pub(crate) calls: [usize; 2],
}

impl Native {
    pub(crate) fn beside(destinations: &Destinations) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            customerio: destinations.customerio.base_url(),
            intercom: destinations.intercom.base_url(),
            known: HashSet::new(),
            calls: [0, 0],
        }
    }

    /// Gets what is sent when it is sent, and tells what happened before it is switched off.
    pub(crate) async fn follow(mut self, sendings: Vec<Sending>, ends_at_ms: i64) -> Self {
        let begun = Instant::now();
        for sending in sendings {
            tokio::time::sleep_until(begun + sending.at).await;
            let webhook = &sending.webhook;
            if webhook.occurred_at_ms < ends_at_ms && self.known.insert(webhook.event_id.clone()) {
                self.tell(webhook).await;
            }
        }
        self
    }

    async fn tell(&mut self, webhook: &Webhook) {
        let (at, who) = (webhook.occurred_at_ms / 1000, person(webhook));
        let (by, identifier) = match webhook.provider {
            Provider::Dodo => ("email", "email"),
            Provider::Stripe | Provider::RevenueCat | Provider::Purchasely => ("id", "external_id"),
        };
        let person = json!({"type": "person", "action": "identify", "timestamp": at,
            "identifiers": {by: who}, "attributes": {"told_by": "native"}});
        self.call(0, "/api/v2/entity", &person, &[200]).await;
        let event = json!({"type": "person", "action": "event", "name": TOLD[0], "timestamp": at,
            "identifiers": {by: who}, "id": format!("01J{:023}", self.known.len())});
        self.call(0, "/api/v2/entity", &event, &[200]).await;
        let contact = json!({"role": "user", identifier: who});
        self.call(1, "/contacts", &contact, &[200, 409]).await;
        let by = if identifier == "email" { "email" } else { "user_id" };
        let event = json!({"event_name": TOLD[0], "created_at": at, by: who});
        self.call(1, "/events", &event, &[200, 202]).await;
    }

    async fn call(&mut self, destination: usize, path: &str, body: &Value, expected: &[u16]) {
        let (base_url, credentials) =
            [(&self.customerio, CUSTOMERIO), (&self.intercom, INTERCOM)][destination];
        let request = Request::post(format!("{base_url}{path}"))
            .header("authorization", credentials)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .header("intercom-version", "2.14")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        let status = self.client.request(request).await.unwrap().status().as_u16();
        assert!(expected.contains(&status), "{path}: {status}");
        self.calls[destination] += 1;
    }
}

/// By whatever the webhook says, as its own way is.
fn person(webhook: &Webhook) -> String {
    let body = &webhook.body;
    let text = |place: &str| body.pointer(place).and_then(Value::as_str).unwrap().to_owned();
    match webhook.provider {
        // It has a table of whose customer is whose.
        Provider::Stripe => text("/data/object/customer").replace("cus_", "u-"),
        Provider::Dodo => text("/data/customer/email"),
        Provider::RevenueCat => text("/event/app_user_id"),
        Provider::Purchasely => text("/user_id"),
    }
}
