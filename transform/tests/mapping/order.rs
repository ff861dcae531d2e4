//! Disorder: within the window it changes nothing, behind it no status goes back and no money is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ingest::envelope::RawRecord;
use proptest::prelude::*;
use schemas::event::Subscription;
use schemas::state::{OrderKey, SubscriberState};
use schemas::{Environment, LifecycleEvent, Status, Timestamp};
use transform::order::key_of;
use transform::rules::Rules;
use transform::sources::Reading;

use crate::fixture::{Fixture, PROVIDERS, read, stories};
use crate::teller::{self, Teller};

/// Fewer than may be held for one subscriber.
const MOST: usize = 60;

/// Longer than the short window.
const APART: Duration = Duration::from_secs(10);

/// What happened in a story, in its order, each once.
struct Happenings {
    /// Of a window that everything arrives within.
    long: Arc<Rules>,
    /// Of one that is over before the next arrives.
    short: Arc<Rules>,
    all: Vec<(OrderKey, RawRecord)>,
}

impl Happenings {
    fn of(story: &Fixture) -> Self {
        let sources = story.sources();
        let mut seen = BTreeSet::new();
        let mut all: Vec<(OrderKey, RawRecord)> = story
            .records()
            .into_iter()
            .filter(|record| seen.insert(record.headers.id.clone()))
            .filter_map(|record| match read(&record, &sources) {
                Reading::Facts(facts) => Some((key_of(&facts), record)),
                Reading::Ignored(_) | Reading::Parked(_) | Reading::KeyMismatch => None,
            })
            .take(MOST)
            .collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let long = teller::rules(sources.clone(), Duration::from_hours(1));
        let short = teller::rules(sources, Duration::from_secs(2));
        Self { long, short, all }
    }

    /// Delivers these, `apart` from each other, through a line with these rules.
    fn deliver(&self, these: &[usize], apart: Duration, rules: &Arc<Rules>) -> Outcome {
        let (mut teller, window) = (Teller::by(Arc::clone(rules)), rules.window);
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap();
        let mut now = self.all.iter().map(|(key, _)| key.occurred_at).max().unwrap_or_default();
        let mut events = Vec::new();
        for index in these {
            now = now.plus_millis(millis(apart));
            events.extend(teller.take(&self.all[*index].1, now).events);
        }
        events.extend(teller.tick(now.plus_millis(millis(window))).events);
        for event in &mut events {
            event.received_at = Timestamp::from_millis(0);
            event.epoch = Timestamp::from_millis(0);
        }
        events.sort_by_key(|event: &LifecycleEvent| (event.subscriber.key.clone(), event.sequence));
        Outcome { events, states: teller.states().into_iter().collect() }
    }

    fn in_order(&self) -> Outcome {
        let all: Vec<usize> = (0..self.all.len()).collect();
        self.deliver(&all, APART, &self.short)
    }
}

struct Outcome {
    events: Vec<LifecycleEvent>,
    states: BTreeMap<String, SubscriberState>,
}

/// A subscription of somebody, in an environment.
type Named = (String, Environment, String);

impl Outcome {
    fn standing(&self) -> BTreeMap<Named, (Option<Status>, Timestamp)> {
        let of = |key: &String, state: &SubscriberState| {
            let key = key.clone();
            state.subscriptions.clone().into_iter().map(move |one| {
                let Subscription { id, status, .. } = one.current;
                ((key.clone(), one.environment, id), (status, one.facts_at))
            })
        };
        self.states.iter().flat_map(|(key, state)| of(key, state)).collect()
    }

    fn spent(&self) -> BTreeMap<(String, String), i64> {
        let mut spent = BTreeMap::new();
        for (key, state) in &self.states {
            for total in &state.totals {
                let currency = format!("{} {}", total.environment, total.sum.currency);
                spent.insert((key.clone(), currency), total.sum.amount);
            }
        }
        spent.retain(|_, amount| *amount != 0);
        spent
    }
}

fn all() -> Vec<(String, Happenings)> {
    let named =
        |story: &Fixture| (format!("{}/{}", story.provider(), story.name), Happenings::of(story));
    PROVIDERS
        .into_iter()
        .flat_map(|provider| stories(provider).iter().map(named).collect::<Vec<_>>())
        .collect()
}

#[test]
fn any_order_of_arrival_within_the_window_tells_the_same() {
    for (name, happenings) in all() {
        let wanted = happenings.in_order();
        let indices: Vec<usize> = (0..happenings.all.len()).collect();
        let config = ProptestConfig { cases: 16, ..ProptestConfig::default() };
        proptest!(config, |(shuffled in Just(indices).prop_shuffle())| {
            let told = happenings.deliver(&shuffled, Duration::from_millis(7), &happenings.long);
            prop_assert_eq!(&told.events, &wanted.events, "{}", name);
            prop_assert_eq!(told.standing(), wanted.standing(), "{}", name);
            prop_assert_eq!(told.spent(), wanted.spent(), "{}", name);
            let people = |outcome: &Outcome| {
                outcome.states.values().map(|state| state.identity.clone()).collect::<Vec<_>>()
            };
            prop_assert_eq!(people(&told), people(&wanted), "{}", name);
        });
    }
}

#[test]
fn what_comes_behind_the_window_moves_no_newer_status_and_loses_no_money() {
    for (name, happenings) in all() {
        let spent = happenings.in_order().spent();
        let count = happenings.all.len();
        for late in 0..count.saturating_sub(1) {
            let mut these: Vec<usize> = (0..count).filter(|index| *index != late).collect();
            let before = happenings.deliver(&these, APART, &happenings.short).standing();
            these.push(late);
            let after = happenings.deliver(&these, APART, &happenings.short);
            let occurred_at = happenings.all[late].0.occurred_at;
            for (subscription, (status, facts_at)) in before {
                if facts_at >= occurred_at {
                    let now = after.standing()[&subscription].0;
                    assert_eq!(now, status, "{name}: {late} moved what is newer");
                }
            }
            assert_eq!(after.spent(), spent, "{name}: {late} lost or doubled money");
        }
    }
}
