//! Subscription schedules: a change of plan that was announced.

use schemas::EventType;
use schemas::state::Facts;

use super::super::super::answer::{NO_CHANGE, named, of_type, told};
use super::super::super::{Decision, Known, overlay};
use super::super::detail;

/// Tells the phases to come, once: a schedule is updated for many reasons.
pub(super) fn decide(facts: &Facts, known: &Known<'_>) -> Decision {
    let phases = facts.details.get(detail::PHASES).map_or("", String::as_str);
    let stored = facts
        .subscription
        .as_ref()
        .and_then(|named| overlay::stored(known, facts.environment, &named.shown.id));
    let told_before =
        stored.and_then(|state| state.told.get(detail::PHASES)).map_or("", String::as_str);
    let mut state = named(facts, known);
    if phases == told_before {
        return Decision::ignored(NO_CHANGE, state);
    }
    if let Some(state) = &mut state {
        state.told.insert(detail::PHASES.to_owned(), phases.to_owned());
        state.pending_product = facts.details.get(detail::NEXT_PRICE).cloned();
    }
    if phases.is_empty() {
        return Decision::ignored(NO_CHANGE, state);
    }
    told(vec![of_type(EventType::PlanChangeScheduled)], state, NO_CHANGE)
}
