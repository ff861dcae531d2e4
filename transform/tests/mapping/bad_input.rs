//! Bodies that are broken, absurd or of a later version: parked with the place, or understood; and the
//! next record flows.

use std::collections::BTreeSet;
use std::time::Duration;

use schemas::codec::{Codec, Framing};
use schemas::{LifecycleEvent, Provider, Timestamp};
use serde_json::{Value, json};
use transform::sources::{Treatment, mapper_of};

use crate::fixture::{Delivery, Fixture, PROVIDERS, stories, type_of};
use crate::teller::Teller;

/// A moment after everything in the stories.
const NOW: Timestamp = Timestamp::from_millis(1_900_000_000_000);
/// More than a lifecycle event may have in bytes, whatever a body holds.
const LARGEST_EVENT: usize = 128 << 10;

/// The first delivery of every mapped type in a provider's stories, of those that can be told alone.
fn samples(provider: Provider) -> Vec<(Fixture, usize)> {
    let treatments = mapper_of(provider).unwrap().treatments();
    let mut seen = BTreeSet::new();
    let mut samples = Vec::new();
    for name in stories(provider).into_iter().map(|story| story.name) {
        let story = story(provider, &name);
        for index in 0..story.deliveries.len() {
            let record = story.deliveries[index].record(provider);
            let event_type = type_of(&record);
            let mapped = treatments.contains(&(event_type, Treatment::Mapped));
            let mut teller = Teller::new(story.sources(), Duration::ZERO);
            let came = teller.take(&record, NOW);
            if mapped
                && came.parked.is_none()
                && came.tally.waited == 0
                && seen.insert(event_type.to_owned())
            {
                samples.push((self::story(provider, &name), index));
            }
        }
    }
    samples
}

fn story(provider: Provider, name: &str) -> Fixture {
    stories(provider).into_iter().find(|story| story.name == name).unwrap()
}

/// Answers deliveries of one story, each under an id of its own.
struct Answering<'a> {
    story: &'a Fixture,
    sound: &'a Delivery,
    teller: Teller,
    told: usize,
}

/// What became of a broken delivery.
struct Answer {
    events: Vec<LifecycleEvent>,
    parked: Option<String>,
}

impl<'a> Answering<'a> {
    fn new(story: &'a Fixture, sound: &'a Delivery) -> Self {
        let teller = Teller::new(story.sources(), Duration::ZERO);
        Self { story, sound, teller, told: 0 }
    }

    /// Delivers it with `value` at `place`, and a sound one behind it, which must flow.
    fn answer(&mut self, place: &str, value: Value) -> Answer {
        let mut broken = self.anew();
        *broken.body.pointer_mut(place).unwrap() = value;
        let came = self.teller.take(&broken.record(self.story.provider()), NOW);
        let behind = self.anew().record(self.story.provider());
        let behind = self.teller.take(&behind, NOW);
        assert!(behind.parked.is_none(), "{}{place}: {:?}", self.story.name, behind.parked);
        Answer { events: came.events, parked: came.parked }
    }

    fn anew(&mut self) -> Delivery {
        self.told += 1;
        let mut delivery = self.sound.clone();
        delivery.rename(&format!("told-{}", self.told));
        delivery
    }
}

