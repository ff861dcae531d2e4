//! `docs/native-source.md` is true: its examples are understood, field by field, under the headers and the key that
//! it names, and the reasons it gives for parking are those that records are parked for.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test, what cannot be had fails it")]

use std::collections::BTreeSet;

use schemas::codec::{Codec, Framing};
use schemas::headers::{Header, RawHeaders};
use schemas::samples::full_event;
use schemas::state::{Facts, Role, SubscriberState};
use schemas::{EventType, LifecycleEvent, Provider, Timestamp};
use serde_json::{Map, Value};
use transform::advance::{advance, import};
use transform::parking::ParkReason;
use transform::record::{Judged, Raw, judge};
use transform::sources::native::imported;
use transform::sources::{RawView, Reading, Source, SourceSettings, Sources, mapper_of};

const PAGE: &str = include_str!("../../docs/native-source.md");

/// The code blocks in one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    PAGE.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The first cells of the table with this header line.
fn first_cells(header: &str) -> Vec<&'static str> {
    let (_, table) = PAGE.split_once(header).unwrap();
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    lines.flat_map(|line| line.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect()
}

/// The source of the page.
fn source() -> Source {
    Source {
        name: "legacy-billing".to_owned(),
        provider: Provider::Native,
        mapper: mapper_of(Provider::Native).unwrap(),
        settings: SourceSettings::default(),
    }
}

/// Key and headers of the page's call of kcat.
fn of_kcat() -> (&'static str, Vec<Header>) {
    let words: Vec<&str> = blocks("sh")[0].split_whitespace().collect();
    let after = |flag: &'static str| {
        words.windows(2).filter(move |pair| pair[0] == flag).map(|pair| pair[1])
    };
    let headers = after("-H").map(|header| {
        let (name, value) = header.split_once('=').unwrap();
        let value = if name == "ce_time" { "2026-06-01T06:31:00Z" } else { value };
        Header::text(name, value)
    });
    (after("-k").next().unwrap(), headers.collect())
}

fn read(value: &[u8]) -> Facts {
    let (key, headers) = of_kcat();
    let sources: Sources = [source()].into_iter().collect();
    let received_at = Timestamp::from_millis(1_800_000_000_000);
    let raw = Raw {
        offset: 0,
        appended_at: received_at,
        key: Some(key.as_bytes()),
        value: Some(value),
        headers: &headers,
    };
    let Judged::Subscriber(envelope) = judge(&raw, &sources) else { panic!("not fit") };
    let view = RawView {
        body: value,
        event_id: &envelope.headers.id,
        event_type: envelope.event_type(),
        subscriber_id: envelope.id,
        received_at,
        traceparent: envelope.headers.traceparent.as_deref(),
        role: Role::Own,
    };
    match envelope.source.mapper.read(&view, &envelope.source.settings) {
        Reading::Facts(facts) => *facts,
        other @ (Reading::Ignored(_) | Reading::Parked(_) | Reading::KeyMismatch) => {
            panic!("{other:?}")
        }
    }
}

fn told(facts: &Facts) -> Vec<LifecycleEvent> {
    let mut state = SubscriberState::default();
    advance(&mut state, facts, "legacy-billing/acct-5150", &source()).events
}

/// The event as JSON, without what the example says nothing about, and with moments as the example has them.
fn as_told(event: &LifecycleEvent, example: &Value) -> Value {
    fn keep(shown: &Value, example: &Value) -> Value {
        match (shown, example) {
            (Value::Object(shown), Value::Object(example)) => {
                let kept = example.iter().map(|(name, inner)| {
                    (name.clone(), shown.get(name).map_or(Value::Null, |shown| keep(shown, inner)))
                });
                Value::Object(kept.collect::<Map<_, _>>())
            }
            (Value::Number(millis), Value::String(text)) => {
                let moment = Timestamp::from_rfc3339(text).unwrap();
                assert_eq!(millis.as_i64(), Some(moment.millis()), "{text}");
                example.clone()
            }
            (shown, _) => shown.clone(),
        }
    }
    keep(&serde_json::to_value(event).unwrap(), example)
}

#[test]
fn every_field_of_the_full_example_arrives_in_the_event() {
    let text = blocks("json")[0];
    let example: Value = serde_json::from_str(text).unwrap();
    let events = told(&read(text.as_bytes()));
    assert_eq!(events.len(), 1);
    assert_eq!(as_told(&events[0], &example), example);
}

