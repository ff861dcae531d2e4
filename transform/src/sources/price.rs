//! Comparing what two plans cost, to say upgraded, downgraded or crossgraded.
//!
//! Prices are brought to one month, exactly: an average month of 365/12 days is a whole number of
//! milliseconds and twelve of them are a year, so that 120.00 a year and 10.00 a month are equal. A
//! source that ranks its plans is believed before any price.

use std::fmt;
use std::str::FromStr;

use schemas::{EventType, Money, Timestamp};

/// A day, in milliseconds.
const DAY: i64 = 86_400_000;
/// A twelfth of 365 days, in milliseconds.
const MONTH: i64 = 365 * DAY / 12;
/// Parts of a minor unit that a rate counts.
const PARTS: i128 = 1_000_000;

/// The calendar unit of a billing period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Day,
    Week,
    Month,
    Year,
}

impl Unit {
    /// Reads a provider's word for it, in any case.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            "year" => Some(Self::Year),
            _ => None,
        }
    }

    /// So many of it as an ISO 8601 duration; `None` when that is no time.
    pub(crate) fn duration(self, count: i64) -> Option<String> {
        let designator = match self {
            Self::Day => 'D',
            Self::Week => 'W',
            Self::Month => 'M',
            Self::Year => 'Y',
        };
        (count > 0).then(|| format!("P{count}{designator}"))
    }
}

/// How long one payment lasts; always longer than nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    millis: i64,
}

impl Period {
    /// `count` units; `None` when that is no time or more than a thousand years.
    pub(crate) fn of(count: i64, unit: Unit) -> Option<Self> {
        let unit = match unit {
            Unit::Day => DAY,
            Unit::Week => 7 * DAY,
            Unit::Month => MONTH,
            Unit::Year => 12 * MONTH,
        };
        Self::lasting(count.checked_mul(unit)?)
    }

    /// Reads what [`Unit::duration`] writes.
    pub(crate) fn parse(duration: &str) -> Option<Self> {
        let digits = duration.strip_prefix('P')?;
        let units = [('D', Unit::Day), ('W', Unit::Week), ('M', Unit::Month), ('Y', Unit::Year)];
        let (count, unit) = units
            .into_iter()
            .find_map(|(designator, unit)| Some((digits.strip_suffix(designator)?, unit)))?;
        Self::of(count.parse().ok()?, unit)
    }

    /// From `start` to `end`; a span that calendar months explain (28 to 31 days, a leap year) counts
    /// as those months, so that February costs as much as March.
    pub(crate) fn between(start: Timestamp, end: Timestamp) -> Option<Self> {
        let exact = Self::lasting(end.millis().checked_sub(start.millis())?)?;
        let months = (exact.millis + MONTH / 2) / MONTH;
        let off = (exact.millis - months * MONTH).abs();
        if months >= 1 && off <= 3 * DAY { Self::of(months, Unit::Month) } else { Some(exact) }
    }

    fn lasting(millis: i64) -> Option<Self> {
        (1..=12_000 * MONTH).contains(&millis).then_some(Self { millis })
    }
}

/// What something costs a month, in one currency.
///
/// Its text form (`USD 1999000000`: millionths of a minor unit) is what a state keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    currency: String,
    parts: i128,
}

impl Rate {
    /// `price` times `quantity`, every `period`.
    pub(crate) fn of(price: &Money, quantity: i64, period: Period) -> Self {
        let each = i128::from(price.amount) * i128::from(quantity);
        let parts = each.saturating_mul(PARTS).saturating_mul(i128::from(MONTH));
        Self { currency: price.currency.clone(), parts: parts / i128::from(period.millis) }
    }

    /// Both together; `None` when the currencies differ.
    pub(crate) fn plus(&self, other: &Self) -> Option<Self> {
        (self.currency == other.currency).then(|| Self {
            currency: self.currency.clone(),
            parts: self.parts.saturating_add(other.parts),
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.currency, self.parts)
    }
}

impl FromStr for Rate {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (currency, parts) = text.split_once(' ').ok_or(())?;
        Ok(Self { currency: currency.to_owned(), parts: parts.parse().map_err(|_| ())? })
    }
}

/// One side of a change of plan.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_field_names, reason = "a plan has an id of its own beside its product's")]
pub(crate) struct Plan<'a> {
    /// The plan's or price's own id.
    pub(crate) plan: Option<&'a str>,
    /// The product's id.
    pub(crate) product: Option<&'a str>,
    /// What it costs.
    pub(crate) rate: Option<&'a Rate>,
}

impl Plan<'_> {
    /// Its place in a source's ranking, by plan or else by product.
    fn rank(&self, ranking: &[String]) -> Option<usize> {
        [self.plan, self.product]
            .into_iter()
            .flatten()
            .find_map(|name| ranking.iter().position(|ranked| ranked == name))
    }
}