/// Every pointer into a value.
fn pointers(value: &Value, base: &str, into: &mut Vec<String>) {
    let members: Vec<(String, &Value)> = match value {
        Value::Object(object) => object.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(array) => {
            array.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (name, value) in members {
        let pointer = format!("{base}/{}", name.replace('~', "~0").replace('/', "~1"));
        pointers(value, &pointer, into);
        into.push(pointer);
    }
}

fn absurdities() -> Vec<Value> {
    let beyond: Value = serde_json::from_str("92233720368547758080").unwrap();
    let float: Value = serde_json::from_str("-1e300").unwrap();
    vec![
        Value::Null,
        json!(true),
        json!(-1),
        json!(0),
        json!(i64::MAX),
        beyond,
        float,
        json!(""),
        json!("+055000-01-01T00:00:00Z"),
        json!(1_673_600_000_000_i64),
        json!(1_673_600_000_000_000_i64),
        json!("x".repeat(600)),
        json!([]),
        json!({}),
        json!([[[[[[[[{"a": [null]}]]]]]]]]),
    ]
}

fn size(codec: &Codec<LifecycleEvent>, event: &LifecycleEvent) -> usize {
    let mut bytes = Vec::new();
    codec.encode(event, &mut bytes).unwrap();
    bytes.len()
}

fn is_told_well(parked: &str) -> bool {
    let place = parked.split_once(": ").is_some_and(|(path, problem)| {
        (path.is_empty() || path.starts_with('/')) && !problem.is_empty()
    });
    place || parked.starts_with("the body ") || parked.starts_with("the key ")
}

#[test]
fn whatever_stands_in_a_field_is_parked_with_its_place_or_understood() {
    let codec = Codec::<LifecycleEvent>::new(Framing::SingleObject).unwrap();
    for provider in PROVIDERS {
        for (story, index) in samples(provider) {
            let sound = &story.deliveries[index];
            let mut answering = Answering::new(&story, sound);
            let mut places = Vec::new();
            pointers(&sound.body, "", &mut places);
            for (turn, place) in places.into_iter().enumerate() {
                // Each place meets a third of them; the same field of the next payload another third.
                for value in absurdities().into_iter().skip((turn + index) % 3).step_by(3) {
                    let answer = answering.answer(&place, value);
                    for event in &answer.events {
                        assert!(size(&codec, event) < LARGEST_EVENT, "{place}");
                    }
                    if let Some(parked) = answer.parked {
                        assert!(is_told_well(&parked), "{}{place}: {parked}", story.name);
                        assert!(answer.events.is_empty());
                    }
                }
            }
        }
    }
}

#[test]
fn a_body_of_ten_megabytes_or_ten_thousand_items_is_parked_or_bounded() {
    let codec = Codec::<LifecycleEvent>::new(Framing::SingleObject).unwrap();
    let text = json!("x".repeat(10 << 20));
    for provider in PROVIDERS {
        let Some((story, index)) = samples(provider).into_iter().next() else {
            panic!("no sample of {provider}");
        };
        let sound = &story.deliveries[index];
        let mut answering = Answering::new(&story, sound);
        let mut places = Vec::new();
        pointers(&sound.body, "", &mut places);
        for place in places {
            let one = sound.body.pointer(&place).unwrap();
            let many = json!(vec![one.clone(); 10_000]);
            // Megabytes take a while to read: long texts at some places, and no lists of large things.
            let texts = (place.len() < 24).then(|| text.clone());
            let lists = (one.to_string().len() < 200).then_some(many);
            for value in texts.into_iter().chain(lists) {
                let answer = answering.answer(&place, value);
                for event in &answer.events {
                    assert!(size(&codec, event) < LARGEST_EVENT, "{place}");
                }
                assert!(answer.parked.is_none_or(|parked| is_told_well(&parked)), "{place}");
            }
        }
    }
}

/// More than 64 bits hold.
fn beyond() -> Value {
    serde_json::from_str("92233720368547758080").unwrap()
}

fn long() -> Value {
    json!("x".repeat(10 << 20))
}

/// A moment in a year after 55000, as milliseconds; as seconds it is what milliseconds of today look
/// like.
fn year_55000() -> Value {
    json!(1_673_600_000_000_000_i64)
}

/// Each is parked, and the path is that of the field.
fn is_parked_by_its_path(provider: Provider, cases: &[(&str, &str, &str, Value)]) {
    for (name, event_type, pointer, value) in cases {
        let story = story(provider, name);
        let is_it = |delivery: &&Delivery| type_of(&delivery.record(provider)) == *event_type;
        let sound = story.deliveries.iter().find(is_it).unwrap();
        let parked = Answering::new(&story, sound).answer(pointer, value.clone()).parked;
        let parked = parked.unwrap_or_default();
        let stem = pointer.trim_end_matches("_ms");
        assert!(parked.starts_with(stem), "{provider} {event_type} {pointer}: {parked}");
    }
}

#[test]
fn stripe_is_parked_by_the_path_of_what_is_missing_or_absurd() {
    let (invoice, created) = ("invoice.paid", "customer.subscription.created");
    let story = "trial-converted";
    let item = "/data/object/items/data/0";
    let end = format!("{item}/current_period_end");
    let many = json!(vec![json!({"id": "si_1"}); 10_000]);
    is_parked_by_its_path(
        Provider::Stripe,
        &[
            (story, invoice, "/data/object/amount_paid", beyond()),
            (story, invoice, "/data/object/currency", Value::Null),
            (story, invoice, "/created", year_55000()),
            (story, invoice, "/created", json!(1_673_600_000_000_i64)),
            (story, created, "/data/object/id", long()),
            (story, created, "/data/object/items/data", many),
            (story, created, &end, json!(1)),
            (story, created, "/data/object/status", json!(["active"])),
        ],
    );
}

#[test]
fn dodo_is_parked_by_the_path_of_what_is_missing_or_absurd() {
    let (active, paid) = ("subscription.active", "payment.succeeded");
    let (story, several) = ("trial-converted", "payment-for-several");
    let many = json!(vec!["sub"; 10_000]);
    is_parked_by_its_path(
        Provider::Dodo,
        &[
            (story, active, "/data/trial_period_days", json!(-14)),
            (story, active, "/data/next_billing_date", json!("1999-12-31T00:00:00Z")),
            (story, active, "/timestamp", json!("+055000-01-01T00:00:00Z")),
            (story, active, "/data/subscription_id", long()),
            (story, paid, "/data/total_amount", beyond()),
            (several, paid, "/data/subscription_ids", many),
        ],
    );
}

#[test]
fn revenuecat_is_parked_by_the_path_of_what_is_missing_or_absurd() {
    let (story, renewal) = ("trial-converted", "RENEWAL");
    is_parked_by_its_path(
        Provider::Revenuecat,
        &[
            (story, renewal, "/event/price_in_purchased_currency", beyond()),
            (story, renewal, "/event/expiration_at_ms", json!(1)),
            (story, renewal, "/event/event_timestamp_ms", year_55000()),
            (story, renewal, "/event/product_id", long()),
            (story, renewal, "/event/entitlement_ids", json!(vec!["plus"; 10_000])),
            ("transfer", "TRANSFER", "/event/transferred_to", json!(vec!["usr"; 10_000])),
        ],
    );
}

#[test]
fn purchasely_and_native_are_parked_by_the_path_of_what_is_missing_or_absurd() {
    let (story, started) = ("trial-converted", "SUBSCRIPTION_STARTED");
    is_parked_by_its_path(
        Provider::Purchasely,
        &[
            (story, "TRANSACTION_PROCESSED", "/amount_in_customer_currency", beyond()),
            (story, started, "/event_created_at_ms", year_55000()),
            (story, started, "/next_renewal_at_ms", json!(1)),
            (story, started, "/purchasely_subscription_id", long()),
        ],
    );
    let moved = "transaction_processed";
    is_parked_by_its_path(
        Provider::Native,
        &[("status-worked-out", moved, "/money/amount", beyond())],
    );
}

#[test]
fn words_of_a_later_version_never_park_what_is_otherwise_understood() {
    let words = [
        "status",
        "currency",
        "billing_reason",
        "reason",
        "store",
        "period_type",
        "cancel_reason",
        "expiration_reason",
        "environment",
        "offer_type",
        "subscription_status",
        "purchase_type",
        "customer_currency",
        "payment_frequency_interval",
        "interval",
        "payment_status",
        "mode",
        "previous_offer_type",
        "dispute_status",
        "kind",
        "type",
    ];
    for provider in PROVIDERS {
        for (story, index) in samples(provider) {
            let sound = &story.deliveries[index];
            let mut answering = Answering::new(&story, sound);
            let mut places = Vec::new();
            pointers(&sound.body, "", &mut places);
            for place in places {
                let is_word = words.iter().any(|word| place.ends_with(&format!("/{word}")));
                if is_word && sound.body.pointer(&place).is_some_and(Value::is_string) {
                    let parked = answering.answer(&place, json!("zzz")).parked;
                    assert_eq!(parked, None, "{provider} {} {place}", story.name);
                }
            }
        }
    }
}
