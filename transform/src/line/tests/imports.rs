//! Existing subscribers: told in any order with live events, corrected, and told again, an import moves nothing
//! back, counts nothing twice and is never told; and the first webhook after it meets a known subscription.

use proptest::prelude::*;
use schemas::state::SubscriberState;
use schemas::{Money, Provider};
use serde_json::{Value, json};

use super::*;
use crate::sources::native::imported;
use crate::sources::{Source, SourceSettings, mapper_of};

const KEY: &str = "crm/acct-1";

fn crm(provider: Provider, window: u64) -> Rules {
    let settings = SourceSettings::default();
    let mapper = mapper_of(provider).unwrap();
    let source = Source { name: "crm".to_owned(), provider, mapper, settings };
    let times = Times {
        reorder_window: Duration::from_millis(window),
        dedup_window: Duration::from_hours(35 * 24),
        link_timeout: Duration::from_hours(1),
    };
    Rules::new([source].into_iter().collect(), times, 1 << 20).unwrap()
}

fn record(id: &str, event_type: &str, body: &Value) -> Entry {
    Entry {
        appended_at: 1_900_000_000_000,
        key: KEY.to_owned(),
        body: body.to_string(),
        headers: raw_headers(id, "crm", event_type),
    }
}

fn import(body: &Value) -> Entry {
    record("import", imported::TYPE, body)
}

/// The events and the state that a log of one subscriber gives, and what was parked.
fn outcome(log: &[Entry], rules: &Rules) -> (Vec<LifecycleEvent>, SubscriberState, Vec<String>) {
    let mut line = fresh(rules);
    let (mut events, mut parked) = (Vec::new(), Vec::new());
    let end = tick_at(1_900_000_900_000);
    for (offset, entry) in log.iter().chain([&end]).enumerate() {
        let taken = take(&mut line, offset, entry, rules);
        events.extend(taken.events.into_iter().map(|emission| emission.event));
        parked.extend(taken.parked.map(|parking| parking.message));
    }
    let changes = line.changes(rules).unwrap();
    let value = changes.iter().find_map(|change| change.value.clone());
    let state = value.map(|value| rules.states.decode(&value).unwrap());
    (events, state.unwrap_or_default(), parked)
}

/// What happened to a person of a native source at a day of its own.
#[derive(Clone, Copy, Debug)]
struct Happened {
    subscription: usize,
    status: Status,
    amount: i64,
}

fn happened() -> impl Strategy<Value = Happened> {
    let status = prop::sample::select(vec![Status::Active, Status::Expired, Status::GracePeriod]);
    (0_usize..3, status, -50_i64..200).prop_map(|(subscription, status, amount)| Happened {
        subscription,
        status,
        amount,
    })
}

const DAY: i64 = 86_400_000;
const BEFORE: i64 = 1_000_000;

fn at(day: usize) -> i64 {
    1_800_000_000_000 + i64::try_from(day).unwrap() * DAY
}

/// The two records of a day: its subscription moves, and money.
fn live(day: usize, happened: Happened) -> [Entry; 2] {
    let body = |event_type: &str| json!({"type": event_type, "occurred_at": at(day), "subscriber": {"id": "acct-1"}});
    let mut moves = body("subscription_renewed");
    let id = format!("sub-{}", happened.subscription);
    moves["subscription"] = json!({"id": id, "status": happened.status.name()});
    let mut pays = body("transaction_processed");
    pays["money"] = json!({"amount": happened.amount, "currency": "EUR"});
    [
        record(&format!("moves-{day}"), "native.subscription_renewed", &moves),
        record(&format!("pays-{day}"), "native.transaction_processed", &pays),
    ]
}

