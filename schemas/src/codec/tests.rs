mod encoding;

use super::*;
use crate::headers::Header;
use crate::samples::{bare_event, full_event};
use crate::state::{
    Facts, HandOver, Held, Identity, Imported, ImportedSubscription, ImportedTotal, KeptRecord,
    Left, Opening, OrderKey, Role, Span, SubscriptionFacts, SubscriptionState, Total,
};
use crate::{Environment, Timestamp};
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;

fn full_facts(
    event: &LifecycleEvent,
    person: &Identity,
    shown: SubscriptionFacts,
    record: KeptRecord,
    imported: Imported,
) -> Facts {
    Facts {
        provider_event_id: "evt_8".to_owned(),
        provider_event_type: "invoice.paid".to_owned(),
        occurred_at: event.occurred_at,
        received_at: event.received_at,
        rank: 3,
        environment: Environment::Sandbox,
        person: person.clone(),
        subscription: Some(shown.clone()),
        before: Some(shown),
        money: event.money.clone(),
        payment: event.payment.clone(),
        offer: event.offer.clone(),
        transfer: event.transfer.clone(),
        reason: Some("why".to_owned()),
        details: event.subscriber.attributes.clone(),
        traceparent: Some("00-1-2-01".to_owned()),
        payload: Some(b"{}".to_vec()),
        hand_over: Some(HandOver { role: Role::Forward, record }),
        imported: Some(imported),
    }
}

fn full_import(event: &LifecycleEvent, known: &SubscriptionState) -> Imported {
    Imported {
        subscriptions: vec![ImportedSubscription {
            environment: Environment::Sandbox,
            shown: known.current.clone(),
            provider_status: Some("active".to_owned()),
            collection_paused: true,
            in_billing_retry: false,
            pending_product: Some("prod_3".to_owned()),
        }],
        totals: vec![ImportedTotal {
            environment: Environment::Sandbox,
            sum: event.money.clone().unwrap(),
        }],
    }
}

fn full_total(event: &LifecycleEvent) -> Total {
    Total {
        environment: Environment::Production,
        sum: event.money.clone().unwrap(),
        opening: Some(Opening { as_of: event.occurred_at, amount: 100 }),
        spans: vec![Span { first: event.occurred_at, last: event.received_at, amount: 7 }],
    }
}

fn full_state() -> SubscriberState {
    let event = full_event();
    let subscription = event.subscription.clone().unwrap();
    let identity = Identity {
        id: "cus_1".to_owned(),
        user_id: event.subscriber.user_id.clone(),
        email: event.subscriber.email.clone(),
        aliases: vec!["old".to_owned()],
        anonymous: true,
        attributes: event.subscriber.attributes.clone(),
    };
    let shown = SubscriptionFacts {
        shown: subscription.clone(),
        provider_status: Some("active".to_owned()),
        cancel_scheduled: Some(true),
        collection_paused: Some(false),
    };
    let known = SubscriptionState {
        environment: Environment::Production,
        current: subscription,
        provider_status: Some("active".to_owned()),
        cancel_scheduled: true,
        collection_paused: false,
        trial_open: true,
        intro_open: false,
        in_grace: true,
        in_billing_retry: false,
        paused: true,
        ended: false,
        pending_product: Some("prod_2".to_owned()),
        told: event.subscriber.attributes.clone(),
        facts_at: Timestamp::from_millis(5),
        owned_since: Timestamp::from_millis(4),
    };
    let record = KeptRecord {
        offset: 3,
        appended_at: event.received_at,
        headers: vec![Header::text("ce_id", "evt_8")],
        value: b"{}".to_vec(),
    };
    let imported = full_import(&event, &known);
    let facts = full_facts(&event, &identity, shown, record.clone(), imported);
    SubscriberState {
        sequence: 9,
        seen: vec![1, 2, 3],
        held: vec![Held { facts, appended_at: event.received_at }],
        emitted_up_to: Some(OrderKey {
            occurred_at: event.occurred_at,
            rank: 1,
            provider_event_id: "evt_7".to_owned(),
        }),
        subscriptions: vec![known],
        identity,
        totals: vec![full_total(&event)],
        seconds: vec![1, 2],
        waiting: vec![record],
        left: vec![Left {
            occurred_at: event.occurred_at,
            noted_at: event.received_at,
            environment: Environment::Production,
            to: "app/b".to_owned(),
            subscriptions: vec!["sub_1".to_owned()],
        }],
        told: event.subscriber.attributes.clone(),
        links_announced_at: Some(event.received_at),
        begun_at: Some(event.epoch),
        forgotten_at: Some(event.received_at),
    }
}

