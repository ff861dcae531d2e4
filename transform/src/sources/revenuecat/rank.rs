//! Causal rank among RevenueCat events of the same millisecond: who it is, then what was bought, then
//! what became of it, and the end last.

/// The rank of an event type; one that is not ordered stands with the purchases it may accompany.
pub(super) fn rank(event_type: &str) -> i32 {
    match event_type {
        "SUBSCRIBER_ALIAS" | "TRANSFER" => 0,
        "TEMPORARY_ENTITLEMENT_GRANT" => 5,
        "PRODUCT_CHANGE" => 20,
        "RENEWAL" => 30,
        "SUBSCRIPTION_EXTENDED" | "REFUND_REVERSED" => 35,
        "UNCANCELLATION" => 40,
        "BILLING_ISSUE" => 50,
        "CANCELLATION" => 60,
        "SUBSCRIPTION_PAUSED" => 65,
        "EXPIRATION" => 70,
        // INITIAL_PURCHASE, NON_RENEWING_PURCHASE and whatever is passed on without a meaning.
        _ => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_come_before_effects() {
        let order = [
            "SUBSCRIBER_ALIAS",
            "INITIAL_PURCHASE",
            "PRODUCT_CHANGE",
            "RENEWAL",
            "UNCANCELLATION",
            "BILLING_ISSUE",
            "CANCELLATION",
            "EXPIRATION",
        ];
        assert!(order.map(rank).is_sorted_by(|earlier, later| earlier < later));
        assert_eq!(rank("TRANSFER"), rank("SUBSCRIBER_ALIAS"));
    }
}
