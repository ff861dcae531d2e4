//! Amounts of money, exact.

use serde::{Deserialize, Serialize};

/// An amount in minor units with the currency that says what a minor unit is. Never a float.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename = "Money")]
pub struct Money {
    /// Minor units (cents for USD, yen for JPY, fils for KWD); negative when money went back.
    pub amount: i64,
    /// ISO 4217 code in upper case.
    pub currency: String,
    /// Decimal digits of the currency: 0, 2 or 3.
    pub exponent: i32,
}

/// Most decimal digits that are shown: those that the largest amount has.
const MOST_DIGITS: usize = 19;

/// Currencies without minor units, by ISO 4217.
const ZERO_DECIMAL: [&str; 17] = [
    "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND",
    "VUV", "XAF", "XOF", "XPF",
];

/// Currencies with thousandths, by ISO 4217.
const THREE_DECIMAL: [&str; 7] = ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"];

/// Decimal digits of a currency (ISO 4217 code, any case); 2 for a code this table does not list.
pub fn exponent_of(currency: &str) -> u32 {
    let upper = currency.to_ascii_uppercase();
    if ZERO_DECIMAL.contains(&upper.as_str()) {
        0
    } else if THREE_DECIMAL.contains(&upper.as_str()) {
        3
    } else {
        2
    }
}

impl Money {
    /// `amount` minor units of `currency` (any case).
    pub fn minor(amount: i64, currency: &str) -> Self {
        let exponent = i32::try_from(exponent_of(currency)).unwrap_or(2);
        Self { amount, currency: currency.to_ascii_uppercase(), exponent }
    }

    /// Reads a decimal number in major units (`"9.99"`, `"-1e2"`) without ever passing through a
    /// float; digits beyond the currency's own are rounded half away from zero. `None` when the text
    /// is no decimal number or the amount does not fit 64 bits.
    pub fn parse_major(text: &str, currency: &str) -> Option<Self> {
        let exponent = exponent_of(currency);
        let amount = parse_scaled(text, exponent)?;
        Some(Self::minor(amount, currency))
    }

    /// The same amount moving the other way.
    #[must_use]
    pub fn negated(&self) -> Self {
        Self { amount: self.amount.saturating_neg(), ..self.clone() }
    }

    /// The amount in major units as exact decimal text: `9.99`, `-0.500`, `1200`. No currency has
    /// fewer digits than none or more than 19; an amount that says so is printed with the nearest number
    /// of them.
    pub fn major(&self) -> String {
        let digits = usize::try_from(self.exponent).unwrap_or(0).min(MOST_DIGITS);
        let magnitude = format!("{:0width$}", self.amount.unsigned_abs(), width = digits + 1);
        let sign = if self.amount < 0 { "-" } else { "" };
        let (whole, fraction) = magnitude.split_at(magnitude.len() - digits);
        if fraction.is_empty() {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{fraction}")
        }
    }
}

/// Decimal text times ten to the `scale`, rounded half away from zero.
fn parse_scaled(text: &str, scale: u32) -> Option<i64> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, power) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits: Vec<u8> = whole
        .bytes()
        .chain(fraction.bytes())
        .map(|byte| byte.is_ascii_digit().then(|| byte - b'0'))
        .collect::<Option<_>>()?;
    // Digits that stay in front of the decimal point once the number is scaled to minor units.
    let kept = i64::try_from(whole.len()).ok()? + i64::from(power) + i64::from(scale);
    let mut amount: i128 = 0;
    for position in 0..kept.clamp(0, 40) {
        let digit = usize::try_from(position).ok().and_then(|index| digits.get(index)).copied();
        amount = amount.checked_mul(10)?.checked_add(i128::from(digit.unwrap_or(0)))?;
    }
    if kept > 40 && digits.iter().any(|&digit| digit != 0) {
        return None;
    }
    let next = usize::try_from(kept).ok().and_then(|index| digits.get(index));
    if next.is_some_and(|&digit| digit >= 5) {
        amount += 1;
    }
    i64::try_from(if negative { -amount } else { amount }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_major_units_of_all_three_exponents() {
        for (text, currency, amount) in [
            ("9.99", "usd", 999),
            ("0.1", "EUR", 10),
            ("-4.985", "USD", -499),
            ("1200", "JPY", 1200),
            ("1200.5", "JPY", 1201),
            ("1.5", "KWD", 1500),
            ("1e2", "USD", 10_000),
            ("12345e-3", "USD", 1235),
            ("0.0000001", "USD", 0),
            ("1.005", "USD", 101),
        ] {
            assert_eq!(
                Money::parse_major(text, currency).unwrap().amount,
                amount,
                "{text} {currency}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in ["", "-", ".", "abc", "1,5", "9e99", "92233720368547758.08", "1.2.3", "NaN"] {
            assert_eq!(Money::parse_major(text, "USD"), None, "{text}");
        }
    }

    #[test]
    fn prints_major_units() {
        assert_eq!(Money::minor(999, "usd").major(), "9.99");
        assert_eq!(Money::minor(-500, "KWD").major(), "-0.500");
        assert_eq!(Money::minor(1200, "JPY").major(), "1200");
        assert_eq!(Money::minor(i64::MIN, "USD").major(), "-92233720368547758.08");
    }

    proptest::proptest! {
        #[test]
        fn every_amount_survives_the_way_through_text(amount: i64, which in 0_usize..3) {
            let money = Money::minor(amount, ["USD", "JPY", "KWD"][which]);
            proptest::prop_assert_eq!(Money::parse_major(&money.major(), &money.currency), Some(money));
        }

        #[test]
        fn any_amount_is_printed_with_no_more_digits_than_there_can_be(amount: i64, exponent: i32) {
            let printed = Money { amount, exponent, currency: "USD".to_owned() }.major();
            proptest::prop_assert!(printed.len() <= "-0.".len() + MOST_DIGITS + 1, "{}", printed);
        }

        #[test]
        fn never_panics(text: String) {
            let _ = Money::parse_major(&text, "USD");
        }
    }
}
