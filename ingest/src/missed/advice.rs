//! What can be done where a provider keeps no list of its events to read.

use service::config::Provider;

/// For people, in a few lines.
pub(super) fn of(provider: Provider) -> &'static str {
    match provider {
        Provider::Stripe => "Stripe's events are read with --api-key-file.",
        Provider::Dodo => {
            "Dodo Payments tries eight times, the last some 27 hours after the first, and has no list of its events\n\
             to read. What it gave up on is sent again from its dashboard: Settings, Webhooks, the endpoint, and\n\
             there each message that failed. Whatever comes twice is left out."
        }
        Provider::Revenuecat => {
            "RevenueCat tries five times within 155 minutes, and has no list of its events to read. What it gave up\n\
             on is sent again one by one from its dashboard: the customer, the event, `Retry` beside the webhook.\n\
             Whatever comes twice is left out. For many customers, import their present state (`transform import`)."
        }
        Provider::Purchasely => {
            "Purchasely tries 25 times within some 20 days: nothing has to be done before that, everything comes by\n\
             itself. It has no list of its events to read."
        }
        Provider::Native => {
            "A producer of your own writes to the raw topic: let it write once more what it has written, with the\n\
             same `ce_id`. Whatever was accepted before is left out, for as long as `transform.dedup_window`."
        }
    }
}
