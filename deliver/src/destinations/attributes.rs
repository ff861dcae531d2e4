//! What a destination shows about a person.
//!
//! The status is that of the whole person. What belongs to a subscription is that of the subscription
//! the latest event spoke of; an event without one leaves it as it is.
//!
//! | attribute | meaning | type |
//! |---|---|---|
//! | `subscription_status` | status of the best subscription | text |
//! | `product_id` `plan_id` | what was bought | text |
//! | `store` `period_type` `entitlements` | where, what kind of period, what it opens | text |
//! | `quantity` | how many | whole number |
//! | `auto_renew` | whether it renews by itself | yes or no |
//! | `started_at` `expires_at` | first start, end of access unless renewed | Unix seconds |
//! | `trial_ends_at` `grace_expires_at` `auto_resume_at` | ends of trial, grace and pause; cleared when over | Unix seconds |
//! | `cancel_reason` `expiration_reason` | why; cleared when it no longer holds | text |
//! | `total_spent` | all money moved, in major units | number |
//! | `total_spent_currency` | its currency | text |

use schemas::LifecycleEvent;
use schemas::event::Subscription;
use strum::{Display, EnumIter, EnumString, IntoStaticStr, VariantNames};

use super::metadata::Fact;

/// An attribute of a person.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Display,
    EnumIter,
    EnumString,
    IntoStaticStr,
    VariantNames,
)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "the table of the module says what each means")]
pub enum Attribute {
    SubscriptionStatus,
    ProductId,
    PlanId,
    Store,
    PeriodType,
    Entitlements,
    Quantity,
    AutoRenew,
    StartedAt,
    ExpiresAt,
    TrialEndsAt,
    GraceExpiresAt,
    AutoResumeAt,
    CancelReason,
    ExpirationReason,
    TotalSpent,
    TotalSpentCurrency,
}

/// How a destination that wants to know declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DataType {
    /// Text.
    Text,
    /// A whole number.
    Whole,
    /// Any number.
    Number,
    /// Yes or no.
    Flag,
    /// Unix seconds.
    Moment,
}

/// What an event says about an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// Nothing.
    Unsaid,
    /// It does not hold any more.
    Cleared,
    /// This is it.
    Is(Fact),
}

impl Attribute {
    /// Our name of it.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Its type.
    pub fn data_type(self) -> DataType {
        match self {
            Self::SubscriptionStatus
            | Self::ProductId
            | Self::PlanId
            | Self::Store
            | Self::PeriodType
            | Self::Entitlements
            | Self::CancelReason
            | Self::ExpirationReason
            | Self::TotalSpentCurrency => DataType::Text,
            Self::Quantity => DataType::Whole,
            Self::AutoRenew => DataType::Flag,
            Self::StartedAt
            | Self::ExpiresAt
            | Self::TrialEndsAt
            | Self::GraceExpiresAt
            | Self::AutoResumeAt => DataType::Moment,
            Self::TotalSpent => DataType::Number,
        }
    }

    /// What `event` says about it.
    pub fn shown(self, event: &LifecycleEvent) -> Shown {
        let person = &event.subscriber;
        let total = person.total_spent.as_ref();
        let known = match self {
            Self::SubscriptionStatus => person.status.map(|status| word(status.name())),
            Self::TotalSpent => total.cloned().map(Fact::Money),
            Self::TotalSpentCurrency => total.map(|money| word(&money.currency)),
            Self::ProductId
            | Self::PlanId
            | Self::Store
            | Self::PeriodType
            | Self::Entitlements
            | Self::Quantity
            | Self::AutoRenew
            | Self::StartedAt
            | Self::ExpiresAt
            | Self::TrialEndsAt
            | Self::GraceExpiresAt
            | Self::AutoResumeAt
            | Self::CancelReason
            | Self::ExpirationReason => match &event.subscription {
                None => return Shown::Unsaid,
                Some(subscription) => match self.of_subscription(subscription) {
                    None if self.lapses() => return Shown::Cleared,
                    known => known,
                },
            },
        };
        known.map_or(Shown::Unsaid, Shown::Is)
    }

    /// Whether its absence means that it is over, rather than that nobody said.
    fn lapses(self) -> bool {
        matches!(
            self,
            Self::TrialEndsAt
                | Self::GraceExpiresAt
                | Self::AutoResumeAt
                | Self::CancelReason
                | Self::ExpirationReason
        )
    }

    fn of_subscription(self, subscription: &Subscription) -> Option<Fact> {
        let text = |value: &Option<String>| value.as_deref().map(word);
        match self {
            Self::SubscriptionStatus | Self::TotalSpent | Self::TotalSpentCurrency => None,
            Self::ProductId => text(&subscription.product_id),
            Self::PlanId => text(&subscription.plan_id),
            Self::Store => subscription.store.map(|store| word(store.name())),
            Self::PeriodType => subscription.period_type.map(|kind| word(kind.name())),
            Self::Entitlements => Some(&subscription.entitlements)
                .filter(|entitlements| !entitlements.is_empty())
                .map(|entitlements| Fact::Text(entitlements.join(","))),
            Self::Quantity => subscription.quantity.map(Fact::Number),
            Self::AutoRenew => subscription.auto_renew.map(Fact::Flag),
            Self::StartedAt => subscription.started_at.map(Fact::Moment),
            Self::ExpiresAt => subscription.expires_at.map(Fact::Moment),
            Self::TrialEndsAt => subscription.trial_ends_at.map(Fact::Moment),
            Self::GraceExpiresAt => subscription.grace_expires_at.map(Fact::Moment),
            Self::AutoResumeAt => subscription.auto_resume_at.map(Fact::Moment),
            Self::CancelReason => text(&subscription.cancel_reason),
            Self::ExpirationReason => text(&subscription.expiration_reason),
        }
    }
}

fn word(text: &str) -> Fact {
    Fact::Text(text.to_owned())
}
