//! A small world in which real lines do what the driver would have them do: one partition a key, a raw
//! log and a log of links each, atomic transactions, crashes, time-outs and redrives as steps of their
//! own. Everything a step reads, it reads from what was committed.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use schemas::event::FORGOTTEN;
use schemas::headers::{Header, RawHeaders, RekeyedHeaders, Stage};
use schemas::state::SubscriberState;
use schemas::{LifecycleEvent, Provider};
use serde_json::{Value, json};

use super::*;
use crate::rules::Times;
use crate::sources::native::imported;
use crate::sources::revenuecat::RevenueCat;
use crate::sources::stripe::Stripe;
use crate::sources::{Source, SourceSettings};
use crate::state::Link;

/// A record in a raw log.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Logged {
    pub(super) value: Vec<u8>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) appended_at: i64,
}

impl Logged {
    fn of(value: Vec<u8>, headers: &[Header], appended_at: i64) -> Self {
        let headers = headers.iter().map(|header| (header.name.clone(), header.value.clone()));
        Self { value, headers: headers.collect(), appended_at }
    }

    /// A tick.
    pub(super) fn tick(appended_at: i64) -> Self {
        Self::of(Vec::new(), &schemas::headers::tick(), appended_at)
    }

    /// Shows the record as it is read at its place in the log of `key`.
    pub(super) fn show<T>(&self, key: &str, offset: usize, to: impl FnOnce(&Raw<'_>) -> T) -> T {
        let headers = self.headers();
        to(&Raw {
            offset: i64::try_from(offset).unwrap(),
            appended_at: Timestamp::from_millis(self.appended_at),
            key: Some(key.as_bytes()),
            value: (!self.value.is_empty()).then_some(self.value.as_slice()),
            headers: &headers,
        })
    }

    fn headers(&self) -> Vec<Header> {
        let pairs = self.headers.iter().cloned();
        pairs.map(|(name, value)| Header { name, value }).collect()
    }
}

/// One key, alone in its partition.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) raw: Vec<Logged>,
    links: Vec<String>,
    store: MemoryStore,
    pub(super) next: usize,
    restarted: bool,
    pub(super) events: Vec<LifecycleEvent>,
}

/// What is broken on purpose, to see that the search would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sabotage {
    Nothing,
    /// What waits is not looked up after a restart (T19).
    NoLookUpAfterRestart,
    /// Links are read on from where they were although their store is gone (T18).
    LinksForgotten,
    /// Copies do not say how far they have come (T23).
    NoStages,
    /// A transfer whose sender is unknown does not wait (T24).
    NoPatience,
    /// Nobody remembers what left (T26, T27).
    NothingLeft,
    /// A transfer takes everything, whenever it came (T25).
    OwnedForEver,
    /// What is forwarded has the id and the role that its receiver has met already (T17).
    OneRole,
    /// A copy overwrites newer facts (T25).
    CopiesWin,
    /// Nobody remembers which events were accepted (T17).
    NothingSeen,
}

/// What still may go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Mishaps {
    pub(super) crashes: u8,
    pub(super) timeouts: u8,
    pub(super) redrives: u8,
}

/// A step: what one transaction, or one mishap, does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Take(usize),
    Learn(usize),
    /// The link is stored, and the transaction of what it let go never commits.
    LearnInVain(usize),
    LookUp(usize),
    TimeOut(usize),
    LoseDisk(usize),
    Redrive,
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) keys: Vec<String>,
    pub(super) places: Vec<Place>,
    pub(super) parked: Vec<(usize, Logged)>,
    pub(super) mishaps: Mishaps,
    pub(super) now: i64,
    pub(super) sabotage: Sabotage,
}

pub(super) const LINK_TIMEOUT: Duration = Duration::from_mins(1);

/// The sources `shop` (Stripe) and `app` (RevenueCat), as they are in earnest.
pub(super) fn real_rules(window: Duration) -> Rules {
    let source = |name: &str, mapper| Source {
        name: name.to_owned(),
        provider: if name == "shop" { Provider::Stripe } else { Provider::Revenuecat },
        mapper,
        settings: SourceSettings::default(),
    };
    let sources = [source("shop", &Stripe), source("app", &RevenueCat)].into_iter().collect();
    let times = Times {
        reorder_window: window,
        dedup_window: Duration::from_hours(35 * 24),
        link_timeout: LINK_TIMEOUT,
    };
    Rules::new(sources, times, 1 << 20).unwrap()
}

impl World {
    /// A world of these keys in which nothing has happened.
    pub(super) fn of(keys: &[&str]) -> Self {
        let empty = Place {
            raw: Vec::new(),
            links: Vec::new(),
            store: MemoryStore::default(),
            next: 0,
            restarted: false,
            events: Vec::new(),
        };
        Self {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            places: vec![empty; keys.len()],
            parked: Vec::new(),
            mishaps: Mishaps::default(),
            now: 1_000_000,
            sabotage: Sabotage::Nothing,
        }
    }

