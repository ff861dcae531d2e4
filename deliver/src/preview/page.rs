//! What came of a payload, as text.

use schemas::{LifecycleEvent, Timestamp};
use serde_json::Value;

use super::rehearsal::{Fictitious, Rehearsal, Untold};
use super::webhook::{Fate, Told};
use crate::destinations::{Request, Verdict};
use crate::http::Http;
use crate::shadow::Planned;

/// What is said of requests that nobody makes.
const IN_SHADOW: &str = " (planned only: mode is shadow)";

/// The page of one payload. `wall_seconds` is the present Unix time, which a signature covers.
pub(super) fn page(told: &Told, destinations: &[Rehearsal], wall_seconds: i64) -> String {
    let mut page = format!("{}\nkey {}\n", told.title, told.key);
    if let Some(waits) = told.waits {
        let minutes = waits.as_secs() / 60;
        let text = format!("waits {minutes} min for a record that says whose it is; without one:");
        line(&mut page, 0, &text);
    }
    match &told.fate {
        Fate::Events(events) => {
            for event in events {
                line(&mut page, 0, "");
                tell(&mut page, event, destinations, wall_seconds);
            }
        }
        Fate::Duplicate => line(&mut page, 0, "no event: it was accepted before (duplicate)"),
        Fate::Ignored(reasons) => {
            line(&mut page, 0, &format!("no event: ignored as {}", reasons.join(", ")));
        }
        Fate::Parked(parking) => {
            let (reason, message) = (parking.reason.name(), &parking.message);
            line(&mut page, 0, &format!("no event: parked as {reason}: {message}"));
        }
        Fate::TooLarge(limit) => {
            line(&mut page, 0, &format!("answered 413: it has more than {limit} bytes"));
        }
    }
    page
}

fn tell(page: &mut String, event: &LifecycleEvent, destinations: &[Rehearsal], wall_seconds: i64) {
    let (name, sequence, at) = (event.event_type.name(), event.sequence, event.occurred_at);
    line(page, 0, &headline(name, sequence, &at.to_string()));
    for Rehearsal { name, destination, http, calls } in destinations {
        match destination.requests(event) {
            Err(untold) => line(page, 1, &format!("{name}: {}", why(&untold))),
            Ok(requests) => {
                let remark = match calls {
                    Fictitious::No => "",
                    Fictitious::Shadow => IN_SHADOW,
                };
                line(page, 1, &format!("{name}:{remark}"));
                for request in &requests {
                    show(page, http, request, wall_seconds);
                }
            }
        }
    }
}

/// Why an event causes no requests.
pub(crate) fn why(untold: &Untold) -> String {
    match untold {
        Untold::Skip(skip) => format!("not sent, {}: {}", skip.word(), skip.meaning()),
        Untold::End(Verdict::Park(failure)) => {
            format!("parked as {}: {}", failure.reason.word(), failure.message)
        }
        Untold::End(Verdict::Retry(failure) | Verdict::Pause { failure, .. }) => {
            format!("not sent yet, {}: {}", failure.reason.word(), failure.message)
        }
        Untold::End(
            Verdict::Delivered | Verdict::DeliveredWithoutAttributes(_) | Verdict::Outdated,
        ) => "nothing is sent".to_owned(),
    }
}

/// The page of a note, which was written at this moment by the shadow of a destination.
pub(super) fn note(
    key: &str,
    planned: &Planned,
    (name, http): (&str, &Http),
    written_at: Timestamp,
) -> String {
    let mut page = format!("key {key}\n");
    line(&mut page, 0, &headline(&planned.event, planned.sequence, &planned.occurred_at));
    line(&mut page, 1, &format!("{name}:{IN_SHADOW}"));
    if let Some(bytes) = planned.left_out_bytes {
        line(&mut page, 2, &format!("left out: {bytes} bytes are too many for one message"));
    }
    for asked in &planned.requests {
        show(&mut page, http, &asked.request(), written_at.seconds());
    }
    page
}

fn headline(event: &str, sequence: i64, occurred_at: &str) -> String {
    format!("event {event}, sequence {sequence}, occurred {occurred_at}")
}

fn show(page: &mut String, http: &Http, request: &Request, wall_seconds: i64) {
    line(page, 2, &format!("{} {}", request.method.name(), http.shown_url(request)));
    for (name, value) in http.shown_headers(request, wall_seconds) {
        line(page, 2, &format!("{name}: {value}"));
    }
    let Some(body) = &request.body else { return };
    // Sent without the spaces; the digits of numbers and the order of keys are kept.
    let pretty = serde_json::from_slice::<Value>(body)
        .and_then(|body| serde_json::to_string_pretty(&body))
        .unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned());
    for text in pretty.lines() {
        line(page, 2, text);
    }
}

fn line(page: &mut String, depth: usize, text: &str) {
    if !text.is_empty() {
        page.push_str(&"  ".repeat(depth));
        page.push_str(text);
    }
    page.push('\n');
}
