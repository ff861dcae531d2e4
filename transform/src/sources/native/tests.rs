//! What a producer says is kept, what it leaves out is worked out, and what is not an event is refused.

use proptest::prelude::*;
use schemas::codec::{Codec, Described, Framing};
use schemas::state::Role;
use schemas::vocabulary::{OfferKind, Store};
use schemas::{Environment, EventType, LifecycleEvent, Money, Timestamp};
use serde_json::{Value, json};
use strum::IntoEnumIterator;

use super::super::fold::Story;
use super::super::{Mapper, RawView, Reading, SourceSettings, Unreadable};
use super::Native;

const SUBSCRIBER: &str = "acct-5150";

fn full() -> Value {
    serde_json::from_str(include_str!("fixtures/subscription_renewed.json")).unwrap()
}

fn least(event_type: &str) -> Value {
    let text = include_str!("fixtures/trial_started.json");
    let mut payload: Value = serde_json::from_str(text).unwrap();
    payload["type"] = json!(event_type);
    payload
}

fn with(mut payload: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    payload.pointer_mut(parent).unwrap()[field] = value;
    payload
}

fn story() -> Story {
    Story::new(&Native, SUBSCRIBER)
}

fn facts(payload: &Value) -> schemas::state::Facts {
    story().facts("ignored_header", payload)
}

#[test]
fn what_the_producer_says_is_kept() {
    let facts = facts(&full());
    assert_eq!(facts.occurred_at, Timestamp::from_millis(1_780_295_400_250));
    assert_eq!(facts.provider_event_type, "BILL_PAID");
    assert_eq!(facts.environment, Environment::Production);
    assert_eq!(facts.money, Some(Money::minor(38_700, "NOK")));
    assert_eq!(facts.offer.as_ref().unwrap().kind, OfferKind::PromoCode);
    assert_eq!(facts.reason.as_deref(), Some("renewal"));
    assert_eq!(facts.person.user_id.as_deref(), Some("u-5150"));
    assert_eq!(facts.person.email.as_deref(), Some("owner@harbour.example"));
    assert_eq!((facts.person.aliases[0].as_str(), facts.person.anonymous), ("legacy-17", false));
    assert_eq!(facts.person.attributes["tier"], "gold");
    let shown = facts.subscription.unwrap().shown;
    assert_eq!((shown.quantity, shown.store), (Some(3), Some(Store::Stripe)));
    assert_eq!(shown.period_start, Some(Timestamp::from_millis(1_780_295_400_250)));
    let said = with(full(), "/subscription/status", json!("grace_period"));
    assert_eq!(story().tell("", &said), "subscription_renewed => grace_period");
}

#[test]
fn the_least_event_is_enough_and_status_is_worked_out() {
    let mut story = story();
    for (event_type, expected) in [
        ("subscription_started", "active"),
        ("trial_started", "trial"),
        ("renewal_disabled", "cancelled_trial"),
        ("renewal_enabled", "trial"),
        ("trial_converted", "active"),
        ("renewal_disabled", "cancelled"),
        ("subscription_renewed", "active"),
        ("grace_period_started", "grace_period"),
        ("payment_failed", "grace_period"),
        ("recovered_from_grace_period", "active"),
        ("grace_period_started", "grace_period"),
        ("grace_period_ended", "expired"),
        ("recovered_from_billing_retry", "active"),
        ("subscription_paused", "paused"),
        ("subscription_resumed", "active"),
        ("payment_collection_paused", "active"),
        ("subscription_expired", "expired"),
        ("renewal_enabled", "expired"),
        ("subscription_reactivated", "active"),
        ("intro_offer_started", "intro"),
        ("intro_offer_converted", "active"),
        ("subscription_transferred", "expired"),
    ] {
        assert_eq!(story.tell("", &least(event_type)), format!("{event_type} => {expected}"));
    }
}

#[test]
fn what_was_said_of_an_earlier_period_is_not_said_of_the_next() {
    let mut story = story();
    let mut cancelled = least("renewal_disabled");
    cancelled["subscription"]["cancel_reason"] = json!("too_expensive");
    cancelled["subscription"]["grace_expires_at"] = json!(1_780_295_500_000_i64);
    story.tell("", &cancelled);
    let known = &story.subscriber.subscriptions[0].current;
    assert_eq!(known.cancel_reason.as_deref(), Some("too_expensive"));
    let renewed = story.decision("", &least("subscription_renewed")).subscription.unwrap().current;
    assert_eq!((renewed.cancel_reason, renewed.grace_expires_at), (None, None));
    assert_eq!(renewed.auto_renew, Some(true));
}

#[test]
fn every_type_of_the_vocabulary_is_read_and_told() {
    for event_type in EventType::iter().filter(|told| *told != EventType::Unknown) {
        let payload = with(full(), "/type", json!(event_type.name()));
        let decision = story().decision("", &payload);
        assert_eq!(decision.events[0].event_type, event_type);
    }
    assert_eq!(Native.treatments().len(), EventType::iter().count() - 1);
}

