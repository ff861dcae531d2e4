//! The reorder window by itself: every small stream there is, through the crate's own line.
//!
//! An event is late only if something that sorts behind it was due before it came. To show what
//! releasing everything that sorts before a due event is there for, the same line is also driven so
//! that it sees, of what is held, only what is due.

use std::time::Duration;

use schemas::Timestamp;
use schemas::state::{Held, SubscriberState};
use transform::line::Line;
use transform::order::{deadline, hold};
use transform::rules::Rules;
use transform::state::{Batch, Change, MemoryStore, Store};

use crate::catalogue::{Catalogue, Input, Lateness, Tells};
use crate::kafka::{Payload, offset};

const WINDOW: i64 = 4;
const SUBSCRIBER: &str = "a";

/// What the line may release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sees {
    Everything,
    OnlyWhatIsDue,
}

/// A stream: when each record occurred, and how long after the one before it it was appended.
type Stream = Vec<(i64, i64)>;

/// Every stream of up to three records of one subscriber.
fn streams() -> Vec<Stream> {
    let records: Vec<_> =
        (0..3).flat_map(|occurred| [0, 1, 2, 4, 5].map(|gap| (occurred, gap))).collect();
    let mut all: Vec<Stream> = vec![Vec::new()];
    let mut longest = all.clone();
    for _ in 0..3 {
        let longer = |stream: &Stream| {
            let stream = stream.clone();
            records.iter().map(move |record| [stream.as_slice(), &[*record]].concat())
        };
        longest = longest.iter().flat_map(longer).collect();
        all.extend(longest.iter().cloned());
    }
    all
}

/// Takes what is not due yet out of the stored states.
fn hide(store: &mut MemoryStore, now: i64, rules: &Rules, catalogue: &Catalogue) -> Vec<Held> {
    let mut hidden = Vec::new();
    for Change { key, value, waits } in catalogue.entries(store) {
        let mut state: SubscriberState = rules.states.decode(&value.unwrap()).unwrap();
        let due = |held: &Held| deadline(held, rules.window) <= Timestamp::from_millis(now);
        let (seen, rest) = state.held.into_iter().partition(due);
        (state.held, hidden) = (seen, rest);
        write(store, key, &state, waits, rules);
    }
    hidden
}

fn write(
    store: &mut MemoryStore,
    key: Vec<u8>,
    state: &SubscriberState,
    waits: bool,
    rules: &Rules,
) {
    let mut value = Vec::new();
    rules.states.encode(state, &mut value).unwrap();
    let changes = vec![Change { key, value: Some(value), waits }];
    store.apply(Batch { changes, checkpoint: 0 }).unwrap();
}

/// What a stream gives, one transaction a record: ids with their lateness.
fn run(stream: &[Payload], sees: Sees, catalogue: &Catalogue) -> Vec<(String, Lateness)> {
    let rules = &catalogue.rules;
    let mut store = MemoryStore::default();
    let mut told = Vec::new();
    for (index, payload) in stream.iter().enumerate() {
        let now = catalogue.appended_at(*payload);
        let hidden = match sees {
            Sees::Everything => Vec::new(),
            Sees::OnlyWhatIsDue => hide(&mut store, now, rules, catalogue),
        };
        let mut line: Line<MemoryStore> = catalogue.restored(store.clone(), offset(index));
        let taken = catalogue.take(&mut line, offset(index), *payload);
        told.extend(taken.events.iter().map(|one| catalogue.told(catalogue.event(0, one))));
        let changes = line.changes(rules).unwrap();
        store.apply(Batch { changes, checkpoint: 0 }).unwrap();
        for Change { key, value, .. } in catalogue.entries(&store) {
            let mut state: SubscriberState = rules.states.decode(&value.unwrap()).unwrap();
            for held in hidden.clone() {
                hold(&mut state.held, held);
            }
            let waits = !state.held.is_empty();
            write(&mut store, key, &state, waits, rules);
        }
    }
    told.into_iter().map(|one| (one.provider_event_id, one.late)).collect()
}

/// The record of the stream that came in time and is called late, if there is one.
fn wrongly_late(stream: &Stream, sees: Sees, catalogue: &Catalogue) -> Option<usize> {
    let mut now = 0;
    let mut appended = Vec::new();
    let mut payloads = Vec::new();
    for (id, (occurred, gap)) in stream.iter().enumerate() {
        now += gap;
        appended.push(now);
        let id = u32::try_from(id).unwrap();
        let input = Input {
            tells: Tells::Event,
            subscriber: SUBSCRIBER,
            id,
            occurred: *occurred,
            gap: *gap,
        };
        payloads.push(catalogue.input(&input, now));
    }
    payloads.push(catalogue.tick(0, now + 10 * WINDOW));
    let told = run(&payloads, sees, catalogue);
    assert_eq!(told.len(), stream.len(), "each gives its event: {stream:?}");
    let number = |name: &str| name[1..].parse::<usize>().unwrap();
    told.iter().enumerate().find_map(|(place, (name, late))| {
        let this = number(name);
        let in_time = told[..place].iter().map(|(before, _)| number(before)).all(|before| {
            let sorts_behind = (stream[before].0, before) > (stream[this].0, this);
            !sorts_behind || appended[this] < appended[before] + WINDOW
        });
        (*late == Lateness::Late && in_time).then_some(this)
    })
}

#[test]
fn what_came_in_time_is_never_late_in_any_small_stream() {
    let catalogue = Catalogue::new(WINDOW, &[SUBSCRIBER]);
    assert_eq!(catalogue.rules.window, Duration::from_millis(4));
    let all = streams();
    for stream in &all {
        let late = wrongly_late(stream, Sees::Everything, &catalogue);
        assert_eq!(late, None, "(occurred, appended after the one before): {stream:?}");
    }
    println!("{} streams: nothing that came in time is late", all.len());
}

#[test]
fn releasing_only_what_is_due_would_call_late_what_came_in_time() {
    let catalogue = Catalogue::new(WINDOW, &[SUBSCRIBER]);
    let late = |stream: &Stream| {
        wrongly_late(stream, Sees::OnlyWhatIsDue, &catalogue).map(|late| (stream.clone(), late))
    };
    let (stream, late) = streams().iter().find_map(late).expect("such a stream");
    println!("(occurred, appended after the one before): {stream:?}: record {late} is late");
    assert!(stream.len() <= 3);
}
