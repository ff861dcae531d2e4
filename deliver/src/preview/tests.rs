use clap::Parser;
use schemas::Timestamp;
use serde_json::{Value, json};
use service::Binary;
use service::clock::SystemClock;
use service::config::{Loader, Variables, Vocabulary};

use super::webhook::{Fate, Told};
use super::*;
use crate::shadow::{Note, Planned};

const CONFIGURATION: &str = "\
kafka: { brokers: 'localhost:9092' }
sources:
  apps: { provider: revenuecat, authorization: [word] }
  shop: { provider: stripe, secrets: [word] }
  own: { provider: native }
destinations:
  crm:
    type: customerio
    region: eu
    site_id: SITE-SECRET
    api_key: KEY-SECRET
  desk:
    type: intercom
    region: au
    access_token: TOKEN-SECRET
    mode: shadow
  warehouse:
    type: webhook
    url: https://hooks.example.com/in?token=URL-SECRET
    secrets: [whsec_c2lnbmluZyBzZWNyZXQ=]
    events: { trial_started: { enabled: false } }
";

fn config() -> Config {
    let (events, attributes) = (configure::event_names(), configure::attribute_names());
    let vocabulary = Vocabulary { events: &events, attributes: &attributes };
    let (variables, clock) = (Variables::default(), Arc::new(SystemClock::new()));
    let loader = Loader { binary: Binary::Deliver, variables: &variables, vocabulary, clock };
    loader.read("it.yaml", CONFIGURATION).unwrap()
}

fn given(body: impl Into<Vec<u8>>) -> Given {
    let at = jiff::Timestamp::from_second(1_780_000_000).unwrap();
    Given { body: body.into(), id: None, subscriber: None, at }
}

fn told(source: &str, bodies: &[Value]) -> Vec<Told> {
    let mut pipeline = Pipeline::new(&config(), source).unwrap();
    bodies.iter().map(|body| pipeline.take(given(body.to_string())).unwrap()).collect()
}

fn pages(told: &[Told]) -> String {
    let destinations = destinations(&config(), None).unwrap();
    let pages = told.iter().map(|told| page::page(told, &destinations, 1_780_000_009));
    pages.collect::<Vec<_>>().join("\n")
}

fn subscription(event_type: &str, id: &str, period_type: &str) -> Value {
    json!({"api_version": "1.0", "event": {
        "type": event_type, "id": id, "event_timestamp_ms": 1_779_999_000_123_i64,
        "app_user_id": "u_5150", "original_app_user_id": "u_5150",
        "product_id": "harbour.monthly", "period_type": period_type,
        "purchased_at_ms": 1_779_999_000_000_i64, "expiration_at_ms": 1_782_591_000_000_i64,
        "store": "APP_STORE", "environment": "PRODUCTION", "currency": "USD",
        "price_in_purchased_currency": 4.99, "entitlement_ids": ["moor"],
        "subscriber_attributes": {"$email": {"value": "ada@example.com", "updated_at_ms": 1}},
    }})
}

fn dispute() -> Value {
    json!({"id": "evt_d1", "object": "event", "type": "charge.dispute.created",
        "created": 1_779_999_000, "livemode": true, "data": {"object": {
            "id": "du_1", "object": "dispute", "amount": 1_499, "currency": "usd",
            "charge": "ch_1", "payment_intent": "pi_1", "reason": "fraudulent",
            "status": "needs_response", "created": 1_779_999_000, "livemode": true,
            "balance_transactions": []}}})
}

#[test]
fn a_trial_and_its_conversion_at_every_kind_of_destination() {
    let story = told(
        "apps",
        &[
            subscription("INITIAL_PURCHASE", "one", "TRIAL"),
            subscription("RENEWAL", "two", "NORMAL"),
        ],
    );
    assert!(story.iter().all(|told| !told.is_parked()));
    insta::assert_snapshot!("story", pages(&story));
}