#[test]
fn money_moves_only_when_its_amount_is_known_and_not_zero() {
    let moved = with(full(), "/type", json!("transaction_processed"));
    for (pointer, value, expected) in [
        ("/money/amount", json!(-38700), "transaction_processed -387.00 NOK => active"),
        ("/money/amount", json!(0), "(zero_amount) => active"),
        ("/money", Value::Null, "(unknown_amount) => active"),
        ("/money/currency", json!("JPY"), "transaction_processed 387.00 JPY => active"),
    ] {
        let mut payload = with(moved.clone(), pointer, value);
        if expected.contains("JPY") {
            // A producer that says how many digits its amount has is believed.
            payload["money"]["exponent"] = json!(2);
        }
        assert_eq!(story().tell("", &payload), expected);
    }
}

#[test]
fn a_key_of_somebody_else_is_a_mismatch() {
    let payload = with(full(), "/subscriber/id", json!("acct-1"));
    assert_eq!(story().tell("", &payload), "parked: key mismatch");
}

#[test]
fn what_is_required_is_insisted_on() {
    for (pointer, value, expected) in [
        ("/type", Value::Null, "parked: /type: missing"),
        ("/occurred_at", Value::Null, "parked: /occurred_at: missing"),
        ("/occurred_at", json!("yesterday"), "parked: /occurred_at: not a time"),
        ("/occurred_at", json!(-5), "parked: /occurred_at: an absurd time"),
        ("/subscriber", json!({}), "parked: /subscriber/id: missing"),
        ("/subscription/id", Value::Null, "parked: /subscription/id: missing"),
        ("/subscription", json!("sub-88"), "parked: /subscription: not an object"),
        ("/money/amount", json!(1.5), "parked: /money/amount: not a whole number of minor units"),
        (
            "/subscription/period_end",
            json!(1),
            "parked: /subscription/period_end: the end of a negative period",
        ),
        (
            "/subscriber/aliases",
            json!(vec!["x"; 10_000]),
            "parked: /subscriber/aliases: an absurdly long list",
        ),
        ("/money/exponent", json!(40), "parked: /money/exponent: absurd"),
        ("/type", json!("invented_in_2031"), "ignored: unknown_event_type"),
        ("/subscription/status", json!("floating"), "subscription_renewed => active"),
    ] {
        assert_eq!(story().tell("", &with(full(), pointer, value)), expected, "{pointer}");
    }
}

#[test]
fn settings_say_where_the_user_is_and_what_to_pass_on() {
    let settings = SourceSettings {
        user_id: vec!["/subscriber/attributes/tier".to_owned()],
        also: vec!["invented_in_2031".to_owned()],
        environment: Some(Environment::Sandbox),
        ..SourceSettings::default()
    };
    let mut payload = with(full(), "/environment", Value::Null);
    payload["provider_event_type"] = Value::Null;
    payload["type"] = json!("invented_in_2031");
    let mut story = story().with_settings(settings);
    let facts = story.facts("", &payload);
    assert_eq!(facts.person.user_id.as_deref(), Some("gold"));
    assert_eq!(facts.environment, Environment::Sandbox);
    payload["subscription"] = Value::Null;
    assert_eq!(story.tell("", &payload), "provider_event");
}

#[test]
fn an_avro_event_says_the_same_as_its_json() {
    let raw = RawView {
        body: &serde_json::to_vec(&full()).unwrap(),
        event_id: "evt_in_story",
        event_type: "",
        subscriber_id: SUBSCRIBER,
        received_at: Timestamp::from_millis(1_790_000_000_000),
        traceparent: None,
        role: Role::Sender,
    };
    let event = super::json::event(&raw, &SourceSettings::default()).unwrap();
    let codec = Codec::new(Framing::SingleObject).unwrap();
    let mut framed = Vec::new();
    codec.encode(&event, &mut framed).unwrap();
    assert_eq!(story().read_bytes("", &framed), story().read("", &full()));
    for (refused, problem) in [
        (&framed[..12], "not a lifecycle event"),
        (&[0, 0, 0, 0, 7, 1, 2][..], "Avro of an unknown registry id"),
        (&[0xC3, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9][..], "Avro of an unknown schema"),
    ] {
        let parked = Reading::Parked(Unreadable { path: String::new(), problem });
        assert_eq!(story().read_bytes("", refused), parked);
    }
}