    pub(super) fn place(&mut self, key: &str) -> &mut Place {
        let place = self.index(key);
        &mut self.places[place]
    }

    fn index(&self, key: &str) -> usize {
        self.keys.iter().position(|known| known == key).unwrap_or_else(|| panic!("no key {key}"))
    }

    /// Something was received for a key.
    pub(super) fn receive(&mut self, key: &str, id: &str, event_type: &str, body: &Value) {
        let (source, _) = key.split_once('/').unwrap();
        let provider = if source == "shop" { "stripe" } else { "revenuecat" };
        let event_type = match event_type {
            imported::TYPE | FORGOTTEN => event_type.to_owned(),
            _ => format!("{provider}.{event_type}"),
        };
        let headers = raw_headers(id, source, &event_type);
        let now = self.now;
        let value = serde_json::to_vec(body).unwrap();
        self.place(key).raw.push(Logged::of(value, &headers, now));
    }

    /// A link that somebody announced before.
    pub(super) fn link(&mut self, key: &str, subscriber: &str) {
        self.place(key).links.push(subscriber.to_owned());
    }

    /// A link that was announced and read before.
    pub(super) fn learned(&mut self, key: &str, subscriber: &str) {
        self.link(key, subscriber);
        let at = self.index(key);
        let (link, position) = self.next_link(at);
        self.places[at].store.learn(vec![link], position).unwrap();
    }

