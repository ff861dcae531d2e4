//! What RevenueCat's facts mean, held against what is known of the subscription.
//!
//! One function a row of the vocabulary's table. Purchases are in `purchase`, refunds in `refund`;
//! here is what happens to a subscription in between, and its end.

use schemas::event::Offer;
use schemas::state::{Facts, SubscriptionFacts, SubscriptionState};
use schemas::vocabulary::{OfferKind, PeriodType};
use schemas::{EventType, Money, Status};

use super::super::overlay::{continued, lay_over, stored};
use super::super::{Decision, Draft, Known};
use super::{detail, period, purchase, refund};

/// Names of what is remembered in `SubscriptionState::told`.
pub(super) mod told {
    /// The end of the period whose expiration was told.
    pub(in super::super) const EXPIRED: &str = "expired";
    /// When the pause that was announced ends.
    pub(in super::super) const PAUSE: &str = "pause_scheduled";
    /// The latest word about consent to a price.
    pub(in super::super) const PRICE_CONSENT: &str = "price_consent";
    /// The trial ended unconverted.
    pub(in super::super) const TRIAL_NOT_CONVERTED: &str = "trial_not_converted";
    /// The transaction of a temporary grant that no purchase has followed.
    pub(in super::super) const GRANT: &str = "temporary_grant";
    /// The subscription whose announced change of product this one carried out.
    pub(in super::super) const CHANGED_FROM: &str = "changed_from";
}

/// A mapper's question with everything that bears on it.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    /// What was read.
    pub(super) facts: &'a Facts,
    /// What it says about the subscription.
    pub(super) told: &'a SubscriptionFacts,
    /// What was known.
    pub(super) known: &'a Known<'a>,
}

impl<'a> Question<'a> {
    /// The state to continue from, with what is shown laid over it.
    pub(super) fn next(&self) -> SubscriptionState {
        let shown = &self.told.shown;
        let mut next = continued(self.known.subscription, self.facts, &shown.id);
        if self.known.subscription.is_none() {
            next.trial_open = period::is_trial(shown);
            next.intro_open = shown.period_type == Some(PeriodType::Intro);
        }
        let (product, started_at) = (next.current.product_id.clone(), next.current.started_at);
        lay_over(&mut next.current, shown);
        // Only a purchase changes the product: elsewhere it may be that of an older transaction.
        next.current.product_id = product.or_else(|| shown.product_id.clone());
        next.current.started_at = started_at.or(shown.started_at);
        next
    }

    /// The subscriber's other subscriptions of this environment, as far as they are older news.
    pub(super) fn others(&self) -> impl Iterator<Item = &'a SubscriptionState> + use<'a> {
        let (facts, id) = (self.facts, &self.told.shown.id);
        self.known.subscriber.subscriptions.iter().filter(move |state| {
            state.environment == facts.environment
                && state.current.id != *id
                && state.facts_at <= facts.occurred_at
        })
    }

    /// Whether a condition holds for what was known; never when nothing was, or the event is late.
    pub(super) fn was(&self, condition: impl FnOnce(&SubscriptionState) -> bool) -> bool {
        self.known.subscription.is_some_and(condition)
    }
}

/// Says what the facts mean.
pub(super) fn decide(facts: &Facts, known: &Known<'_>) -> Decision {
    let Some(told) = &facts.subscription else {
        return without_subscription(facts);
    };
    let question = Question { facts, told, known };
    match facts.provider_event_type.as_str() {
        "INITIAL_PURCHASE" => purchase::first(question),
        "RENEWAL" => purchase::renewal(question),
        "NON_RENEWING_PURCHASE" if facts.details.contains_key(detail::ONE_TIME) => {
            without_subscription(facts)
        }
        "NON_RENEWING_PURCHASE" => purchase::granted(question),
        "TEMPORARY_ENTITLEMENT_GRANT" => purchase::temporary_grant(question),
        "CANCELLATION" => cancellation(question),
        "UNCANCELLATION" => uncancellation(question),
        "BILLING_ISSUE" => billing_issue(question),
        "EXPIRATION" => expiration(question),
        "SUBSCRIPTION_PAUSED" => pause_announced(question),
        "PRODUCT_CHANGE" => product_change(question),
        "SUBSCRIPTION_EXTENDED" => extended(question),
        "REFUND_REVERSED" => refund::reversed(question),
        "PRICE_INCREASE_CONSENT_REQUIRED" => {
            price_consent(question, EventType::PriceConsentRequired)
        }
        "PRICE_INCREASE_CONSENT_APPROVED" => price_consent(question, EventType::PriceConsentGiven),
        _ => without_subscription(facts),
    }
}

