//! How letters are shown: lines for people, or JSON.
//!
//! A list names no subscriber, because a list is what gets pasted into a ticket and a key names a
//! person; it shows what an operator decides by, and where the letter lies, from where `show` tells the
//! rest. JSON is for programs, which join by key, and has it. The message of a failure may quote the
//! destination about a person, hence only `show` tells it, and a body only on request.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemas::headers::Header;
use serde_json::{Map, Value, json};
use stream::Received;

use crate::letter::Letter;
use crate::plan::Staying;

/// What stands where a letter says nothing.
const NOTHING: &str = "-";

/// The list for people: a heading, a line for each letter, and how many there are of each reason.
pub fn table(stage: &str, letters: &[Letter]) -> Vec<String> {
    if letters.is_empty() {
        return vec![format!("{stage}: no dead letters")];
    }
    let heading =
        ["POSITION", "PARKED", "REASON", "SOURCE", "TYPE", "ATTEMPTS", "HTTP", "DEALT WITH"];
    let mut rows = vec![heading.map(str::to_owned)];
    rows.extend(letters.iter().map(row));
    let mut lines = align(&rows);
    lines.push(format!("{stage}: {}", summary(letters)));
    lines
}

fn row(letter: &Letter) -> [String; 8] {
    let end = letter.end.as_ref().ok();
    let or_nothing = |text: Option<String>| text.unwrap_or_else(|| NOTHING.to_owned());
    let number = |number: Option<u32>| or_nothing(number.map(|number| number.to_string()));
    [
        letter.position.to_string(),
        letter.parked_at.to_string(),
        or_nothing(letter.reason().map(clean)),
        or_nothing(letter.labels.source.as_deref().map(clean)),
        or_nothing(letter.labels.event_type.as_deref().map(clean)),
        number(end.and_then(|end| end.attempts)),
        number(end.and_then(|end| end.http_status).map(u32::from)),
        or_nothing(letter.dealt.map(|dealt| dealt.disposal.to_string())),
    ]
}

