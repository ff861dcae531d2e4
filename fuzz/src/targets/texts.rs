//! Small texts with a form of their own, each read by its name on the line before it.

use dead_letters::{ledger, letter::Position};
use schemas::headers::Disposal;
use schemas::{Money, Timestamp};
use service::config::{Rate, read_duration};
use service::traces::TraceContext;

use crate::promise::{keep, ok, some};

/// The largest ledger that is written out.
const MOST_OFFSETS: i64 = 10_000;

pub(super) fn check(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else {
        // Not text: only what takes bytes.
        return drop(ledger::read(input));
    };
    let Some((kind, text)) = input.split_once('\n') else { return };
    match kind {
        "traceparent" => traceparent(text),
        "moment" => moment(text),
        "position" => position(text),
        "ledger" => offsets(text),
        "duration" => drop(read_duration(text)),
        "rate" => {
            let rate = text.parse::<Rate>();
            keep(rate.is_err() || rate.is_ok_and(|rate| rate.per_second() > 0.0), "a rate moves");
        }
        currency => amount(text, currency),
    }
}

fn traceparent(text: &str) {
    let Ok(context) = text.parse::<TraceContext>() else { return };
    keep(context.trace != [0; 16] && context.span != [0; 8], "a trace names something");
    let printed = context.to_string();
    keep(printed.parse() == Ok(context), "a trace is read as it was printed");
    keep(text.get(2..55) == printed.get(2..55), "and says what was told");
}

fn moment(text: &str) {
    let Some(moment) = Timestamp::from_rfc3339(text) else { return };
    let again =
        some(Timestamp::from_rfc3339(&moment.to_string()), "a moment is read as it was printed");
    keep(again == moment, "and is the same");
}

fn position(text: &str) {
    let Ok(position) = text.parse::<Position>() else { return };
    keep(position.to_string().parse() == Ok(position), "a position is read as it was printed");
    keep(position.partition >= 0 && position.offset >= 0, "and is one that there can be");
}

/// A ledger written anew names the same letters.
fn offsets(text: &str) {
    let Ok(runs) = ledger::read(text.as_bytes()) else { return };
    let lengths = runs.iter().map(|(first, last)| last.saturating_sub(*first).saturating_add(1));
    if lengths.fold(0_i64, i64::saturating_add) > MOST_OFFSETS {
        return;
    }
    let mut offsets: Vec<i64> = runs.into_iter().flat_map(|(first, last)| first..=last).collect();
    offsets.sort_unstable();
    offsets.dedup();
    let entry = ledger::entry("dead", 0, Disposal::Discarded, &offsets);
    let runs =
        ok(ledger::read(&entry.value.unwrap_or_default()), "a ledger is read as it was written");
    let again: Vec<i64> = runs.into_iter().flat_map(|(first, last)| first..=last).collect();
    keep(again == offsets, "and names the same letters");
}

/// An amount in major units, against a reading of its own.
fn amount(text: &str, currency: &str) {
    let Some(money) = Money::parse_major(text, currency) else { return };
    let again = Money::parse_major(&money.major(), currency);
    keep(again.as_ref() == Some(&money), "an amount is read as it was printed");
    let unsigned = text.trim_start_matches(['+', '-']);
    let other = Money::parse_major(&format!("-{unsigned}"), currency);
    keep(other.is_none_or(|other| other.amount <= 0), "a minus makes nothing positive");
    if let Some(plain) = plain(unsigned, money.exponent) {
        keep(money.amount.unsigned_abs() == plain, "an amount is what its digits say");
    }
}

/// The minor units of plain decimal digits with no more places than the currency has.
fn plain(text: &str, exponent: i32) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let places = usize::try_from(exponent).ok()?;
    let is_plain = !whole.is_empty()
        && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    if !is_plain || fraction.len() > places {
        return None;
    }
    format!("{whole}{fraction:0<places$}").parse().ok()
}
