//! An existing subscriber, told by an import: what was known becomes what the import says, as far as nothing
//! newer is known, and no event is told of it.
//!
//! Everything the import says holds as of one moment, and three rules make the outcome the same whatever
//! comes first, however often the import is told:
//!
//! * a subscription is the import's unless facts of it are newer; then only gaps are filled;
//! * a sum is the import's and what moved later ([`totals`]);
//! * events of that moment and before are *late*: they are told, and move nothing back.

mod told;

use schemas::event::Subscription;
use schemas::state::{Facts, Imported, SubscriberState, SubscriptionState};

use super::totals::Opened;
use super::{Advanced, Timing, identity, totals, transfer};
use crate::order::key_of;
use crate::sources::Source;
use crate::sources::overlay::lay_over;

/// What the import said was taken, as far as it was newer than what was known.
const IMPORTED: &str = "subscriber_imported";
/// All of it was known better.
const OUTDATED: &str = "import_outdated";
/// A sum was not taken, because what was counted cannot be divided at the import's moment.
const TOTAL_UNCLEAR: &str = "import_total_unclear";

/// Takes an import into the subscriber's state.
pub fn import(
    state: &mut SubscriberState,
    facts: &Facts,
    imported: &Imported,
    source: &Source,
) -> Advanced {
    let as_of = facts.occurred_at;
    let timing = place(state, facts);
    identity::take(state, facts, timing);
    let mut taken = timing == Timing::InOrder;
    for told in &imported.subscriptions {
        if !transfer::left_since(state, told.environment, &told.shown.id, as_of) {
            let mut told = told::state(told, as_of);
            source.mapper.imported(&mut told);
            taken |= take(&mut state.subscriptions, told);
        }
    }
    let mut reason = None;
    // What is not known yet goes to the front: the last to stand there is the first of them.
    for told in imported.totals.iter().rev() {
        match totals::open(&mut state.totals, told, as_of) {
            Opened::Taken => taken = true,
            Opened::Outdated => {}
            Opened::Unclear => reason = Some(TOTAL_UNCLEAR),
        }
    }
    let reason = reason.unwrap_or(if taken { IMPORTED } else { OUTDATED });
    Advanced { events: Vec::new(), ignored: Some(reason), passed_on: None }
}

/// Of two imports of one moment both are in order: the second corrects the first.
fn place(state: &mut SubscriberState, facts: &Facts) -> Timing {
    let known = state.emitted_up_to.as_ref();
    if known.is_some_and(|known| known.occurred_at > facts.occurred_at) {
        return Timing::Late;
    }
    state.emitted_up_to = Some(key_of(facts));
    Timing::InOrder
}

/// Takes one subscription; says whether it is now as the import says.
fn take(subscriptions: &mut Vec<SubscriptionState>, told: SubscriptionState) -> bool {
    let same = |known: &&mut SubscriptionState| {
        known.environment == told.environment && known.current.id == told.current.id
    };
    match subscriptions.iter_mut().find(same) {
        None => {
            subscriptions.push(told);
            true
        }
        Some(known) if known.facts_at > told.facts_at => {
            fill_gaps(&mut known.current, &told.current);
            false
        }
        Some(known) => {
            correct(known, told);
            true
        }
    }
}

/// The subscription as the import says; what that leaves out stays, unless the status contradicts it.
fn correct(known: &mut SubscriptionState, told: SubscriptionState) {
    let mut current = known.current.clone();
    lay_over(&mut current, &told.current);
    current.status = told.current.status;
    let keep = |holds: bool, reason: Option<String>| reason.filter(|_| holds);
    current.cancel_reason = keep(told.cancel_scheduled || told.ended, current.cancel_reason);
    current.expiration_reason =
        keep(told.ended || told.in_billing_retry, current.expiration_reason);
    current.grace_expires_at = current.grace_expires_at.filter(|_| told.in_grace);
    current.auto_resume_at = current.auto_resume_at.filter(|_| told.paused);
    let mut was_told = std::mem::take(&mut known.told);
    was_told.extend(told.told);
    *known = SubscriptionState {
        current,
        provider_status: told.provider_status.or(known.provider_status.take()),
        pending_product: told.pending_product.or(known.pending_product.take()),
        told: was_told,
        owned_since: told.owned_since.max(known.owned_since),
        ..told
    };
}

/// What does not change with time, and what belongs to the product only where that is still the same.
fn fill_gaps(known: &mut Subscription, told: &Subscription) {
    fill(&mut known.started_at, told.started_at.as_ref());
    fill(&mut known.store, told.store.as_ref());
    fill(&mut known.product_id, told.product_id.as_ref());
    if known.product_id == told.product_id {
        fill(&mut known.plan_id, told.plan_id.as_ref());
        fill(&mut known.price, told.price.as_ref());
        fill(&mut known.billing_period, told.billing_period.as_ref());
        fill(&mut known.quantity, told.quantity.as_ref());
    }
}

fn fill<T: Clone>(known: &mut Option<T>, told: Option<&T>) {
    if known.is_none() {
        *known = told.cloned();
    }
}