/// What speaks of the person or of a one-time purchase.
fn without_subscription(facts: &Facts) -> Decision {
    let events = match facts.provider_event_type.as_str() {
        "NON_RENEWING_PURCHASE" => vec![EventType::PurchaseCompleted],
        "SUBSCRIBER_ALIAS" => vec![EventType::CustomerMerged],
        "PRICE_INCREASE_CONSENT_REQUIRED" => vec![EventType::PriceConsentRequired],
        "PRICE_INCREASE_CONSENT_APPROVED" => vec![EventType::PriceConsentGiven],
        _ => vec![EventType::ProviderEvent],
    };
    let money = facts.money.clone().filter(|_| events == [EventType::PurchaseCompleted]);
    Decision { subscription: None, ..events_with(facts, events, money, None) }
}

fn cancellation(question: Question<'_>) -> Decision {
    let facts = question.facts;
    if facts.reason.as_deref() == Some("CUSTOMER_SUPPORT") {
        return refund::refunded(question);
    }
    let mut next = question.next();
    let status = next.current.status;
    if question.was(|state| state.ended) {
        return Decision::ignored("already_ended", Some(next));
    }
    if facts.reason.as_deref() == Some("BILLING_ERROR") {
        // The customer cancelled nothing: BILLING_ISSUE tells what this means.
        next.current.cancel_reason = None;
        keep_status(&mut next, facts, status);
        return events_with(facts, vec![EventType::ProviderEvent], None, Some(next));
    }
    next.cancel_scheduled = true;
    next.current.auto_renew = Some(false);
    let standing = period::standing(&next, facts.occurred_at);
    let moved =
        matches!(standing, Status::Cancelled | Status::CancelledTrial | Status::Promotional);
    next.current.status = if moved { Some(standing) } else { status.or(Some(standing)) };
    if question.was(|state| state.cancel_scheduled) {
        return Decision::ignored("no_lifecycle_change", Some(next));
    }
    events_with(facts, vec![EventType::RenewalDisabled], None, Some(next))
}

fn uncancellation(question: Question<'_>) -> Decision {
    let mut next = question.next();
    if question.was(|state| state.ended) {
        return Decision::ignored("already_ended", Some(next));
    }
    next.cancel_scheduled = false;
    next.current.cancel_reason = None;
    next.current.auto_renew = Some(true);
    next.current.status = Some(period::standing(&next, question.facts.occurred_at));
    if question.was(|state| !state.cancel_scheduled) {
        return Decision::ignored("no_lifecycle_change", Some(next));
    }
    events_with(question.facts, vec![EventType::RenewalEnabled], None, Some(next))
}

/// A payment failed. It may arrive, or even happen, after the expiration it announces: grace is then
/// over before it was told, and the subscription is not revived.
fn billing_issue(question: Question<'_>) -> Decision {
    let facts = question.facts;
    let mut next = question.next();
    let status = next.current.status;
    let grace_runs =
        question.told.shown.grace_expires_at.is_some_and(|end| end > facts.occurred_at);
    let lost = question.was(|state| state.ended || state.in_billing_retry);
    let mut events = vec![EventType::PaymentFailed];
    if grace_runs && !lost {
        if !question.was(|state| state.in_grace) {
            events.push(EventType::GracePeriodStarted);
        }
        next.in_grace = true;
        next.current.status = Some(period::standing(&next, facts.occurred_at));
    } else {
        keep_status(&mut next, facts, status);
    }
    events_with(facts, events, None, Some(next))
}

