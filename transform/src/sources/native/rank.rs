//! Causal rank among native events of the same millisecond: the person, the subscription, its offer,
//! the money, and the end last.

use schemas::EventType;

/// The rank of an event type.
pub(super) fn rank(event_type: EventType) -> i32 {
    match event_type.name() {
        "customer_deleted" => 70,
        "entitlement_revoked" => 60,
        "subscription_expired"
        | "subscription_refunded"
        | "subscription_transferred"
        | "family_sharing_revoked"
        | "purchase_transferred" => 50,
        "payment_refunded" | "transaction_processed" => 40,
        name if is_of_an_offer(name) => 30,
        "entitlement_granted" => 10,
        name if name.starts_with("customer_") || name.starts_with("checkout_") => 0,
        _ => 20,
    }
}

fn is_of_an_offer(name: &str) -> bool {
    ["trial_", "intro_offer_", "promo_code_", "promotional_offer_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_come_before_effects() {
        let order = [
            EventType::CustomerCreated,
            EventType::EntitlementGranted,
            EventType::SubscriptionStarted,
            EventType::TrialStarted,
            EventType::TransactionProcessed,
            EventType::SubscriptionExpired,
            EventType::EntitlementRevoked,
            EventType::CustomerDeleted,
        ];
        assert!(order.map(rank).is_sorted_by(|earlier, later| earlier < later));
    }
}
