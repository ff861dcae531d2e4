//! Events carry the webhook that they are of, where somebody asks for it.

use super::*;
use crate::budget::Budget;
use crate::sources::{Payload, Sources};

fn carrying(window_millis: u64) -> Rules {
    let mut source = sources().get("shop").unwrap().clone();
    source.settings.payload = Payload::Carried;
    let sources: Sources = [source].into_iter().collect();
    Rules { sources, ..rules(window_millis) }
}

fn log() -> [Entry; 3] {
    [
        entry(0, "a", "later", "16 0 subscription_renewed"),
        entry(1, "a", "earlier", "0 0 subscription_started"),
        tick_at(4),
    ]
}

/// The events' bodies, in the order of emission.
fn bodies(rules: &Rules) -> Vec<Option<String>> {
    let mut line = fresh(rules);
    let taken = (0..).zip(log()).map(|(offset, entry)| take(&mut line, offset, &entry, rules));
    let events = taken.flat_map(|taken| taken.events).map(|emission| emission.event);
    events.map(|event| event.payload.map(|body| String::from_utf8(body).unwrap())).collect()
}

#[test]
fn a_body_waits_with_its_facts_and_stays_with_them() {
    let both = ["0 0 subscription_started", "16 0 subscription_renewed"];
    assert_eq!(bodies(&carrying(4)), both.map(|body| Some(body.to_owned())));
    assert_eq!(bodies(&carrying(0)).len(), 2);
}

#[test]
fn nobody_carries_what_nobody_asks_for() {
    assert_eq!(bodies(&rules(4)), [None, None]);
}

#[test]
fn a_body_that_is_too_large_is_left_out_and_its_event_is_told() {
    let rules = carrying(4);
    let rules = Rules { budget: Budget { payload_bytes: 24, ..rules.budget }, ..rules };
    assert_eq!(bodies(&rules), [Some("0 0 subscription_started".to_owned()), None]);
}
