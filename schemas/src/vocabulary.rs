//! The closed lists of the lifecycle event: types, status, providers and the rest.
//!
//! Each is an Avro enum with a default, so that a reader of an older version survives a new symbol;
//! in Rust the default is also what an unknown symbol is read as.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumIter, EnumString, IntoStaticStr};

macro_rules! vocabulary {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            Display, EnumIter, EnumString, IntoStaticStr,
        )]
        #[serde(rename_all = "snake_case")]
        #[strum(serialize_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
            /// A symbol of a later version than this reader knows.
            #[serde(other)]
            Unknown,
        }

        impl $name {
            /// The symbol, as it stands in the schema, in names and in labels.
            pub fn name(self) -> &'static str {
                self.into()
            }
        }
    };
}

vocabulary! {
    /// What happened, in our words. `docs/` says what each means and what causes it.
    EventType {
        SubscriptionStarted, SubscriptionRenewed, SubscriptionReactivated, SubscriptionDeferred,
        SubscriptionExpired, SubscriptionStartFailed,
        TrialStarted, TrialConverted, TrialNotConverted,
        IntroOfferStarted, IntroOfferConverted, IntroOfferNotConverted,
        PromoCodeStarted, PromoCodeConverted, PromoCodeNotConverted,
        PromotionalOfferStarted, PromotionalOfferConverted, PromotionalOfferNotConverted,
        TrialEnding, TrialExtended,
        SubscriptionUpgraded, SubscriptionDowngraded, SubscriptionCrossgraded,
        PlanChangeScheduled, QuantityChanged,
        RenewalDisabled, RenewalEnabled, RenewalUpcoming,
        PriceConsentRequired, PriceConsentGiven,
        PaymentFailed, PaymentActionRequired,
        GracePeriodStarted, GracePeriodEnded, BillingRetryStarted,
        RecoveredFromGracePeriod, RecoveredFromBillingRetry, CancelledDuringGracePeriod,
        PauseScheduled, PauseCancelled, SubscriptionPaused, SubscriptionResumed,
        CancelledDuringPause, PaymentCollectionPaused, PaymentCollectionResumed,
        SubscriptionTransferred, SubscriptionReceived, PurchaseTransferred, PurchaseReceived,
        FamilySharingRevoked,
        PaymentRefunded, SubscriptionRefunded, RefundReversed,
        DisputeOpened, DisputeWon, DisputeLost,
        PurchaseCompleted, TransactionProcessed,
        EntitlementGranted, EntitlementRevoked,
        CustomerCreated, CustomerUpdated, CustomerDeleted, CustomerMerged,
        CheckoutAbandoned, CheckoutRecovered,
        ProviderEvent,
    }
}

vocabulary! {
    /// Status of one subscription, and of a subscriber as that of the best subscription.
    Status {
        Active, Intro, Cancelled, GracePeriod, Trial, CancelledTrial, GracePeriodTrial,
        Expired, Promotional, ExpiredPromotional, Paused,
    }
}

vocabulary! {
    /// Who announced it.
    Provider { Stripe, Dodo, Revenuecat, Purchasely, Native }
}

vocabulary! {
    /// Whether real money moves.
    Environment { Production, Sandbox }
}

vocabulary! {
    /// Where the subscription is sold.
    #[expect(clippy::enum_variant_names, reason = "the stores' own names")]
    Store {
        AppStore, MacAppStore, PlayStore, Amazon, HuaweiAppGallery, Stripe, Dodo, Paddle, RcBilling,
        Roku, Promotional, TestStore,
    }
}

vocabulary! {
    /// What kind of period the subscription is in.
    PeriodType { Normal, Trial, Intro, Promotional, Prepaid }
}

vocabulary! {
    /// What kind of offer an event speaks of.
    OfferKind { FreeTrial, IntroOffer, PromoCode, PromotionalOffer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn names_are_the_symbols_of_the_schema() {
        assert_eq!(EventType::RecoveredFromGracePeriod.name(), "recovered_from_grace_period");
        assert_eq!("cancelled_trial".parse(), Ok(Status::CancelledTrial));
        assert_eq!(EventType::iter().count(), 67 + 1);
        assert_eq!(Status::iter().count(), 11 + 1);
    }

    #[test]
    fn an_unknown_symbol_reads_as_unknown() {
        let read: EventType = serde_json::from_str("\"invented_in_2031\"").unwrap();
        assert_eq!(read, EventType::Unknown);
    }
}
