//! The id by which Customer.io recognises an event it has seen.

use schemas::Timestamp;
use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A ULID that is the same whenever the same event is sent: 48 bits of the time it occurred, then 80 of
/// the SHA-256 of our event id. Neither a retry nor a replay nor a new name at the destination changes
/// it.
pub(super) fn of(event_id: &str, occurred_at: Timestamp) -> String {
    let millis = u64::try_from(occurred_at.millis()).unwrap_or(0).min((1 << 48) - 1);
    let digest = Sha256::digest(event_id.as_bytes());
    let bits =
        digest.iter().take(10).fold(u128::from(millis), |bits, byte| bits << 8 | u128::from(*byte));
    (0..26)
        .rev()
        .map(|place| {
            let digit = usize::try_from(bits >> (place * 5) & 31).unwrap_or(0);
            char::from(ALPHABET[digit])
        })
        .collect()
}

/// Whether the text is a ULID.
pub(super) fn is_one(text: &str) -> bool {
    let is_digit = |byte: u8| ALPHABET.contains(&byte.to_ascii_uppercase());
    text.len() == 26 && text.starts_with(|first| first <= '7') && text.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_ulid_of_time_and_event_id() {
        let moment = Timestamp::from_millis(1_469_918_176_385);
        let ulid = of("evt", moment);
        // The time part of the ULID specification's own example.
        assert_eq!(&ulid[..10], "01ARYZ6S41");
        assert_eq!(ulid.len(), 26);
        assert_eq!(ulid, of("evt", moment));
        assert_ne!(ulid, of("evt2", moment));
        assert!(is_one(&ulid) && is_one(&ulid.to_lowercase()));
        for text in ["", "evt_1", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "01ARZ3NDEKTSV4RRFFQ69G5FAI"] {
            assert!(!is_one(text), "{text}");
        }
    }

    #[test]
    fn a_time_out_of_range_is_held_at_its_ends() {
        assert!(of("evt", Timestamp::from_millis(-5)).starts_with("0000000000"));
        assert!(of("evt", Timestamp::from_millis(i64::MAX)).starts_with("7ZZZZZZZZZ"));
    }
}
