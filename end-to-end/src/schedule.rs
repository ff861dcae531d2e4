//! In which order, and when, webhooks are sent: with duplicates, and shuffled within a window.
//!
//! Pure: the same journeys and seed give the same schedule.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::journeys::{Journey, Webhook};

/// How the sending looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    pub seed: u64,
    /// How many of a hundred webhooks are sent a second time.
    pub duplicates_percent: u32,
    /// How far a webhook may come after one of its journey that happened later. Must stay clearly below the reorder
    /// window of `transform`, which counts from the moment of appending.
    pub shuffle_within: Duration,
    /// Over which time the beginnings of the journeys are spread.
    pub spread_over: Duration,
    /// Between neighbours of a journey; less than `shuffle_within`, or nothing is shuffled.
    pub step: Duration,
}

impl Shape {
    /// Some webhooks twice, and neighbours out of order by less than a third of a second.
    pub fn disordered(seed: u64, spread_over: Duration) -> Self {
        Self {
            seed,
            duplicates_percent: 10,
            shuffle_within: Duration::from_millis(300),
            spread_over,
            step: Duration::from_millis(100),
        }
    }
}

/// One sending.
#[derive(Debug, Clone, PartialEq)]
pub struct Sending {
    /// After the start of the whole.
    pub at: Duration,
    pub webhook: Webhook,
    /// Place of the webhook's journey among all, then of the webhook in it.
    pub place: (usize, usize),
    pub copy: Copy,
}

/// Whether this webhook was sent before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copy {
    First,
    Duplicate,
}

/// Lays out all sendings, in the order of their time.
pub fn schedule(journeys: &[Journey], shape: Shape) -> Vec<Sending> {
    let mut random = StdRng::seed_from_u64(shape.seed);
    let mut sendings = Vec::new();
    for (number, journey) in journeys.iter().enumerate() {
        let begins = up_to(shape.spread_over, &mut random);
        for (index, webhook) in journey.webhooks.iter().enumerate() {
            let steps = u32::try_from(index).unwrap_or(u32::MAX);
            let at = begins + shape.step * steps + up_to(shape.shuffle_within, &mut random);
            let mut send = |at, copy| {
                sendings.push(Sending {
                    at,
                    webhook: webhook.clone(),
                    place: (number, index),
                    copy,
                });
            };
            send(at, Copy::First);
            if random.random_range(0..100) < shape.duplicates_percent {
                // Anywhere from at once to after the window is over.
                send(at + up_to(shape.shuffle_within * 4, &mut random), Copy::Duplicate);
            }
        }
    }
    sendings.sort_by_key(|sending| (sending.at, sending.copy == Copy::Duplicate, sending.place));
    sendings
}

/// How many first sendings come after one of the same journey that happened later.
pub fn disordered(sendings: &[Sending]) -> usize {
    let mut furthest = std::collections::BTreeMap::new();
    let firsts = sendings.iter().filter(|sending| sending.copy == Copy::First);
    firsts
        .filter(|sending| {
            let (journey, index) = sending.place;
            let furthest = furthest.entry(journey).or_insert(0);
            let overtaken = index < *furthest;
            *furthest = index.max(*furthest);
            overtaken
        })
        .count()
}

fn up_to(limit: Duration, random: &mut StdRng) -> Duration {
    limit.mul_f64(random.random_range(0.0..1.0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::journeys::generate;

    const SHAPE: Shape = Shape {
        seed: 5,
        duplicates_percent: 10,
        shuffle_within: Duration::from_millis(600),
        spread_over: Duration::from_secs(10),
        step: Duration::from_millis(100),
    };

    fn journeys() -> Vec<Journey> {
        generate(1, 1_790_000_000_000, 2000)
    }

    #[test]
    fn sends_every_webhook_once_and_about_a_tenth_twice() {
        let journeys = journeys();
        let all: usize = journeys.iter().map(|journey| journey.webhooks.len()).sum();
        let sendings = schedule(&journeys, SHAPE);
        let mut copies: BTreeMap<(usize, usize), Vec<Copy>> = BTreeMap::new();
        for sending in &sendings {
            copies.entry(sending.place).or_default().push(sending.copy);
        }
        assert_eq!(copies.len(), all);
        assert!(copies.values().all(|copies| copies[0] == Copy::First && copies.len() <= 2));
        let duplicates = sendings.len() - all;
        assert!(duplicates * 12 > all && duplicates * 8 < all, "{duplicates} of {all}");
    }

    #[test]
    fn nobody_is_overtaken_by_more_than_the_window() {
        let sendings = schedule(&journeys(), SHAPE);
        let mut first: BTreeMap<(usize, usize), Duration> = BTreeMap::new();
        for sending in sendings.iter().filter(|sending| sending.copy == Copy::First) {
            first.insert(sending.place, sending.at);
        }
        for (&(journey, index), &at) in &first {
            if let Some(&next) = first.get(&(journey, index + 1)) {
                assert!(at.saturating_sub(next) < SHAPE.shuffle_within);
            }
        }
    }

    #[test]
    fn shuffles_a_good_part_unless_told_not_to() {
        let journeys = journeys();
        assert!(disordered(&schedule(&journeys, SHAPE)) > 400);
        let calm = Shape { shuffle_within: Duration::ZERO, ..SHAPE };
        assert_eq!(disordered(&schedule(&journeys, calm)), 0);
    }
}
