//! How many bytes a subscriber takes in `subscriptions.state` and in the store: the figures of
//! `docs/state.md`.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use schemas::codec::{Codec, Framing};
use schemas::event::Subscription;
use schemas::samples::full_event;
use schemas::state::{Identity, Span, SubscriberState, SubscriptionState, Total};
use schemas::{Environment, Money, Timestamp};

fn subscription(number: usize) -> SubscriptionState {
    let current = Subscription {
        id: format!("sub_1Qabcdefghijklmnopqr{number:04}"),
        product_id: Some("prod_Rabcdefghijkl".to_owned()),
        plan_id: Some("price_1Qabcdefghijklmnopqrstuv".to_owned()),
        ..full_event().subscription.unwrap()
    };
    SubscriptionState {
        environment: Environment::Production,
        current,
        provider_status: Some("active".to_owned()),
        cancel_scheduled: false,
        collection_paused: false,
        trial_open: false,
        intro_open: false,
        in_grace: false,
        in_billing_retry: false,
        paused: false,
        ended: false,
        pending_product: None,
        told: std::collections::BTreeMap::new(),
        facts_at: Timestamp::from_millis(1_780_000_000_000),
        owned_since: Timestamp::from_millis(0),
    }
}

fn span(amount: i64) -> Span {
    let at = Timestamp::from_millis(1_780_000_000_000);
    Span { first: at, last: at, amount }
}

fn size(subscriptions: usize, ids: usize) -> usize {
    let person = full_event().subscriber;
    let state = SubscriberState {
        sequence: 40,
        seen: vec![7; 12 * ids],
        subscriptions: (0..subscriptions).map(subscription).collect(),
        identity: Identity {
            id: "cus_Rabcdefghijklm".to_owned(),
            user_id: Some("8d3f3c1e-6f1f-4a55-9d6e-0c7f6f7b2a11".to_owned()),
            email: Some("ada.lovelace@example.com".to_owned()),
            aliases: Vec::new(),
            anonymous: false,
            attributes: person.attributes,
        },
        totals: vec![Total {
            environment: Environment::Production,
            sum: Money::minor(24_990, "usd"),
            opening: None,
            spans: vec![span(19_992), span(4_998)],
        }],
        seconds: (1_780_000_000..).step_by(86_400).take(ids.min(64)).collect(),
        ..SubscriberState::default()
    };
    let mut bytes = Vec::new();
    Codec::new(Framing::SingleObject).unwrap().encode(&state, &mut bytes).unwrap();
    bytes.len()
}

#[test]
fn a_typical_subscriber_takes_half_a_kilobyte() {
    let typical = size(1, 10);
    let (quiet, busy, three) = (size(1, 2), size(1, 100), size(3, 10));
    println!("bytes: quiet {quiet}, typical {typical}, busy {busy}, three subscriptions {three}");
    assert!((300..600).contains(&typical), "{typical}: docs/state.md says otherwise");
    let of_an_id = (busy - typical) / 90;
    assert!((12..=18).contains(&of_an_id), "{of_an_id} bytes for each id and its second");
    let of_a_subscription = (three - typical) / 2;
    assert!((150..350).contains(&of_a_subscription), "{of_a_subscription} for a subscription");
}
