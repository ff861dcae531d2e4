//! What is known of a subscription, with what a payload shows laid over it.
//!
//! A field that a payload does not show stays as it was known: the stores leave out what they have
//! nothing new to say about.

use schemas::Environment;
use schemas::event::Subscription;
use schemas::state::{Facts, SubscriptionState};

use super::Known;

/// The state to continue from: the one known, else a new one about which nothing is known but its id.
pub(crate) fn continued(
    known: Option<&SubscriptionState>,
    facts: &Facts,
    id: &str,
) -> SubscriptionState {
    let mut state = known.cloned().unwrap_or_else(|| SubscriptionState {
        environment: facts.environment,
        current: Subscription { id: id.to_owned(), ..Subscription::default() },
        provider_status: None,
        cancel_scheduled: false,
        collection_paused: false,
        trial_open: false,
        intro_open: false,
        in_grace: false,
        in_billing_retry: false,
        paused: false,
        ended: false,
        pending_product: None,
        told: std::collections::BTreeMap::new(),
        facts_at: facts.occurred_at,
        owned_since: facts.occurred_at,
    });
    state.facts_at = state.facts_at.max(facts.occurred_at);
    state
}

/// The state stored under this environment and id, also where `known.subscription` withholds it
/// because the event is late.
pub(crate) fn stored<'a>(
    known: &Known<'a>,
    environment: Environment,
    id: &str,
) -> Option<&'a SubscriptionState> {
    known
        .subscriber
        .subscriptions
        .iter()
        .find(|state| state.environment == environment && state.current.id == id)
}

/// Lays every field that is shown over what is known. Status and what is derived by comparing
/// (previous status and product) are not a payload's to say.
pub(crate) fn lay_over(current: &mut Subscription, shown: &Subscription) {
    let Subscription {
        id: _,
        product_id,
        plan_id,
        price,
        quantity,
        entitlements,
        store,
        period_type,
        status: _,
        previous_status: _,
        previous_product_id: _,
        started_at,
        period_start,
        period_end,
        expires_at,
        grace_expires_at,
        auto_resume_at,
        trial_ends_at,
        auto_renew,
        cancel_reason,
        expiration_reason,
    } = shown;
    lay(&mut current.product_id, product_id.as_ref());
    lay(&mut current.plan_id, plan_id.as_ref());
    lay(&mut current.price, price.as_ref());
    lay(&mut current.quantity, quantity.as_ref());
    if !entitlements.is_empty() {
        current.entitlements.clone_from(entitlements);
    }
    lay(&mut current.store, store.as_ref());
    lay(&mut current.period_type, period_type.as_ref());
    lay(&mut current.started_at, started_at.as_ref());
    lay(&mut current.period_start, period_start.as_ref());
    lay(&mut current.period_end, period_end.as_ref());
    lay(&mut current.expires_at, expires_at.as_ref());
    lay(&mut current.grace_expires_at, grace_expires_at.as_ref());
    lay(&mut current.auto_resume_at, auto_resume_at.as_ref());
    lay(&mut current.trial_ends_at, trial_ends_at.as_ref());
    lay(&mut current.auto_renew, auto_renew.as_ref());
    lay(&mut current.cancel_reason, cancel_reason.as_ref());
    lay(&mut current.expiration_reason, expiration_reason.as_ref());
}

fn lay<T: Clone>(known: &mut Option<T>, shown: Option<&T>) {
    if let Some(shown) = shown {
        *known = Some(shown.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Timestamp;

    #[test]
    fn what_is_not_shown_stays_as_it_was_known() {
        let mut current = Subscription {
            id: "one".to_owned(),
            product_id: Some("monthly".to_owned()),
            entitlements: vec!["pro".to_owned()],
            ..Subscription::default()
        };
        let shown = Subscription {
            id: "one".to_owned(),
            expires_at: Some(Timestamp::from_millis(5)),
            ..Subscription::default()
        };
        lay_over(&mut current, &shown);
        assert_eq!(current.product_id.as_deref(), Some("monthly"));
        assert_eq!(current.entitlements, ["pro"]);
        assert_eq!(current.expires_at, Some(Timestamp::from_millis(5)));
    }
}
