//! Amounts in the units of ISO 4217.
//!
//! Stripe counts three currencies in other units than ISO 4217 does: the Icelandic króna and the Uganda
//! shilling have lost their hundredths and are still sent in them, always with two zeros at the end; the
//! Malagasy ariary has fifths by the standard and is sent whole.
//! Source: <https://docs.stripe.com/currencies#special-cases> and its list of zero-decimal currencies
//! (November 2026).

use schemas::Money;

use super::super::super::json::{Fields, Read};

const SENT_IN_HUNDREDTHS: [&str; 2] = ["ISK", "UGX"];
const SENT_WHOLE: [&str; 1] = ["MGA"];

/// An amount in Stripe's units.
pub(super) fn minor(fields: &Fields<'_>, pointer: &str, currency: &str) -> Read<Money> {
    Ok(fields.minor(pointer, currency)?.map(in_iso_units))
}

/// The same, of which the field's name says which way it moved: never negative.
pub(super) fn magnitude(fields: &Fields<'_>, pointer: &str, currency: &str) -> Read<Money> {
    Ok(fields.magnitude(pointer, currency)?.map(in_iso_units))
}

fn in_iso_units(money: Money) -> Money {
    let code = money.currency.as_str();
    let amount = if SENT_IN_HUNDREDTHS.contains(&code) {
        money.amount / 100
    } else if SENT_WHOLE.contains(&code) {
        // What was read is bounded far below the end of 64 bits.
        money.amount.saturating_mul(100)
    } else {
        money.amount
    };
    Money { amount, ..money }
}

#[cfg(test)]
mod tests {
    use super::super::super::super::json::parse;
    use super::*;
    use serde_json::json;

    #[test]
    fn an_amount_means_the_same_in_major_units() {
        for (currency, sent, major) in
            [("isk", 123_400, "1234"), ("ugx", -500, "-5"), ("mga", 7, "7.00"), ("jpy", 7, "7")]
        {
            let body = json!({ "amount": sent }).to_string();
            let payload = parse(body.as_bytes()).unwrap();
            let money = minor(&Fields::of(&payload), "/amount", currency).unwrap().unwrap();
            assert_eq!(money.major(), major, "{currency}");
        }
    }
}
