//! Causal rank among Stripe events of the same second: who it is, what they wanted, what the
//! subscription did, what was paid for it, what was given back, and the end last.

/// The rank of an event type; one that is not ordered stands before everything it may have caused.
pub(super) fn rank(event_type: &str) -> i32 {
    match event_type {
        "customer.subscription.created" => 40,
        "customer.subscription.updated" => 50,
        "customer.subscription.paused" | "customer.subscription.resumed" => 60,
        "customer.subscription.trial_will_end" => 70,
        "customer.subscription.deleted" => 150,
        "invoice.upcoming" => 80,
        "invoice.payment_action_required" => 90,
        "invoice.payment_failed" => 100,
        "invoice.paid" => 110,
        _ if event_type.starts_with("customer.") => 10,
        _ if event_type.starts_with("checkout.") => 20,
        _ if event_type.starts_with("subscription_schedule.") => 30,
        _ if event_type.starts_with("charge.dispute.") => 140,
        _ if event_type.starts_with("charge.") => 120,
        _ if event_type.starts_with("refund.") => 130,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_come_before_effects() {
        let order = [
            "customer.created",
            "checkout.session.completed",
            "subscription_schedule.created",
            "customer.subscription.created",
            "customer.subscription.updated",
            "customer.subscription.paused",
            "customer.subscription.trial_will_end",
            "invoice.upcoming",
            "invoice.payment_action_required",
            "invoice.payment_failed",
            "invoice.paid",
            "charge.refunded",
            "refund.failed",
            "charge.dispute.created",
            "customer.subscription.deleted",
        ];
        assert!(order.map(rank).is_sorted_by(|earlier, later| earlier < later));
    }
}
