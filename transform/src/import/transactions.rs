//! Transactions as RevenueCat's scheduled data export writes them: CSV, one row a transaction, in any order.
//!
//! The latest transaction of a subscription says how it stands; all of them together, net of refunds as
//! `price_in_purchased_currency` is, are what the person has paid. A purchase that does not renew is money and no
//! subscription. Columns that are not needed are not looked at, because which there are is chosen at RevenueCat.
//! Facts: <https://www.revenuecat.com/docs/integrations/scheduled-data-exports/transactions>, versions 4 to 7
//! (state of November 2026).

use std::collections::BTreeMap;
use std::io;

use csv::StringRecord;
use schemas::{Money, Status, Timestamp};
use serde_json::{Map, Value, json};

use super::rows::Rows;
use super::told::{FileError, Piece, Read, Refusal};

const SUBSCRIBER: &str = "rc_original_app_user_id";
const SUBSCRIPTION: &str = "original_store_transaction_id";
/// Columns without which nothing can be told.
const REQUIRED: [&str; 7] = [
    SUBSCRIBER,
    SUBSCRIPTION,
    "product_identifier",
    "start_time",
    "store",
    "is_auto_renewable",
    "is_sandbox",
];

/// One transaction, as far as it matters.
struct Transaction {
    line: u64,
    environment: &'static str,
    started: Timestamp,
    renews: bool,
    /// As the body of the record has it.
    subscription: Map<String, Value>,
    money: Option<Money>,
    person: Map<String, Value>,
}

/// What the transactions of one person come to.
#[derive(Default)]
struct Customer {
    line: u64,
    /// When the last transaction was made that told of the person.
    told_at: Option<Timestamp>,
    person: Map<String, Value>,
    /// By environment and subscription: the first start, and the latest transaction.
    subscriptions: BTreeMap<(&'static str, String), (Timestamp, Transaction)>,
    totals: BTreeMap<(&'static str, String), Money>,
}

/// Reads the whole export, which was made at `as_of`.
pub(super) fn read(
    file: impl io::Read,
    as_of: Timestamp,
    each: &mut dyn FnMut(Read),
) -> Result<(), FileError> {
    let rows = Rows::open(file)?;
    let heading: Vec<String> = rows.heading().to_vec();
    if let Some(missing) = REQUIRED.iter().find(|name| !heading.iter().any(|known| known == *name))
    {
        return Err(FileError::MissingColumn(missing));
    }
    let subscriber = heading.iter().position(|name| name == SUBSCRIBER);
    let mut customers: BTreeMap<String, Customer> = BTreeMap::new();
    rows.for_each(|line, row| {
        let row = match row {
            Ok(row) => Row { line, heading: &heading, cells: row },
            Err(broken) => {
                let whose = subscriber.and_then(|place| broken.cell(place));
                return each(Read::Refused(broken.refusal, whose));
            }
        };
        let whose = row.cell(SUBSCRIBER).map(str::to_owned);
        match row.transaction(as_of) {
            Ok((subscriber, subscription, transaction)) => {
                customers.entry(subscriber).or_default().take(subscription, transaction);
            }
            Err(refusal) => each(Read::Refused(refusal, whose)),
        }
    })?;
    for (subscriber, customer) in customers {
        each(Read::Piece(Box::new(customer.piece(subscriber))));
    }
    Ok(())
}

impl Customer {
    fn take(&mut self, subscription: String, mut transaction: Transaction) {
        if self.line == 0 {
            self.line = transaction.line;
        }
        let person = std::mem::take(&mut transaction.person);
        // The newest wins, and what it does not say stays as it was told before.
        let older = if self.told_at.is_none_or(|told| told <= transaction.started) {
            self.told_at = Some(transaction.started);
            std::mem::replace(&mut self.person, person)
        } else {
            person
        };
        for (name, value) in older {
            self.person.entry(name).or_insert(value);
        }
        let environment = transaction.environment;
        if let Some(money) = transaction.money.take() {
            let key = (environment, money.currency.clone());
            let total = self.totals.entry(key).or_insert(Money { amount: 0, ..money.clone() });
            total.amount = total.amount.saturating_add(money.amount);
        }
        if !transaction.renews {
            return;
        }
        let started = transaction.started;
        match self.subscriptions.get_mut(&(environment, subscription.clone())) {
            None => {
                let first = (started, transaction);
                self.subscriptions.insert((environment, subscription), first);
            }
            Some((first, latest)) => {
                *first = started.min(*first);
                if latest.started <= started {
                    *latest = transaction;
                }
            }
        }
    }

    fn piece(self, subscriber: String) -> Piece {
        let subscriptions = self.subscriptions.into_iter().map(|((environment, id), known)| {
            let (first, latest) = known;
            let mut told = latest.subscription;
            told.insert("id".to_owned(), id.into());
            told.insert("environment".to_owned(), environment.into());
            told.insert("started_at".to_owned(), first.millis().into());
            Value::from(told)
        });
        let totals = self.totals.into_iter().map(|((environment, _), money)| {
            json!({"environment": environment, "amount": money.amount, "currency": money.currency,
                "exponent": money.exponent})
        });
        Piece {
            line: self.line,
            subscriber,
            person: self.person,
            subscriptions: subscriptions.collect(),
            totals: totals.collect(),
            ..Piece::default()
        }
    }
}

/// One row, by the names of its columns.
struct Row<'a> {
    line: u64,
    heading: &'a [String],
    cells: &'a StringRecord,
}

impl Row<'_> {
    /// What stands in a column, unless it is nothing.
    fn cell(&self, name: &str) -> Option<&str> {
        let place = self.heading.iter().position(|known| known == name)?;
        let cell = self.cells.get(place)?.trim();
        (!cell.is_empty() && !cell.eq_ignore_ascii_case("null")).then_some(cell)
    }

