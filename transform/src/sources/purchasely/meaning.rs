//! Purchasely's names in our words.

use schemas::EventType;
use schemas::vocabulary::OfferKind;

use super::super::Treatment;

/// Every event Purchasely is known to send.
pub(super) const TREATMENTS: &[(&str, Treatment)] = &[
    ("ACTIVATE", Treatment::Mapped),
    ("DEACTIVATE", Treatment::Mapped),
    ("SUBSCRIPTION_STARTED", Treatment::Mapped),
    ("TRIAL_STARTED", Treatment::Mapped),
    ("TRIAL_CONVERTED", Treatment::Mapped),
    ("TRIAL_NOT_CONVERTED", Treatment::Mapped),
    ("INTRO_OFFER_STARTED", Treatment::Mapped),
    ("INTRO_OFFER_CONVERTED", Treatment::Mapped),
    ("INTRO_OFFER_NOT_CONVERTED", Treatment::Mapped),
    ("PROMO_CODE_STARTED", Treatment::Mapped),
    ("PROMO_CODE_CONVERTED", Treatment::Mapped),
    ("PROMO_CODE_NOT_CONVERTED", Treatment::Mapped),
    ("PROMOTIONAL_OFFER_STARTED", Treatment::Mapped),
    ("PROMOTIONAL_OFFER_CONVERTED", Treatment::Mapped),
    ("PROMOTIONAL_OFFER_NOT_CONVERTED", Treatment::Mapped),
    ("SUBSCRIPTION_RENEWED", Treatment::Mapped),
    ("SUBSCRIPTION_REACTIVATED", Treatment::Mapped),
    ("SUBSCRIPTION_DEFERRED", Treatment::Mapped),
    ("SUBSCRIPTION_UPGRADED", Treatment::Mapped),
    ("SUBSCRIPTION_DOWNGRADED", Treatment::Mapped),
    ("SUBSCRIPTION_CROSSGRADED", Treatment::Mapped),
    ("SUBSCRIPTION_TERMINATED", Treatment::Mapped),
    ("SUBSCRIPTION_EXPIRED", Treatment::Mapped),
    ("RENEWAL_DISABLED", Treatment::Mapped),
    ("RENEWAL_ENABLED", Treatment::Mapped),
    ("GRACE_PERIOD_STARTED", Treatment::Mapped),
    ("GRACE_PERIOD_TERMINATED", Treatment::Mapped),
    ("ENTERED_BILLING_RETRY", Treatment::Mapped),
    ("SUBSCRIPTION_CANCELLED_DURING_GRACE_PERIOD", Treatment::Mapped),
    ("SUBSCRIPTION_RECOVERED_FROM_GRACE_PERIOD", Treatment::Mapped),
    ("SUBSCRIPTION_RECOVERED_FROM_BILLING_RETRY", Treatment::Mapped),
    ("SUBSCRIPTION_WILL_PAUSE", Treatment::Mapped),
    ("SUBSCRIPTION_PAUSED", Treatment::Mapped),
    ("SUBSCRIPTION_UNPAUSED", Treatment::Mapped),
    ("SUBSCRIPTION_CANCELLED_DURING_PAUSE", Treatment::Mapped),
    ("SUBSCRIPTION_WILL_NOT_PAUSE", Treatment::Mapped),
    ("SUBSCRIPTION_TRANSFERRED", Treatment::Mapped),
    ("SUBSCRIPTION_RECEIVED", Treatment::Mapped),
    ("ONE_TIME_PURCHASE_TRANSFERRED", Treatment::Mapped),
    ("ONE_TIME_PURCHASE_RECEIVED", Treatment::Mapped),
    ("SUBSCRIPTION_REFUNDED_REVOKED", Treatment::Mapped),
    ("SUBSCRIPTION_REFUNDED", Treatment::Mapped),
    ("FAMILY_SHARED_REVOKED", Treatment::Mapped),
    ("TRANSACTION_PROCESSED", Treatment::Mapped),
    // An App Store question to the app, and not yet anybody's decision.
    ("RETENTION_MESSAGE_REQUESTED", Treatment::Ignored("no_lifecycle_change")),
];

/// What an event means by its name alone; `None` for a name without a meaning of ours.
pub(super) fn meaning(name: &str) -> Option<EventType> {
    offer_event(name).map(|(event_type, _)| event_type).or_else(|| subscription_event(name))
}

