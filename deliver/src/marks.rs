//! Done marks: which records of one partition are finished, as they stand in a committed offset.
//!
//! Subscribers are served concurrently, so records finish out of order and a plain offset cannot say
//! what is done. The offset itself is the first record that is not; what is done beyond it stands in
//! the metadata of the same commit. Whoever takes the partition over repeats exactly what was undone.
//!
//! The text is `1;r:` and the runs that follow the offset (undone, done, undone …) as LEB128 numbers, or
//! `1;b:` and one bit an offset, whichever is shorter, in URL-safe base64 without padding. Further
//! `;`-separated fields may follow in a later version and are skipped. No text means nothing beyond the
//! offset, which is also what Kafka's own tools write when an operator moves a group.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;

/// Beyond this length nothing new is read until something finishes: a quarter is left for what finishes
/// meanwhile.
pub const COMFORTABLE_LENGTH: usize = 3_072;

/// Never exceeded: the broker's `offset.metadata.max.bytes` is 4,096 unless an operator lowers it.
pub const MAXIMUM_LENGTH: usize = 4_000;

/// More records than one instance ever holds undone; a longer span is a damaged mark.
const LONGEST_SPAN: i64 = 1 << 32;

/// What is done in one partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    next: i64,
    /// Ascending, apart from each other, and all beyond `next`.
    done: Vec<Range<i64>>,
}

/// Metadata that is not ours, or damaged.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MarksError {
    /// Another version, or text of somebody else.
    #[error("the metadata of the committed offset is none of this program's versions")]
    UnknownVersion,
    /// The base64 or the numbers in it make no sense.
    #[error("the metadata of the committed offset is damaged")]
    Damaged,
}

impl Marks {
    /// Everything below `next` is done and nothing from there on.
    pub fn up_to(next: i64) -> Self {
        Self { next, done: Vec::new() }
    }

    /// What is done when everything below `position` was read, `undone` of it is not finished, and
    /// `earlier` marks still speak for what lies from `position` on.
    pub fn of(position: i64, undone: impl IntoIterator<Item = i64>, earlier: &Self) -> Self {
        let mut next = None;
        let mut done = Vec::new();
        let mut from = i64::MIN;
        for offset in undone {
            if next.is_none() {
                next = Some(offset);
            } else if offset > from {
                done.push(from..offset);
            }
            from = offset + 1;
        }
        let undone_below = next.is_some();
        if undone_below && position > from {
            done.push(from..position);
        }
        let mut marks = Self { next: next.unwrap_or(position), done };
        marks.append(position, earlier);
        marks
    }

    /// Adds what `earlier` says about `position` and beyond.
    fn append(&mut self, position: i64, earlier: &Self) {
        let from = position.max(earlier.next);
        let head = position..earlier.next;
        let tail = earlier.done.iter().map(|range| range.start.max(from)..range.end);
        for range in std::iter::once(head).chain(tail) {
            if range.start >= range.end {
                continue;
            }
            let last_end = self.done.last().map_or(self.next, |last| last.end);
            if range.start > last_end {
                self.done.push(range);
            } else if let Some(last) = self.done.last_mut() {
                last.end = last.end.max(range.end);
            } else {
                self.next = self.next.max(range.end);
            }
        }
    }

    /// The offset to commit: the first that is not done.
    pub fn next(&self) -> i64 {
        self.next
    }

    /// The same where everything below `low` no longer exists.
    #[must_use]
    pub fn not_below(self, low: i64) -> Self {
        if self.next >= low { self } else { Self::of(low, [], &self) }
    }

    /// Whether the record at `offset` is finished.
    pub fn is_done(&self, offset: i64) -> bool {
        offset < self.next || self.done.iter().any(|range| range.contains(&offset))
    }

    /// The metadata to commit with [`Self::next`]; at most [`MAXIMUM_LENGTH`] long. What does not fit is
    /// left out from the end, which repeats it after a crash; reading stops long before
    /// ([`COMFORTABLE_LENGTH`]), so that this is a last resort and not a habit.
    pub fn encode(&self) -> String {
        let mut kept = self.done.len();
        loop {
            let text = encode(self.next, &self.done[..kept]);
            if text.len() <= MAXIMUM_LENGTH {
                return text;
            }
            kept -= (kept / 16).max(1);
        }
    }

