//! `transform import`: thousands of subscribers of four providers, exported, are known from then on, and nobody is
//! sent anything for it; the first webhook of each is that of a known customer.

use std::process::Stdio;
use std::time::{Duration, Instant};

use end_to_end::broker::Broker;
use end_to_end::exports::{of_dodo, of_purchasely, of_revenuecat, of_stripe};
use schemas::event::LifecycleEvent;
use schemas::topics::Topic;
use schemas::{EventType, Status};
use serde_json::{Value, json};
use service::clock::{Clock, SystemClock};
use stream::{Reader, Record};

use crate::transform::feed::raw;
use crate::transform::installation::{Installation, Instance};
use crate::transform::is_long;
use crate::transform::ledger::Ledger;
use crate::transform::links::append;

/// Of each provider, with `TRIBUTARY_LONG_TESTS` and without.
const SUBSCRIBERS: [usize; 2] = [2_500, 1_000];
/// Of each provider, so many get a webhook.
const CUSTOMERS: usize = 25;
const AS_OF: &str = "2026-06-01T00:00:00Z";
const WITHIN: Duration = Duration::from_mins(1);
/// Slow enough that it is surely killed in the middle.
const SLOWLY: &str = "300/s";

/// The source, the format and the file.
type Export = (&'static str, &'static str, String);

fn exports(installation: &Installation, subscribers: usize) -> [Export; 4] {
    [
        ("stripe", "stripe", installation.file("stripe.json", &of_stripe(subscribers))),
        ("dodo", "dodo", installation.file("dodo.json", &of_dodo(subscribers))),
        ("revenuecat", "revenuecat", installation.file("rc.csv", &of_revenuecat(subscribers))),
        ("purchasely", "csv", installation.file("purchasely.csv", &of_purchasely(subscribers))),
    ]
}