    /// Every step that can come next.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (at, place) in self.places.iter().enumerate() {
            if place.restarted {
                steps.push(Step::LookUp(at));
                continue;
            }
            let learned = usize::try_from(place.store.links_position()).unwrap();
            if place.next < place.raw.len() {
                steps.push(Step::Take(at));
            }
            if learned < place.links.len() {
                steps.push(Step::Learn(at));
                if self.mishaps.crashes > 0 {
                    steps.push(Step::LearnInVain(at));
                }
            }
            let forgets = self.sabotage == Sabotage::LinksForgotten;
            if forgets && learned > 0 && self.mishaps.crashes > 0 {
                steps.push(Step::LoseDisk(at));
            }
            let patient = self.sabotage != Sabotage::NoPatience;
            if self.waits_at(at) && (self.mishaps.timeouts > 0 || !patient) {
                steps.push(Step::TimeOut(at));
            }
        }
        if self.mishaps.redrives > 0 && !self.parked.is_empty() {
            steps.push(Step::Redrive);
        }
        steps
    }

    fn waits_at(&self, at: usize) -> bool {
        let mut waits = false;
        self.places[at].store.waiting(&mut |_, _| waits = true).unwrap();
        waits
    }

    /// The world after a step.
    pub(super) fn after(&self, step: Step, rules: &Rules) -> Self {
        let mut next = self.clone();
        match step {
            Step::Take(at) => {
                let (logged, offset) =
                    (&self.places[at].raw[self.places[at].next], self.places[at].next);
                next.transaction(at, rules, |line| {
                    logged
                        .show(&self.keys[at], offset, |raw| line.take(raw, NO_TIME, rules).unwrap())
                });
            }
            Step::Learn(at) => {
                let (link, position) = self.next_link(at);
                next.transaction(at, rules, |line| {
                    line.learn(vec![link], position, rules).unwrap()
                });
            }
            Step::LearnInVain(at) => {
                next.mishaps.crashes -= 1;
                let (link, position) = next.next_link(at);
                next.places[at].store.learn(vec![link], position).unwrap();
                next.places[at].restarted = next.sabotage != Sabotage::NoLookUpAfterRestart;
            }
            Step::LookUp(at) => {
                next.transaction(at, rules, |line| line.look_up_again(rules).unwrap());
                next.places[at].restarted = false;
            }
            Step::TimeOut(at) => {
                next.mishaps.timeouts = next.mishaps.timeouts.saturating_sub(1);
                next.transaction(at, rules, |line| line.expire(LINK_TIMEOUT, rules).unwrap());
            }
            Step::LoseDisk(at) => {
                next.mishaps.crashes -= 1;
                next.forget_links(at);
            }
            Step::Redrive => {
                next.mishaps.redrives -= 1;
                let (at, logged) = next.parked.remove(0);
                next.places[at].raw.push(logged);
            }
        }
        next
    }

    fn next_link(&self, at: usize) -> (Link, i64) {
        let position = self.places[at].store.links_position();
        let subscriber = self.places[at].links[usize::try_from(position).unwrap()].clone();
        let key = self.keys[at].clone().into_bytes();
        let appended_at = Timestamp::from_millis(self.now);
        (Link { key, subscriber, appended_at }, position + 1)
    }

    fn forget_links(&mut self, at: usize) {
        let (key, store) = (self.keys[at].as_bytes(), &self.places[at].store);
        let mut empty = MemoryStore::default();
        if let Some(value) = store.get(key).unwrap() {
            let change = Change {
                key: key.to_vec(),
                value: Some(value.into_owned()),
                waits: self.waits_at(at),
            };
            empty.apply(Batch { changes: vec![change], checkpoint: 1 }).unwrap();
        }
        empty.learn(Vec::new(), store.links_position()).unwrap();
        self.places[at].store = empty;
    }

    /// A transaction that commits: what `work` led to is written, whole.
    fn transaction(
        &mut self,
        at: usize,
        rules: &Rules,
        work: impl FnOnce(&mut Line<MemoryStore>) -> Taken,
    ) {
        let place = &self.places[at];
        let offset = i64::try_from(place.next).unwrap();
        let partition = i32::try_from(at).unwrap();
        let mut line =
            Line::restored(place.store.clone(), partition, offset, NO_TIME, rules).unwrap();
        let waited = line.standing().records();
        let taken = work(&mut line);
        let changes = line.changes(rules).unwrap();
        let tally = line.committed(Batch { changes, checkpoint: 1 }).unwrap();
        let settled: u64 = tally.settled.values().sum();
        let waits = line.standing().records();
        assert_eq!(waited + tally.consumed, settled + waits, "a record vanished: {tally:?}");
        let next = usize::try_from(line.next_offset()).unwrap();
        let logged = (next > place.next).then(|| place.raw[place.next].clone());
        self.places[at].next = next;
        self.places[at].store = line.into_store();
        self.tamper(at, rules);
        self.write(at, taken, logged, rules);
    }

    fn write(&mut self, at: usize, taken: Taken, taken_from: Option<Logged>, rules: &Rules) {
        let Taken { events, copies, links, parked, expired } = taken;
        self.places[at].events.extend(events.into_iter().map(|emission| emission.event));
        for copy in copies {
            let to = self.index(&copy.key);
            let headers = self.tampered(copy.headers, rules);
            let last = self.places[to].raw.last().map_or(0, |logged| logged.appended_at);
            let logged = Logged::of(copy.value, &headers, self.now.max(last));
            self.places[to].raw.push(logged);
        }
        for link in links {
            // Nobody is there to need a link of a key outside of this world.
            if let Some(to) = self.keys.iter().position(|key| *key == link.key) {
                self.places[to].links.push(link.subscriber);
            }
        }
        if parked.is_some() {
            self.parked.push((at, taken_from.expect("only a record that was taken is parked")));
        }
        for given_up in expired {
            let logged = Logged::of(given_up.value, &given_up.headers, self.now);
            self.parked.push((at, logged));
        }
    }

    /// Breaks what a store keeps.
    fn tamper(&mut self, at: usize, rules: &Rules) {
        let kept = [Sabotage::NothingLeft, Sabotage::OwnedForEver, Sabotage::NothingSeen];
        if !kept.contains(&self.sabotage) {
            return;
        }
        let Some(mut state) = self.state(at, rules) else { return };
        if self.sabotage == Sabotage::NothingLeft {
            state.left.clear();
        } else if self.sabotage == Sabotage::NothingSeen {
            state.seen.clear();
        } else {
            for known in &mut state.subscriptions {
                known.owned_since = Timestamp::default();
            }
        }
        let mut value = Vec::new();
        rules.states.encode(&state, &mut value).unwrap();
        let key = self.keys[at].clone().into_bytes();
        let waits = self.waits_at(at);
        let changes = vec![Change { key, value: Some(value), waits }];
        self.places[at].store.apply(Batch { changes, checkpoint: 1 }).unwrap();
    }

    /// Breaks what a copy says of itself.
    fn tampered(&self, headers: Vec<Header>, rules: &Rules) -> Vec<Header> {
        let mut origin = RekeyedHeaders::from_headers(&headers).unwrap().unwrap();
        let sabotaged = |sabotage| self.sabotage == sabotage;
        if sabotaged(Sabotage::NoStages) {
            let mut headers = headers;
            headers.retain(|header| !header.name.starts_with("tributary-"));
            return headers;
        }
        if sabotaged(Sabotage::OneRole) && origin.stage == Stage::Forward {
            origin.stage = Stage::Sender;
            let mut known = RawHeaders::from_headers(&headers).unwrap();
            known.id = known.id.split('>').next().unwrap().to_owned();
            return origin.onto(&known.to_headers());
        }
        if sabotaged(Sabotage::CopiesWin)
            && let Some(brought) = &origin.moved
        {
            let mut moved = rules.moved.decode(brought).unwrap();
            for one in &mut moved.subscriptions {
                one.facts_at = one.facts_at.plus_millis(1_000_000);
            }
            let mut bytes = Vec::new();
            rules.moved.encode(&moved, &mut bytes).unwrap();
            origin.moved = Some(bytes);
            return origin.onto(&headers);
        }
        headers
    }

    pub(super) fn state(&self, at: usize, rules: &Rules) -> Option<SubscriberState> {
        let value = self.places[at].store.get(self.keys[at].as_bytes()).unwrap()?;
        Some(rules.states.decode(&value).unwrap())
    }

    /// Who owns which subscription, with the time of its facts in seconds.
    pub(super) fn owned(&self, rules: &Rules) -> BTreeMap<(String, String), i64> {
        let mut owned = BTreeMap::new();
        for (at, key) in self.keys.iter().enumerate() {
            for known in self.state(at, rules).into_iter().flat_map(|state| state.subscriptions) {
                owned.insert((key.clone(), known.current.id), known.facts_at.seconds());
            }
        }
        owned
    }

    /// What two worlds have in common when nothing that comes can tell them apart.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        for (key, place) in self.keys.iter().zip(&self.places) {
            (&place.raw, &place.links, place.next, place.restarted).hash(&mut hash);
            place.store.links_position().hash(&mut hash);
            place.store.get(key.as_bytes()).unwrap().hash(&mut hash);
            let link = place.store.link(key.as_bytes()).unwrap();
            link.map(|link| link.subscriber).hash(&mut hash);
            for event in &place.events {
                (&event.event_id, event.sequence).hash(&mut hash);
            }
        }
        (&self.parked, self.mishaps).hash(&mut hash);
        hash.finish()
    }

    /// Whether a link of the key has been announced.
    pub(super) fn is_linked(&self, key: &str) -> bool {
        !self.places[self.index(key)].links.is_empty()
    }

    /// What is wrong whatever comes next.
    pub(super) fn violation(&self) -> Option<String> {
        if self.places.iter().any(|place| place.raw.len() > 24) {
            return Some("copies without end".to_owned());
        }
        self.wrong_in_numbers()
    }

    /// A sequence with a gap, or an event that was told twice.
    pub(super) fn wrong_in_numbers(&self) -> Option<String> {
        let mut told = BTreeMap::new();
        for (key, place) in self.keys.iter().zip(&self.places) {
            for (sequence, event) in (1..).zip(&place.events) {
                if event.sequence != sequence {
                    return Some(format!("sequence {} in place of {sequence}", event.sequence));
                }
                let id = (event.provider_event_id.clone(), event.event_type);
                if let Some(other) = told.insert(id.clone(), key) {
                    return Some(format!("{id:?} twice, at {other} and at {key}"));
                }
            }
        }
        None
    }
}

