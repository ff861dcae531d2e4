//! What an event of our vocabulary does to a subscription, where its producer does not say.

use schemas::state::SubscriptionState;
use schemas::vocabulary::PeriodType;
use schemas::{EventType, Status};

/// What a type does.
enum Effect {
    /// It runs, in this kind of period where the type says one.
    Runs(Option<PeriodType>),
    /// It runs at full price, unless the event shows another kind of period.
    Converts,
    /// It will not renew.
    CancelScheduled,
    /// It renews again.
    CancelWithdrawn,
    /// Billing trouble with access kept.
    Grace,
    /// Billing trouble without access.
    BillingRetry,
    /// Paused by the customer.
    Pauses,
    /// Charges are suspended.
    CollectionPauses,
    /// Charges go on.
    CollectionResumes,
    /// It is over.
    Ends,
    /// Nothing that status depends on.
    None,
}

fn effect(event_type: EventType) -> Effect {
    match event_type {
        EventType::SubscriptionStarted
        | EventType::SubscriptionRenewed
        | EventType::SubscriptionReactivated
        | EventType::SubscriptionReceived
        | EventType::SubscriptionResumed
        | EventType::RecoveredFromGracePeriod
        | EventType::RecoveredFromBillingRetry => Effect::Runs(None),
        EventType::TrialStarted => Effect::Runs(Some(PeriodType::Trial)),
        EventType::IntroOfferStarted
        | EventType::PromoCodeStarted
        | EventType::PromotionalOfferStarted => Effect::Runs(Some(PeriodType::Intro)),
        EventType::TrialConverted
        | EventType::IntroOfferConverted
        | EventType::PromoCodeConverted
        | EventType::PromotionalOfferConverted => Effect::Converts,
        EventType::RenewalDisabled => Effect::CancelScheduled,
        EventType::RenewalEnabled => Effect::CancelWithdrawn,
        EventType::GracePeriodStarted => Effect::Grace,
        EventType::GracePeriodEnded | EventType::BillingRetryStarted => Effect::BillingRetry,
        EventType::SubscriptionPaused => Effect::Pauses,
        EventType::PaymentCollectionPaused => Effect::CollectionPauses,
        EventType::PaymentCollectionResumed => Effect::CollectionResumes,
        EventType::TrialNotConverted
        | EventType::IntroOfferNotConverted
        | EventType::PromoCodeNotConverted
        | EventType::PromotionalOfferNotConverted
        | EventType::SubscriptionExpired
        | EventType::SubscriptionRefunded
        | EventType::SubscriptionTransferred
        | EventType::FamilySharingRevoked
        | EventType::CancelledDuringGracePeriod
        | EventType::CancelledDuringPause => Effect::Ends,
        EventType::SubscriptionDeferred
        | EventType::SubscriptionStartFailed
        | EventType::TrialEnding
        | EventType::TrialExtended
        | EventType::SubscriptionUpgraded
        | EventType::SubscriptionDowngraded
        | EventType::SubscriptionCrossgraded
        | EventType::PlanChangeScheduled
        | EventType::QuantityChanged
        | EventType::RenewalUpcoming
        | EventType::PriceConsentRequired
        | EventType::PriceConsentGiven
        | EventType::PaymentFailed
        | EventType::PaymentActionRequired
        | EventType::PauseScheduled
        | EventType::PauseCancelled
        | EventType::PurchaseTransferred
        | EventType::PurchaseReceived
        | EventType::PaymentRefunded
        | EventType::RefundReversed
        | EventType::DisputeOpened
        | EventType::DisputeWon
        | EventType::DisputeLost
        | EventType::PurchaseCompleted
        | EventType::TransactionProcessed
        | EventType::EntitlementGranted
        | EventType::EntitlementRevoked
        | EventType::CustomerCreated
        | EventType::CustomerUpdated
        | EventType::CustomerDeleted
        | EventType::CustomerMerged
        | EventType::CheckoutAbandoned
        | EventType::CheckoutRecovered
        | EventType::ProviderEvent
        | EventType::Unknown => Effect::None,
    }
}

/// Moves the state, and the status with it, by the event's type. `shown` is the period the event shows.
pub(super) fn apply(
    next: &mut SubscriptionState,
    event_type: EventType,
    shown: Option<PeriodType>,
) {
    match effect(event_type) {
        Effect::Runs(period_type) => runs(next, period_type.or(shown)),
        Effect::Converts => runs(next, shown.or(Some(PeriodType::Normal))),
        Effect::CancelScheduled => {
            next.cancel_scheduled = true;
            next.current.auto_renew = Some(false);
        }
        Effect::CancelWithdrawn => {
            next.cancel_scheduled = false;
            next.current.cancel_reason = None;
            next.current.auto_renew = Some(true);
        }
        Effect::Grace => next.in_grace = true,
        Effect::BillingRetry => {
            next.in_grace = false;
            next.in_billing_retry = true;
        }
        Effect::Pauses => next.paused = true,
        Effect::CollectionPauses => next.collection_paused = true,
        Effect::CollectionResumes => next.collection_paused = false,
        Effect::Ends => ends(next),
        Effect::None => return,
    }
    next.current.status = Some(standing(next));
}

/// It runs, in a period of this kind or as before; what hung over is cleared.
fn runs(next: &mut SubscriptionState, period_type: Option<PeriodType>) {
    next.cancel_scheduled = false;
    next.in_grace = false;
    next.in_billing_retry = false;
    next.paused = false;
    next.ended = false;
    let current = &mut next.current;
    current.cancel_reason = None;
    current.expiration_reason = None;
    current.grace_expires_at = None;
    current.auto_resume_at = None;
    // Whether it renews is not said by running; but what was switched off before is not any more.
    current.auto_renew = current.auto_renew.map(|_| true);
    current.period_type = period_type.or(current.period_type);
    next.trial_open = next.current.period_type == Some(PeriodType::Trial);
    next.intro_open = next.current.period_type == Some(PeriodType::Intro);
}

fn ends(next: &mut SubscriptionState) {
    next.in_grace = false;
    next.in_billing_retry = false;
    next.paused = false;
    next.trial_open = false;
    next.intro_open = false;
    next.ended = true;
    next.current.auto_renew = Some(false);
}

fn standing(state: &SubscriptionState) -> Status {
    let period_type = state.current.period_type;
    let trial = period_type == Some(PeriodType::Trial);
    let promotional = period_type == Some(PeriodType::Promotional);
    match state {
        SubscriptionState { ended: true, .. } if promotional => Status::ExpiredPromotional,
        SubscriptionState { ended: true, .. }
        | SubscriptionState { in_billing_retry: true, .. } => Status::Expired,
        SubscriptionState { paused: true, .. } => Status::Paused,
        SubscriptionState { in_grace: true, .. } if trial => Status::GracePeriodTrial,
        SubscriptionState { in_grace: true, .. } => Status::GracePeriod,
        SubscriptionState { cancel_scheduled: true, .. } if trial => Status::CancelledTrial,
        SubscriptionState { cancel_scheduled: true, .. } => Status::Cancelled,
        _ if trial => Status::Trial,
        _ if promotional => Status::Promotional,
        _ if period_type == Some(PeriodType::Intro) => Status::Intro,
        _ => Status::Active,
    }
}
