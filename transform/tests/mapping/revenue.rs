//! Money: whatever was paid, given back, disputed and settled, the sum of `transaction_processed` is
//! what moved, in whatever order it is told and however often.

use std::time::Duration;

use ingest::envelope::RawRecord;
use proptest::prelude::*;
use proptest::sample::Index;
use schemas::{EventType, Money, Provider, Timestamp};
use serde_json::{Value, json};
use transform::sources::{Source, SourceSettings, Sources, mapper_of};

use crate::fixture::Delivery;
use crate::teller::Teller;

const START: i64 = 1_780_000_000;

/// Something that moves money, in minor units.
#[derive(Clone, Copy, Debug)]
enum Step {
    Renewed(i64),
    /// A dearer plan, with what was left of the old one set off.
    Upgraded {
        credit: i64,
        charge: i64,
    },
    /// Bought once.
    Bought(i64),
    /// A share of the latest payment, in percent of what is left of it.
    Refunded(i64),
    /// The latest refund came back.
    RefundReversed,
    DisputeLost,
    DisputeWon,
}

fn step() -> impl Strategy<Value = Step> {
    let amount = 0_i64..5_000_000;
    prop_oneof![
        3 => amount.clone().prop_map(Step::Renewed),
        1 => (0_i64..5000, 5000_i64..90_000)
            .prop_map(|(credit, charge)| Step::Upgraded { credit, charge }),
        1 => amount.prop_map(Step::Bought),
        4 => (1_i64..=100).prop_map(Step::Refunded),
        2 => Just(Step::RefundReversed),
        1 => Just(Step::DisputeLost),
        1 => Just(Step::DisputeWon),
    ]
}

/// One person's account at one provider, as the books have it.
struct Books {
    provider: Provider,
    currency: &'static str,
    at: i64,
    number: usize,
    moved: i64,
    /// Of each payment: its number, its amount, what was refunded of it.
    payments: Vec<(usize, i64, i64)>,
    /// Number of the payment and amount of refunds that have not come back.
    refunds: Vec<(usize, i64)>,
    told: Vec<Delivery>,
    /// Whether Stripe says what the total of refunds was before, as it need not.
    says_before: bool,
}

impl Books {
    fn keep(provider: Provider, currency: &'static str, steps: &[Step], says_before: bool) -> Self {
        let (payments, refunds, told) = (Vec::new(), Vec::new(), Vec::new());
        let mut books = Self {
            provider,
            currency,
            at: START,
            number: 0,
            moved: 0,
            payments,
            refunds,
            told,
            says_before,
        };
        for step in steps {
            books.at += 3600;
            books.enter(*step);
        }
        books
    }

    fn enter(&mut self, step: Step) {
        match step {
            Step::Renewed(amount) => self.paid(amount, "renewal"),
            Step::Bought(amount) => self.paid(amount, "once"),
            Step::Upgraded { credit, charge } if self.provider == Provider::Purchasely => {
                self.settled(-credit);
                self.settled(charge);
            }
            Step::Upgraded { credit, charge } => self.paid(charge - credit, "upgrade"),
            Step::Refunded(percent) => self.refunded(percent),
            Step::RefundReversed => self.refund_reversed(),
            Step::DisputeLost => self.disputed("lost"),
            Step::DisputeWon => self.disputed("won"),
        }
    }

    fn paid(&mut self, amount: i64, what: &str) {
        self.moved += amount;
        self.payments.push((self.number, amount, 0));
        let (event_type, body) = match self.provider {
            Provider::Stripe => {
                let reason = match what {
                    "renewal" => "subscription_cycle",
                    "upgrade" => "subscription_update",
                    _ => "manual",
                };
                let parent = json!({"subscription_details": {"subscription": "sub_1"}});
                let parent = if what == "once" { Value::Null } else { parent };
                (
                    "invoice.paid",
                    json!({"customer": "cus_1", "currency": self.currency,
                    "amount_paid": amount, "billing_reason": reason, "parent": parent}),
                )
            }
            Provider::Dodo => {
                let subscription = if what == "once" { Value::Null } else { json!("sub_1") };
                (
                    "payment.succeeded",
                    json!({"currency": self.currency, "total_amount": amount,
                    "subscription_id": subscription}),
                )
            }
            Provider::Purchasely => return self.purchasely(amount, what),
            Provider::Revenuecat | Provider::Native | Provider::Unknown => {
                let event_type = if what == "once" { "NON_RENEWING_PURCHASE" } else { "RENEWAL" };
                let product = if what == "upgrade" { "pro" } else { "basic" };
                (event_type, self.revenuecat(amount, &json!({"product_id": product})))
            }
        };
        self.tell(event_type, body);
    }

