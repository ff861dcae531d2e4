//! Purchasely → Customer.io: its own event names, which an operator may change there too.
//!
//! Its page names ten of them and points to the full list. Both are followed where they agree. Where the
//! page says `SUBSCRIPTION_EXPIRED` and the list `SUBSCRIPTION_TERMINATED`, it is the page: it is the one
//! about Customer.io. `ACTIVATE` and `DEACTIVATE` are on neither, because they switch access and tell
//! nobody anything; they are sent to whoever asks. The page names no attributes, so they are ours; of
//! those that go with an event the list names one.

use schemas::LifecycleEvent;

use super::values::{of_subscription, rfc3339};
use super::{Content, Field, Integration, Rest, Row};
use crate::destinations::{Recipient, Shown};

pub(super) const TO_CUSTOMERIO: Integration = Integration {
    rows: &[
        Row::new("SUBSCRIPTION_TERMINATED", "SUBSCRIPTION_EXPIRED"),
        Row::new("SUBSCRIPTION_REFUNDED", "SUBSCRIPTION_REFUNDED_REVOKED"),
        Row::new("SUBSCRIPTION_DEFERRED", "SUBSCRIPTION_DEFERRED").saying(Content::OursAnd(&[
            Field::new("defer_end_at", "end of the free extension, RFC 3339", deferred_until),
        ])),
        Row::new("ACTIVATE", "ACTIVATE").optional(),
        Row::new("DEACTIVATE", "DEACTIVATE").optional(),
    ],
    rest: Rest::OwnName {
        facts: Content::Ours,
        attributes: Content::Ours,
        recipient: Recipient::Configured,
    },
};

fn deferred_until(event: &LifecycleEvent) -> Shown {
    rfc3339(of_subscription(event, |subscription| subscription.expires_at))
}
