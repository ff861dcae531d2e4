//! Faults planted on purpose, so that anybody can see the demo fail when it must.

use clap::ValueEnum;
use end_to_end::journeys::Provider;
use end_to_end::schedule::{Copy, Sending};

#[derive(Debug, Clone, std::marker::Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// Never sends one webhook and its duplicates, but expects its events
    DropEvent,
    /// Sends one webhook again under a new event id, so that it is news to the pipeline
    SendTwice,
}

/// Money that moved is always news, whatever came before: withholding or repeating it must show.
const VISIBLE: &str = "transaction_processed";

/// Changes the schedule. The expectation stays, which is the fault.
pub(crate) fn plant(fault: Fault, sendings: &mut Vec<Sending>) {
    let chosen = sendings.iter().position(|sending| {
        sending.webhook.provider == Provider::Purchasely
            && sending.copy == Copy::First
            && sending.webhook.expects.contains(&VISIBLE)
    });
    let Some(chosen) = chosen else { return };
    match fault {
        Fault::DropEvent => {
            let place = sendings[chosen].place;
            sendings.retain(|sending| sending.place != place);
        }
        Fault::SendTwice => {
            let mut again = sendings[chosen].clone();
            let id = format!("{}-again", again.webhook.event_id);
            again.webhook = again.webhook.told_anew(&id);
            sendings.insert(chosen + 1, again);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use end_to_end::journeys::generate;
    use end_to_end::schedule::{Shape, schedule};

    use super::*;

    fn sendings() -> Vec<Sending> {
        let shape = Shape {
            seed: 1,
            duplicates_percent: 10,
            shuffle_within: Duration::from_millis(500),
            spread_over: Duration::from_secs(1),
            step: Duration::from_millis(100),
        };
        schedule(&generate(1, 1_790_000_000_000, 0), shape)
    }

    #[test]
    fn dropping_leaves_no_copy_of_the_chosen_webhook() {
        let (before, mut after) = (sendings(), sendings());
        plant(Fault::DropEvent, &mut after);
        let gone: Vec<&Sending> =
            before.iter().filter(|sending| !after.contains(sending)).collect();
        assert!(!gone.is_empty());
        assert!(gone.iter().all(|sending| sending.place == gone[0].place));
    }

    #[test]
    fn sending_twice_uses_an_id_never_seen() {
        let (before, mut after) = (sendings(), sendings());
        plant(Fault::SendTwice, &mut after);
        assert_eq!(after.len(), before.len() + 1);
        let ids = |sendings: &[Sending]| {
            let ids = sendings.iter().map(|sending| sending.webhook.event_id.clone());
            ids.collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!(ids(&after), ids(&before) + 1);
    }
}
