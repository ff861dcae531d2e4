//! What a subscriber has spent: the sum of its `transaction_processed` and of nothing else.
//!
//! Sums are kept per environment and currency. The one moved last stands last, so that an event
//! without money can show the currency of the latest payment.

use schemas::state::Total;
use schemas::{Environment, Money};

/// Adds a movement.
pub(super) fn add(totals: &mut Vec<Total>, environment: Environment, money: &Money) {
    let same =
        |total: &Total| total.environment == environment && total.sum.currency == money.currency;
    let before = totals.iter().position(same).map(|place| totals.remove(place).sum.amount);
    let amount = before.unwrap_or(0).saturating_add(money.amount);
    totals.push(Total { environment, sum: Money { amount, ..money.clone() } });
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
    fn nothing_spent_shows_nothing() {
        assert_eq!(shown(&[], Production, Some("USD")), None);
    }
}