#[test]
fn an_alias_merges_the_people_who_turned_out_to_be_one() {
    let mut alias = subscription("SUBSCRIBER_ALIAS", "two", "NORMAL");
    alias["event"]["original_app_user_id"] = json!("$RCAnonymousID:5d0e");
    alias["event"]["aliases"] = json!(["$RCAnonymousID:5d0e", "u_5150", "u_21"]);
    let shown = pages(&told("apps", &[alias]));
    assert!(shown.contains("event customer_merged"), "{shown}");
    let merge = json!({"type": "person", "action": "merge", "primary": {"id": "u_5150"},
        "secondary": {"id": "u_21"}});
    let compact: String = shown.split_whitespace().collect();
    assert!(compact.contains(&merge.to_string()), "{shown}");
    assert_eq!(compact.matches(r#""action":"merge""#).count(), 1, "{shown}");
}

#[test]
fn no_credential_is_ever_shown() {
    let shown = pages(&told("apps", &[subscription("INITIAL_PURCHASE", "one", "NORMAL")]));
    assert!(shown.contains("POST https://track-eu.customer.io/api/v2/batch"));
    assert!(shown.contains("authorization: Basic (not shown)"));
    assert!(shown.contains("authorization: Bearer (not shown)"));
    assert!(shown.contains("webhook-signature: v1,(not shown)"));
    assert!(shown.contains("POST https://hooks.example.com/in?(not shown)\n"));
    for secret in ["SECRET", "c2ln", "U0lURS1", "whsec"] {
        assert!(!shown.contains(secret), "{secret}");
    }
}

#[test]
fn one_id_is_not_given_to_several_payloads() {
    let arguments = |payloads: &[&str], id: Option<&str>| Arguments {
        payloads: payloads.iter().map(PathBuf::from).collect(),
        source: Some("shop".to_owned()),
        from_topic: false,
        limit: None,
        destination: None,
        id: id.map(str::to_owned),
        subscriber: None,
    };
    assert!(matches!(judge(&arguments(&["a", "b"], Some("X"))), Err(Failure::Usage(_))));
    for (payloads, id) in [(&["a", "b"][..], None), (&["a"], Some("X"))] {
        assert!(judge(&arguments(payloads, id)).is_ok());
    }
}

#[test]
fn notes_are_shown_as_the_requests_they_were_made_of() {
    let story = told("apps", &[subscription("INITIAL_PURCHASE", "one", "TRIAL")]);
    let Fate::Events(events) = &story[0].fate else { panic!("no events") };
    let destinations = destinations(&config(), None).unwrap();
    for Rehearsal { name, destination, http, .. } in &destinations {
        let Ok(requests) = destination.requests(&events[0]) else { continue };
        let note = Note::of(&events[0], &requests, 100_000);
        let planned = Planned::read(note.bytes()).unwrap();
        let written_at = Timestamp::from_millis(1_780_000_009_000);
        let shown = page::note("apps/u_5150", &planned, (name, http), written_at);
        let mut previewed = pages(&story);
        previewed = previewed.replace(" (planned only: mode is shadow)", "");
        for line in shown.replace(" (planned only: mode is shadow)", "").lines() {
            assert!(previewed.contains(line), "{line}: {previewed}");
        }
        assert!(shown.lines().count() > 10 && !shown.contains("SECRET"), "{shown}");
    }
}

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

#[test]
fn what_was_noted_is_shown_of_one_destination_and_of_no_payload() {
    for (words, is_right) in [
        (&["--from-topic", "--destination", "desk"][..], true),
        (&["--from-topic", "--destination", "desk", "--subscriber", "a/b", "--limit", "3"], true),
        (&["--from-topic"], false),
        (&["--from-topic", "--destination", "desk", "a.json", "--source", "shop"], false),
        (&["a.json", "--source", "shop", "--limit", "3"], false),
        (&["a.json"], false),
    ] {
        let parsed = Line::try_parse_from(["preview"].iter().chain(words));
        assert_eq!(parsed.is_ok(), is_right, "{words:?}: {parsed:?}");
    }
}

#[test]
fn what_comes_again_means_nothing_or_cannot_be_read_says_so() {
    let purchase = subscription("INITIAL_PURCHASE", "one", "NORMAL");
    let mut broken = subscription("RENEWAL", "two", "NORMAL");
    broken["event"]["event_timestamp_ms"] = json!("soon");
    let story = told(
        "apps",
        &[purchase.clone(), purchase, subscription("TEST", "three", "NORMAL"), broken],
    );
    assert!(matches!(story[1].fate, Fate::Duplicate));
    assert!(matches!(&story[2].fate, Fate::Ignored(reasons) if reasons.len() == 1));
    assert!(matches!(&story[3].fate, Fate::Parked(_)) && story[3].is_parked());
    let shown = pages(&story[3..]);
    assert!(shown.contains("parked as unreadable: /event/event_timestamp_ms"), "{shown}");
    assert!(!shown.contains("soon"));
}

#[test]
fn a_thing_waits_for_its_owner_who_can_be_named() {
    let config = config();
    let mut pipeline = Pipeline::new(&config, "shop").unwrap();
    let alone = pipeline.take(given(dispute().to_string())).unwrap();
    assert_eq!(alone.key, "shop/charge/ch_1");
    assert!(alone.waits.is_some());
    assert!(
        matches!(&alone.fate, Fate::Parked(parking) if parking.reason.name() == "subscriber_unknown")
    );
    let subscriber = Some("cus_9".to_owned());
    let named = Given { subscriber, id: Some("evt_d2".to_owned()), ..given(dispute().to_string()) };
    let named = pipeline.take(named).unwrap();
    assert_eq!((named.key.as_str(), named.waits), ("shop/cus_9", None));
    assert!(named.title.ends_with("id evt_d2"), "{}", named.title);
    let Fate::Events(events) = &named.fate else { panic!("no event") };
    assert_eq!(events[0].event_type.name(), "dispute_opened");
}

#[test]
fn a_transfer_is_followed_to_the_one_who_gets_it() {
    let transfer = json!({"api_version": "1.0", "event": {
        "type": "TRANSFER", "id": "three", "event_timestamp_ms": 1_779_999_500_123_i64,
        "transferred_from": ["u_5150"], "transferred_to": ["u_2"], "store": "APP_STORE",
        "environment": "PRODUCTION"}});
    let story = told("apps", &[subscription("INITIAL_PURCHASE", "one", "NORMAL"), transfer]);
    let Fate::Events(events) = &story[1].fate else { panic!("no event") };
    let keys: Vec<_> = events.iter().map(|event| event.subscriber.key.as_str()).collect();
    assert_eq!(keys, ["apps/u_5150", "apps/u_2"]);
}

#[test]
fn a_producer_of_our_own_events_is_understood_by_what_is_in_the_value() {
    let event = json!({"type": "subscription_started", "occurred_at": "2026-05-28T20:00:00Z",
        "subscriber": {"id": "acct-1", "user_id": "u_1"}});
    let story = told("own", &[event]);
    assert_eq!(story[0].key, "own/acct-1");
    let Fate::Events(events) = &story[0].fate else { panic!("no event") };
    assert_eq!(events[0].event_type.name(), "subscription_started");
}

#[test]
fn a_source_and_a_destination_must_be_there() {
    let missing = Pipeline::new(&config(), "shops").err().unwrap().report();
    assert_eq!(missing, "there is no source shops; there is apps, own, shop");
    let missing = destinations(&config(), Some("crms")).err().unwrap().report();
    assert_eq!(missing, "there is no destination crms; there is crm, desk, warehouse");
    assert_eq!(destinations(&config(), Some("desk")).unwrap().len(), 1);
}
