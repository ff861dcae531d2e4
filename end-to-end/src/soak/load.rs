//! What comes in: at once, at a steady rate, or now and then.

use std::time::Duration;

use serde_json::Value;
use service::clock::{Clock, SystemClock};
use tokio::task::{JoinSet, block_in_place};

use super::{Soak, SoakError};
use crate::journeys::{self, Journey};
use crate::schedule::{self, Sending, Shape};
use crate::sender::{self, Manners, Tally};

/// What is sent is made up so much at a time, because an hour of it would not be small.
const PORTION: Duration = Duration::from_mins(1);
const DUPLICATES_PERCENT: u32 = 10;
/// Long after everything of the webhook before is done.
const CALM_EVERY: Duration = Duration::from_millis(250);

/// All that was sent, and what became of it.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) journeys: Vec<Journey>,
    pub(super) tally: Tally,
}

/// Part of what is sent, in whole stories.
#[derive(Debug, Clone, Copy)]
pub(super) struct Portion {
    pub(super) seed: u64,
    /// At most; copies among them.
    pub(super) webhooks: usize,
    /// Within which time the stories begin.
    pub(super) spread_over: Duration,
    /// How far a webhook may come after one that happened later.
    pub(super) disorder: Duration,
}

impl Portion {
    /// Adds its stories to those that were told before, without the bodies, of which there would be too many.
    pub(super) fn sendings(self, now_ms: i64, journeys: &mut Vec<Journey>) -> Vec<Sending> {
        let Self { seed, webhooks, spread_over, disorder } = self;
        let copied = 100 + usize::try_from(DUPLICATES_PERCENT).unwrap_or_default();
        let mut wanted = webhooks * 100 / copied;
        let mut told = journeys::generate(seed, now_ms, wanted);
        // It tells each kind of story at least once, however little is wanted.
        told.retain(|journey| {
            let left = wanted.checked_sub(journey.webhooks.len());
            wanted = left.unwrap_or(wanted);
            left.is_some()
        });
        let shape = Shape {
            duplicates_percent: DUPLICATES_PERCENT,
            shuffle_within: disorder,
            ..Shape::disordered(seed, spread_over)
        };
        let mut sendings = schedule::schedule(&told, shape);
        for sending in &mut sendings {
            sending.place.0 += journeys.len();
        }
        for webhook in told.iter_mut().flat_map(|journey| &mut journey.webhooks) {
            webhook.body = Value::Null;
        }
        journeys.append(&mut told);
        sendings
    }
}

/// Sends so many a second for the whole time.
pub(super) async fn steadily(
    soak: Soak,
    rate: f64,
    port: u16,
    mut sent: Sent,
) -> Result<Sent, SoakError> {
    let began = tokio::time::Instant::now();
    let mut portions = JoinSet::new();
    let mut at = Duration::ZERO;
    while at < soak.length {
        let spread_over = PORTION.min(soak.length.saturating_sub(at));
        // Whole webhooks of a positive rate.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
        let webhooks = (rate * spread_over.as_secs_f64()) as usize;
        // Other people each time, because they are of another moment.
        let now = SystemClock::new().now_millis();
        let seed = soak.seed.wrapping_add(at.as_secs() + 1);
        let portion = Portion { seed, webhooks, spread_over, disorder: soak.disorder };
        let sendings = block_in_place(|| portion.sendings(now, &mut sent.journeys));
        tokio::time::sleep_until(began + at).await;
        portions.spawn(sender::send(sendings, Manners::to(port), |_| ()));
        at += spread_over;
    }
    while let Some(tally) = portions.join_next().await {
        sent.tally.absorb(tally?);
    }
    Ok(sent)
}

/// Sends one at a time, so far apart that none meets another.
pub(super) async fn calmly(soak: Soak, port: u16, sent: &mut Sent) {
    let times = soak.calm.as_millis() / CALM_EVERY.as_millis();
    let portion = Portion {
        seed: soak.seed,
        webhooks: usize::try_from(times).unwrap_or(usize::MAX),
        spread_over: Duration::ZERO,
        disorder: Duration::ZERO,
    };
    let mut sendings = portion.sendings(SystemClock::new().now_millis(), &mut sent.journeys);
    for (turn, sending) in (0..).zip(&mut sendings) {
        sending.at = CALM_EVERY * turn;
    }
    sent.tally.absorb(sender::send(sendings, Manners::to(port), |_| ()).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_portion_is_whole_stories_and_no_more_than_was_asked_for() {
        let portion = Portion {
            seed: 1,
            webhooks: 40,
            spread_over: Duration::ZERO,
            disorder: Duration::ZERO,
        };
        let mut journeys = Vec::new();
        let sendings = portion.sendings(1_790_000_000_000, &mut journeys);
        let webhooks: usize = journeys.iter().map(|journey| journey.webhooks.len()).sum();
        assert!((30..=36).contains(&webhooks), "{webhooks}");
        let firsts = sendings.iter().filter(|sending| sending.copy == schedule::Copy::First);
        assert_eq!(firsts.count(), webhooks);
    }
}
