//! Whether a handler divides amounts by 100 whatever their currency.
//!
//! A webhook says an amount in the currency's minor units, and most currencies have hundredths; yen have none, and dinars
//! thousandths. So the handler is asked about the same webhook in yen and in dinars: a number that it gives and that is a
//! hundredth of one in the webhook, without being there itself, is wrong by a factor of 100, or of 10.

use std::collections::BTreeMap;

use schemas::LifecycleEvent;
use schemas::money::exponent_of;
use serde_json::Value;

/// One without minor units and one with thousandths.
const CURRENCIES: [&str; 2] = ["JPY", "KWD"];

/// What is doubtful; `ask` gives the bodies that the handler has sent for an event.
pub(super) fn doubts(
    event: &LifecycleEvent,
    ask: &dyn Fn(&LifecycleEvent) -> Vec<Value>,
) -> Vec<String> {
    let payload = event.payload.as_deref().map(serde_json::from_slice::<Value>);
    let Some(Ok(payload)) = payload else { return Vec::new() };
    CURRENCIES.iter().flat_map(|currency| in_currency(event, &payload, currency, ask)).collect()
}

fn in_currency(
    event: &LifecycleEvent,
    payload: &Value,
    currency: &str,
    ask: &dyn Fn(&LifecycleEvent) -> Vec<Value>,
) -> Vec<String> {
    let mut changed = payload.clone();
    if !exchange(&mut changed, currency) {
        return Vec::new();
    }
    let mut asked = event.clone();
    asked.payload = serde_json::to_vec(&changed).ok();
    let price = asked.subscription.as_mut().map(|subscription| &mut subscription.price);
    let amounts = [Some(&mut asked.money), Some(&mut asked.subscriber.total_spent), price];
    for money in amounts.into_iter().flatten().flatten() {
        *money = schemas::Money::minor(money.amount, currency);
    }
    let there = numbers(&changed);
    let known = |number: f64| there.values().any(|one| is_same(*one, number));
    let mut doubts = Vec::new();
    for body in ask(&asked) {
        for (path, said) in numbers(&body) {
            let whole = |one: &&f64| one.fract() == 0.0 && is_same(**one / 100.0, said);
            if said != 0.0
                && !known(said)
                && let Some(amount) = there.values().find(whole)
            {
                let decimals = exponent_of(currency);
                doubts.push(format!(
                    "`{path}` is {amount} divided by 100 also in {currency}, which has {decimals} decimals: \
                     webhook.event.money says how many there are"
                ));
            }
        }
    }
    doubts
}

/// Puts this currency in the place of every other; says whether there was any.
fn exchange(value: &mut Value, currency: &str) -> bool {
    match value {
        Value::Object(fields) => fields.iter_mut().fold(false, |found, (key, value)| {
            let is_code = key.to_ascii_lowercase().ends_with("currency");
            match value.as_str().filter(|code| is_code && code.len() == 3) {
                Some(code) => {
                    let is_small = code.chars().all(|letter| letter.is_ascii_lowercase());
                    let small = currency.to_ascii_lowercase();
                    *value = Value::from(if is_small { small } else { currency.to_owned() });
                    true
                }
                None => exchange(value, currency) || found,
            }
        }),
        Value::Array(items) => {
            // Each of them, also after one in which there was one.
            items.iter_mut().filter_map(|item| exchange(item, currency).then_some(())).count() > 0
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Every number, also one that is written as text, by where it stands.
fn numbers(value: &Value) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    gather(value, "", &mut found);
    found
}

fn gather(value: &Value, path: &str, found: &mut BTreeMap<String, f64>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Number(number) => {
            found.extend(number.as_f64().map(|number| (path.to_owned(), number)));
        }
        Value::String(text) => {
            found.extend(text.parse().ok().map(|number: f64| (path.to_owned(), number)));
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                gather(value, &below(key), found);
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                gather(item, &below(&at.to_string()), found);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// Equal to two decimals, as amounts are written.
fn is_same(left: f64, right: f64) -> bool {
    (left - right).abs() < 0.005
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destinations::samples;
    use schemas::EventType;
    use serde_json::json;

    fn found(handler: fn(&Value) -> Value) -> Vec<String> {
        let mut event = samples::event(EventType::TransactionProcessed);
        let payload = json!({"data": {"total_amount": 1071, "quantity": 10, "currency": "EUR"}});
        event.payload = Some(payload.to_string().into_bytes());
        doubts(&event, &|event| {
            let payload = event.payload.as_deref().unwrap();
            vec![handler(&serde_json::from_slice::<Value>(payload).unwrap()["data"])]
        })
    }

    fn amount(data: &Value) -> f64 {
        data["total_amount"].as_f64().unwrap()
    }

    #[test]
    fn an_amount_that_is_divided_by_a_hundred_is_doubted_in_yen_and_in_dinars() {
        let text = found(|data| json!({"paid": format!("{:.2}", amount(data) / 100.0)}));
        assert_eq!(text.len(), 2, "{text:?}");
        assert!(text[0].contains("`paid` is 1071 divided by 100 also in JPY"), "{text:?}");
        assert_eq!(found(|data| json!({"paid": amount(data) / 100.0})).len(), 2);
    }

    #[test]
    fn exact_amounts_of_the_event_are_not() {
        let mut event = samples::event(EventType::TransactionProcessed);
        let paid = schemas::Money::minor(1071, "EUR");
        let payload = json!({"data": {"total_amount": 1071, "currency": "EUR"}});
        event.payload = Some(payload.to_string().into_bytes());
        event.money = Some(paid.clone());
        event.subscriber.total_spent = Some(paid.clone());
        event.subscription.as_mut().unwrap().price = Some(paid);
        let found = doubts(&event, &|event| {
            let exact = |money: &Option<schemas::Money>| money.as_ref().unwrap().major();
            let price = &event.subscription.as_ref().unwrap().price;
            vec![json!([exact(&event.money), exact(&event.subscriber.total_spent), exact(price)])]
        });
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn one_that_heeds_the_currency_is_not() {
        let heeds = |data: &Value| {
            let decimals = exponent_of(data["currency"].as_str().unwrap());
            json!({"paid": amount(data) / 10_f64.powi(decimals.cast_signed()), "n": data["quantity"]})
        };
        assert_eq!(found(heeds), [""; 0]);
        let yen_alone = |data: &Value| {
            let by = if data["currency"] == "JPY" { 1.0 } else { 100.0 };
            json!({"paid": amount(data) / by})
        };
        assert_eq!(found(yen_alone).len(), 1, "thousandths are forgotten");
    }
}
