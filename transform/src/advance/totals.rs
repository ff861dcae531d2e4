//! What a subscriber has spent: the sum of its `transaction_processed` and of nothing else.
//!
//! Sums are kept per environment and currency. The one moved last stands last, so that an event
//! without money can show the currency of the latest payment. There are fewer currencies than sums are
//! kept; of a sender that makes some up, the sums that have not moved for longest are forgotten.

use schemas::state::Total;
use schemas::{Environment, Money};

/// Most sums that are kept of one subscriber.
const MOST: usize = 256;

/// Adds a movement.
pub(super) fn add(totals: &mut Vec<Total>, environment: Environment, money: &Money) {
    let same =
        |total: &Total| total.environment == environment && total.sum.currency == money.currency;
    let before = totals.iter().position(same).map(|place| totals.remove(place).sum.amount);
    let amount = before.unwrap_or(0).saturating_add(money.amount);
    totals.push(Total { environment, sum: Money { amount, ..money.clone() } });
    totals.drain(..totals.len().saturating_sub(MOST));
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

    #[test]
    fn sums_stay_apart_by_environment_and_currency() {
        let mut totals = Vec::new();
        add(&mut totals, Production, &Money::minor(1000, "usd"));
        add(&mut totals, Production, &Money::minor(500, "eur"));
        add(&mut totals, Sandbox, &Money::minor(77, "usd"));
        add(&mut totals, Production, &Money::minor(-400, "usd"));
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
        add(&mut totals, Production, &Money::minor(1, "usd"));
        add(&mut totals, Production, &Money::minor(1, "eur"));
        for number in 0..2 * MOST {
            add(&mut totals, Production, &Money::minor(1, &format!("x{number}")));
            add(&mut totals, Production, &Money::minor(1, "usd"));
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
