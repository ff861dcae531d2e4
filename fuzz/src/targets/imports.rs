//! Files of subscribers. The first line says how the file is written and whose it is; the rest is the file.

use schemas::{Provider, Timestamp};
use serde_json::Value;
use transform::budget::Budget;
use transform::import::{Format, Outcome, Setting, read};

use super::mappers::BEGINNING;
use crate::MARKER;
use crate::promise::{discreet, keep};
use crate::teller::{Ground, Teller, Told};

const LARGEST_MESSAGE: usize = (1 << 20) + (64 << 10);

thread_local! {
    static GROUND: Ground = Ground::new();
}

pub(super) fn check(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (first, file) = input.split_at(end);
    let file = file.get(1..).unwrap_or_default();
    let (format, provider) = match first {
        b"stripe" => (Format::Stripe, Provider::Stripe),
        b"dodo" => (Format::Dodo, Provider::Dodo),
        b"revenuecat" => (Format::Revenuecat, Provider::Revenuecat),
        b"csv native" => (Format::Csv, Provider::Native),
        b"csv" => (Format::Csv, Provider::Stripe),
        b"jsonl native" => (Format::Jsonl, Provider::Native),
        _ => (Format::Jsonl, Provider::Stripe),
    };
    GROUND.with(|ground| {
        let Some(source) = ground.sources().get(provider.name()) else { return };
        let now = Timestamp::from_millis(BEGINNING);
        let setting = Setting {
            source,
            as_of: Some(now.plus_millis(-1_000)),
            now,
            topic: "raw",
            budget: Budget::of(LARGEST_MESSAGE),
        };
        let names_are_told = tells_names(file, format);
        match read(file, format, setting.as_of, &setting) {
            Ok(outcome) => imported(ground, outcome, now, names_are_told),
            Err(failure) if !names_are_told => discreet(&failure),
            Err(_) => {}
        }
    });
}

/// What was not refused is taken in, gives no event, and is parked by nobody.
fn imported(ground: &Ground, outcome: Outcome, now: Timestamp, names_are_told: bool) {
    for refusal in &outcome.refusals {
        keep(refusal.line > 0, "a refusal says where");
        if !names_are_told {
            discreet(refusal);
        }
    }
    let records = outcome.records.into_iter();
    let told: Vec<Told> = records
        .map(|record| Told {
            key: record.key,
            value: record.value.unwrap_or_default(),
            headers: record.headers,
            appended_at: now,
        })
        .collect();
    let subscribers = told.len();
    let mut teller = Teller::new(ground);
    teller.tell(&told);
    keep(teller.events.is_empty(), "an import gives no event");
    keep(teller.parked.is_empty(), "what was not refused is not parked");
    keep(teller.states().count() == subscribers, "each subscriber is known");
}

/// Whether names of columns or fields hold what values must not show: names are told, so that they can be corrected.
fn tells_names(file: &[u8], format: Format) -> bool {
    let text = String::from_utf8_lossy(file);
    match format {
        Format::Csv | Format::Revenuecat => {
            // A heading may run over several lines, in quotes.
            let quoted =
                text.split('"').take(64).any(|part| part.contains(MARKER) && part.contains('\n'));
            quoted || text.lines().next().is_some_and(|heading| heading.contains(MARKER))
        }
        Format::Jsonl | Format::Stripe | Format::Dodo => {
            let values = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
            let mut lines = text.lines().map(|line| serde_json::from_str(line).unwrap_or_default());
            values.map_while(Result::ok).any(|value| names_marker(&value))
                || lines.any(|value| names_marker(&value))
        }
    }
}

fn names_marker(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.iter().any(|(name, value)| name.contains(MARKER) || names_marker(value))
        }
        Value::Array(members) => members.iter().any(names_marker),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_the_marker_is_told_and_a_value_is_not() {
        let value = format!("{{\"subscriber\": \"{MARKER}\"}}");
        let name = format!("{{\"{MARKER}\": 1}}");
        assert!(!tells_names(value.as_bytes(), Format::Jsonl));
        assert!(tells_names(name.as_bytes(), Format::Jsonl));
    }
}
