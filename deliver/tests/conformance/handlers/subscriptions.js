// The life of a subscription in a switch; what is not listed stays as it is.
function handler(webhook) {
  const plan = webhook.payload.data;
  switch (webhook.eventType) {
    case "subscription.active":
      webhook.url = "https://track.customer.io/api/v2/entity";
      webhook.payload = {
        type: "person",
        identifiers: { id: plan.customer.customer_id },
        action: "plan_began",
        name: "Plan Began",
        attributes: {
          price: (plan.recurring_pre_tax_amount / 100).toFixed(2),
          every: plan.payment_frequency_interval,
          next: plan.next_billing_date,
        },
      };
      break;
    case "subscription.cancelled":
      webhook.url = "https://track.customer.io/api/v2/entity";
      webhook.payload = {
        type: "person",
        identifiers: { id: plan.customer.customer_id },
        action: "plan_ended",
        name: "Plan Ended",
        attributes: { at: plan.cancelled_at, atNextBilling: plan.cancel_at_next_billing_date },
      };
      break;
  }
  return webhook;
}
