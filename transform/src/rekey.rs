//! Re-keying: a record that lies under another key than its subscriber's goes there as a copy.
//!
//! Some records name a thing and no person; a transfer names two people, each by any of their ids. Who
//! that is only the links say, and links are not in `subscriptions.raw`. So that the events are still
//! a function of that topic alone, a record about which a link decides is never processed where it
//! lies: it goes on as a copy, with a stage later than its own, and the copy is what counts. A replay
//! skips the original and meets the copy.
//!
//! | at stage | a record without a subscriber | a transfer, where the key is known | where it is not |
//! |---|---|---|---|
//! | original | to the linked subscriber, or it waits | the key is the sender | to the linked subscriber, or it waits |
//! | `alias` | parked as `rekey_loop` | the key is the sender | the key is the sender |
//! | `sender` | parked as `rekey_loop` | the key is the sender | the key is the sender |
//! | `receiver` | – | the key receives | to the linked subscriber, or to itself |
//! | `receiver_alias` | – | the key receives | the key receives |
//! | `forward`, `forward_alias` | – | as for a receiver | as for a receiver |
//!
//! A transfer that has waited in vain goes to its own key once more, as the sender's: it takes nothing
//! along, and is remembered there for what still comes.
//!
//! Each stage looks a key up once at most, and what a receiver had already passed on goes to the next
//! one with a later effective time: no record is copied for ever.

use schemas::headers::{Header, RekeyedHeaders, Stage};
use schemas::state::{KeptRecord, Role, SubscriberState};

/// A copy of a record, to be written to `subscriptions.raw` in the partition of its key.
#[derive(Clone, PartialEq, Eq)]
pub struct RawCopy {
    /// Whose it is now taken to be.
    pub key: String,
    /// The bytes, as they were.
    pub value: Vec<u8>,
    /// The headers, with where it comes from.
    pub headers: Vec<Header>,
}

/// Keys and bodies name people, hence only the size is shown.
impl std::fmt::Debug for RawCopy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RawCopy").field("bytes", &self.value.len()).finish_non_exhaustive()
    }
}

/// Where a record goes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The key.
    pub key: String,
    /// The stage it has there.
    pub stage: Stage,
}

/// The copy of a record of `partition` for `address`. `moved` is what a transfer brings, encoded.
pub fn copy_for(
    address: Address,
    record: &KeptRecord,
    partition: i32,
    moved: Option<Vec<u8>>,
) -> RawCopy {
    let origin = RekeyedHeaders { partition, offset: record.offset, stage: address.stage, moved };
    RawCopy { key: address.key, value: record.value.clone(), headers: origin.onto(&record.headers) }
}

/// In which role the addressed key meets a transfer, if it is the one to meet it.
pub fn role_at(stage: Option<Stage>) -> Role {
    match stage {
        None | Some(Stage::Alias | Stage::Sender) => Role::Sender,
        Some(Stage::Receiver | Stage::ReceiverAlias) => Role::Receiver,
        Some(Stage::Forward | Stage::ForwardAlias) => Role::Forward,
    }
}

/// The stage after a look-up for a transfer that came with `stage` to a key nobody is known by; `None`
/// when no look-up is left and the key is the one to meet it.
pub fn after_look_up(stage: Option<Stage>) -> Option<Stage> {
    match stage {
        None => Some(Stage::Alias),
        Some(Stage::Receiver) => Some(Stage::ReceiverAlias),
        Some(Stage::Forward) => Some(Stage::ForwardAlias),
        Some(Stage::Alias | Stage::Sender | Stage::ReceiverAlias | Stage::ForwardAlias) => None,
    }
}

/// Whether somebody is known by this key: it has accepted an event of its own, or as one side of a
/// transfer, or was forgotten. What merely waits under it makes nobody known.
pub fn is_known(state: &SubscriberState) -> bool {
    state.sequence > 0
        || !state.held.is_empty()
        || !state.subscriptions.is_empty()
        || !state.identity.id.is_empty()
        || state.forgotten_at.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::Timestamp;

    const STAGES: [Option<Stage>; 7] = [
        None,
        Some(Stage::Alias),
        Some(Stage::Sender),
        Some(Stage::Receiver),
        Some(Stage::ReceiverAlias),
        Some(Stage::Forward),
        Some(Stage::ForwardAlias),
    ];

    #[test]
    fn a_look_up_raises_the_stage_keeps_the_role_and_is_not_repeated() {
        for stage in STAGES {
            let Some(next) = after_look_up(stage) else { continue };
            assert!(Some(next) > stage);
            assert_eq!(role_at(Some(next)), role_at(stage));
            assert_eq!(after_look_up(Some(next)), None, "{next:?}");
        }
        assert!(STAGES.is_sorted());
    }

    #[test]
    fn a_copy_is_the_record_under_another_key_and_says_where_it_comes_from() {
        let record = KeptRecord {
            offset: 7,
            appended_at: Timestamp::from_millis(1),
            headers: vec![Header::text("ce_id", "X")],
            value: b"{}".to_vec(),
        };
        let address = Address { key: "app/b".to_owned(), stage: Stage::Receiver };
        let copy = copy_for(address, &record, 3, Some(vec![1]));
        assert_eq!((copy.key.as_str(), copy.value.as_slice()), ("app/b", &b"{}"[..]));
        assert_eq!(copy.headers[0], record.headers[0]);
        let origin = RekeyedHeaders::from_headers(&copy.headers).unwrap().unwrap();
        let wanted = RekeyedHeaders {
            partition: 3,
            offset: 7,
            stage: Stage::Receiver,
            moved: Some(vec![1]),
        };
        assert_eq!(origin, wanted);
    }

    #[test]
    fn nobody_is_known_by_what_waits() {
        let mut state = SubscriberState::default();
        state.waiting.push(KeptRecord {
            offset: 0,
            appended_at: Timestamp::from_millis(1),
            headers: Vec::new(),
            value: Vec::new(),
        });
        assert!(!is_known(&state));
        "a".clone_into(&mut state.identity.id);
        assert!(is_known(&state));
    }
}