fn newest() -> &'static str {
    LifecycleEvent::VERSIONS.last().unwrap()
}

fn survives<T: Described + PartialEq + std::fmt::Debug>(value: &T) {
    for framing in [Framing::SingleObject, Framing::Registry(77)] {
        let codec = Codec::<T>::new(framing).unwrap();
        let mut bytes = vec![9, 9, 9];
        codec.encode(value, &mut bytes).unwrap();
        assert_eq!(&codec.decode(&bytes).unwrap(), value, "{framing:?}");
    }
}

#[test]
fn a_codec_of_one_framing_reads_the_other() {
    let mut bytes = Vec::new();
    let registry = Codec::<LifecycleEvent>::new(Framing::Registry(5)).unwrap();
    registry.encode(&full_event(), &mut bytes).unwrap();
    assert_eq!(bytes[..5], [0, 0, 0, 0, 5]);

    let mut single = Codec::<LifecycleEvent>::new(Framing::SingleObject).unwrap();
    assert!(matches!(single.decode(&bytes), Err(CodecError::UnknownSchemaId(5))));
    single.learn(5, newest()).unwrap();
    assert_eq!(single.decode(&bytes).unwrap(), full_event());

    single.encode(&full_event(), &mut bytes).unwrap();
    assert_eq!(bytes[..2], [0xC3, 0x01]);
    assert_eq!(registry.decode(&bytes).unwrap(), full_event());
}

/// Worked out by hand after the specification, and by fastavro 1.13.
#[test]
fn the_fingerprint_of_the_event_is_the_one_that_other_languages_know_it_by() {
    let schema = Schema::parse_str(LifecycleEvent::VERSIONS[0]).unwrap();
    let print = fingerprint::<LifecycleEvent>(&schema).unwrap();
    assert_eq!(print, 0x61d3_b450_217f_d2fb_u64.to_be_bytes());
}

#[test]
fn an_older_reader_survives_a_newer_writer() {
    let newer = newest()
        .replacen(
            "\"fields\": [",
            "\"fields\": [{\"name\": \"added\", \"type\": [\"null\", \"string\"], \"default\": null},",
            1,
        )
        .replacen("\"subscription_renewed\",", "\"subscription_renewed_later\",", 1);
    let schema = Schema::parse_str(&newer).unwrap();
    let mut bytes = Vec::new();
    let present = Codec::<LifecycleEvent>::new(Framing::SingleObject).unwrap();
    present.encode(&full_event(), &mut bytes).unwrap();
    let (known, mut datum) = present.unframe(&bytes).unwrap();
    let Value::Record(mut fields) = known.reader.read_value(&mut datum).unwrap() else {
        panic!("an event is a record")
    };
    for (name, value) in &mut fields {
        if let (true, Value::Enum(_, symbol)) = (name == "type", value) {
            "subscription_renewed_later".clone_into(symbol);
        }
    }
    fields.push(("added".to_owned(), Value::Union(0, Box::new(Value::Null))));
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    let datum = writer.write_value_to_vec(Value::Record(fields)).unwrap();

    let mut codec = Codec::<LifecycleEvent>::new(Framing::SingleObject).unwrap();
    codec.learn(6, &newer).unwrap();
    let framed = [&[0, 0, 0, 0, 6], datum.as_slice()].concat();
    let read = codec.decode(&framed).unwrap();
    assert_eq!(read.event_type, crate::EventType::Unknown);
    assert_eq!(read.subscriber, full_event().subscriber);
}