/// What the provider shows at the end of a day: every subscription has been there for years.
fn snapshot(day: usize, story: &[Happened]) -> Entry {
    let until = &story[..=day];
    let status = |subscription: usize| {
        let latest = until.iter().rfind(|one| one.subscription == subscription);
        latest.map_or(Status::Cancelled, |one| one.status)
    };
    let listed = (0..3).map(|number| {
        json!({"id": format!("sub-{number}"), "status": status(number).name(), "product_id": "old"})
    });
    let moved: i64 = until.iter().map(|one| one.amount).sum();
    import(&json!({
        "as_of": at(day) + DAY / 2,
        "subscriber": {"id": "acct-1", "email": "ada@example.com", "attributes": {"tier": "gold"}},
        "subscriptions": listed.collect::<Vec<_>>(),
        "totals": [{"amount": BEFORE + moved, "currency": "EUR"}],
    }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn imports_and_live_events_end_alike_in_whatever_order_they_come(
        story in prop::collection::vec(happened(), 1..7),
        imports in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
        order in any::<u64>(),
        window in prop_oneof![Just(0_u64), Just(1_000)],
    ) {
        let rules = crm(Provider::Native, window);
        let mut log: Vec<Entry> =
            story.iter().enumerate().flat_map(|(day, one)| live(day, *one)).collect();
        let days: Vec<_> = imports.iter().map(|index| index.index(story.len())).collect();
        log.extend(days.iter().map(|day| snapshot(*day, &story)));
        // Some of it comes again.
        log.extend(log.clone().into_iter().step_by(3));
        let mut random = order;
        log.sort_by_cached_key(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            random >> 33
        });
        let (events, state, parked) = outcome(&log, &rules);

        prop_assert_eq!(parked, Vec::<String>::new());
        let paid = story.iter().filter(|one| one.amount != 0);
        prop_assert_eq!(events.len(), story.len() + paid.count(), "an import is never told");
        prop_assert!((1..).zip(&events).all(|(number, event)| event.sequence == number));
        let moved: i64 = story.iter().map(|one| one.amount).sum();
        prop_assert_eq!(state.totals.len(), 1);
        prop_assert_eq!(&state.totals[0].sum, &Money::minor(BEFORE + moved, "EUR"));
        prop_assert_eq!(state.subscriptions.len(), 3);
        let newest = days.iter().max().unwrap();
        for (number, id) in ["sub-0", "sub-1", "sub-2"].into_iter().enumerate() {
            let known = state.subscriptions.iter().find(|known| known.current.id == id).unwrap();
            let latest = story.iter().rposition(|one| one.subscription == number);
            let status = latest.map_or(Status::Cancelled, |day| story[day].status);
            prop_assert_eq!(known.current.status, Some(status), "{}", id);
            prop_assert_eq!(known.current.product_id.as_deref(), Some("old"));
            let facts_at = latest.map_or(0, at).max(at(*newest) + DAY / 2);
            prop_assert_eq!(known.facts_at.millis(), facts_at, "{}", id);
        }
        prop_assert_eq!(state.identity.email.as_deref(), Some("ada@example.com"));
    }
}

fn yearly(status: &str) -> Value {
    json!({
        "as_of": "2026-06-01T00:00:00Z",
        "subscriber": {"id": "acct-1", "email": "ada@example.com", "attributes": {"tier": "gold"}},
        "subscriptions": [{
            "id": "sub_1", "status": status, "product_id": "pro", "started_at": "2024-06-01T00:00:00Z",
            "price": {"amount": 9900, "currency": "USD"}, "billing_period": "P1Y",
            "expires_at": "2026-07-01T00:00:00Z",
        }],
        "totals": [{"amount": 19_800, "currency": "USD"}],
    })
}

const LATER: i64 = 1_782_000_000;

fn stripe(event_type: &str, object: &Value) -> Entry {
    let body = json!({"object": "event", "created": LATER, "livemode": true,
        "data": {"object": object}});
    record("evt", &format!("stripe.{event_type}"), &body)
}

/// Status before and after, type, and what was spent, of the events that a webhook gives after an import.
fn first_webhook(provider: Provider, status: &str, webhook: Entry) -> Vec<String> {
    let log = [import(&yearly(status)), webhook];
    let (events, _, parked) = outcome(&log, &crm(provider, 0));
    assert_eq!(parked, Vec::<String>::new());
    let told = |(number, event): (i64, &LifecycleEvent)| {
        assert_eq!((event.sequence, event.late), (number, false));
        assert_eq!(event.subscriber.attributes.get("tier").map(String::as_str), Some("gold"));
        let shown = event.subscription.as_ref().unwrap();
        let name = |status: Option<Status>| status.map_or("none", Status::name);
        let spent = event.subscriber.total_spent.as_ref().unwrap().amount;
        let (before, after) = (name(shown.previous_status), name(shown.status));
        format!("{before} {} {after} {spent}", event.event_type)
    };
    (1..).zip(&events).map(told).collect()
}

#[test]
fn the_first_webhook_of_an_imported_stripe_customer_is_no_news_of_an_unknown_one() {
    let subscription = json!({"object": "subscription", "id": "sub_1", "customer": "acct-1",
        "status": "active", "cancel_at_period_end": true, "items": {"data": []}});
    let cancelled = stripe("customer.subscription.updated", &subscription);
    let ended = json!({"object": "subscription", "id": "sub_1", "customer": "acct-1",
        "status": "canceled", "items": {"data": []}});
    let ended = stripe("customer.subscription.deleted", &ended);
    let paid = json!({"object": "invoice", "id": "in_1", "customer": "acct-1", "currency": "usd",
        "amount_paid": 9900, "billing_reason": "subscription_cycle",
        "parent": {"subscription_details": {"subscription": "sub_1"}}});
    let paid = stripe("invoice.paid", &paid);
    let first = |status, webhook: &Entry| first_webhook(Provider::Stripe, status, webhook.clone());
    assert_eq!(first("active", &cancelled), ["active renewal_disabled cancelled 19800"]);
    assert_eq!(
        first("active", &paid),
        ["active subscription_renewed active 29700", "active transaction_processed active 29700"]
    );
    assert_eq!(
        first("grace_period", &ended),
        [
            "grace_period grace_period_ended expired 19800",
            "grace_period subscription_expired expired 19800"
        ]
    );
    assert!(first("expired", &ended).is_empty(), "its end was told before");
}

#[test]
fn the_first_webhook_of_an_imported_dodo_customer_is_no_news_of_an_unknown_one() {
    let event = |event_type: &str, status: &str| {
        let body = json!({"type": event_type, "timestamp": "2026-07-01T00:00:00Z", "data": {
            "subscription_id": "sub_1", "status": status, "customer": {"customer_id": "acct-1"},
            "product_id": "pro", "recurring_pre_tax_amount": 9900, "currency": "USD",
            "quantity": 1, "payment_frequency_interval": "Year", "payment_frequency_count": 1,
            "next_billing_date": "2027-07-01T00:00:00Z", "created_at": "2024-06-01T00:00:00Z"}});
        record("evt", &format!("dodo.{event_type}"), &body)
    };
    let first = |status, webhook| first_webhook(Provider::Dodo, status, webhook);
    assert_eq!(
        first("active", event("subscription.renewed", "active")),
        ["active subscription_renewed active 19800"]
    );
    assert_eq!(
        first("grace_period", event("subscription.active", "active")),
        ["grace_period recovered_from_grace_period active 19800"]
    );
    assert!(first("active", event("subscription.active", "active")).is_empty());
    let mut dearer = event("subscription.plan_changed", "active");
    dearer.body = dearer.body.replace("\"pro\"", "\"max\"").replace(":9900", ":19900");
    assert_eq!(first("active", dearer), ["active subscription_upgraded active 19800"]);
}

#[test]
fn the_first_webhook_of_an_imported_revenuecat_customer_is_no_news_of_an_unknown_one() {
    let event = |event_type: &str, more: Value| {
        let mut event = json!({"event_timestamp_ms": LATER * 1000, "environment": "PRODUCTION",
            "store": "APP_STORE", "product_id": "pro", "original_transaction_id": "sub_1",
            "period_type": "NORMAL", "purchased_at_ms": LATER * 1000,
            "expiration_at_ms": LATER * 1000 + 31_536_000_000_i64});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record("evt", &format!("revenuecat.{event_type}"), &json!({"event": event}))
    };
    let first = |status, webhook| first_webhook(Provider::Revenuecat, status, webhook);
    let renewal =
        || event("RENEWAL", json!({"price_in_purchased_currency": 99.0, "currency": "USD"}));
    assert_eq!(
        first("active", renewal()),
        ["active subscription_renewed active 29700", "active transaction_processed active 29700"]
    );
    let reactivated = first("expired", renewal());
    assert_eq!(reactivated[0], "expired subscription_reactivated active 29700");
    let cancelled = event("CANCELLATION", json!({"cancel_reason": "UNSUBSCRIBE"}));
    assert_eq!(first("active", cancelled), ["active renewal_disabled cancelled 19800"]);
    let expired = event("EXPIRATION", json!({"expiration_reason": "UNSUBSCRIBE"}));
    assert!(first("expired", expired).is_empty(), "its end was told before");
}

#[test]
fn the_first_webhook_of_an_imported_purchasely_customer_is_no_news_of_an_unknown_one() {
    let event = |event_type: &str, status: &str| {
        let body = json!({"event_name": event_type, "event_created_at_ms": LATER * 1000,
            "event_id": "evt", "user_id": "acct-1", "api_version": 3, "environment": "PRODUCTION",
            "purchasely_subscription_id": "sub_1", "subscription_status": status,
            "offer_type": "NONE", "store": "APPLE_APP_STORE"});
        record("evt", &format!("purchasely.{event_type}"), &body)
    };
    let first = |status, webhook| first_webhook(Provider::Purchasely, status, webhook);
    assert_eq!(
        first("active", event("SUBSCRIPTION_RENEWED", "AUTO_RENEWING")),
        ["active subscription_renewed active 19800"]
    );
    assert_eq!(
        first("active", event("RENEWAL_DISABLED", "AUTO_RENEWING_CANCELED")),
        ["active renewal_disabled cancelled 19800"]
    );
    assert!(first("active", event("ACTIVATE", "AUTO_RENEWING")).is_empty(), "granted before");
}

#[test]
fn a_corrected_row_takes_the_place_of_what_was_imported_and_may_be_taken_back() {
    let rules = crm(Provider::Native, 0);
    let first = yearly("active");
    let mut second = yearly("cancelled");
    second["subscriber"]["email"] = json!("ada@new.example");
    second["totals"][0]["amount"] = json!(1);
    let seen = |log: &[&Value]| {
        let log: Vec<_> = log.iter().map(|body| import(body)).collect();
        let (events, state, _) = outcome(&log, &rules);
        assert!(events.is_empty());
        let status = state.subscriptions[0].current.status.unwrap();
        (status, state.identity.email.unwrap(), state.totals[0].sum.amount)
    };
    let as_first = (Status::Active, "ada@example.com".to_owned(), 19_800);
    assert_eq!(seen(&[&first, &first]), as_first);
    assert_eq!(seen(&[&first, &second]), (Status::Cancelled, "ada@new.example".to_owned(), 1));
    assert_eq!(seen(&[&first, &second, &first]), as_first);
    let mut older = second.clone();
    older["as_of"] = json!("2026-05-01T00:00:00Z");
    assert_eq!(seen(&[&first, &older]), as_first, "an older one changes nothing");
}

#[test]
fn what_an_import_cannot_mean_is_parked_with_the_place_of_the_problem() {
    for (pointer, value, expected) in [
        ("/as_of", Value::Null, "/as_of: missing"),
        ("/as_of", json!("yesterday"), "/as_of: not a time"),
        ("/environment", json!("test"), "/environment: neither production nor sandbox"),
        ("/subscriber/id", json!("acct-2"), "the body speaks of another subscriber than the key"),
        ("/subscriptions/0/id", Value::Null, "/subscriptions/0/id: missing"),
        (
            "/subscriptions/0/status",
            json!("lapsed"),
            "/subscriptions/0/status: missing, or no status",
        ),
        (
            "/subscriptions/0/in_billing_retry",
            json!(true),
            "/subscriptions/0/in_billing_retry: only what is expired is in billing retry",
        ),
        ("/subscriptions/0/quantity", json!(-1), "/subscriptions/0/quantity: an absurd number"),
        ("/totals/0/currency", json!("money"), ""),
        ("/totals/0/currency", json!("x"), "/totals/0/currency: not a currency code"),
        ("/totals/0/amount", json!(1.5), "/totals/0/amount: not a whole number of minor units"),
    ] {
        let mut body = yearly("active");
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[field] = value;
        let (events, _, parked) = outcome(&[import(&body)], &crm(Provider::Stripe, 0));
        assert!(events.is_empty());
        let expected = if expected.is_empty() { Vec::new() } else { vec![expected.to_owned()] };
        assert_eq!(parked, expected, "{pointer}");
    }
    let mut twice = yearly("active");
    let listed = twice["subscriptions"][0].clone();
    twice["subscriptions"].as_array_mut().unwrap().push(listed);
    let (_, _, parked) = outcome(&[import(&twice)], &crm(Provider::Stripe, 0));
    assert_eq!(parked, ["/subscriptions/1/id: listed twice"]);
}

#[test]
fn an_import_is_counted_by_what_became_of_it() {
    let rules = crm(Provider::Native, 0);
    let mut line = fresh(&rules);
    let mut older = yearly("active");
    older["as_of"] = json!(1_000);
    for (offset, body) in [yearly("active"), older].iter().enumerate() {
        assert!(take(&mut line, offset, &import(body), &rules).is_empty());
    }
    let counted: Vec<_> = line.tally.ignored.iter().map(|((_, reason), n)| (*reason, *n)).collect();
    assert_eq!(counted, [("import_outdated", 1), ("subscriber_imported", 1)]);
}