/// The events of an offer, with the kind they speak of.
pub(super) fn offer_event(name: &str) -> Option<(EventType, OfferKind)> {
    Some(match name {
        "TRIAL_STARTED" => (EventType::TrialStarted, OfferKind::FreeTrial),
        "TRIAL_CONVERTED" => (EventType::TrialConverted, OfferKind::FreeTrial),
        "TRIAL_NOT_CONVERTED" => (EventType::TrialNotConverted, OfferKind::FreeTrial),
        "INTRO_OFFER_STARTED" => (EventType::IntroOfferStarted, OfferKind::IntroOffer),
        "INTRO_OFFER_CONVERTED" => (EventType::IntroOfferConverted, OfferKind::IntroOffer),
        "INTRO_OFFER_NOT_CONVERTED" => (EventType::IntroOfferNotConverted, OfferKind::IntroOffer),
        "PROMO_CODE_STARTED" => (EventType::PromoCodeStarted, OfferKind::PromoCode),
        "PROMO_CODE_CONVERTED" => (EventType::PromoCodeConverted, OfferKind::PromoCode),
        "PROMO_CODE_NOT_CONVERTED" => (EventType::PromoCodeNotConverted, OfferKind::PromoCode),
        "PROMOTIONAL_OFFER_STARTED" => {
            (EventType::PromotionalOfferStarted, OfferKind::PromotionalOffer)
        }
        "PROMOTIONAL_OFFER_CONVERTED" => {
            (EventType::PromotionalOfferConverted, OfferKind::PromotionalOffer)
        }
        "PROMOTIONAL_OFFER_NOT_CONVERTED" => {
            (EventType::PromotionalOfferNotConverted, OfferKind::PromotionalOffer)
        }
        _ => return None,
    })
}

fn subscription_event(name: &str) -> Option<EventType> {
    Some(match name {
        "ACTIVATE" => EventType::EntitlementGranted,
        "DEACTIVATE" => EventType::EntitlementRevoked,
        "SUBSCRIPTION_STARTED" => EventType::SubscriptionStarted,
        "SUBSCRIPTION_RENEWED" => EventType::SubscriptionRenewed,
        "SUBSCRIPTION_REACTIVATED" => EventType::SubscriptionReactivated,
        "SUBSCRIPTION_DEFERRED" => EventType::SubscriptionDeferred,
        "SUBSCRIPTION_UPGRADED" => EventType::SubscriptionUpgraded,
        "SUBSCRIPTION_DOWNGRADED" => EventType::SubscriptionDowngraded,
        "SUBSCRIPTION_CROSSGRADED" => EventType::SubscriptionCrossgraded,
        "SUBSCRIPTION_TERMINATED" | "SUBSCRIPTION_EXPIRED" => EventType::SubscriptionExpired,
        "RENEWAL_DISABLED" => EventType::RenewalDisabled,
        "RENEWAL_ENABLED" => EventType::RenewalEnabled,
        "GRACE_PERIOD_STARTED" => EventType::GracePeriodStarted,
        "GRACE_PERIOD_TERMINATED" => EventType::GracePeriodEnded,
        "ENTERED_BILLING_RETRY" => EventType::BillingRetryStarted,
        "SUBSCRIPTION_CANCELLED_DURING_GRACE_PERIOD" => EventType::CancelledDuringGracePeriod,
        "SUBSCRIPTION_RECOVERED_FROM_GRACE_PERIOD" => EventType::RecoveredFromGracePeriod,
        "SUBSCRIPTION_RECOVERED_FROM_BILLING_RETRY" => EventType::RecoveredFromBillingRetry,
        "SUBSCRIPTION_WILL_PAUSE" => EventType::PauseScheduled,
        "SUBSCRIPTION_PAUSED" => EventType::SubscriptionPaused,
        "SUBSCRIPTION_UNPAUSED" => EventType::SubscriptionResumed,
        "SUBSCRIPTION_CANCELLED_DURING_PAUSE" => EventType::CancelledDuringPause,
        "SUBSCRIPTION_WILL_NOT_PAUSE" => EventType::PauseCancelled,
        "SUBSCRIPTION_TRANSFERRED" => EventType::SubscriptionTransferred,
        "SUBSCRIPTION_RECEIVED" => EventType::SubscriptionReceived,
        "ONE_TIME_PURCHASE_TRANSFERRED" => EventType::PurchaseTransferred,
        "ONE_TIME_PURCHASE_RECEIVED" => EventType::PurchaseReceived,
        "SUBSCRIPTION_REFUNDED_REVOKED" | "SUBSCRIPTION_REFUNDED" => {
            EventType::SubscriptionRefunded
        }
        "FAMILY_SHARED_REVOKED" => EventType::FamilySharingRevoked,
        "TRANSACTION_PROCESSED" => EventType::TransactionProcessed,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_as_mapped_has_a_meaning_and_nothing_else_has() {
        for (name, treatment) in TREATMENTS {
            assert_eq!(meaning(name).is_some(), *treatment == Treatment::Mapped, "{name}");
        }
        assert_eq!(meaning("SOMETHING_NEW"), None);
    }

    #[test]
    fn the_offer_events_keep_their_names() {
        for (name, _) in TREATMENTS {
            if let Some((event_type, _)) = offer_event(name) {
                assert_eq!(event_type.name(), name.to_lowercase());
            }
        }
    }
}
