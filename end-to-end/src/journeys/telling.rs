//! The clock, the dice and the list that a story is told with.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Provider, Webhook};

/// Longer than the longest story, whose steps are at most [`LONGEST_STEP`] seconds each.
const BEGINS_BEFORE_MS: i64 = 180_000;
const LONGEST_STEP: i64 = 4;
pub(super) const DAY_MS: i64 = 86_400_000;

/// A finished story.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) subscriber_id: String,
    pub(super) who: String,
    pub(super) webhooks: Vec<Webhook>,
}

/// A story being told about one person.
#[derive(Debug)]
pub(super) struct Telling {
    provider: Provider,
    person: String,
    at_ms: i64,
    random: StdRng,
    ids: u32,
    webhooks: Vec<Webhook>,
}

impl Telling {
    pub(super) fn new(provider: Provider, person: &str, now_ms: i64, seed: u64) -> Self {
        // Whole seconds, because that is all that Stripe tells.
        let at_ms = (now_ms - BEGINS_BEFORE_MS) / 1000 * 1000;
        let random = StdRng::seed_from_u64(seed);
        Self { provider, person: person.to_owned(), at_ms, random, ids: 0, webhooks: Vec::new() }
    }

    /// The present of the story.
    pub(super) fn now_ms(&self) -> i64 {
        self.at_ms
    }

    pub(super) fn now_seconds(&self) -> i64 {
        self.at_ms / 1000
    }

    pub(super) fn iso(ms: i64) -> String {
        jiff::Timestamp::from_millisecond(ms).map(|time| time.to_string()).unwrap_or_default()
    }

    /// Time passes.
    pub(super) fn later(&mut self) {
        self.at_ms += 1000 * self.random.random_range(1..=LONGEST_STEP);
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.random.random_range(0..choices.len())]
    }

    pub(super) fn user_id(&self) -> String {
        format!("user-{}", self.person)
    }

    pub(super) fn email(&self) -> String {
        format!("person-{}@example.com", self.person)
    }

    /// An id that belongs to the person and does not change.
    pub(super) fn own_id(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.person)
    }

    /// An id never given before.
    pub(super) fn new_id(&mut self, prefix: &str) -> String {
        self.ids += 1;
        format!("{prefix}{}x{}", self.person, self.ids)
    }

    /// A new id in the shape of a UUID.
    pub(super) fn new_uuid(&mut self) -> String {
        let id = self.new_id(self.provider.source());
        let digits = hex::encode(Sha256::digest(id.as_bytes()));
        format!(
            "{}-{}-4{}-8{}-{}",
            &digits[..8],
            &digits[8..12],
            &digits[12..15],
            &digits[15..18],
            &digits[18..30]
        )
    }

    /// Adds a webhook that tells what happened now.
    pub(super) fn tell(
        &mut self,
        event_type: &str,
        event_id: String,
        body: Value,
        expects: &'static [&'static str],
    ) {
        self.webhooks.push(Webhook {
            provider: self.provider,
            event_id,
            event_type: event_type.to_owned(),
            occurred_at_ms: self.at_ms,
            body,
            expects,
        });
    }

    pub(super) fn told(self, subscriber_id: String, who: String) -> Told {
        Told { subscriber_id, who, webhooks: self.webhooks }
    }
}
