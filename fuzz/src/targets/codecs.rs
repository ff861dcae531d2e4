//! Avro, as it comes from a topic.

use std::cell::RefCell;
use std::fmt::Debug;

use schemas::LifecycleEvent;
use schemas::codec::{Codec, CodecError, Described, Framing};
use schemas::state::{Moved, PartitionRecord, SubscriberState};

use crate::input::pieces;
use crate::promise::{discreet, keep, ok};

/// The registry's id of the newest schema, where one gave it.
const NEWEST: u32 = 9;

struct Both<T> {
    single: Codec<T>,
    registry: Codec<T>,
}

impl<T: Described> Both<T> {
    /// Knows every released version also by an id of the registry, from 1 on.
    fn new() -> Self {
        let both = "a codec can be made";
        let mut registry = ok(Codec::new(Framing::Registry(NEWEST)), both);
        for (id, schema) in (1..).zip(T::VERSIONS) {
            ok(registry.learn(id, schema), both);
        }
        Self { single: ok(Codec::new(Framing::SingleObject), both), registry }
    }
}

thread_local! {
    /// Learns what it is given: schemas live as long as the process, so that only theirs add up.
    static FOREIGN: RefCell<Codec<LifecycleEvent>> =
        RefCell::new(ok(Codec::new(Framing::SingleObject), "a codec can be made"));
    static EVENTS: Both<LifecycleEvent> = Both::new();
    static STATES: Both<SubscriberState> = Both::new();
    static MOVED: Both<Moved> = Both::new();
    static PARTITIONS: Both<PartitionRecord> = Both::new();
}

pub(super) fn event(input: &[u8]) {
    EVENTS.with(|codecs| check(codecs, input));
}

pub(super) fn state(input: &[u8]) {
    STATES.with(|codecs| check(codecs, input));
}

pub(super) fn small(input: &[u8]) {
    MOVED.with(|codecs| check(codecs, input));
    PARTITIONS.with(|codecs| check(codecs, input));
}

/// What is decoded is encoded in either framing, and decoded to the same.
fn check<T: Described + PartialEq + Debug>(codecs: &Both<T>, input: &[u8]) {
    let value = match codecs.registry.decode(input) {
        Ok(value) => value,
        Err(error) => {
            keep(!matches!(error, CodecError::Schema(..)), "no value makes a schema unusable");
            return discreet(&error);
        }
    };
    for codec in [&codecs.single, &codecs.registry] {
        let mut bytes = Vec::new();
        ok(codec.encode(&value, &mut bytes), "what was decoded can be encoded");
        let again = ok(codecs.registry.decode(&bytes), "and decoded once more");
        keep(again == value, "to the same");
        let mut twice = Vec::new();
        ok(codec.encode(&again, &mut twice), "what was decoded can be encoded");
        keep(twice == bytes, "which is written with the same bytes");
    }
}

/// A value that was written with a schema of somebody else's.
pub(super) fn schema(input: &[u8]) {
    let mut pieces = pieces(input);
    let Ok(text) = std::str::from_utf8(pieces.next().unwrap_or_default()) else { return };
    let datum = pieces.next().unwrap_or_default();
    FOREIGN.with_borrow_mut(|codec| {
        if let Err(error) = codec.learn(1, text) {
            return discreet(&error);
        }
        if let Ok(event) = codec.decode(&[&[0, 0, 0, 0, 1], datum].concat()) {
            let mut bytes = Vec::new();
            ok(codec.encode(&event, &mut bytes), "what was decoded can be encoded");
        }
    });
}