    fn required(&self, name: &'static str) -> Result<&str, Refusal> {
        self.cell(name).ok_or_else(|| Refusal::new(self.line, name, "missing"))
    }

    /// A moment in UTC, with or without saying so.
    fn moment(&self, name: &'static str) -> Result<Option<Timestamp>, Refusal> {
        let Some(cell) = self.cell(name) else { return Ok(None) };
        let text = cell.replacen(' ', "T", 1);
        let moment =
            Timestamp::from_rfc3339(&text).or_else(|| Timestamp::from_rfc3339(&format!("{text}Z")));
        moment.map(Some).ok_or_else(|| Refusal::new(self.line, name, "not a time"))
    }

    fn flag(&self, name: &'static str) -> Result<bool, Refusal> {
        match self.cell(name).map(str::to_ascii_lowercase).as_deref() {
            Some("true" | "t") => Ok(true),
            Some("false" | "f") | None => Ok(false),
            Some(_) => Err(Refusal::new(self.line, name, "neither true nor false")),
        }
    }

    fn transaction(&self, as_of: Timestamp) -> Result<(String, String, Transaction), Refusal> {
        let subscriber = self.required(SUBSCRIBER)?.to_owned();
        let subscription = self.required(SUBSCRIPTION)?.to_owned();
        let started = self.moment("start_time")?;
        let started = started.ok_or_else(|| Refusal::new(self.line, "start_time", "missing"))?;
        let environment = if self.flag("is_sandbox")? { "sandbox" } else { "production" };
        let promotional = self.required("store")? == "promotional";
        let transaction = Transaction {
            line: self.line,
            environment,
            started,
            renews: promotional || self.flag("is_auto_renewable")?,
            subscription: self.subscription(started, as_of)?,
            money: if promotional { None } else { self.money()? },
            person: self.person(&subscriber),
        };
        Ok((subscriber, subscription, transaction))
    }