#[test]
fn avro_passes_the_limits_that_json_has_to_pass() {
    type Spoil = fn(&mut LifecycleEvent);
    fn told(event: &mut LifecycleEvent) -> &mut schemas::event::Subscription {
        event.subscription.as_mut().unwrap()
    }
    let spoiled: [(Spoil, &str); 14] = [
        (|event| event.occurred_at = Timestamp::from_millis(-1), "/occurred_at: an absurd time"),
        (|event| event.money.as_mut().unwrap().exponent = 70_000, "/money/exponent: absurd"),
        (|event| event.money.as_mut().unwrap().exponent = -1, "/money/exponent: absurd"),
        (
            |event| event.money.as_mut().unwrap().amount = i64::MIN,
            "/money/amount: an absurd amount",
        ),
        (
            |event| event.money.as_mut().unwrap().currency = "euro cent".to_owned(),
            "/money/currency: not a currency code",
        ),
        (
            |event| event.subscriber.aliases = vec!["x".to_owned(); 1_001],
            "/subscriber/aliases: an absurdly long list",
        ),
        (
            |event| event.provider_event_type = "x".repeat(501),
            "/provider_event_type: absurdly long",
        ),
        (
            |event| event.payment.as_mut().unwrap().id = Some("x".repeat(501)),
            "/payment/id: absurdly long",
        ),
        (|event| told(event).id.clear(), "/subscription/id: missing"),
        (|event| told(event).id = "x".repeat(501), "/subscription/id: absurdly long"),
        (|event| told(event).quantity = Some(-1), "/subscription/quantity: an absurd number"),
        (
            |event| told(event).price = Some(Money { exponent: 5, ..Money::minor(1, "usd") }),
            "/subscription/price/exponent: absurd",
        ),
        (
            |event| told(event).period_end = Some(Timestamp::from_millis(1)),
            "/subscription/period_end: the end of a negative period",
        ),
        (
            |event| told(event).expires_at = Some(Timestamp::from_millis(i64::MAX)),
            "/subscription/expires_at: an absurd time",
        ),
    ];
    for (spoil, expected) in spoiled {
        let mut event = schemas::samples::full_event();
        event.subscriber.id = SUBSCRIBER.to_owned();
        spoil(&mut event);
        let mut framed = Vec::new();
        Codec::new(Framing::SingleObject).unwrap().encode(&event, &mut framed).unwrap();
        let reading = story().read_bytes("", &framed);
        let Reading::Parked(unreadable) = reading else { panic!("{expected}: {reading:?}") };
        assert_eq!(unreadable.to_string(), expected);
    }
}

#[test]
fn what_decides_nothing_is_left_out_where_it_is_absurd() {
    let mut event = schemas::samples::full_event();
    event.subscriber.id = SUBSCRIBER.to_owned();
    event.subscriber.email = Some("x".repeat(60_000));
    event.subscriber.user_id = Some(String::new());
    event.subscriber.aliases = vec!["x".repeat(60_000), String::new(), "old".to_owned()];
    event.reason = Some("x".repeat(60_000));
    event.money = Some(Money { currency: "nok".to_owned(), ..Money::minor(1, "nok") });
    let mut framed = Vec::new();
    Codec::new(Framing::SingleObject).unwrap().encode(&event, &mut framed).unwrap();
    let Reading::Facts(facts) = story().read_bytes("", &framed) else { panic!("read") };
    assert_eq!((&facts.person.email, &facts.person.user_id, &facts.reason), (&None, &None, &None));
    assert_eq!(facts.person.aliases, ["old"]);
    assert_eq!(facts.money, Some(Money::minor(1, "NOK")), "one currency has one sum");
}

#[test]
fn avro_framed_by_a_registry_is_read_once_its_schema_is_learned() {
    let body = serde_json::to_vec(&full()).unwrap();
    let raw = RawView {
        body: &body,
        event_id: "evt_in_story",
        event_type: "",
        subscriber_id: SUBSCRIBER,
        received_at: Timestamp::from_millis(1_790_000_000_000),
        traceparent: None,
        role: Role::Sender,
    };
    let event = super::json::event(&raw, &SourceSettings::default()).unwrap();
    let mut framed = Vec::new();
    Codec::new(Framing::Registry(4711)).unwrap().encode(&event, &mut framed).unwrap();
    assert_eq!(super::unlearned(&framed), Some(4711));
    let parked = story().read_bytes("", &framed);
    assert!(matches!(parked, Reading::Parked(_)), "{parked:?}");
    super::learn(4711, LifecycleEvent::VERSIONS.last().unwrap()).unwrap();
    assert_eq!(super::unlearned(&framed), None);
    assert_eq!(story().read_bytes("", &framed), story().read("", &full()));
    assert_eq!(super::unlearned(b"{}"), None, "JSON needs no schema");
    assert!(super::learn(4712, "no schema").is_err());
}

fn absurd() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([1, {"a": []}])),
        Just(json!({"id": {}})),
        any::<i64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn mutated_payloads_never_panic_and_always_get_an_answer(
        chapters in proptest::collection::vec(
            (
                any::<proptest::sample::Index>(),
                proptest::sample::select(vec!["", "/subscription", "/subscriber", "/money"]),
                any::<proptest::sample::Index>(),
                absurd(),
            ),
            1..12,
        ),
    ) {
        let mut story = story();
        for (name, part, field, value) in chapters {
            let (name, _) = *name.get(Native.treatments());
            let mut payload = with(full(), "/type", json!(name));
            story.tell("", &payload);
            let fields = payload.pointer_mut(part).unwrap().as_object_mut().unwrap();
            let field = field.get(&fields.keys().cloned().collect::<Vec<_>>()).clone();
            fields.insert(field, value);
            story.tell("", &payload);
            story.tell_late("", &payload);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(
        framing in proptest::sample::select(vec![&b""[..], b"\xC3\x01", b"\0", b"{"]),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        story().read_bytes("", &[framing, &body].concat());
    }
}
