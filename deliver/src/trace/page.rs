//! The story as a table for people. A webhook stands there with the moment of its reception, an event with that at
//! which it happened.

use dead_letters::present::{align, clean};
use schemas::Timestamp;
use service::config::Mode;

use super::Answer;
use super::material::Beginning;
use super::story::{Chapter, Story};
use super::webhooks::Webhook;
use super::words::{of_delivery, of_destination, of_refresh, of_webhook};

/// What stands where there is nothing to say.
const NOTHING: &str = "-";

/// A line of the table.
type Row = [String; 5];

/// The lines of all stories, and what was not looked at or cannot be known.
pub(super) fn page(answer: &Answer) -> Vec<String> {
    let mut lines = Vec::new();
    for story in &answer.stories {
        lines.extend(told(story));
        lines.push(String::new());
    }
    lines.push(format!("looked back to {}, asked {}", answer.since, answer.asked_at));
    lines.extend(limits(answer).into_iter().map(|limit| format!("not known: {limit}")));
    lines
}

fn told(story: &Story) -> Vec<String> {
    let material = &story.material;
    let mut lines = vec![format!("{} (partition {})", clean(&material.key), material.partition)];
    if let Some(other) = &material.linked_to {
        lines.push(format!("belongs to {}", clean(other)));
    }
    if let Some(at) = material.state.as_ref().and_then(|state| state.forgotten_at) {
        lines.push(format!("forgotten since {at}"));
    }
    let mut rows: Vec<Row> =
        vec![["WHEN", "WHAT", "NAME", "STATUS", "WHAT BECAME OF IT"].map(str::to_owned)];
    rows.extend(in_time_order(story));
    lines.extend(align(&rows));
    lines.extend(material.destinations.iter().map(of_destination));
    lines.extend(material.destinations.iter().filter_map(of_refresh));
    lines
}

/// Webhooks as they were received, and between them the events in the order in which they were told: each behind
/// the last webhook that it or an event before it had to wait for.
fn in_time_order(story: &Story) -> Vec<Row> {
    let webhooks = story.webhooks.iter().map(|webhook| {
        ((webhook.received_at, 0, webhook.position.offset), vec![of_a_webhook(webhook)])
    });
    let mut latest = Timestamp::default();
    let chapters = story.chapters.iter().map(|chapter| {
        let event = &chapter.told.event;
        latest = latest.max(event.received_at);
        ((latest, 1, event.sequence), of_a_chapter(story, chapter))
    });
    let mut all: Vec<_> = webhooks.chain(chapters).collect();
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().flat_map(|(_, rows)| rows).collect()
}

fn of_a_webhook(webhook: &Webhook) -> Row {
    let name = webhook.labels.event_type.as_deref().map_or_else(|| NOTHING.to_owned(), clean);
    let copy = webhook.copy_of.map(|of| format!(" (a copy of {of})")).unwrap_or_default();
    let redriven = if webhook.redriven > 0 { " (redriven)" } else { "" };
    [
        webhook.received_at.to_string(),
        format!("webhook {}", webhook.position),
        name,
        NOTHING.to_owned(),
        format!("{}{copy}{redriven}", of_webhook(&webhook.fate)),
    ]
}

fn of_a_chapter(story: &Story, chapter: &Chapter) -> Vec<Row> {
    let event = &chapter.told.event;
    let subscription = event.subscription.as_ref().and_then(|subscription| subscription.status);
    let status = subscription.or(event.subscriber.status);
    let mut fates = fates(story, chapter).into_iter();
    let mut rows = vec![[
        event.occurred_at.to_string(),
        format!("event {}", event.sequence),
        event.event_type.to_string(),
        status.map_or_else(|| NOTHING.to_owned(), |status| status.to_string()),
        fates.next().unwrap_or_else(|| NOTHING.to_owned()),
    ]];
    rows.extend(fates.map(|fate| {
        let [when, what, name, status] = <[String; 4]>::default();
        [when, what, name, status, fate]
    }));
    rows
}

/// What became of an event, destinations where it is the same in one line.
fn fates(story: &Story, chapter: &Chapter) -> Vec<String> {
    let mut fates: Vec<(String, Vec<&str>)> = Vec::new();
    for (at, delivery) in story.material.destinations.iter().zip(&chapter.deliveries) {
        let fate = of_delivery(delivery, at);
        match fates.iter_mut().find(|(other, _)| *other == fate) {
            Some((_, names)) => names.push(&at.name),
            None => fates.push((fate, vec![&at.name])),
        }
    }
    fates.into_iter().map(|(fate, names)| format!("{}: {fate}", names.join(", "))).collect()
}

/// What the answer leaves open, in the words of both forms.
pub(super) fn limits(answer: &Answer) -> Vec<String> {
    let mut limits = vec![
        "when an event was delivered: no topic says it".to_owned(),
        "whether an event was skipped or sent by an earlier configuration: that of now was asked"
            .to_owned(),
    ];
    for story in &answer.stories {
        limits.extend(of_story(story));
    }
    limits.dedup();
    limits
}

fn of_story(story: &Story) -> Vec<String> {
    let material = &story.material;
    let key = clean(&material.key);
    let mut limits = Vec::new();
    let first = story.events().map(|event| event.sequence).min();
    if let Some(first) = first.filter(|first| *first > 1) {
        limits.push(format!("events of {key} before {first}: older, or no longer kept"));
    }
    if first.is_none() && material.state.as_ref().is_some_and(|state| state.sequence > 0) {
        limits.push(format!("the events of {key}: older, or no longer kept"));
    }
    if material.unreadable > 0 {
        let count = material.unreadable;
        limits.push(format!("{count} records of {key}: they cannot be read as events here"));
    }
    for at in &material.destinations {
        match (at.beginning, at.mode) {
            (Beginning::Forgotten, Mode::Live | Mode::Shadow) => limits.push(format!(
                "which events came before {} was new (start: latest): they are told as the others",
                at.name
            )),
            (Beginning::Earliest | Beginning::At { .. }, Mode::Live | Mode::Shadow) => {}
        }
    }
    limits
}