/// The value as `schema` has it: without the fields it does not know.
fn as_written_with(schema: &Schema, value: Value) -> Vec<u8> {
    let resolved = value.resolve(schema).unwrap();
    let datum = GenericDatumWriter::builder(schema).build().unwrap().write_value_to_vec(resolved);
    [&SINGLE_OBJECT[..], &fingerprint::<SubscriberState>(schema).unwrap(), &datum.unwrap()].concat()
}

#[test]
fn a_state_of_the_first_version_is_read_with_nothing_waiting_and_everything_owned_for_ever() {
    let codec = Codec::<SubscriberState>::new(Framing::SingleObject).unwrap();
    let mut bytes = Vec::new();
    codec.encode(&full_state(), &mut bytes).unwrap();
    let (known, mut datum) = codec.unframe(&bytes).unwrap();
    let value = known.reader.read_value(&mut datum).unwrap();
    let first = Schema::parse_str(SubscriberState::VERSIONS[0]).unwrap();
    let read = codec.decode(&as_written_with(&first, value)).unwrap();
    let mut wanted = full_state();
    let facts = &mut wanted.held[0].facts;
    facts.hand_over = None;
    facts.imported = None;
    facts.payment = None;
    facts.payload = None;
    let told = [&mut facts.subscription, &mut facts.before].into_iter().flatten();
    told.for_each(|told| told.shown.billing_period = None);
    wanted.subscriptions[0].current.billing_period = None;
    wanted.subscriptions[0].owned_since = Timestamp::from_millis(0);
    wanted.waiting.clear();
    wanted.left.clear();
    wanted.told.clear();
    wanted.links_announced_at = None;
    wanted.begun_at = None;
    wanted.forgotten_at = None;
    wanted.totals[0].opening = None;
    wanted.totals[0].spans.clear();
    assert_eq!(read, wanted);
    codec.encode(&read, &mut bytes).unwrap();
    assert_eq!(codec.decode(&bytes).unwrap(), wanted, "and is written with the newest");
}

#[test]
fn refuses_what_is_no_value_of_ours() {
    let codec = Codec::<LifecycleEvent>::new(Framing::SingleObject).unwrap();
    assert!(matches!(codec.decode(b""), Err(CodecError::Framing)));
    assert!(matches!(codec.decode(b"{}"), Err(CodecError::Framing)));
    assert!(matches!(codec.decode(&[0xC3, 1, 2]), Err(CodecError::Framing)));
    assert!(matches!(
        codec.decode(&[0xC3, 1, 1, 2, 3, 4, 5, 6, 7, 8]),
        Err(CodecError::UnknownFingerprint(_))
    ));
    let mut bytes = Vec::new();
    codec.encode(&full_event(), &mut bytes).unwrap();
    bytes.push(0);
    assert!(matches!(codec.decode(&bytes), Err(CodecError::Decode(_))), "trailing bytes");
    bytes.truncate(60);
    assert!(matches!(codec.decode(&bytes), Err(CodecError::Decode(_))), "cut short");
}

proptest! {
    #[test]
    fn damaged_values_never_panic(at: prop::sample::Index, flip in 1_u8.., cut: prop::sample::Index) {
        let codec = Codec::<LifecycleEvent>::new(Framing::SingleObject).unwrap();
        let mut bytes = Vec::new();
        codec.encode(&full_event(), &mut bytes).unwrap();
        let position = at.index(bytes.len());
        bytes[position] ^= flip;
        drop(codec.decode(&bytes));
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(codec.decode(&bytes).is_err());
    }
}