fn expiration(question: Question<'_>) -> Decision {
    let facts = question.facts;
    let mut next = question.next();
    let reason = facts.reason.as_deref();
    if let Some(revoked) = grant_without_purchase(question) {
        return revoked;
    }
    if reason == Some("SUBSCRIPTION_PAUSED") && !period::is_promotional(&next.current) {
        return paused(question, next);
    }
    let recoverable = reason == Some("BILLING_ERROR") && !period::is_promotional(&next.current);
    next.ended = next.ended || !recoverable;
    next.in_billing_retry = recoverable && !next.ended;
    next.in_grace = false;
    next.paused = false;
    next.current.auto_renew = if recoverable { next.current.auto_renew } else { Some(false) };
    next.current.status = Some(period::standing(&next, facts.occurred_at));
    let end = end_of(&question.told.shown);
    let told_late = stored(question.known, facts.environment, &next.current.id)
        .is_some_and(|state| state.told.get(told::EXPIRED) == Some(&end));
    if next.told.contains_key(told::EXPIRED) || told_late {
        return Decision::ignored("no_lifecycle_change", Some(next));
    }
    next.told.insert(told::EXPIRED.to_owned(), end);
    let mut events = Vec::new();
    if !period::is_promotional(&next.current) {
        if period::is_trial(&next.current) {
            events.push(EventType::TrialNotConverted);
            next.told.insert(told::TRIAL_NOT_CONVERTED.to_owned(), String::new());
        }
        if next.current.period_type == Some(PeriodType::Intro) {
            events.push(EventType::IntroOfferNotConverted);
        }
        if question.was(|state| state.in_grace) {
            events.push(EventType::GracePeriodEnded);
        }
    }
    next.trial_open = false;
    // While it may recover, its first full-price renewal still converts the offer.
    next.intro_open = next.intro_open && !next.ended;
    events.push(EventType::SubscriptionExpired);
    events_with(facts, events, None, Some(next))
}

/// What RevenueCat's events would have left of a subscription that an import tells: that its end was told.
pub(super) fn imported(state: &mut SubscriptionState) {
    if state.ended || state.in_billing_retry {
        state.told.insert(told::EXPIRED.to_owned(), end_of(&state.current));
    }
}

/// The end of a pause's first part: access stops, and a renewal brings it back.
fn paused(question: Question<'_>, mut next: SubscriptionState) -> Decision {
    if question.was(|state| state.ended) {
        return Decision::ignored("already_ended", Some(next));
    }
    next.paused = true;
    next.in_grace = false;
    next.told.remove(told::PAUSE);
    next.current.status = Some(Status::Paused);
    if question.was(|state| state.paused) {
        return Decision::ignored("no_lifecycle_change", Some(next));
    }
    events_with(question.facts, vec![EventType::SubscriptionPaused], None, Some(next))
}

/// The end of access that was granted while the store could not be asked, and that no purchase
/// followed. The grant may have been told under another id: the transaction is what they share.
fn grant_without_purchase(question: Question<'_>) -> Option<Decision> {
    let transaction = question.facts.details.get(detail::TRANSACTION);
    let is_grant = |state: &SubscriptionState| state.told.contains_key(told::GRANT);
    let same_transaction = |state: &SubscriptionState| {
        transaction.is_some() && state.told.get(told::GRANT) == transaction
    };
    let granted = match question.known.subscription {
        Some(state) => is_grant(state),
        None => question.others().any(same_transaction),
    };
    if !granted {
        return None;
    }
    let mut next = question.next();
    next.told.remove(told::GRANT);
    next.current.status = None;
    Some(events_with(question.facts, vec![EventType::EntitlementRevoked], None, Some(next)))
}

/// A pause is announced; access continues until the period ends.
fn pause_announced(question: Question<'_>) -> Decision {
    let mut next = question.next();
    let status = next.current.status;
    keep_status(&mut next, question.facts, status);
    let until = question.told.shown.auto_resume_at.map(|moment| moment.millis().to_string());
    let until = until.unwrap_or_default();
    if next.told.insert(told::PAUSE.to_owned(), until.clone()) == Some(until) {
        return Decision::ignored("no_lifecycle_change", Some(next));
    }
    events_with(question.facts, vec![EventType::PauseScheduled], None, Some(next))
}

