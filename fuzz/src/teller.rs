//! A partition's line as a worker drives it, and what must hold of everything that comes out of it.

mod books;

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::codec::{Codec, Framing};
use schemas::headers::{Header, tick};
use schemas::state::SubscriberState;
use schemas::{LifecycleEvent, Provider, Timestamp};
use transform::line::{Line, LinkAnnouncement, Taken};
use transform::parking::Parking;
use transform::record::Raw;
use transform::rules::{Rules, Times};
use transform::sources::{Payload, Source, SourceSettings, Sources, mapper_of};
use transform::state::{Batch, Link, MemoryStore};

use self::books::Books;
use crate::promise::{discreet, discreet_in_logs, keep, ok};

/// How long events wait for earlier ones.
pub(crate) const WINDOW: i64 = 2_000;
const MEMORY: Duration = Duration::from_hours(35 * 24);
const PATIENCE: Duration = Duration::from_mins(10);
const LARGEST_MESSAGE: usize = (1 << 20) + (64 << 10);

/// More than a lifecycle event may have in bytes, whatever a body holds.
const LARGEST_EVENT: usize = 128 << 10;

/// More copies than one record can lead to: each has a later stage than the one before.
const MOST_COPIES: usize = 64;

/// A record of the raw topic.
pub(crate) struct Told {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: Vec<Header>,
    pub(crate) appended_at: Timestamp,
}

impl Told {
    /// Whether it is an import or a wish, which decide more than events do.
    fn asks_for_something(&self) -> bool {
        let asks = |header: &Header| {
            header.name == "ce_type" && header.value.starts_with(b"native.subscriber_")
        };
        self.headers.iter().any(asks)
    }
}

/// What it is told with: made once, because schemas live as long as the process.
pub(crate) struct Ground {
    rules: Rules,
    events: Codec<LifecycleEvent>,
}

impl Ground {
    /// With one source of each provider, named after it.
    pub(crate) fn new() -> Self {
        let times = Times {
            reorder_window: Duration::from_millis(WINDOW.unsigned_abs()),
            dedup_window: MEMORY,
            link_timeout: PATIENCE,
        };
        let rules = ok(Rules::new(sources(), times, LARGEST_MESSAGE), "the rules can be made");
        Self { rules, events: ok(Codec::new(Framing::SingleObject), "the codec can be made") }
    }

    pub(crate) fn sources(&self) -> &Sources {
        &self.rules.sources
    }
}

fn sources() -> Sources {
    let providers = [
        Provider::Stripe,
        Provider::Dodo,
        Provider::Revenuecat,
        Provider::Purchasely,
        Provider::Native,
    ];
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let settings = SourceSettings {
        user_id: words(&["/data/object/metadata/user_id", "/data/metadata/user_id", "/user_id"]),
        plans: words(&["basic", "plus", "pro"]),
        also: words(&["ping", "product.created"]),
        environment: None,
        payload: Payload::Carried,
    };
    let source = |provider: Provider| {
        let (name, settings) = (provider.name().to_owned(), settings.clone());
        Some(Source { name, provider, mapper: mapper_of(provider)?, settings })
    };
    providers.into_iter().filter_map(source).collect()
}

/// A partition, from its first record on.
pub(crate) struct Teller<'a> {
    ground: &'a Ground,
    line: Line<MemoryStore>,
    states: BTreeMap<Vec<u8>, Vec<u8>>,
    offset: i64,
    consumed: u64,
    settled: u64,
    books: Books,
    /// All that has been told.
    pub(crate) events: Vec<LifecycleEvent>,
    /// All that was parked.
    pub(crate) parked: Vec<Parking>,
}

impl<'a> Teller<'a> {
    pub(crate) fn new(ground: &'a Ground) -> Self {
        let store = MemoryStore::default();
        let line = Line::restored(store, 0, 0, Duration::ZERO, &ground.rules);
        Self {
            ground,
            line: ok(line, "an empty store can be taken over"),
            states: BTreeMap::new(),
            offset: 0,
            consumed: 0,
            settled: 0,
            books: Books::default(),
            events: Vec::new(),
            parked: Vec::new(),
        }
    }

    /// Tells all of it, and lets everything go that waits.
    pub(crate) fn tell(&mut self, told: &[Told]) {
        self.books.is_lenient = told.iter().any(Told::asks_for_something);
        let mut now = Timestamp::default();
        for Told { key, value, headers, appended_at } in told {
            now = now.max(*appended_at);
            self.take(Some(key), Some(value), headers, now, 0);
        }
        self.let_time_pass(&mut now);
        let expired = self.line.expire(PATIENCE + Duration::from_secs(1), &self.ground.rules);
        self.settle(ok(expired, "what waited in vain is given up"), now, 0);
        self.let_time_pass(&mut now);
        self.account();
    }

