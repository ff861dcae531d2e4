function handler(webhook) {
  if (webhook.eventType !== "payment.succeeded") return webhook;
  const paid = webhook.payload.data;
  webhook.url = "https://track.customer.io/api/v2/entity";
  webhook.payload = {
    type: "person",
    identifiers: { id: paid.customer.customer_id },
    action: "payment_completed",
    name: "Payment Completed",
    attributes: {
      email: paid.customer.email,
      payment_amount: (paid.total_amount / 100).toFixed(2),
      currency: paid.currency || "USD",
    },
  };
  return webhook;
}
