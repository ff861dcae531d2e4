//! How a partition's entries look on disk.
//!
//! Everything of a partition lies in one tree, told apart by the first byte of its key. Every value
//! ends with a checksum of its own over key and value, so that a flipped bit that the engine did not
//! notice, or a value under another's key, is an error and never a fact.

use schemas::Timestamp;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::state::Link;

/// Version of this layout. A store of another one is filled anew: it is only a cache.
const FORMAT: u8 = 1;

/// How far the store has followed its topics: one entry, in every batch.
pub(super) const POSITIONS: &[u8] = &[0];
/// A subscriber's state, by key.
const STATE: u8 = 1;
/// An empty entry for each key whose state waits.
const WAITING: u8 = 2;
/// A link, by key.
const LINK: u8 = 3;
/// An empty entry for each time a link was learned: by time, then key.
const LINK_TIME: u8 = 4;

const CHECKSUM: usize = size_of::<u64>();
const TIME: usize = size_of::<i64>();

/// A value that is not what was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Damage {
    /// It does not fit its checksum.
    #[error("an entry does not fit its checksum")]
    Checksum,
    /// It fits, and still cannot be read.
    #[error("an entry has another layout")]
    Layout,
}

/// How far a store has followed its topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Positions {
    pub(super) changelog: i64,
    pub(super) links: i64,
}

impl Positions {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut value = vec![FORMAT];
        value.extend(self.changelog.to_le_bytes());
        value.extend(self.links.to_le_bytes());
        value
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, Damage> {
        let (&[FORMAT], rest) = value.split_first_chunk::<1>().ok_or(Damage::Layout)? else {
            return Err(Damage::Layout);
        };
        let (changelog, links) = rest.split_first_chunk().ok_or(Damage::Layout)?;
        let links = links.try_into().map_err(|_| Damage::Layout)?;
        Ok(Self { changelog: i64::from_le_bytes(*changelog), links: i64::from_le_bytes(links) })
    }
}

fn keyed(kind: u8, key: &[u8]) -> Vec<u8> {
    let mut whole = Vec::with_capacity(1 + key.len());
    whole.push(kind);
    whole.extend_from_slice(key);
    whole
}

pub(super) fn state_key(key: &[u8]) -> Vec<u8> {
    keyed(STATE, key)
}

pub(super) fn waiting_key(key: &[u8]) -> Vec<u8> {
    keyed(WAITING, key)
}

/// From the first key of the index of what waits to before the first key behind it.
pub(super) fn waiting_keys() -> (Vec<u8>, Vec<u8>) {
    (vec![WAITING], vec![WAITING + 1])
}

/// The key of the state that an entry of the index speaks of.
pub(super) fn waiting_of(index_key: &[u8]) -> &[u8] {
    index_key.get(1..).unwrap_or_default()
}

pub(super) fn link_key(key: &[u8]) -> Vec<u8> {
    keyed(LINK, key)
}

/// Sorts by time: the sign bit is turned so that bytes compare as numbers do.
fn sortable(time: Timestamp) -> [u8; TIME] {
    (time.millis() ^ i64::MIN).to_be_bytes()
}

pub(super) fn link_time_key(time: Timestamp, key: &[u8]) -> Vec<u8> {
    let mut whole = keyed(LINK_TIME, &sortable(time));
    whole.extend_from_slice(key);
    whole
}

/// From the first key of the index of links by time to before the first of that time.
pub(super) fn link_times_before(time: Timestamp) -> (Vec<u8>, Vec<u8>) {
    (vec![LINK_TIME], keyed(LINK_TIME, &sortable(time)))
}

/// The key of the link that an entry of the index by time speaks of.
pub(super) fn linked_of(index_key: &[u8]) -> Result<&[u8], Damage> {
    index_key.get(1 + TIME..).ok_or(Damage::Layout)
}

pub(super) fn encode_link(link: &Link) -> Vec<u8> {
    let mut value = link.appended_at.millis().to_le_bytes().to_vec();
    value.extend_from_slice(link.subscriber.as_bytes());
    value
}

pub(super) fn decode_link(key: &[u8], value: &[u8]) -> Result<Link, Damage> {
    let (time, subscriber) = value.split_first_chunk::<TIME>().ok_or(Damage::Layout)?;
    let subscriber = str::from_utf8(subscriber).map_err(|_| Damage::Layout)?.to_owned();
    let appended_at = Timestamp::from_millis(i64::from_le_bytes(*time));
    Ok(Link { key: key.to_vec(), subscriber, appended_at })
}

fn checksum(whole_key: &[u8], value: &[u8]) -> [u8; CHECKSUM] {
    xxh3_64_with_seed(value, xxh3_64(whole_key)).to_le_bytes()
}

/// A value with its checksum.
pub(super) fn seal(whole_key: &[u8], mut value: Vec<u8>) -> Vec<u8> {
    let checksum = checksum(whole_key, &value);
    value.extend(checksum);
    value
}

/// The value without its checksum, if that fits.
pub(super) fn unseal<'a>(whole_key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], Damage> {
    let (value, found) = sealed.split_last_chunk().ok_or(Damage::Checksum)?;
    if *found == checksum(whole_key, value) { Ok(value) } else { Err(Damage::Checksum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_of_a_value_is_noticed_and_so_is_anothers_key() {
        let sealed = seal(&state_key(b"shop/a"), b"a state".to_vec());
        assert_eq!(unseal(&state_key(b"shop/a"), &sealed), Ok(b"a state".as_slice()));
        assert_eq!(unseal(&state_key(b"shop/b"), &sealed), Err(Damage::Checksum));
        assert_eq!(unseal(&waiting_key(b"shop/a"), &sealed), Err(Damage::Checksum));
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unseal(&state_key(b"shop/a"), &flipped), Err(Damage::Checksum));
        }
        for length in 0..sealed.len() {
            assert_eq!(unseal(&state_key(b"shop/a"), &sealed[..length]), Err(Damage::Checksum));
        }
    }

    #[test]
    fn positions_of_another_layout_are_refused() {
        let positions = Positions { changelog: i64::MAX, links: 7 };
        let encoded = positions.encode();
        assert_eq!(Positions::decode(&encoded), Ok(positions));
        let mut newer = encoded.clone();
        newer[0] += 1;
        assert_eq!(Positions::decode(&newer), Err(Damage::Layout));
        assert_eq!(Positions::decode(&encoded[..10]), Err(Damage::Layout));
        assert_eq!(Positions::decode(b""), Err(Damage::Layout));
    }

    #[test]
    fn links_sort_by_their_time_also_before_1970() {
        let at = |millis| link_time_key(Timestamp::from_millis(millis), b"shop/charge/1");
        assert!(
            at(i64::MIN) < at(-5) && at(-5) < at(0) && at(0) < at(300) && at(300) < at(i64::MAX)
        );
        let (from, until) = link_times_before(Timestamp::from_millis(0));
        assert!(from < at(i64::MIN) && at(-5) < until && until < at(0));
        assert_eq!(linked_of(&at(-5)), Ok(b"shop/charge/1".as_slice()));
        assert_eq!(linked_of(&until[..5]), Err(Damage::Layout));
    }
}