    fn refunded(&mut self, percent: i64) {
        let Some((number, amount, before)) = self.payments.last().copied() else { return };
        // RevenueCat and Purchasely refund whole payments.
        let whole = matches!(self.provider, Provider::Revenuecat | Provider::Purchasely);
        let left = amount - before;
        let part = if whole { left } else { left * percent / 100 };
        if part == 0 {
            return;
        }
        self.moved -= part;
        self.refunds.push((number, part));
        if let Some(payment) = self.payments.last_mut() {
            payment.2 += part;
        }
        let (event_type, body) = match self.provider {
            Provider::Stripe => (
                "charge.refunded",
                json!({"id": format!("ch_{number}"), "customer": "cus_1",
                    "currency": self.currency, "amount": amount,
                    "amount_refunded": before + part,
                    "previously": self.says_before.then(|| json!({"amount_refunded": before}))}),
            ),
            Provider::Dodo => {
                ("refund.succeeded", json!({"currency": self.currency, "amount": part}))
            }
            Provider::Purchasely => return self.purchasely(-part, "SUBSCRIPTION_REFUNDED_REVOKED"),
            Provider::Revenuecat | Provider::Native | Provider::Unknown => {
                let reason = json!({"cancel_reason": "CUSTOMER_SUPPORT"});
                ("CANCELLATION", self.revenuecat(-part, &reason))
            }
        };
        self.tell(event_type, body);
    }

    fn refund_reversed(&mut self) {
        if !matches!(self.provider, Provider::Stripe | Provider::Revenuecat) {
            return;
        }
        let Some((number, amount)) = self.refunds.pop() else { return };
        self.moved += amount;
        if let Some(payment) = self.payments.iter_mut().find(|payment| payment.0 == number) {
            payment.2 -= amount;
        }
        if self.provider == Provider::Stripe {
            let charge = format!("ch_{number}");
            let body = json!({"id": format!("re_{}", self.number), "charge": charge,
                "amount": amount, "currency": self.currency, "status": "failed"});
            self.tell("refund.failed", body);
        } else {
            let body = self.revenuecat(amount, &json!({}));
            self.tell("REFUND_REVERSED", body);
        }
    }

    fn disputed(&mut self, verdict: &str) {
        let Some((number, amount, _)) = self.payments.last().copied() else { return };
        match self.provider {
            Provider::Stripe => {
                let body = json!({"id": format!("du_{}", self.number), "amount": amount,
                    "charge": format!("ch_{number}"), "currency": self.currency,
                    "status": verdict});
                self.tell("charge.dispute.created", body.clone());
                self.tell("charge.dispute.funds_withdrawn", body.clone());
                self.moved -= amount;
                if verdict == "won" {
                    self.tell("charge.dispute.funds_reinstated", body.clone());
                    self.moved += amount;
                }
                self.tell("charge.dispute.closed", body);
            }
            Provider::Dodo => {
                let body = json!({"currency": self.currency, "amount": amount.to_string(),
                    "dispute_id": format!("dis_{}", self.number)});
                self.tell("dispute.opened", body.clone());
                if verdict == "lost" {
                    self.moved -= amount;
                }
                if verdict == "lost" && self.number.is_multiple_of(2) {
                    self.tell("dispute.accepted", body.clone());
                }
                self.tell(&format!("dispute.{verdict}"), body);
            }
            // The stores keep disputes to themselves.
            Provider::Revenuecat | Provider::Purchasely | Provider::Native | Provider::Unknown => {}
        }
    }

    fn settled(&mut self, amount: i64) {
        self.moved += amount;
        self.purchasely(amount, "SUBSCRIPTION_UPGRADED");
    }

    fn purchasely(&mut self, amount: i64, source: &str) {
        let body = json!({"amount_in_customer_currency": major(amount, self.currency),
            "customer_currency": self.currency, "purchasely_subscription_id": "subs_1",
            "source_event_name": source, "purchase_type": "RENEWING_SUBSCRIPTION"});
        self.tell("TRANSACTION_PROCESSED", body);
    }

    fn revenuecat(&self, amount: i64, more: &Value) -> Value {
        let mut event = json!({"product_id": "basic", "original_transaction_id": "1",
            "currency": self.currency, "price_in_purchased_currency": major(amount, self.currency),
            "store": "APP_STORE", "period_type": "NORMAL",
            "expiration_at_ms": (self.at + 86_400) * 1000});
        for (name, value) in more.as_object().into_iter().flatten() {
            event[name] = value.clone();
        }
        event
    }

