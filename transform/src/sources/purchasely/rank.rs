//! Causal rank among Purchasely events of the same millisecond: one fact of a store comes as several
//! events, from the access given to the access taken.

use super::meaning::offer_event;

/// The rank of an event type.
pub(super) fn rank(event_type: &str) -> i32 {
    match event_type {
        "ACTIVATE" => 0,
        "TRANSACTION_PROCESSED" => 30,
        "SUBSCRIPTION_TERMINATED"
        | "SUBSCRIPTION_EXPIRED"
        | "SUBSCRIPTION_REFUNDED_REVOKED"
        | "SUBSCRIPTION_REFUNDED"
        | "FAMILY_SHARED_REVOKED"
        | "SUBSCRIPTION_TRANSFERRED"
        | "ONE_TIME_PURCHASE_TRANSFERRED" => 40,
        "DEACTIVATE" => 50,
        name if offer_event(name).is_some() => 20,
        _ => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_come_before_effects() {
        let order = [
            "ACTIVATE",
            "SUBSCRIPTION_STARTED",
            "TRIAL_STARTED",
            "TRANSACTION_PROCESSED",
            "SUBSCRIPTION_TERMINATED",
            "DEACTIVATE",
        ];
        assert!(order.map(rank).is_sorted_by(|earlier, later| earlier < later));
    }
}
