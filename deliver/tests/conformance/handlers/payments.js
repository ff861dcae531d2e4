// A payment becomes an action of its own, as senders that do not look at the answer let handlers write it.
function handler(webhook) {
  if (webhook.eventType !== "payment.succeeded") return webhook;
  const payment = webhook.payload.data;
  webhook.url = "https://track.customer.io/api/v2/entity";
  webhook.payload = {
    type: "person",
    identifiers: { id: payment.customer.customer_id },
    action: "order_paid",
    name: "Order Paid",
    attributes: {
      email: payment.customer.email,
      paid: (payment.total_amount / 100).toFixed(2),
      method: payment.payment_method || "unknown",
      currency: payment.currency || "USD",
    },
  };
  return webhook;
}
