//! Copying a part of a partition, by key, into the partitions of another topic.

use std::ops::ControlFlow;

use schemas::codec::{Codec, CodecError, Framing};
use schemas::headers::{is_tick, is_waiting};
use schemas::state::SubscriberState;
use stream::{ReadError, Reader, Received, Record};
use tokio::sync::mpsc::Sender;

use super::plan::{Content, Span};
use crate::state::PARTITION_KEY;

/// Why something could not be copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("a state in partition {partition} at {offset} cannot be read")]
    State { partition: i32, offset: i64, source: CodecError },
    #[error("nobody writes any more")]
    Unwritten,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    states: u64,
    links: u64,
    unprocessed: u64,
}

impl Copied {
    pub(super) fn add(&mut self, other: Self) {
        self.states += other.states;
        self.links += other.links;
        self.unprocessed += other.unprocessed;
    }

    /// For whoever asked.
    pub(super) fn lines(&self, from: &str) -> [String; 2] {
        let Self { states, links, unprocessed } = self;
        [
            format!(
                "copied from {from:?}: {states} state records, {links} links, {unprocessed} records \
                 that were not processed yet"
            ),
            "start transform now; nothing more may be written to the old installation".to_owned(),
        ]
    }

    fn one(content: Content) -> Self {
        let mut one = Self::default();
        match content {
            Content::States => one.states = 1,
            Content::Links => one.links = 1,
            Content::Unprocessed => one.unprocessed = 1,
        }
        one
    }
}

/// Copies one part; `progress` hears of each record.
pub(super) fn copy(
    reader: &Reader,
    span: &Span,
    to: &Sender<Record>,
    progress: &dyn Fn(),
) -> Result<Copied, CopyError> {
    let states = Codec::new(Framing::SingleObject).map_err(|source| CopyError::State {
        partition: span.partition,
        offset: span.range.0,
        source,
    })?;
    let mut copied = Copied::default();
    let mut failed = None;
    let each = |received: Received| {
        progress();
        let (partition, offset) = (received.partition, received.offset);
        let sent = match copy_of(received, span, &states) {
            Ok(Some(record)) => {
                copied.add(Copied::one(span.content));
                to.blocking_send(record).map_err(|_| CopyError::Unwritten)
            }
            Ok(None) => Ok(()),
            Err(source) => Err(CopyError::State { partition, offset, source }),
        };
        failed = sent.err();
        if failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    reader.read_to(&span.from_topic, span.partition, span.range, each)?;
    failed.map_or(Ok(copied), Err)
}

/// The record as it goes into the other topic; none for what means something in its own partition only.
fn copy_of(
    received: Received,
    span: &Span,
    states: &Codec<SubscriberState>,
) -> Result<Option<Record>, CodecError> {
    let key = received.key.unwrap_or_default();
    let of_the_partition = match span.content {
        Content::States => key == PARTITION_KEY,
        Content::Links => false,
        Content::Unprocessed => is_tick(&received.headers),
    };
    if of_the_partition {
        return Ok(None);
    }
    let mut value = received.value;
    if span.content == Content::States
        && is_waiting(&received.headers)
        && let Some(encoded) = &value
    {
        value = Some(renumbered(encoded, states)?);
    }
    Ok(Some(Record {
        topic: span.to_topic.clone(),
        partition: None,
        key,
        value,
        headers: received.headers,
    }))
}

/// A record that waits for its link is known by its offset in raw. Below zero it can be no record's of
/// the other topic: `-1 - offset` of where it came from.
fn renumbered(encoded: &[u8], states: &Codec<SubscriberState>) -> Result<Vec<u8>, CodecError> {
    let mut state = states.decode(encoded)?;
    for record in state.waiting.iter_mut().filter(|record| record.offset >= 0) {
        record.offset = -1 - record.offset;
    }
    let mut bytes = Vec::new();
    states.encode(&state, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Timestamp;
    use schemas::headers::{Header, tick, waits};
    use schemas::state::KeptRecord;
    use std::sync::Arc;

    fn span(content: Content) -> Span {
        let (from_topic, to_topic) = ("old".to_owned(), "new".to_owned());
        Span { content, from_topic, to_topic, partition: 3, range: (0, 9) }
    }

    fn received(key: &[u8], value: Option<Vec<u8>>, headers: Vec<Header>) -> Received {
        Received {
            topic: Arc::from("old"),
            partition: 3,
            offset: 5,
            timestamp: Timestamp::from_millis(1),
            key: Some(key.to_vec()),
            value,
            headers,
        }
    }

    #[test]
    fn everything_goes_on_by_key_but_what_belongs_to_a_partition() {
        let states = Codec::new(Framing::SingleObject).unwrap();
        let kept = |received, content| copy_of(received, &span(content), &states).unwrap();
        let plain = |key: &[u8]| received(key, None, Vec::new());
        let tombstone = kept(plain(b"shop/a"), Content::States).unwrap();
        assert_eq!((tombstone.topic.as_str(), tombstone.partition), ("new", None));
        assert_eq!((tombstone.key.as_slice(), tombstone.value), (b"shop/a".as_slice(), None));
        assert_eq!(kept(plain(PARTITION_KEY), Content::States), None);
        let tick = received(b"", None, tick());
        assert_eq!(kept(tick, Content::Unprocessed), None);
        assert!(kept(plain(b"shop/a"), Content::Unprocessed).is_some());
        assert!(kept(plain(b"shop/charge/1"), Content::Links).is_some());
    }

    #[test]
    fn what_waits_for_a_link_is_renumbered_once_so_that_it_is_no_new_records_namesake() {
        let states = Codec::<SubscriberState>::new(Framing::SingleObject).unwrap();
        let kept = |offset| KeptRecord {
            offset,
            appended_at: Timestamp::from_millis(1),
            headers: Vec::new(),
            value: Vec::new(),
        };
        let state =
            SubscriberState { waiting: vec![kept(0), kept(7), kept(-4)], ..Default::default() };
        let mut bytes = Vec::new();
        states.encode(&state, &mut bytes).unwrap();
        let record = received(b"shop/charge/1", Some(bytes), waits());
        let copied = copy_of(record, &span(Content::States), &states).unwrap().unwrap();
        assert_eq!(copied.headers, waits());
        let state = states.decode(&copied.value.unwrap()).unwrap();
        let offsets: Vec<_> = state.waiting.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, [-1, -8, -4]);
    }
}
