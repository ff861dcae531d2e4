//! Causal rank among Dodo events of the same millisecond: the start, what became of it, what was paid
//! for it and given back, and the end last.

/// The rank of an event type; one that is not ordered stands before everything it may have caused.
pub(super) fn rank(event_type: &str) -> i32 {
    match event_type {
        "subscription.active" => 10,
        "subscription.plan_changed" => 20,
        "subscription.updated" => 30,
        "subscription.cancelled" | "subscription.expired" => 80,
        _ if event_type.starts_with("subscription.") => 40,
        _ if event_type.starts_with("payment.") => 50,
        _ if event_type.starts_with("refund.") => 60,
        _ if event_type.starts_with("dispute.") => 70,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_come_before_effects() {
        let order = [
            "abandoned_checkout.recovered",
            "subscription.active",
            "subscription.plan_changed",
            "subscription.updated",
            "subscription.renewed",
            "payment.succeeded",
            "refund.succeeded",
            "dispute.opened",
            "subscription.cancelled",
        ];
        assert!(order.map(rank).is_sorted_by(|earlier, later| earlier < later));
        assert_eq!(rank("subscription.expired"), rank("subscription.cancelled"));
    }
}