/// Lines in which cells of one column begin under each other.
pub fn align<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> Vec<String> {
    let mut widths = [0; COLUMNS];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// How many letters, and how many of each reason, the most frequent first.
pub fn summary(letters: &[Letter]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for letter in letters {
        let reason = letter.reason().map_or_else(|| "without a reason".to_owned(), clean);
        *counts.entry(reason).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let reasons: Vec<_> =
        counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    match reasons.as_slice() {
        [] => "no dead letters".to_owned(),
        _ => format!("{} ({})", letters_of(letters.len()), reasons.join(", ")),
    }
}

/// A number of dead letters, in words.
pub fn letters_of(count: usize) -> String {
    if count == 1 { "1 dead letter".to_owned() } else { format!("{count} dead letters") }
}

/// One line for each letter that stays although it was asked for.
pub fn staying(staying: &[Staying]) -> Vec<String> {
    staying.iter().map(|one| format!("{} stays: {}", one.position, one.because)).collect()
}

/// A letter for programs. The message of its failure is not in it.
pub fn object(stage: &str, letter: &Letter) -> Value {
    let end = letter.end.as_ref().ok();
    let text = |moment: schemas::Timestamp| moment.to_string();
    json!({
        "of": stage,
        "position": letter.position.to_string(),
        "parked_at": text(letter.parked_at),
        "happened_at": letter.happened_at.map(text),
        "reason": letter.reason(),
        "source": letter.labels.source,
        "type": letter.labels.event_type,
        "id": letter.labels.id,
        "subscriber": letter.subscriber(),
        "attempts": end.and_then(|end| end.attempts),
        "http_status": end.and_then(|end| end.http_status),
        "request_id": end.and_then(|end| end.request_id.as_deref()),
        "first_failure": end.and_then(|end| end.first_failure).map(text),
        "last_failure": end.and_then(|end| end.last_failure).map(text),
        "redriven_before": letter.redriven,
        "dealt_with": letter.dealt.map(|dealt| dealt.disposal.to_string()),
        "dealt_with_at": letter.dealt.map(|dealt| text(dealt.at)),
    })
}

/// Whether a body is shown, and how it reads: none when it cannot be told as text.
pub type Body = Option<Option<String>>;

/// One letter in full for people: what it says, all headers, the message; the body when asked for.
pub fn full(letter: &Letter, received: &Received, body: Body) -> Vec<String> {
    let end = letter.end.as_ref().ok();
    let mut lines = vec![
        format!("position    {}", letter.position),
        format!("parked      {}", letter.parked_at),
        format!("reason      {}", letter.reason().map_or_else(|| NOTHING.to_owned(), clean)),
        format!(
            "message     {}",
            end.map_or_else(|| NOTHING.to_owned(), |end| clean(&end.message))
        ),
        format!("subscriber  {}", clean(&letter.subscriber())),
        format!("dealt with  {}", dealt(letter)),
        format!("body        {} bytes", received.value.as_ref().map_or(0, Vec::len)),
    ];
    lines.push("headers".to_owned());
    lines.extend(
        received
            .headers
            .iter()
            .map(|header| format!("  {}: {}", clean(&header.name), clean(&value(header)))),
    );
    if let Some(text) = body {
        lines.push(String::new());
        lines.push(text.unwrap_or_else(|| base64(received)));
    }
    lines
}

/// One letter in full for programs.
pub fn full_object(stage: &str, letter: &Letter, received: &Received, body: Body) -> Value {
    let mut shown = object(stage, letter);
    let mut headers = Map::new();
    for header in &received.headers {
        headers.insert(header.name.clone(), Value::from(value(header)));
    }
    shown["message"] = letter.end.as_ref().ok().map(|end| end.message.clone()).into();
    shown["headers"] = Value::Object(headers);
    match body {
        None => {}
        Some(Some(text)) => shown["body"] = Value::from(text),
        Some(None) => shown["body_base64"] = Value::from(base64(received)),
    }
    shown
}

fn dealt(letter: &Letter) -> String {
    letter
        .dealt
        .map_or_else(|| NOTHING.to_owned(), |dealt| format!("{} at {}", dealt.disposal, dealt.at))
}

fn value(header: &Header) -> String {
    String::from_utf8_lossy(&header.value).into_owned()
}

fn base64(received: &Received) -> String {
    STANDARD.encode(received.value.as_deref().unwrap_or_default())
}

/// Without what would move a terminal's cursor: headers come from whoever may write to the topic.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { char::REPLACEMENT_CHARACTER } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use schemas::Timestamp;
    use schemas::headers::{Disposal, HeaderError};

    use super::*;
    use crate::letter::Dealt;
    use crate::letter::samples::{end, letter};

    fn received() -> Received {
        Received {
            topic: "dead".into(),
            partition: 0,
            offset: 60,
            timestamp: Timestamp::from_millis(60_000),
            key: Some(b"shop/cus_1".to_vec()),
            value: Some(vec![0xc3, 0x01]),
            headers: end("refused").onto(&[Header::text("x-theirs", "one\u{1b}[2Jtwo")]),
        }
    }

    #[test]
    fn a_list_shows_what_is_decided_by_and_names_nobody() {
        let at = Timestamp::from_millis(90_000);
        let mut foreign = letter(1, 5, "refused");
        foreign.end = Err(HeaderError::Missing("tributary-reason"));
        foreign.dealt = Some(Dealt { disposal: Disposal::Discarded, at });
        let lines = table("crm", &[letter(0, 60, "refused"), foreign]);
        assert_eq!(
            lines,
            [
                "POSITION  PARKED                    REASON   SOURCE  TYPE                 \
                 ATTEMPTS  HTTP  DEALT WITH",
                "0/60      1970-01-01T00:01:00.000Z  refused  shop    stripe.invoice.paid  \
                 2         400   -",
                "1/5       1970-01-01T00:00:05.000Z  -        shop    stripe.invoice.paid  \
                 -         -     discarded",
                "crm: 2 dead letters (1 refused, 1 without a reason)",
            ]
        );
    }

    #[test]
    fn an_empty_list_says_so() {
        assert_eq!(table("transform", &[]), ["transform: no dead letters"]);
    }

    #[test]
    fn the_summary_begins_with_the_most_frequent_reason() {
        let letters = ["a", "b", "b"].map(|reason| letter(0, 1, reason));
        assert_eq!(summary(&letters), "3 dead letters (2 b, 1 a)");
        assert_eq!(summary(&letters[..1]), "1 dead letter (1 a)");
    }

    #[test]
    fn an_object_has_the_subscriber_and_no_message() {
        let shown = object("crm", &letter(0, 60, "refused"));
        assert_eq!(shown["subscriber"], "shop/cus_1");
        assert_eq!(shown["position"], "0/60");
        assert_eq!(shown["dealt_with"], Value::Null);
        assert!(!shown.to_string().contains("ada@example.com"), "{shown}");
    }

    #[test]
    fn show_tells_message_and_headers_and_the_body_only_on_request() {
        let (received, letter) = (received(), letter(0, 60, "refused"));
        let text = full(&letter, &received, None).join("\n");
        assert!(text.contains("ada@example.com") && text.contains("tributary-request-id: req_1"));
        assert!(!text.contains('\u{1b}') && !text.contains("wwE="), "{text}");
        let text = full(&letter, &received, Some(None)).join("\n");
        assert!(text.ends_with("\n\nwwE="), "{text}");
        let told = full(&letter, &received, Some(Some("{}".to_owned())));
        assert_eq!(told.last().map(String::as_str), Some("{}"));
        let object = full_object("crm", &letter, &received, None);
        assert_eq!((&object["body"], &object["body_base64"]), (&Value::Null, &Value::Null));
        assert_eq!(object["headers"]["tributary-reason"], "refused");
        assert_eq!(full_object("crm", &letter, &received, Some(None))["body_base64"], "wwE=");
    }
}
