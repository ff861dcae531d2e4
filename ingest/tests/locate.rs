//! Whose record it is, what its id and type are.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use hyper::HeaderMap;
use hyper::header::HeaderValue;
use ingest::sources::{Located, Subscriber, adapter};
use proptest::prelude::*;
use service::config::Provider;

const PROVIDERS: [Provider; 4] =
    [Provider::Stripe, Provider::Dodo, Provider::Revenuecat, Provider::Purchasely];

fn locate(provider: Provider, body: impl AsRef<[u8]>) -> Located {
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", HeaderValue::from_static("msg_1"));
    (adapter(provider).unwrap().locate)(&headers, body.as_ref())
}

/// `known:<id>`, `<kind>:<id>` or `unknown`, which is easier to read in a table.
fn subscriber(provider: Provider, body: &str) -> String {
    match locate(provider, body).subscriber {
        Subscriber::Known(id) => format!("known:{id}"),
        Subscriber::Linked { kind, id } => format!("{kind}:{id}"),
        Subscriber::Unknown => "unknown".to_owned(),
    }
}

fn stripe(object: &str) -> String {
    let body = format!(r#"{{"id":"evt_1","type":"x","data":{{"object":{object}}}}}"#);
    subscriber(Provider::Stripe, &body)
}

#[test]
fn stripe_names_the_customer_as_id_or_expanded_or_as_account() {
    let cases = [
        (r#"{"object":"invoice","id":"in_1","customer":"cus_1"}"#, "known:cus_1"),
        (r#"{"object":"invoice","customer":{"id":"cus_2","email":"x"}}"#, "known:cus_2"),
        (
            r#"{"object":"subscription","customer":null,"customer_account":"acct_1"}"#,
            "known:acct_1",
        ),
        (r#"{"object":"customer","id":"cus_3"}"#, "known:cus_3"),
        (r#"{"object":"charge","id":"ch_1","customer":"cus_4","invoice":"in_1"}"#, "known:cus_4"),
        (r#"{"object":"discount","id":"di_1","customer":"cus_5"}"#, "known:cus_5"),
    ];
    for (object, expected) in cases {
        assert_eq!(stripe(object), expected, "{object}");
    }
}

#[test]
fn stripe_without_a_customer_is_keyed_by_the_nearest_thing() {
    let cases = [
        (
            r#"{"object":"dispute","id":"dp_1","charge":"ch_1","payment_intent":"pi_1"}"#,
            "charge:ch_1",
        ),
        (r#"{"object":"refund","id":"re_1","charge":"ch_2","customer":null}"#, "charge:ch_2"),
        (
            r#"{"object":"refund","id":"re_1","charge":null,"payment_intent":"pi_2"}"#,
            "payment_intent:pi_2",
        ),
        (r#"{"object":"refund","id":"re_1","charge":{"id":"ch_3"}}"#, "charge:ch_3"),
        (r#"{"object":"invoice_payment","id":"inpay_1","invoice":"in_1"}"#, "invoice:in_1"),
        (r#"{"object":"charge","id":"ch_4","payment_intent":"pi_4"}"#, "charge:ch_4"),
        (r#"{"object":"payment_intent","id":"pi_5","charge":"ch_5"}"#, "payment_intent:pi_5"),
        (r#"{"object":"invoice","id":"in_6","charge":"ch_6"}"#, "invoice:in_6"),
        (r#"{"object":"product","id":"prod_1"}"#, "unknown"),
        (r#"{"object":"customer"}"#, "unknown"),
        ("[]", "unknown"),
        ("null", "unknown"),
    ];
    for (object, expected) in cases {
        assert_eq!(stripe(object), expected, "{object}");
    }
}

#[test]
fn a_thin_stripe_event_has_an_id_and_a_type_and_no_subscriber() {
    let located = locate(
        Provider::Stripe,
        r#"{"id":"evt_t","object":"v2.core.event","type":"v1.customer.created",
            "related_object":{"id":"cus_1","type":"customer"}}"#,
    );
    assert_eq!(located.subscriber, Subscriber::Unknown);
    assert_eq!(located.event_id.as_deref(), Some("evt_t"));
    assert_eq!(located.event_type.as_deref(), Some("v1.customer.created"));
}

#[test]
fn dodo_names_the_customer_nested_or_flat_and_the_event_in_the_header() {
    let nested = r#"{"type":"refund.succeeded","data":{"customer":{"customer_id":"cus_1"},"customer_id":"no"}}"#;
    let flat = r#"{"type":"dunning.started","data":{"customer_id":"cus_2"}}"#;
    let without = r#"{"type":"payout.success","data":{"payout_id":"pyt_1"}}"#;
    assert_eq!(subscriber(Provider::Dodo, nested), "known:cus_1");
    assert_eq!(subscriber(Provider::Dodo, flat), "known:cus_2");
    assert_eq!(subscriber(Provider::Dodo, without), "unknown");
    let located = locate(Provider::Dodo, r#"{"type":"dunning.started","id":"not this"}"#);
    assert_eq!(located.event_id.as_deref(), Some("msg_1"));
    assert_eq!(located.event_type.as_deref(), Some("dunning.started"));
}

#[test]
fn a_dodo_id_that_is_too_long_or_no_text_still_tells_deliveries_apart() {
    let id = |value: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", HeaderValue::from_bytes(value).unwrap());
        (adapter(Provider::Dodo).unwrap().locate)(&headers, b"{}").event_id.unwrap()
    };
    assert_eq!(id(&[b'a'; 1024]).len(), 1024);
    assert_eq!(id(&[b'a'; 1025]).len(), 64);
    assert_ne!(id(&[0xff]), id(&[0xfe]));
}

#[test]
fn revenuecat_names_the_first_id_a_customer_had() {
    let event = |fields: &str| {
        subscriber(Provider::Revenuecat, &format!(r#"{{"event":{{"id":"1",{fields}}}}}"#))
    };
    let cases = [
        (r#""type":"RENEWAL","app_user_id":"now","original_app_user_id":"first""#, "known:first"),
        (r#""type":"RENEWAL","app_user_id":"now","original_app_user_id":null"#, "known:now"),
        (r#""type":"RENEWAL","original_app_user_id":"$RCAnonymousID:1""#, "known:$RCAnonymousID:1"),
        (r#""type":"TRANSFER","transferred_from":["$RCAnonymousID:1","ada","bob"]"#, "known:ada"),
        (
            r#""type":"TRANSFER","transferred_from":["$RCAnonymousID:1","$RCAnonymousID:2"]"#,
            "known:$RCAnonymousID:1",
        ),
        (r#""type":"TRANSFER","transferred_from":[],"app_user_id":"no""#, "unknown"),
        (r#""type":"TRANSFER","transferred_from":[null,"",{"a":1},"ada"]"#, "known:ada"),
        (r#""type":"TRANSFER","transferred_from":"ada""#, "unknown"),
        (r#""type":"EXPERIMENT_ENROLLMENT""#, "unknown"),
    ];
    for (fields, expected) in cases {
        assert_eq!(event(fields), expected, "{fields}");
    }
}

#[test]
fn purchasely_names_a_user_or_a_device() {
    let cases = [
        (r#"{"user_id":"u","anonymous_user_id":"a"}"#, "known:u"),
        (r#"{"user_id":null,"anonymous_user_id":"a"}"#, "known:a"),
        (r#"{"user_id":"","anonymous_user_id":"a"}"#, "known:a"),
        (r#"{"user_id":4711}"#, "known:4711"),
        (r#"{"user_id":{"id":"no"}}"#, "unknown"),
        (r#"{"user_id":"a b/c\u00e9\u0000\ud83d\ude00"}"#, "known:a b/c\u{e9}\0\u{1f600}"),
    ];
    for (body, expected) in cases {
        assert_eq!(subscriber(Provider::Purchasely, body), expected, "{body}");
    }
}

#[test]
fn purchasely_without_an_event_id_gets_one_that_repeats_with_the_event_only() {
    let id = |name: &str, created: u64, about: &str, user: &str| {
        let body = format!(
            r#"{{"event_name":"{name}","event_created_at_ms":{created},"user_id":"{user}",
                "store_transaction_id":"{about}","attempt":"{}"}}"#,
            name.len() + user.len()
        );
        locate(Provider::Purchasely, body).event_id.unwrap()
    };
    let first = id("ACTIVATE", 1, "T", "u");
    assert_eq!(first, id("ACTIVATE", 1, "T", "u"));
    let others = [
        id("SUBSCRIPTION_STARTED", 1, "T", "u"),
        id("ACTIVATE", 2, "T", "u"),
        id("ACTIVATE", 1, "S", "u"),
        id("ACTIVATE", 1, "T", "v"),
        id("ACTIVATE", 1, "", "Tu"),
    ];
    assert!(!others.contains(&first));
    let named = locate(
        Provider::Purchasely,
        r#"{"event_name":"A","event_id":"E","event_created_at_ms":1}"#,
    );
    assert_eq!(named.event_id.as_deref(), Some("E"));
    assert_eq!(locate(Provider::Purchasely, r#"{"event_name":"A"}"#).event_id, None);
}

#[test]
fn a_body_that_is_no_event_is_located_nowhere() {
    let deep = "[".repeat(500_000);
    let deep_in_a_field = format!(r#"{{"data":{deep}"#);
    let bodies: [&[u8]; 9] = [
        b"",
        b"not json",
        b"null",
        b"[]",
        b"\"text\"",
        b"{\"id\":\"evt_1\"} trailing",
        b"\xff\xfe",
        deep.as_bytes(),
        deep_in_a_field.as_bytes(),
    ];
    for provider in PROVIDERS {
        for body in bodies {
            let located = locate(provider, body);
            assert_eq!(located.subscriber, Subscriber::Unknown);
            assert_eq!(located.event_type, None);
            let from_header = (provider == Provider::Dodo).then_some("msg_1");
            assert_eq!(located.event_id.as_deref(), from_header);
        }
    }
}

#[test]
fn depth_beside_the_ids_does_not_hide_them() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!(r#"{{"event_id":"E","extra":{deep},"user_id":"u"}}"#);
    assert_eq!(subscriber(Provider::Purchasely, &body), "known:u");
}

#[test]
fn an_id_too_long_for_a_header_is_none() {
    let body = |length: usize| format!(r#"{{"user_id":"{}"}}"#, "u".repeat(length));
    assert_ne!(subscriber(Provider::Purchasely, &body(1024)), "unknown");
    assert_eq!(subscriber(Provider::Purchasely, &body(1025)), "unknown");
}

proptest! {
    #[test]
    fn any_bytes_are_survived(body: Vec<u8>) {
        for provider in PROVIDERS {
            let _: Located = locate(provider, &body);
        }
    }

    #[test]
    fn any_json_like_text_is_survived_and_what_is_found_fits_a_header(
        body in r#"(\{|\}|\[|\]|:|,|"id"|"type"|"data"|"object"|"event"|"customer"|"user_id"|"x"|1|null){0,40}"#,
    ) {
        for provider in PROVIDERS {
            let located = locate(provider, &body);
            for found in [located.event_id, located.event_type].into_iter().flatten() {
                prop_assert!(!found.is_empty() && found.len() <= 1024);
            }
        }
    }

    #[test]
    fn any_id_is_kept_as_it_is(id in "\\PC{1,100}") {
        let body = serde_json::json!({ "user_id": id }).to_string();
        prop_assert_eq!(subscriber(Provider::Purchasely, &body), format!("known:{id}"));
    }
}