    /// Wraps it in the provider's envelope.
    fn tell(&mut self, event_type: &str, mut body: Value) {
        self.number += 1;
        self.at += 1;
        let id = format!("event-{}", self.number);
        let delivery = match self.provider {
            Provider::Stripe => {
                let previous = body.as_object_mut().unwrap().remove("previously");
                let body = json!({"id": id, "type": event_type, "created": self.at,
                    "livemode": true,
                    "data": {"object": body, "previous_attributes": previous}});
                Delivery::linked_to("cus_1", body)
            }
            Provider::Dodo => {
                body["customer"] = json!({"customer_id": "cus_1"});
                let at = Timestamp::from_millis(self.at * 1000).to_string();
                body["payload_type"] = json!("Payment");
                Delivery::with_header(
                    ("webhook-id", &id),
                    json!({"type": event_type, "timestamp": at, "data": body}),
                )
            }
            Provider::Purchasely => {
                body["api_version"] = json!(3);
                body["event_name"] = json!(event_type);
                body["event_id"] = json!(id);
                body["user_id"] = json!("cus_1");
                body["environment"] = json!("PRODUCTION");
                body["event_created_at_ms"] = json!(self.at * 1000);
                Delivery::linked_to("cus_1", body)
            }
            Provider::Revenuecat | Provider::Native | Provider::Unknown => {
                body["type"] = json!(event_type);
                body["id"] = json!(id);
                body["app_user_id"] = json!("cus_1");
                body["event_timestamp_ms"] = json!(self.at * 1000);
                Delivery::linked_to("cus_1", json!({"event": body}))
            }
        };
        self.told.push(delivery);
    }

    fn records(&self) -> Vec<RawRecord> {
        self.told.iter().map(|delivery| delivery.record(self.provider)).collect()
    }
}

/// An amount in major units, as a number with exactly its digits.
fn major(amount: i64, currency: &str) -> Value {
    serde_json::from_str(&Money::minor(amount, currency).major()).unwrap()
}

/// The sum of what was processed, when these are taken in this order with this window.
fn summed(books: &Books, order: &[usize], window: Duration) -> i64 {
    let provider = books.provider;
    let (name, mapper) = (provider.name().to_owned(), mapper_of(provider).unwrap());
    let settings = SourceSettings::default();
    let sources: Sources = [Source { name, provider, mapper, settings }].into_iter().collect();
    let mut teller = Teller::new(sources, window);
    let records = books.records();
    let mut now = Timestamp::from_millis((books.at + 1) * 1000);
    let mut sum = 0;
    let mut add = |came: crate::teller::Came| {
        assert_eq!(came.parked, None);
        let moved =
            came.events.iter().filter(|event| event.event_type == EventType::TransactionProcessed);
        sum +=
            moved.filter_map(|event| event.money.as_ref()).map(|money| money.amount).sum::<i64>();
    };
    for index in order {
        now = now.plus_millis(1);
        add(teller.take(&records[*index], now));
    }
    let millis = i64::try_from(window.as_millis()).unwrap();
    add(teller.tick(now.plus_millis(millis)));
    sum
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn the_sum_of_what_was_processed_is_the_money_that_moved(
        provider in prop::sample::select(vec![
            Provider::Stripe, Provider::Dodo, Provider::Revenuecat, Provider::Purchasely,
        ]),
        currency in prop::sample::select(vec!["EUR", "JPY", "KWD"]),
        steps in prop::collection::vec(step(), 1..12),
        repeated in prop::collection::vec(any::<Index>(), 0..4),
        places in prop::collection::vec(any::<Index>(), 60),
        says_before in any::<bool>(),
    ) {
        let books = Books::keep(provider, currency, &steps, says_before);
        let mut order: Vec<usize> = (0..books.told.len()).collect();
        prop_assert_eq!(summed(&books, &order, Duration::from_secs(2)), books.moved, "in order");
        if order.is_empty() {
            return Ok(());
        }
        order.extend(repeated.iter().map(|again| again.index(books.told.len())));
        for (from, place) in places.iter().enumerate().take(order.len()) {
            let to = place.index(order.len());
            order.swap(from, to);
        }
        let hour = Duration::from_hours(1);
        prop_assert_eq!(summed(&books, &order, hour), books.moved, "disorder within the window");
        prop_assert_eq!(summed(&books, &order, Duration::ZERO), books.moved, "and behind it");
    }
}
