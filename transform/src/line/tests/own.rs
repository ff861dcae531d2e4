//! Producers of one's own: whatever one writes, and however often, the state and every event fit a
//! message; and one that chooses other partitions than ours is noticed.

use proptest::prelude::*;
use proptest::sample::Index;
use schemas::codec::{Codec, Framing};
use schemas::event::Subscription;
use schemas::headers::{RekeyedHeaders, Stage};
use schemas::samples::full_event;
use schemas::{LifecycleEvent, Money, Provider};

use super::*;
use crate::sources::native::Native;
use crate::sources::{Source, SourceSettings};

const MESSAGE: usize = 1024 * 1024 + 64 * 1024;

/// Writes a text and a number into a field.
type Setter = fn(&mut LifecycleEvent, String, i64);

fn subscription(event: &mut LifecycleEvent) -> &mut Subscription {
    event.subscription.as_mut().unwrap()
}

fn three(text: &str) -> Vec<String> {
    ["a", "b", "c"].map(|end| format!("{text}{end}")).to_vec()
}

fn money(text: String, number: i64) -> Money {
    let exponent = i32::try_from(number >> 32).unwrap();
    Money { amount: number, currency: text, exponent }
}

/// Everything a producer can say that has no closed list of values.
const SAID: [Setter; 26] = [
    |event, text, _| event.subscriber.aliases = three(&text),
    |event, text, _| event.subscriber.user_id = Some(text),
    |event, text, _| event.subscriber.email = Some(format!("{text}@example.com")),
    |event, text, _| event.subscriber.attributes = [(text.clone(), text)].into(),
    |event, text, _| event.provider_event_type = text,
    |event, text, _| event.reason = Some(text),
    |event, text, _| event.payment.as_mut().unwrap().id = Some(text),
    |event, text, _| event.payment.as_mut().unwrap().method = Some(text),
    |event, text, _| event.offer.as_mut().unwrap().id = Some(text),
    |event, text, _| event.transfer.as_mut().unwrap().from = three(&text),
    |event, text, _| event.transfer.as_mut().unwrap().to = three(&text),
    |event, _, number| event.money = Some(money("USD".to_owned(), number)),
    |event, text, number| event.money = Some(money(text, number % 1_000)),
    |event, text, _| event.money = Some(money(text, 1)),
    |event, _, number| event.occurred_at = Timestamp::from_millis(number),
    |event, text, _| subscription(event).id = text,
    |event, text, _| subscription(event).product_id = Some(text),
    |event, text, _| subscription(event).plan_id = Some(text),
    |event, text, _| subscription(event).billing_period = Some(text),
    |event, text, number| subscription(event).price = Some(money(text, number)),
    |event, _, number| subscription(event).quantity = Some(number),
    |event, text, _| subscription(event).entitlements = three(&text),
    |event, text, _| subscription(event).previous_product_id = Some(text),
    |event, _, number| subscription(event).period_end = Some(Timestamp::from_millis(number)),
    |event, _, number| subscription(event).trial_ends_at = Some(Timestamp::from_millis(number)),
    |event, text, _| subscription(event).cancel_reason = Some(text),
];

/// A text that nobody has said before, of about this length.
fn text(serial: usize, length: usize) -> String {
    format!("{serial:0>3}{}", "x".repeat(length))
}

fn native_rules() -> Rules {
    let settings = SourceSettings::default();
    let source =
        Source { name: "crm".to_owned(), provider: Provider::Native, mapper: &Native, settings };
    let times = Times {
        reorder_window: Duration::from_secs(5),
        dedup_window: Duration::from_hours(35 * 24),
        link_timeout: Duration::from_hours(1),
    };
    Rules::new([source].into_iter().collect(), times, MESSAGE).unwrap()
}

/// What a record of this key and these headers gives as one of twelve partitions: how many events, and
/// how many records that lie elsewhere than they should.
fn placed(partition: i32, key: &str, headers: &[Header]) -> (usize, u64) {
    let rules = Rules { window: NO_TIME, ..native_rules() };
    let store = MemoryStore::default();
    let line = Line::restored(store, partition, 0, NO_TIME, &rules).unwrap();
    let mut line = line.one_of(12);
    let mut event = full_event();
    event.subscriber.id = "acct-1".to_owned();
    let mut body = Vec::new();
    Codec::new(Framing::SingleObject).unwrap().encode(&event, &mut body).unwrap();
    let raw = Raw {
        offset: 0,
        appended_at: event.received_at,
        key: Some(key.as_bytes()),
        value: Some(&body),
        headers,
    };
    let taken = line.take(&raw, NO_TIME, &rules).unwrap();
    (taken.events.len(), line.tally.misplaced.get("crm").copied().unwrap_or(0))
}

#[test]
fn what_lies_outside_of_the_partition_of_its_key_is_counted_and_used() {
    let key = "crm/acct-1";
    let right = crate::placement::partition_of(key.as_bytes(), 12);
    let headers = raw_headers("evt_1", "crm", "told");
    for partition in 0..12 {
        let misplaced = u64::from(partition != right);
        assert_eq!(placed(partition, key, &headers), (1, misplaced), "{partition}");
    }
    let copy = RekeyedHeaders { partition: 3, offset: 7, stage: Stage::Alias, moved: None };
    let copied = copy.onto(&headers);
    assert_eq!(placed((right + 1) % 12, key, &copied).1, 0, "we have put it there ourselves");
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![0_usize..10, Just(490_usize), Just(497), Just(498), Just(20_000)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_a_producer_says_never_outgrows_a_message(
        story in prop::collection::vec(
            (prop::collection::vec((any::<Index>(), length(), any::<i64>()), 0..3), 0_i64..500),
            1..120,
        ),
    ) {
        let rules = native_rules();
        let codec = Codec::new(Framing::SingleObject).unwrap();
        let mut line = fresh(&rules);
        let mut told = Vec::new();
        let mut now = 1_780_000_000_123;
        for (serial, (said, later)) in story.into_iter().enumerate() {
            let mut event = full_event();
            event.subscriber.id = "acct-1".to_owned();
            for (which, length, number) in said {
                which.get(&SAID)(&mut event, text(serial, length), number);
            }
            let mut body = Vec::new();
            codec.encode(&event, &mut body).unwrap();
            now += later;
            let raw = Raw {
                offset: i64::try_from(serial).unwrap(),
                appended_at: Timestamp::from_millis(now),
                key: Some(b"crm/acct-1"),
                value: Some(&body),
                headers: &raw_headers(&serial.to_string(), "crm", "told"),
            };
            told.extend(line.take(&raw, NO_TIME, &rules).unwrap().events);
            for change in line.changes(&rules).unwrap() {
                let bytes = change.value.map_or(0, |value| value.len());
                prop_assert!(bytes < MESSAGE, "a state of {bytes} bytes");
            }
        }
        for Emission { event, .. } in told {
            let mut value = Vec::new();
            codec.encode(&event, &mut value).unwrap();
            prop_assert!(value.len() < MESSAGE / 4, "an event of {} bytes", value.len());
            let amounts = [&event.money, &event.subscriber.total_spent];
            prop_assert!(amounts.into_iter().flatten().all(|money| money.major().len() < 40));
        }
    }
}