/// A change of product, in effect now or later: what comes next (RENEWAL at Apple, INITIAL_PURCHASE at
/// Google) carries it out.
fn product_change(question: Question<'_>) -> Decision {
    let mut next = question.next();
    let status = next.current.status;
    keep_status(&mut next, question.facts, status);
    let new = question.facts.details.get(detail::NEW_PRODUCT);
    let has_it =
        |state: &SubscriptionState| !state.ended && state.current.product_id.as_ref() == new;
    if new.is_some() && (question.was(has_it) || question.others().any(has_it)) {
        return Decision::ignored("already_in_effect", Some(next));
    }
    if new.is_some() && next.pending_product.as_ref() == new {
        return Decision::ignored("no_lifecycle_change", Some(next));
    }
    next.pending_product = new.cloned();
    let mut decision =
        events_with(question.facts, vec![EventType::PlanChangeScheduled], None, Some(next));
    for draft in &mut decision.events {
        draft.reason = new.cloned();
    }
    decision
}

fn extended(question: Question<'_>) -> Decision {
    let mut next = question.next();
    let status = next.current.status;
    keep_status(&mut next, question.facts, status);
    let end = question.told.shown.expires_at;
    let not_later = |state: &SubscriptionState| {
        state.current.expires_at.is_some_and(|known| end.is_none_or(|end| end <= known))
    };
    if question.was(not_later) {
        return Decision::ignored("no_lifecycle_change", Some(next));
    }
    events_with(question.facts, vec![EventType::SubscriptionDeferred], None, Some(next))
}

fn price_consent(question: Question<'_>, event: EventType) -> Decision {
    let mut next = question.next();
    let status = next.current.status;
    keep_status(&mut next, question.facts, status);
    let word = event.name().to_owned();
    if next.told.insert(told::PRICE_CONSENT.to_owned(), word.clone()) == Some(word) {
        return Decision::ignored("no_lifecycle_change", Some(next));
    }
    events_with(question.facts, vec![event], None, Some(next))
}

/// Leaves the status as it was; where none was known it is what the period says.
pub(super) fn keep_status(next: &mut SubscriptionState, facts: &Facts, was: Option<Status>) {
    let temporary = next.told.contains_key(told::GRANT);
    next.current.status =
        was.or_else(|| (!temporary).then(|| period::standing(next, facts.occurred_at)));
}

/// The end of a period, as it is remembered.
fn end_of(shown: &schemas::event::Subscription) -> String {
    shown.expires_at.map_or_else(String::new, |end| end.millis().to_string())
}

/// The decision that these events happened, each once; `money` adds the movement. Both the first event
/// and the movement carry the amount, so that a destination that is told only the first knows it.
pub(super) fn events_with(
    facts: &Facts,
    events: Vec<EventType>,
    money: Option<Money>,
    subscription: Option<SubscriptionState>,
) -> Decision {
    let money = money.filter(|money| money.amount != 0);
    let mut drafts: Vec<Draft> = Vec::with_capacity(events.len() + 1);
    let movement = money.is_some().then_some(EventType::TransactionProcessed);
    for event_type in events.into_iter().chain(movement) {
        if drafts.iter().any(|draft| draft.event_type == event_type) {
            continue;
        }
        let carries = drafts.is_empty() || event_type == EventType::TransactionProcessed;
        drafts.push(Draft {
            event_type,
            money: money.clone().filter(|_| carries),
            offer: offer_of(event_type, facts),
            transfer: None,
            reason: facts.reason.clone(),
        });
    }
    let ignored = drafts.is_empty().then_some("no_lifecycle_change");
    Decision { events: drafts, subscription, ignored, ..Decision::default() }
}

/// The offer an event speaks of: a conversion speaks of the one that ends, which the period no longer
/// shows.
fn offer_of(event_type: EventType, facts: &Facts) -> Option<Offer> {
    let ended = |kind| Some(Offer { kind, id: None });
    if event_type == EventType::TrialConverted {
        ended(OfferKind::FreeTrial)
    } else if event_type == EventType::IntroOfferConverted {
        ended(OfferKind::IntroOffer)
    } else {
        facts.offer.clone()
    }
}