    /// A copy waits in its turn, and may lead to another.
    fn let_time_pass(&mut self, now: &mut Timestamp) {
        for _ in 0..MOST_COPIES {
            *now = now.plus_millis(WINDOW);
            self.take(None, None, &tick(), *now, 0);
            if self.line.standing().held == 0 {
                return;
            }
        }
    }

    fn take(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
        appended_at: Timestamp,
        copies: usize,
    ) {
        keep(copies <= MOST_COPIES, "no record is copied for ever");
        let rules = &self.ground.rules;
        let raw = Raw { offset: self.offset, appended_at, key, value, headers };
        self.offset += 1;
        let taken = self.line.take(&raw, Duration::ZERO, rules);
        self.settle(ok(taken, "a record never makes a store unusable"), appended_at, copies);
    }

    /// What a worker does with what came of a record.
    fn settle(&mut self, mut taken: Taken, appended_at: Timestamp, copies: usize) {
        discreet_in_logs(&(&taken.copies, &taken.links, &taken.expired, &taken.parked));
        let rules = &self.ground.rules;
        let link = |link: LinkAnnouncement| Link {
            key: link.key.into_bytes(),
            subscriber: link.subscriber,
            appended_at,
        };
        let links = std::mem::take(&mut taken.links).into_iter().map(link).collect();
        let learned = ok(self.line.learn(links, self.offset, rules), "links can be learned");
        self.commit();
        let expired = taken.expired.into_iter().chain(learned.expired);
        for parking in taken.parked.into_iter().chain(expired.map(|one| one.parking)) {
            discreet(&parking.message);
            keep(is_told_well(&parking.message), "what is parked has a reason");
            self.parked.push(parking);
        }
        let told: Vec<_> =
            taken.events.into_iter().chain(learned.events).map(|emission| emission.event).collect();
        for event in &told {
            self.judge(event);
        }
        self.books.enter(&told);
        self.events.extend(told);
        for copy in taken.copies.into_iter().chain(learned.copies) {
            let key = copy.key.as_bytes();
            self.take(Some(key), Some(&copy.value), &copy.headers, appended_at, copies + 1);
        }
    }

    fn commit(&mut self) {
        let rules = &self.ground.rules;
        let changes = ok(self.line.changes(rules), "every state can be encoded");
        for change in &changes {
            let Some(value) = &change.value else {
                self.states.remove(&change.key);
                continue;
            };
            keep(value.len() <= LARGEST_MESSAGE, "a state fits into a message");
            self.states.insert(change.key.clone(), value.clone());
        }
        let batch = Batch { changes, checkpoint: self.offset };
        let tally = ok(self.line.committed(batch), "a batch can be committed");
        self.consumed += tally.consumed;
        self.settled += tally.settled.values().sum::<u64>();
    }

    fn judge(&mut self, event: &LifecycleEvent) {
        let mut bytes = Vec::new();
        ok(self.ground.events.encode(event, &mut bytes), "every event can be encoded");
        keep(bytes.len() < LARGEST_EVENT, "an event has bounds");
        let decoded = ok(self.ground.events.decode(&bytes), "an event can be decoded");
        keep(decoded == *event, "an event survives the way through Avro");
        self.books.judge(event);
    }

    /// Every record that was taken has come to its end, or waits.
    fn account(&self) {
        let standing = self.line.standing();
        let waiting = u64::try_from(standing.held + standing.waiting_for_links).unwrap_or(u64::MAX);
        keep(self.consumed == self.settled + waiting, "every record is accounted for");
        keep(waiting == 0, "nothing waits for ever");
        let codec = &self.ground.rules.states;
        for value in self.states.values() {
            let state = ok(codec.decode(value), "a state that was written can be read");
            let mut again = Vec::new();
            ok(codec.encode(&state, &mut again), "and written again");
            keep(again == *value, "a state survives the way through Avro");
        }
    }

    /// What is known of everybody.
    pub(crate) fn states(&self) -> impl Iterator<Item = SubscriberState> {
        let states = &self.ground.rules.states;
        self.states.values().filter_map(|value| states.decode(value).ok())
    }
}

/// A reason names a place in the body by a JSON pointer, or says what is wrong with the record as a whole.
fn is_told_well(message: &str) -> bool {
    let place = message.split_once(": ").is_some_and(|(path, problem)| {
        (path.is_empty() || path.starts_with('/')) && !problem.is_empty()
    });
    place || message.split(' ').count() > 2
}