#[test]
fn the_full_example_leaves_no_field_out_that_a_producer_may_say() {
    let example: Value = serde_json::from_str(blocks("json")[0]).unwrap();
    let event = serde_json::to_value(full_event()).unwrap();
    let names = |value: &Value| {
        let members = value.as_object().unwrap();
        members.keys().cloned().collect::<BTreeSet<_>>()
    };
    let worked_out = [
        "event_id",
        "ordinal",
        "received_at",
        "sequence",
        "epoch",
        "late",
        "source",
        "provider",
        "provider_event_id",
        "distinct_second",
        "payload",
    ];
    let of_the_subscriber = ["key", "status", "total_spent"];
    for (pointer, not_theirs) in [
        ("", &worked_out[..]),
        ("/subscriber", &of_the_subscriber[..]),
        ("/subscription", &[]),
        ("/money", &[]),
        ("/payment", &[]),
        ("/offer", &[]),
    ] {
        let mut expected = names(event.pointer(pointer).unwrap());
        expected.retain(|name| !not_theirs.contains(&name.as_str()));
        assert_eq!(names(example.pointer(pointer).unwrap()), expected, "{pointer}");
    }
}

#[test]
fn the_least_example_is_an_event() {
    let events = told(&read(blocks("json")[1].as_bytes()));
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event_type, EventType::TrialStarted);
    assert_eq!(events[0].occurred_at, Timestamp::from_millis(1_780_295_400_250));
}

#[test]
fn the_example_of_an_existing_subscriber_is_taken_and_gives_no_event() {
    let raw = RawView {
        body: blocks("json")[2].as_bytes(),
        event_id: "any",
        event_type: imported::TYPE,
        subscriber_id: "acct-5150",
        received_at: Timestamp::from_millis(1_800_000_000_000),
        traceparent: None,
        role: Role::Own,
    };
    let Reading::Facts(facts) = imported::read(&raw, &source()) else { panic!("not read") };
    let mut state = SubscriberState::default();
    let taken = import(&mut state, &facts, facts.imported.as_ref().unwrap(), &source());
    assert_eq!((taken.events.len(), taken.ignored), (0, Some("subscriber_imported")));
    assert_eq!(state.subscriptions[0].current.id, "sub-88");
    assert_eq!(state.totals[0].sum.amount, 387_000);
    assert_eq!(state.identity.user_id.as_deref(), Some("u-5150"));
}

#[test]
fn an_event_in_avro_as_a_single_object_is_understood() {
    let mut event = full_event();
    event.subscriber.id = "acct-5150".to_owned();
    let mut value = Vec::new();
    Codec::new(Framing::SingleObject).unwrap().encode(&event, &mut value).unwrap();
    let facts = read(&value);
    assert_eq!((facts.occurred_at, &facts.payment), (event.occurred_at, &event.payment));
    assert_eq!(facts.money, event.money);
}

#[test]
fn the_page_names_every_header_and_both_examples_send_them() {
    let (_, headers) = of_kcat();
    let read = RawHeaders::from_headers(&headers).unwrap();
    let everything = RawHeaders { rekeyed: None, ..read };
    let known: Vec<_> = everything.to_headers().into_iter().map(|header| header.name).collect();
    assert_eq!(first_cells("| header | required | value |"), known);
    let sent: Vec<_> = headers.into_iter().map(|header| header.name).collect();
    assert_eq!(sent, known);
    for name in known {
        assert!(blocks("python")[0].contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn the_page_names_the_required_headers_as_such() {
    let (_, headers) = of_kcat();
    for line in
        PAGE.lines().filter(|line| line.starts_with("| `ce_") || line.starts_with("| `content"))
    {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let name = cells[1].trim_matches('`');
        let others: Vec<_> = headers.iter().filter(|header| header.name != name).cloned().collect();
        let is_required = RawHeaders::from_headers(&others).is_err();
        assert_eq!(cells[2], if is_required { "yes" } else { "no" }, "{name}");
    }
}

#[test]
fn the_reasons_on_the_page_are_those_that_records_are_parked_for() {
    let (key, headers) = of_kcat();
    let sources: Sources = [source()].into_iter().collect();
    let parked = |key: Option<&str>, headers: &[Header], value: Option<&[u8]>| {
        let appended_at = Timestamp::from_millis(1);
        let key = key.map(str::as_bytes);
        match judge(&Raw { offset: 0, appended_at, key, value, headers }, &sources) {
            Judged::Unfit(parking) => parking.reason.name(),
            fit @ (Judged::Tick | Judged::Subscriber(_) | Judged::Orphan(_)) => panic!("{fit:?}"),
        }
    };
    let with = |name: &str, value: &str| {
        let others = headers.iter().filter(|header| header.name != name).cloned();
        others.chain([Header::text(name, value)]).collect::<Vec<_>>()
    };
    let value = Some(&b"{}"[..]);
    let seen = [
        parked(None, &headers, value),
        parked(Some(key), &with("ce_id", ""), value),
        parked(Some(key), &with("ce_time", "yesterday"), value),
        parked(Some(key), &headers, None),
        parked(Some(key), &with("ce_source", "another"), value),
        parked(Some("acct-5150"), &headers, value),
        ParkReason::Unreadable.name(),
        ParkReason::TooLarge.name(),
    ];
    assert_eq!(first_cells("| reason | what to do |"), seen);
}
