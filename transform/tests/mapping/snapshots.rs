//! Every story as a transcript: what arrived, what was told of it, and how everybody stands at the end.

use std::fmt::Write;

use schemas::{LifecycleEvent, Provider, Timestamp};

use crate::fixture::{Fixture, stories};
use crate::outcome::{Group, tell};

#[test]
fn stripe_is_told_as_it_was() {
    insta::assert_snapshot!("stripe", transcript(Provider::Stripe));
}

#[test]
fn dodo_is_told_as_it_was() {
    insta::assert_snapshot!("dodo", transcript(Provider::Dodo));
}

#[test]
fn revenuecat_is_told_as_it_was() {
    insta::assert_snapshot!("revenuecat", transcript(Provider::Revenuecat));
}

#[test]
fn purchasely_is_told_as_it_was() {
    insta::assert_snapshot!("purchasely", transcript(Provider::Purchasely));
}

#[test]
fn a_producer_of_ones_own_is_told_as_it_was() {
    insta::assert_snapshot!("native", transcript(Provider::Native));
}

fn transcript(provider: Provider) -> String {
    stories(provider).iter().map(story).collect::<Vec<_>>().join("\n")
}

fn story(story: &Fixture) -> String {
    let told = tell(story);
    let mut text = format!("{}: {}\n", story.name, story.story);
    for group in &told.groups {
        for (event_type, at) in &group.deliveries {
            writeln!(text, "  {} {event_type}", at.map_or("-".to_owned(), moment)).unwrap();
        }
        outcome(&mut text, group);
    }
    for (key, state) in &told.states {
        let identity = &state.identity;
        let spent: Vec<String> = state
            .totals
            .iter()
            .map(|total| format!("{} {}", total.sum.major(), total.sum.currency))
            .collect();
        let known = [identity.user_id.as_deref(), identity.email.as_deref()];
        let known: Vec<&str> = known.into_iter().flatten().collect();
        let standing: Vec<String> = state
            .subscriptions
            .iter()
            .map(|one| match one.current.status {
                Some(status) => status.to_string(),
                None => "no status".to_owned(),
            })
            .collect();
        let person = if identity.anonymous { "anonymous" } else { "known" };
        writeln!(
            text,
            "  = {key} ({person}: {}) [{}] spent [{}]",
            known.join(", "),
            standing.join(", "),
            spent.join(", ")
        )
        .unwrap();
    }
    text
}

fn outcome(text: &mut String, group: &Group) {
    for event in &group.events {
        writeln!(text, "      {}", line(event, group.deliveries.len() > 1)).unwrap();
    }
    for reason in &group.ignored {
        writeln!(text, "      (nothing: {reason})").unwrap();
    }
    for problem in &group.parked {
        writeln!(text, "      (parked: {problem})").unwrap();
    }
    for _ in 0..group.duplicates {
        writeln!(text, "      (duplicate)").unwrap();
    }
}

fn line(event: &LifecycleEvent, names_cause: bool) -> String {
    let mut line = format!("{:>2} {}", event.sequence, event.event_type);
    let mut say = |text: String| {
        line.push_str(" · ");
        line.push_str(&text);
    };
    if let Some(subscription) = &event.subscription {
        let named = |status: Option<schemas::Status>| {
            status.map_or("no status".to_owned(), |status| status.to_string())
        };
        say(match subscription.previous_status {
            Some(before) if Some(before) != subscription.status => {
                format!("{before} → {}", named(subscription.status))
            }
            Some(_) | None => named(subscription.status),
        });
        if event.subscriber.status != subscription.status {
            say(format!("summary {}", named(event.subscriber.status)));
        }
        if let (Some(before), Some(now)) =
            (&subscription.previous_product_id, &subscription.product_id)
        {
            say(format!("{before} → {now}"));
        }
    } else if let Some(summary) = event.subscriber.status {
        say(format!("summary {summary}"));
    }
    if let Some(money) = &event.money {
        say(format!("{} {}", money.major(), money.currency));
    }
    if let Some(offer) = &event.offer {
        let id = offer.id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
        say(format!("{}{id}", offer.kind));
    }
    if let Some(reason) = &event.reason {
        say(format!("because {reason}"));
    }
    if let Some(transfer) = &event.transfer {
        say(format!("{} → {}", transfer.from.join("+"), transfer.to.join("+")));
    }
    if event.environment != schemas::Environment::Production {
        say(event.environment.to_string());
    }
    if event.late {
        say("late".to_owned());
    }
    if names_cause {
        say(format!("by {}", event.provider_event_type));
    }
    line
}

fn moment(at: Timestamp) -> String {
    at.to_string().replace('T', " ").chars().skip(5).take(14).collect()
}