    fn subscription(
        &self,
        started: Timestamp,
        as_of: Timestamp,
    ) -> Result<Map<String, Value>, Refusal> {
        let end = self.moment("end_time")?;
        let access = self.moment("effective_end_time")?.or(end);
        let status = self.status(access, as_of)?;
        let mut told = Map::new();
        let mut tell = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                told.insert(name.to_owned(), value);
            }
        };
        let text = |name| self.cell(name).map(Value::from);
        let millis = |moment: Option<Timestamp>| moment.map(|moment| moment.millis().into());
        tell("status", Some(status.name().into()));
        tell("product_id", text("product_identifier"));
        tell("billing_period", text("product_duration"));
        tell("store", text("store"));
        tell("entitlements", self.cell("entitlement_identifiers").and_then(list));
        tell("period_start", millis(Some(started)));
        // An invalid purchase at Google ends before it starts.
        tell("period_end", millis(end.filter(|end| *end >= started)));
        tell("expires_at", millis(access));
        if matches!(status, Status::GracePeriod | Status::GracePeriodTrial) {
            tell("grace_expires_at", millis(self.moment("grace_period_end_time")?));
        }
        if status == Status::Paused {
            tell("auto_resume_at", millis(self.moment("auto_resume_time")?));
        }
        if let Some(money) = self.money()?.filter(|money| money.amount > 0) {
            tell("price", Some(json!({"amount": money.amount, "currency": money.currency})));
        }
        let kind = |name, kind: &str| self.flag(name).map(|holds| holds.then(|| Value::from(kind)));
        let intro = kind("is_in_intro_offer_period", "intro")?;
        tell("period_type", kind("is_trial_period", "trial")?.or(intro));
        Ok(told)
    }

    fn status(&self, access: Option<Timestamp>, as_of: Timestamp) -> Result<Status, Refusal> {
        let holds = |moment: Option<Timestamp>| moment.is_some_and(|moment| moment <= as_of);
        let runs = |moment: Option<Timestamp>| moment.is_some_and(|moment| moment > as_of);
        let over = access.is_some_and(|end| end <= as_of) || holds(self.moment("refunded_at")?);
        let trial = self.flag("is_trial_period")?;
        let grace = holds(self.moment("billing_issues_detected_at")?)
            && runs(self.moment("grace_period_end_time")?);
        let cancelled = holds(self.moment("unsubscribe_detected_at")?);
        let status = if self.cell("store") == Some("promotional") {
            if over { Status::ExpiredPromotional } else { Status::Promotional }
        } else if over && runs(self.moment("auto_resume_time")?) {
            Status::Paused
        } else if over {
            Status::Expired
        } else if grace {
            if trial { Status::GracePeriodTrial } else { Status::GracePeriod }
        } else if cancelled {
            if trial { Status::CancelledTrial } else { Status::Cancelled }
        } else if trial {
            Status::Trial
        } else if self.flag("is_in_intro_offer_period")? {
            Status::Intro
        } else {
            Status::Active
        };
        Ok(status)
    }

    /// What was paid and not refunded; nothing for what the family shares.
    fn money(&self) -> Result<Option<Money>, Refusal> {
        const PRICE: &str = "price_in_purchased_currency";
        if self.cell("ownership_type") == Some("FAMILY_SHARED") {
            return Ok(None);
        }
        let told = self.cell(PRICE).zip(self.cell("purchased_currency"));
        let money = told.map(|(price, currency)| {
            Money::parse_major(price, currency)
                .ok_or_else(|| Refusal::new(self.line, PRICE, "not an amount"))
        });
        money.transpose()
    }

    /// The other id, and the attributes as far as they can be read: versions before 6 quote them in ways of
    /// their own.
    fn person(&self, subscriber: &str) -> Map<String, Value> {
        let mut person = Map::new();
        let alias = self.cell("rc_last_seen_app_user_id_alias").filter(|id| *id != subscriber);
        if let Some(alias) = alias {
            person.insert("aliases".to_owned(), json!([alias]));
        }
        let object = |name| -> Map<String, Value> {
            self.cell(name).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
        };
        let value = |told: &Value| told.get("value").and_then(Value::as_str).map(str::to_owned);
        let reserved = object("reserved_subscriber_attributes");
        let mut attributes = Map::new();
        for (name, told) in object("custom_subscriber_attributes") {
            attributes.extend(value(&told).map(|text| (name, Value::from(text))));
        }
        for (name, told) in [("name", "$displayName"), ("phone", "$phoneNumber")] {
            let told = reserved.get(told).and_then(value);
            attributes.extend(told.map(|text| (name.to_owned(), Value::from(text))));
        }
        let email = reserved.get("$email").and_then(value);
        person.extend(email.map(|text| ("email".to_owned(), Value::from(text))));
        if !attributes.is_empty() {
            person.insert("attributes".to_owned(), attributes.into());
        }
        person
    }
}

/// A list of texts, as far as it is one.
fn list(text: &str) -> Option<Value> {
    let listed: Vec<String> = serde_json::from_str(text).ok()?;
    (!listed.is_empty()).then(|| listed.into())
}
