//! What a subscriber has spent: the sum of its `transaction_processed` and of nothing else, from what an
//! import said had moved before.
//!
//! Sums are kept per environment and currency. The one moved last stands last, so that an event
//! without money can show the currency of the latest payment. There are fewer currencies than sums are
//! kept; of a sender that makes some up, the sums that have not moved for longest are forgotten.
//!
//! An import's sum is an *opening*: everything up to and including its moment is in it, and nothing
//! else. So a movement counts if it occurred later, whether it is told before the import or after it.

use schemas::state::{ImportedTotal, Opening, Total};
use schemas::{Environment, Money, Timestamp};

use super::spans;

/// Most sums that are kept of one subscriber.
const MOST: usize = 256;

/// Adds a movement that occurred at `at`, unless an import has told of it.
pub(super) fn add(totals: &mut Vec<Total>, environment: Environment, money: &Money, at: Timestamp) {
    let known = place(totals, environment, &money.currency).map(|place| totals.remove(place));
    let mut total = known.unwrap_or_else(|| empty(environment, money));
    if total.opening.is_none_or(|opening| opening.as_of < at) {
        spans::note(&mut total.spans, at, money.amount);
        let amount = total.sum.amount.saturating_add(money.amount);
        total.sum = Money { amount, ..money.clone() };
    }
    totals.push(total);
    totals.drain(..totals.len().saturating_sub(MOST));
}

/// What became of an import's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// The sum counts from it.
    Taken,
    /// A later import has said otherwise.
    Outdated,
    /// What was counted cannot be divided at its moment; the sum stays as it is.
    Unclear,
}

/// Lets a sum count from what an import says had moved by `as_of`. One that was not known is older than
/// those that are.
pub(super) fn open(totals: &mut Vec<Total>, told: &ImportedTotal, as_of: Timestamp) -> Opened {
    let known = place(totals, told.environment, &told.sum.currency);
    let place = known.unwrap_or(0);
    if known.is_none() {
        totals.insert(0, empty(told.environment, &told.sum));
        totals.truncate(MOST);
    }
    let Some(total) = totals.get_mut(place) else { return Opened::Unclear };
    if total.opening.is_some_and(|opening| opening.as_of > as_of) {
        return Opened::Outdated;
    }
    let opened = total.opening.map_or(0, |opening| opening.amount);
    // Of what an earlier version counted it is not known when it moved.
    let is_dated = total.sum.amount == opened.saturating_add(spans::sum(&total.spans));
    let Some(later) = spans::after(&total.spans, as_of).filter(|_| is_dated) else {
        return Opened::Unclear;
    };
    let amount = told.sum.amount.saturating_add(spans::sum(&later));
    total.spans = later;
    total.opening = Some(Opening { as_of, amount: told.sum.amount });
    total.sum = Money { amount, ..told.sum.clone() };
    Opened::Taken
}

fn place(totals: &[Total], environment: Environment, currency: &str) -> Option<usize> {
    totals
        .iter()
        .position(|total| total.environment == environment && total.sum.currency == currency)
}

fn empty(environment: Environment, of: &Money) -> Total {
    let sum = Money { amount: 0, ..of.clone() };
    Total { environment, sum, opening: None, spans: Vec::new() }
}

/// The sum to show: in `currency` if the event has one and anything was spent in it, else in that of
/// the latest payment.
pub(super) fn shown(
    totals: &[Total],
    environment: Environment,
    currency: Option<&str>,
) -> Option<Money> {
    let mut here = totals.iter().rev().filter(|total| total.environment == environment);
    let latest = here.clone().next();
    let wanted = currency.and_then(|currency| here.find(|total| total.sum.currency == currency));
    wanted.or(latest).map(|total| total.sum.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Environment::{Production, Sandbox};

    fn add_at(totals: &mut Vec<Total>, environment: Environment, money: &Money) {
        add(totals, environment, money, Timestamp::from_millis(7));
    }

    fn usd(amount: i64) -> ImportedTotal {
        ImportedTotal { environment: Production, sum: Money::minor(amount, "usd") }
    }

    #[test]
    fn an_import_counts_what_moved_later_and_nothing_twice() {
        let at = Timestamp::from_millis;
        let mut totals = Vec::new();
        for moment in [10, 20, 30] {
            add(&mut totals, Production, &Money::minor(100, "usd"), at(moment));
        }
        assert_eq!(open(&mut totals, &usd(5_000), at(20)), Opened::Taken);
        assert_eq!(totals[0].sum, Money::minor(5_100, "usd"));
        add(&mut totals, Production, &Money::minor(100, "usd"), at(15));
        assert_eq!(totals[0].sum.amount, 5_100, "that is in the import");
        add(&mut totals, Production, &Money::minor(-100, "usd"), at(40));
        assert_eq!(totals[0].sum.amount, 5_000);
        assert_eq!(open(&mut totals, &usd(6_000), at(20)), Opened::Taken, "corrected");
        assert_eq!(totals[0].sum.amount, 6_000);
        assert_eq!(open(&mut totals, &usd(1), at(19)), Opened::Outdated);
        assert_eq!(totals[0].sum.amount, 6_000);
    }

    #[test]
    fn a_sum_of_unknown_times_is_left_alone() {
        let sum = Money::minor(700, "usd");
        let undated = Total { sum, ..empty(Production, &usd(0).sum) };
        let mut totals = vec![undated.clone()];
        let moment = Timestamp::from_millis(7);
        assert_eq!(open(&mut totals, &usd(5_000), moment), Opened::Unclear);
        assert_eq!(totals, [undated]);
    }

    #[test]
    fn sums_stay_apart_by_environment_and_currency() {
        let mut totals = Vec::new();
        add_at(&mut totals, Production, &Money::minor(1000, "usd"));
        add_at(&mut totals, Production, &Money::minor(500, "eur"));
        add_at(&mut totals, Sandbox, &Money::minor(77, "usd"));
        add_at(&mut totals, Production, &Money::minor(-400, "usd"));
        let shown = |environment, currency| shown(&totals, environment, currency);
        assert_eq!(shown(Production, Some("USD")), Some(Money::minor(600, "usd")));
        assert_eq!(shown(Production, Some("EUR")), Some(Money::minor(500, "eur")));
        assert_eq!(shown(Production, None), Some(Money::minor(600, "usd")), "the latest payment");
        assert_eq!(shown(Production, Some("JPY")), Some(Money::minor(600, "usd")));
        assert_eq!(shown(Sandbox, None), Some(Money::minor(77, "usd")));
        assert_eq!(totals.len(), 3);
    }

    #[test]
    fn made_up_currencies_push_out_what_has_not_moved_for_longest() {
        let mut totals = Vec::new();
        add_at(&mut totals, Production, &Money::minor(1, "usd"));
        add_at(&mut totals, Production, &Money::minor(1, "eur"));
        for number in 0..2 * MOST {
            add_at(&mut totals, Production, &Money::minor(1, &format!("x{number}")));
            add_at(&mut totals, Production, &Money::minor(1, "usd"));
        }
        assert_eq!(totals.len(), MOST);
        let kept = totals.iter().find(|total| total.sum.currency == "USD").unwrap();
        assert_eq!(kept.sum.amount, 1 + 2 * i64::try_from(MOST).unwrap());
        assert!(totals.iter().all(|total| total.sum.currency != "EUR"));
    }

    #[test]
    fn nothing_spent_shows_nothing() {
        assert_eq!(shown(&[], Production, Some("USD")), None);
    }
}