fn words<'a>(export: &'a Export, more: &[&'a str]) -> Vec<&'a str> {
    let (source, format, file) = export;
    let words =
        ["import", file, "--source", source, "--format", format, "--as-of", AS_OF, "--json"];
    words.into_iter().chain(more.iter().copied()).collect()
}

/// Imports it, and returns what was told at the end.
fn import(installation: &Installation, export: &Export, more: &[&str]) -> Value {
    let output = installation.command("import", &words(export, more));
    let said = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}{complaint}");
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

/// A webhook of a customer, as the edge writes it: a renewal that was paid, or the news that it will be the last.
fn webhook(topic: &str, provider: &str, number: usize, round: usize) -> Record {
    let now = SystemClock::new().now_millis();
    let id = format!("evt-{provider}-{number}-{round}");
    let (key, event_type, body) = match provider {
        "stripe" => (
            format!("cus_{number}"),
            "customer.subscription.updated",
            json!({"object": "event", "created": now / 1000, "livemode": true, "data": {
                "previous_attributes": {"cancel_at_period_end": round == 2},
                "object": {"object": "subscription", "id": format!("sub-{number}"),
                    "customer": format!("cus_{number}"), "status": "active",
                    "cancel_at_period_end": round == 1, "items": {"data": []}}}}),
        ),
        "dodo" => (
            format!("cus_{number}"),
            "subscription.renewed",
            json!({"type": "subscription.renewed", "timestamp": "2026-07-01T00:00:00Z", "data": {
                "subscription_id": format!("sub-{number}"), "status": "active",
                "customer": {"customer_id": format!("cus_{number}")}, "product_id": "pro",
                "recurring_pre_tax_amount": 990, "currency": "USD", "quantity": 1,
                "next_billing_date": "2026-08-01T00:00:00Z"}}),
        ),
        "revenuecat" => (
            format!("app-{number}"),
            "RENEWAL",
            json!({"event": {"event_timestamp_ms": now, "environment": "PRODUCTION",
                "app_user_id": format!("app-{number}"), "store": "APP_STORE", "product_id": "pro",
                "original_transaction_id": format!("sub-{number}"), "period_type": "NORMAL",
                "purchased_at_ms": now, "expiration_at_ms": now + 2_592_000_000,
                "price_in_purchased_currency": 9.90, "currency": "USD"}}),
        ),
        _ => (
            format!("p-{number}"),
            "RENEWAL_DISABLED",
            json!({"event_name": "RENEWAL_DISABLED", "event_created_at_ms": now, "event_id": id,
                "user_id": format!("p-{number}"), "api_version": 3, "environment": "PRODUCTION",
                "purchasely_subscription_id": format!("sub-{number}"),
                "subscription_status": "AUTO_RENEWING_CANCELED", "offer_type": "NONE",
                "store": "APPLE_APP_STORE"}),
        ),
    };
    raw(topic, (provider, &key), (&id, &format!("{provider}.{event_type}")), body.to_string())
}

/// A round of webhooks of some customers of every provider.
fn tell(installation: &Installation, round: usize) {
    let topic = Topic::Raw.name(installation.prefix());
    let customers = (0..CUSTOMERS).map(|number| number * 37);
    append(
        installation,
        customers.flat_map(|number| {
            ["stripe", "dodo", "revenuecat", "purchasely"]
                .map(|provider| webhook(&topic, provider, number, round))
        }),
    );
}

/// Records of raw so far.
fn told(installation: &Installation) -> i64 {
    let reader = Reader::open(installation.cluster(), "counted").unwrap();
    let topic = Topic::Raw.name(installation.prefix());
    let partitions = 0..reader.partitions(&topic).unwrap();
    partitions.map(|partition| reader.low_and_high(&topic, partition).unwrap().1).sum()
}

fn imported(instance: &Instance) -> usize {
    let reason = ["reason=\"subscriber_imported\""];
    instance.count("tributary_transform_ignored_total", &reason)
}

/// Status before and after, and what was spent.
fn shown(event: &LifecycleEvent) -> (EventType, Option<Status>, Option<Status>, Option<i64>) {
    let subscription = event.subscription.as_ref().unwrap();
    let spent = event.subscriber.total_spent.as_ref().map(|money| money.amount);
    (event.event_type, subscription.previous_status, subscription.status, spent)
}

/// What the first round tells of a customer that is known.
fn assert_known(event: &LifecycleEvent) {
    let (active, cancelled) = (Some(Status::Active), Some(Status::Cancelled));
    let expected = match (event.source.as_str(), event.event_type) {
        ("stripe", _) => (EventType::RenewalDisabled, active, cancelled, None),
        ("dodo", _) => (EventType::SubscriptionRenewed, active, active, None),
        ("revenuecat", EventType::TransactionProcessed) => {
            (EventType::TransactionProcessed, active, active, Some(2_970))
        }
        ("revenuecat", _) => (EventType::SubscriptionRenewed, active, active, Some(2_970)),
        _ => (EventType::RenewalDisabled, active, cancelled, Some(5_000)),
    };
    assert_eq!(shown(event), expected, "{}", event.provider_event_id);
    let first = if event.event_type == EventType::TransactionProcessed { 2 } else { 1 };
    assert_eq!((event.sequence, event.late), (first, false), "{}", event.provider_event_id);
    if event.source != "revenuecat" {
        assert!(event.subscriber.email.is_some(), "{}", event.provider_event_id);
    }
}

/// Kills an import in the middle, and who reads.
fn kill_in_the_middle(installation: &Installation, instance: &mut Instance, export: &Export) {
    let mut slow = installation.prepared("import", &words(export, &["--rate", SLOWLY]));
    let mut slow = slow.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while imported(instance) < 100 {
        assert!(began.elapsed() < WITHIN, "nothing is imported; {}", instance.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    slow.kill().unwrap();
    slow.wait().unwrap();
    instance.kill_and_start_again();
}

/// What the second round tells, after everybody was imported once more.
fn assert_as_if_nothing_had_been_imported_again(event: &LifecycleEvent) {
    let expected = match event.source.as_str() {
        "stripe" => (EventType::RenewalEnabled, Some(Status::Cancelled), None),
        "dodo" => (EventType::SubscriptionRenewed, Some(Status::Active), None),
        "revenuecat" => (event.event_type, Some(Status::Active), Some(3_960)),
        _ => (EventType::RenewalDisabled, Some(Status::Cancelled), Some(5_000)),
    };
    let (event_type, before, _, spent) = shown(event);
    assert_eq!((event_type, before, spent), expected, "{}", event.provider_event_id);
    assert!(event.sequence > 1);
}

#[test]
fn exported_subscribers_are_known_by_their_first_webhook_and_nothing_is_sent_for_the_import() {
    let broker = Broker::shared().expect("a broker to test against");
    let address = (broker.address(), broker.address());
    let installation = Installation::new("imports", address, &[("KAFKA__PARTITIONS", "4")]);
    let mut instance = installation.instance("only");
    let mut ledger = Ledger::open(installation.cluster(), installation.prefix());
    let subscribers = if is_long() { SUBSCRIBERS[0] } else { SUBSCRIBERS[1] };
    let exports = exports(&installation, subscribers);

    let dry = import(&installation, &exports[3], &["--dry-run"]);
    assert_eq!((&dry["subscribers"], &dry["imported"]), (&json!(subscribers), &Value::Null));
    assert_eq!(told(&installation), 0, "a dry run writes nothing");

    kill_in_the_middle(&installation, &mut instance, &exports[0]);
    let half = told(&installation);
    assert!(half < i64::try_from(subscribers).unwrap(), "it was not in the middle");

    let began = Instant::now();
    for export in &exports {
        let summary = import(&installation, export, &[]);
        assert_eq!(summary["imported"], json!(subscribers), "{summary}");
    }
    let written = began.elapsed();
    tell(&installation, 1);
    // RevenueCat's renewal is two events: the period, and the money.
    let round = 5 * CUSTOMERS;
    instance.await_ready();
    installation.await_events(&mut ledger, round, WITHIN);
    let total = began.elapsed();
    println!(
        "{subscribers} subscribers of each: written in {written:.1?}, first events after {total:.1?}"
    );
    ledger.events().iter().for_each(assert_known);

    for export in &exports {
        import(&installation, export, &[]);
    }
    tell(&installation, 2);
    installation.await_events(&mut ledger, 2 * round, WITHIN);
    assert_eq!(ledger.events().len(), 2 * round, "nobody is told of an import");
    ledger.events()[round..].iter().for_each(assert_as_if_nothing_had_been_imported_again);
    instance.assert_in_order("imports");
}