/// `subscription_upgraded`, `_downgraded` or `_crossgraded`: by rank where both are ranked, else by
/// price per month in one currency, else crossgraded.
pub(crate) fn change(before: &Plan<'_>, after: &Plan<'_>, ranking: &[String]) -> EventType {
    let order = match (before.rank(ranking), after.rank(ranking)) {
        (Some(before), Some(after)) => Some(after.cmp(&before)),
        _ => match (before.rate, after.rate) {
            (Some(before), Some(after)) if before.currency == after.currency => {
                Some(after.parts.cmp(&before.parts))
            }
            _ => None,
        },
    };
    match order {
        Some(std::cmp::Ordering::Greater) => EventType::SubscriptionUpgraded,
        Some(std::cmp::Ordering::Less) => EventType::SubscriptionDowngraded,
        Some(std::cmp::Ordering::Equal) | None => EventType::SubscriptionCrossgraded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(amount: i64, currency: &str, quantity: i64, count: i64, unit: Unit) -> Rate {
        Rate::of(&Money::minor(amount, currency), quantity, Period::of(count, unit).unwrap())
    }

    fn by_price(before: &Rate, after: &Rate) -> EventType {
        let plan = |rate| Plan { rate: Some(rate), ..Plan::default() };
        change(&plan(before), &plan(after), &[])
    }

    #[test]
    fn compares_prices_brought_to_a_month() {
        let monthly = rate(1000, "USD", 1, 1, Unit::Month);
        for (after, expected) in [
            (rate(12_000, "USD", 1, 1, Unit::Year), EventType::SubscriptionCrossgraded),
            (rate(9_900, "USD", 1, 1, Unit::Year), EventType::SubscriptionDowngraded),
            (rate(600, "USD", 2, 1, Unit::Month), EventType::SubscriptionUpgraded),
            (rate(300, "USD", 1, 1, Unit::Week), EventType::SubscriptionUpgraded),
            (rate(3_000, "USD", 1, 3, Unit::Month), EventType::SubscriptionCrossgraded),
            (rate(30, "USD", 1, 1, Unit::Day), EventType::SubscriptionDowngraded),
            (rate(9_999, "JPY", 1, 1, Unit::Month), EventType::SubscriptionCrossgraded),
        ] {
            assert_eq!(by_price(&monthly, &after), expected, "{after}");
        }
    }

    #[test]
    fn a_ranking_wins_over_the_price() {
        let ranking = ["basic", "pro"].map(str::to_owned);
        let cheap = rate(100, "USD", 1, 1, Unit::Month);
        let dear = rate(900, "USD", 1, 1, Unit::Month);
        let basic = Plan { product: Some("basic"), rate: Some(&dear), plan: Some("price_1") };
        let pro = Plan { product: Some("pro"), rate: Some(&cheap), plan: Some("price_2") };
        assert_eq!(change(&basic, &pro, &ranking), EventType::SubscriptionUpgraded);
        assert_eq!(change(&pro, &basic, &ranking), EventType::SubscriptionDowngraded);
        assert_eq!(change(&basic, &pro, &[]), EventType::SubscriptionDowngraded);
        assert_eq!(change(&Plan::default(), &pro, &ranking), EventType::SubscriptionCrossgraded);
    }

    #[test]
    fn a_period_is_read_as_it_is_written() {
        for unit in [Unit::Day, Unit::Week, Unit::Month, Unit::Year] {
            let written = unit.duration(3).unwrap();
            assert_eq!(Period::parse(&written), Period::of(3, unit), "{written}");
        }
        for nothing in ["", "P", "P1", "1M", "P1H", "P0M", "P-1M", "PT1M", "P1M2D"] {
            assert_eq!(Period::parse(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn calendar_months_are_equally_long() {
        let start = Timestamp::from_rfc3339("2026-02-01T00:00:00Z").unwrap();
        for days in [28, 29, 30, 31] {
            let period = Period::between(start, start.plus_millis(days * DAY));
            assert_eq!(period, Period::of(1, Unit::Month), "{days} days");
        }
        assert_eq!(Period::between(start, start.plus_millis(366 * DAY)), Period::of(1, Unit::Year));
        assert_eq!(Period::between(start, start.plus_millis(7 * DAY)), Period::of(1, Unit::Week));
        assert_eq!(Period::between(start, start), None);
    }

    proptest::proptest! {
        #[test]
        fn a_rate_survives_the_way_through_text(amount: i64, quantity: i64, count in 1_i64..100) {
            let rate = rate(amount, "EUR", quantity, count, Unit::Week);
            proptest::prop_assert_eq!(rate.to_string().parse(), Ok(rate));
        }

        #[test]
        fn no_span_panics(start: i64, end: i64) {
            let _ = Period::between(Timestamp::from_millis(start), Timestamp::from_millis(end));
        }
    }
}
