//! What became of webhooks and events, in words for people.

use std::time::Duration;

use dead_letters::letter::Dealt;
use dead_letters::present::clean;

use super::deliveries::{Delivery, End, Wait};
use super::material::{AtDestination, Breaker, Outcome};
use super::refreshes::{Refresh, RefreshFate};
use super::webhooks::{Fate, Timing};

/// What became of a webhook.
pub(super) fn of_webhook(fate: &Fate) -> String {
    match fate {
        Fate::Events { sequences, timing } => {
            let late = match timing {
                Timing::InTime => "",
                Timing::Late => ", late",
            };
            let numbers: Vec<_> = sequences.iter().map(i64::to_string).collect();
            let word = if numbers.len() == 1 { "event" } else { "events" };
            format!("{word} {}{late}", numbers.join(", "))
        }
        Fate::Ignored(Some(reason)) => format!("ignored: {reason}"),
        Fate::Ignored(None) => "ignored: it said nothing new to what was known then".to_owned(),
        Fate::Repeated(Some(first)) => format!("a repetition of what came at {first}"),
        Fate::Repeated(None) => "a repetition".to_owned(),
        Fate::Parked { letter, reason, message, dealt } => {
            let dealt = dealt.map(|dealt| dealt_with(&dealt)).unwrap_or_default();
            format!("parked as {}: {}; letter {letter}{dealt}", clean(reason), clean(message))
        }
        Fate::Held { until } => {
            format!("held until {until} for what may have happened before it")
        }
        Fate::WaitsForLink { until } => format!("waits until about {until} to learn whose it is"),
        Fate::WentOn(Some(key)) => format!("went on to {}", clean(key)),
        Fate::WentOn(None) => "went on, or waited in vain, under another key".to_owned(),
        Fate::NotTaken => "not taken by transform yet".to_owned(),
        Fate::Unknown => "not known: nothing that was read says it".to_owned(),
    }
}

/// What became of an event at a destination.
pub(super) fn of_delivery(delivery: &Delivery, at: &AtDestination) -> String {
    match delivery {
        Delivery::Delivered { failures, redriven } => delivered(*failures, *redriven),
        Delivery::Planned => "planned only: mode is shadow".to_owned(),
        Delivery::Skipped(skip) => format!("skipped, {}: {}", skip.word(), skip.meaning()),
        Delivery::BeforeStart => "not sent: it happened before `start`".to_owned(),
        Delivery::Queued { behind: Some(first) } => format!("queued behind event {first}"),
        Delivery::Queued { behind: None } => format!("queued: {}", why_queued(at)),
        Delivery::Waiting(wait) => waiting(wait, at),
        Delivery::Following { behind: Some(first) } => {
            format!("untried in the retry topic, behind event {first}")
        }
        Delivery::Following { behind: None } => {
            "untried in the retry topic, about to be sent".to_owned()
        }
        Delivery::Redriven => "redriven; goes when nothing else of them waits".to_owned(),
        Delivery::Dead(end) => ended(end),
        Delivery::Discarded { end, at } => format!("{}, discarded {at}", ended(end)),
        Delivery::NotBegun => "not reached: deliver has never worked on it here".to_owned(),
        Delivery::NotKept => "not known: the event is no longer in its topic".to_owned(),
    }
}

/// How a destination stands.
pub(super) fn of_destination(at: &AtDestination) -> String {
    let instances = match at.service.members {
        1 => "1 instance".to_owned(),
        members => format!("{members} instances"),
    };
    let done = at.standing.as_ref().map_or_else(
        || "nothing committed".to_owned(),
        |standing| {
            let outages = whole_seconds(standing.tenure.outages);
            format!("at offset {}, out of service {outages} in all", standing.events.next())
        },
    );
    format!("{}: {instances}, {done}", at.name)
}

/// What became of the latest refresh there, if there was one.
pub(super) fn of_refresh(at: &AtDestination) -> Option<String> {
    let Refresh { known_at, fate } = at.refresh.as_ref()?;
    let fate = match fate {
        RefreshFate::Done => "done".to_owned(),
        RefreshFate::Waits { due: None, .. } => "goes when nothing else of them waits".to_owned(),
        RefreshFate::Waits { failures, due: Some(due) } => {
            format!("failed {failures} times, goes again at {due}")
        }
        RefreshFate::Dead { reason } => format!("parked as {}", clean(reason)),
    };
    Some(format!("{}: refreshed as of {known_at}: {fate}", at.name))
}

/// Which wait of the retry topic it is, counted from 1.
pub(super) fn retry_number(wait: &Wait, at: &AtDestination) -> u32 {
    wait.attempts.saturating_sub(u32::try_from(at.in_place).unwrap_or(u32::MAX)).max(1)
}

fn delivered(failures: u32, redriven: u32) -> String {
    let failed = match failures {
        0 => String::new(),
        1 => " after 1 failure".to_owned(),
        failures => format!(" after {failures} failures"),
    };
    let again = if redriven > 0 { ", redriven" } else { "" };
    format!("delivered{failed}{again}")
}

fn why_queued(at: &AtDestination) -> String {
    if at.service.members == 0 {
        return "no instance of deliver is at work".to_owned();
    }
    if let Some(until) = at.service.left_alone_until {
        return format!("the destination asked to be left alone until {until}");
    }
    match at.service.breaker {
        Breaker::Open => "the destination is out of service (its breaker is open)".to_owned(),
        Breaker::Closed | Breaker::NotLookedAt => "not reached yet, or under way".to_owned(),
    }
}

fn waiting(wait: &Wait, at: &AtDestination) -> String {
    let number = retry_number(wait, at);
    let due = wait.due.map(|due| format!(" until {due}")).unwrap_or_default();
    let first = wait.first_failure.map(|first| format!(", the first {first}"));
    let unknown = match wait.outcome {
        Outcome::Known => "",
        Outcome::Unknown => "; an attempt was not answered",
    };
    let failures = match wait.attempts {
        1 => "1 failure".to_owned(),
        attempts => format!("{attempts} failures"),
    };
    format!("waits for retry {number}{due}: {failures}{}{unknown}", first.unwrap_or_default())
}

fn ended(end: &End) -> String {
    let status = end.status.map(|status| format!(", HTTP {status}")).unwrap_or_default();
    let (reason, message) = (clean(&end.reason), clean(&end.message));
    format!("dead since {}: {reason}{status}: {message}; letter {}", end.at, end.letter)
}

fn dealt_with(dealt: &Dealt) -> String {
    format!(", {} {}", dealt.disposal, dealt.at)
}

fn whole_seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}