/// A purchase or renewal of RevenueCat at second `at`, which names other ids of the person.
pub(super) fn bought(subscription: &str, at: i64, aliases: &[&str]) -> Value {
    json!({"event": {
        "event_timestamp_ms": at * 1000, "environment": "PRODUCTION", "store": "APP_STORE",
        "product_id": "monthly", "original_transaction_id": subscription, "period_type": "NORMAL",
        "purchased_at_ms": at * 1000, "expiration_at_ms": 9_000_000_000_000_i64, "aliases": aliases,
    }})
}

/// Everything of one person goes to another at second `at`.
pub(super) fn handed_over(from: &str, to: &str, at: i64) -> Value {
    json!({"event": {
        "event_timestamp_ms": at * 1000, "environment": "PRODUCTION", "store": "APP_STORE",
        "transferred_from": [from], "transferred_to": [to],
    }})
}

/// Somebody as of second `at`, with these subscriptions, active.
pub(super) fn told_as_of(who: &str, subscriptions: &[&str], at: i64) -> Value {
    let listed: Vec<_> =
        subscriptions.iter().map(|id| json!({"id": id, "status": "active"})).collect();
    json!({"as_of": at * 1000, "subscriber": {"id": who}, "subscriptions": listed})
}

/// A charge of a customer, and a dispute of it that names the charge alone.
pub(super) fn charged(charge: &str) -> Value {
    json!({"object": "event", "created": 1, "livemode": true,
        "data": {"object": {"object": "charge", "id": charge, "customer": "C"}}})
}

pub(super) fn disputed(charge: &str) -> Value {
    json!({"object": "event", "created": 5, "livemode": true, "data": {"object": {
        "object": "dispute", "id": "dp_1", "amount": 100, "currency": "eur", "charge": charge,
        "reason": "fraudulent", "status": "needs_response"}}})
}