    /// Reads what [`Self::encode`] wrote beside `next`.
    pub fn decode(next: i64, metadata: &str) -> Result<Self, MarksError> {
        if metadata.is_empty() {
            return Ok(Self::up_to(next));
        }
        let mut fields = metadata.split(';');
        if fields.next() != Some("1") {
            return Err(MarksError::UnknownVersion);
        }
        let field = fields.next().ok_or(MarksError::Damaged)?;
        let (kind, text) = field.split_once(':').ok_or(MarksError::Damaged)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| MarksError::Damaged)?;
        let done = match kind {
            "r" => decode_runs(next, &bytes)?,
            "b" => decode_bits(next, &bytes)?,
            _ => return Err(MarksError::UnknownVersion),
        };
        Ok(Self { next, done })
    }
}

fn encode(next: i64, done: &[Range<i64>]) -> String {
    if done.is_empty() {
        return String::new();
    }
    let runs = encode_runs(next, done);
    match encode_bits(next, done, runs.len()) {
        Some(bits) => format!("1;b:{}", URL_SAFE_NO_PAD.encode(bits)),
        None => format!("1;r:{}", URL_SAFE_NO_PAD.encode(runs)),
    }
}

fn encode_runs(next: i64, done: &[Range<i64>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut from = next;
    for range in done {
        push_number(&mut bytes, range.start.abs_diff(from));
        push_number(&mut bytes, range.end.abs_diff(range.start));
        from = range.end;
    }
    bytes
}

/// The bitmap, if it is shorter than `limit` bytes.
fn encode_bits(next: i64, done: &[Range<i64>], limit: usize) -> Option<Vec<u8>> {
    let end = done.last()?.end;
    let length = usize::try_from(end.abs_diff(next)).ok()?.div_ceil(8);
    if length >= limit {
        return None;
    }
    let mut bits = vec![0_u8; length];
    for offset in done.iter().cloned().flatten() {
        let at = usize::try_from(offset.abs_diff(next)).ok()?;
        bits[at / 8] |= 1 << (at % 8);
    }
    Some(bits)
}

fn decode_runs(next: i64, bytes: &[u8]) -> Result<Vec<Range<i64>>, MarksError> {
    let mut done = Vec::new();
    let mut rest = bytes;
    let mut from = next;
    while !rest.is_empty() {
        let start = take_run(&mut rest, from)?;
        let end = take_run(&mut rest, start)?;
        done.push(start..end);
        from = end;
    }
    Ok(done)
}

fn take_run(rest: &mut &[u8], from: i64) -> Result<i64, MarksError> {
    let length = take_number(rest).ok_or(MarksError::Damaged)?;
    let length = i64::try_from(length).map_err(|_| MarksError::Damaged)?;
    if !(1..=LONGEST_SPAN).contains(&length) {
        return Err(MarksError::Damaged);
    }
    from.checked_add(length).ok_or(MarksError::Damaged)
}

fn decode_bits(next: i64, bytes: &[u8]) -> Result<Vec<Range<i64>>, MarksError> {
    let mut done: Vec<Range<i64>> = Vec::new();
    let mut offset = next;
    for bit in bytes.iter().flat_map(|byte| (0..8).map(move |place| byte >> place & 1)) {
        let after = offset.checked_add(1).ok_or(MarksError::Damaged)?;
        if bit == 1 {
            match done.last_mut() {
                Some(last) if last.end == offset => last.end = after,
                Some(_) | None => done.push(offset..after),
            }
        }
        offset = after;
    }
    if done.first().is_some_and(|first| first.start == next) {
        return Err(MarksError::Damaged);
    }
    Ok(done)
}

fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = u8::try_from(number & 0x7F).unwrap_or(0);
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (first, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lanes::{Footprint, Identity, Log, Sequence, Turn};

    fn read(log: &mut Log, offset: i64) -> bool {
        log.read(
            offset,
            Some(Identity {
                lane: "shop/1".into(),
                turn: Turn::Live,
                sequence: Sequence { number: offset, ..Sequence::default() },
            }),
            Footprint::default(),
        )
    }

    fn done_beyond(next: i64, range: Range<i64>) -> Marks {
        Marks { next, done: std::iter::once(range).collect() }
    }

    #[test]
    fn a_prefix_needs_no_text() {
        let mut log = Log::restored(Marks::up_to(10));
        assert!(read(&mut log, 10));
        log.finish(10);
        let marks = log.marks();
        assert_eq!((marks.next(), marks.encode().as_str()), (11, ""));
    }

    #[test]
    fn what_is_done_beyond_the_first_undone_record_is_kept() {
        let mut log = Log::restored(Marks::up_to(10));
        for offset in [10, 11, 12, 14, 15] {
            assert!(read(&mut log, offset));
        }
        log.finish(11);
        log.finish(12);
        log.finish(15);
        let marks = log.marks();
        assert_eq!(marks.next(), 10);
        let decoded = Marks::decode(10, &marks.encode()).unwrap();
        assert_eq!(decoded, marks);
        let done: Vec<i64> = (10..18).filter(|offset| decoded.is_done(*offset)).collect();
        // 13 was never there: a control record.
        assert_eq!(done, [11, 12, 13, 15]);
    }

    #[test]
    fn marks_of_the_previous_owner_survive_a_commit_before_they_were_read_again() {
        let earlier = Marks { next: 5, done: vec![7..9, 12..20] };
        let mut log = Log::restored(earlier);
        assert!(read(&mut log, 5));
        assert!(read(&mut log, 6));
        log.finish(5);
        let marks = log.marks();
        assert_eq!(marks, Marks { next: 6, done: vec![7..9, 12..20] });
        log.finish(6);
        assert_eq!(log.marks(), done_beyond(9, 12..20));
        assert!(!read(&mut log, 8));
        assert!(read(&mut log, 9));
        log.finish(9);
        assert_eq!(log.marks(), done_beyond(10, 12..20));
    }

    #[test]
    fn foreign_and_damaged_text_is_refused() {
        assert_eq!(Marks::decode(3, "2;r:AAAA"), Err(MarksError::UnknownVersion));
        assert_eq!(Marks::decode(3, "hello"), Err(MarksError::UnknownVersion));
        for text in ["1", "1;r", "1;r:?", "1;r:AA", "1;r:AQ", "1;r:gICAgICAgICAgIA", "1;b:AQ"] {
            assert_eq!(Marks::decode(3, text), Err(MarksError::Damaged), "{text}");
        }
        assert_eq!(Marks::decode(i64::MAX, "1;b:Ag"), Err(MarksError::Damaged));
        assert_eq!(Marks::decode(i64::MAX - 1, "1;r:AQE"), Err(MarksError::Damaged));
    }

    #[test]
    fn a_later_version_may_add_fields() {
        let marks = done_beyond(3, 4..6);
        let text = format!("{};clean", marks.encode());
        assert_eq!(Marks::decode(3, &text), Ok(marks));
    }

    #[test]
    fn text_never_exceeds_what_the_broker_takes() {
        // Runs of 200 alternate, the worst for both encodings.
        let done: Vec<Range<i64>> = (0..5_000).map(|n| n * 400 + 200..n * 400 + 400).collect();
        let text = Marks { next: 0, done }.encode();
        assert!(text.len() <= MAXIMUM_LENGTH, "{}", text.len());
        let read = Marks::decode(0, &text).unwrap();
        assert!(read.is_done(250) && !read.is_done(450));
    }

    proptest! {
        #[test]
        fn marks_say_after_decoding_what_the_log_knew(
            start in 0_i64..1_000_000,
            reads in prop::collection::vec((1_i64..4, any::<bool>()), 0..400),
        ) {
            let mut log = Log::restored(Marks::up_to(start));
            let mut offset = start - 1;
            let mut undone = Vec::new();
            for (step, finished) in &reads {
                offset += step;
                prop_assert!(read(&mut log, offset));
                if *finished { log.finish(offset) } else { undone.push(offset) }
            }
            let marks = log.marks();
            let text = marks.encode();
            prop_assert!(text.len() <= MAXIMUM_LENGTH);
            let decoded = Marks::decode(marks.next(), &text).unwrap();
            for at in start..=offset {
                prop_assert_eq!(decoded.is_done(at), !undone.contains(&at), "{}", at);
            }
            prop_assert!(!decoded.is_done(offset + 1));
            prop_assert_eq!(&Log::restored(decoded.clone()).marks(), &decoded);
        }

        #[test]
        fn no_text_makes_decoding_panic(next: i64, text in "(1;[rb]:)?[A-Za-z0-9_-]{0,60}") {
            if let Ok(marks) = Marks::decode(next, &text) {
                prop_assert!(marks.next() == next);
            }
        }
    }
}
