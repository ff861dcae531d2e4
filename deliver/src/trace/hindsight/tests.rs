use schemas::headers::RawHeaders;
use serde_json::{Value, json};

use super::*;
use crate::trace::tests::config;

const NOW: i64 = 1_780_000_000_000;

/// What RevenueCat says, appended so many milliseconds from now.
fn record(offset: i64, (id, event_type): (&str, &str), after: i64, change: &Value) -> Received {
    let mut event = json!({
        "type": event_type, "id": id, "event_timestamp_ms": NOW + after,
        "app_user_id": "u_1", "original_app_user_id": "u_1", "product_id": "pro",
        "period_type": "NORMAL", "purchased_at_ms": NOW, "expiration_at_ms": NOW + 2_592_000_000,
        "store": "APP_STORE", "environment": "PRODUCTION", "currency": "EUR",
        "price_in_purchased_currency": 9.99, "original_transaction_id": "1", "transaction_id": "1",
    });
    for (name, value) in change.as_object().into_iter().flatten() {
        event[name.as_str()] = value.clone();
    }
    let headers = RawHeaders {
        id: id.to_owned(),
        source: "apps".to_owned(),
        event_type: format!("revenuecat.{event_type}"),
        time: None,
        content_type: None,
        traceparent: None,
        rekeyed: None,
    };
    Received {
        topic: "raw".into(),
        partition: 0,
        offset,
        timestamp: Timestamp::from_millis(NOW + after),
        key: Some(b"apps/u_1".to_vec()),
        value: Some(json!({"api_version": "1.0", "event": event}).to_string().into_bytes()),
        headers: headers.to_headers(),
    }
}

fn looked_back(raw: &[Received], window: Duration) -> Vec<(i64, String)> {
    let mut rules = transform::configure::replay_rules(&config()).unwrap();
    rules.window = window;
    let nothing = look_back(raw, &rules).unwrap();
    let nothing = nothing.into_iter().map(|(offset, nothing)| match nothing {
        Nothing::Ignored(reason) => (offset, reason),
        Nothing::LeftToCopy => (offset, "left to a copy".to_owned()),
    });
    nothing.collect()
}

#[test]
fn only_what_becomes_nothing_has_a_reason_with_and_without_a_window() {
    let cancelled = json!({"cancel_reason": "UNSUBSCRIBE"});
    let raw = [
        record(10, ("a", "INITIAL_PURCHASE"), 0, &json!({})),
        record(11, ("b", "TEST"), 10, &json!({})),
        record(12, ("a", "INITIAL_PURCHASE"), 20, &json!({})),
        record(13, ("c", "CANCELLATION"), 30, &cancelled),
        record(14, ("d", "CANCELLATION"), 9_000, &cancelled),
        record(15, ("e", "RENEWAL"), 9_100, &json!({"event_timestamp_ms": "soon"})),
        record(16, ("f", "CANCELLATION"), 9_200, &cancelled),
    ];
    let expected = [(11, "test_event"), (14, "no_lifecycle_change"), (16, "no_lifecycle_change")];
    let expected = expected.map(|(offset, reason)| (offset, reason.to_owned()));
    for window in [Duration::ZERO, Duration::from_secs(2)] {
        assert_eq!(looked_back(&raw, window), expected, "{window:?}");
    }
}

#[test]
fn a_transfer_from_somebody_unknown_is_left_to_its_copy() {
    let people = json!({"transferred_from": ["u_1"], "transferred_to": ["u_2"]});
    let raw = [record(3, ("t", "TRANSFER"), 0, &people)];
    let left = (3, "left to a copy".to_owned());
    assert_eq!(looked_back(&raw, Duration::ZERO), [left]);
}
