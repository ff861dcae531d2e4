//! What the topics and the groups' commits say about one key, read and sorted, and nothing concluded yet.

use std::collections::BTreeMap;

use dead_letters::letter::Letter;
use schemas::headers::{Labels, RetryHeaders, is_outcome_unknown, times_redriven};
use schemas::state::SubscriberState;
use schemas::{LifecycleEvent, Timestamp};
use service::config::Mode;
use stream::Received;

use super::hindsight::Nothing;
use super::refreshes::Refresh;
use crate::cut::Cut;
use crate::destinations::Skip;
use crate::marks::Marks;
use crate::tenure::Tenure;

/// All that is known of one key.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) key: String,
    /// Of the co-partitioned topics.
    pub(super) partition: i32,
    /// Records of `subscriptions.raw`, in order.
    pub(super) raw: Vec<Received>,
    /// The first record of raw that `transform` has not taken yet; none when it never began.
    pub(super) taken_up_to: Option<i64>,
    /// What `transform` remembers; none of a key that is nobody's, or nobody's any more.
    pub(super) state: Option<SubscriberState>,
    /// Whose the key is, if a link says that it is another subscriber's.
    pub(super) linked_to: Option<String>,
    /// Dead letters of `transform`.
    pub(super) letters: Vec<Letter>,
    /// By offset in raw: what becomes nothing when `transform` takes it again.
    pub(super) hindsight: BTreeMap<i64, Nothing>,
    /// Lifecycle events, in order of their sequence.
    pub(super) events: Vec<Event>,
    /// Records that should be events and cannot be read here.
    pub(super) unreadable: usize,
    pub(super) destinations: Vec<AtDestination>,
}

/// A lifecycle event, and where it lies.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    /// Its offset in `subscriptions.events`; none of one that was found among what waits or was parked.
    pub(super) offset: Option<i64>,
    pub(super) event: LifecycleEvent,
}

/// What is known at one destination.
#[derive(Debug)]
pub(super) struct AtDestination {
    pub(super) name: String,
    pub(super) mode: Mode,
    /// How many failures are met on the spot, before the retry topic.
    pub(super) in_place: usize,
    /// By event id: what the destination, as configured now, would not be sent.
    pub(super) skips: BTreeMap<String, Skip>,
    /// What its group has committed; none when it never did.
    pub(super) standing: Option<Standing>,
    /// The first event that counts, by `start:`.
    pub(super) beginning: Beginning,
    /// Its records of the retry topic, in order.
    pub(super) retries: Vec<Retried>,
    /// Its dead letters, in order.
    pub(super) letters: Vec<Letter>,
    /// The latest refresh, which is in neither of the two.
    pub(super) refresh: Option<Refresh>,
    pub(super) service: Service,
}

/// What a group has committed for a partition of events and of its retry topic: of one moment.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) events: Marks,
    pub(super) retry: Marks,
    pub(super) tenure: Tenure,
}

/// From where on a destination is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beginning {
    /// From the oldest event on.
    Earliest,
    /// What happened from a moment on, of what lies from this offset on.
    At { cut: Cut, first: i64 },
    /// From where the log ended when the destination was new, which nobody wrote down.
    Forgotten,
}

/// A record of a retry topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retried {
    pub(super) offset: i64,
    pub(super) event_id: String,
    /// What was tried; as never tried where the headers do not say.
    pub(super) history: RetryHeaders,
    pub(super) redriven: u32,
    /// Whether an attempt may have taken effect that nobody answered.
    pub(super) outcome: Outcome,
}

/// What is known of the attempts made so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Known,
    Unknown,
}

/// How a destination stands, as far as topics and group tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Service {
    /// Instances that work on it.
    pub(super) members: usize,
    /// Until when it has asked to be left alone.
    pub(super) left_alone_until: Option<Timestamp>,
    pub(super) breaker: Breaker,
}

/// The breaker of the partition's owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Breaker {
    /// Nothing waits that would have made it worth a second look.
    #[default]
    NotLookedAt,
    /// The time out of service stood still while it was watched.
    Closed,
    /// The time out of service grew.
    Open,
}

impl Retried {
    /// Reads a record of the retry topic.
    pub(super) fn of(received: &Received) -> Self {
        let never = RetryHeaders {
            attempts: 0,
            first_failure: None,
            due: None,
            outages: std::time::Duration::ZERO,
        };
        Self {
            offset: received.offset,
            event_id: Labels::from_headers(&received.headers).id.unwrap_or_default(),
            history: RetryHeaders::from_headers(&received.headers).unwrap_or(never),
            redriven: times_redriven(&received.headers).unwrap_or(0),
            outcome: if is_outcome_unknown(&received.headers) {
                Outcome::Unknown
            } else {
                Outcome::Known
            },
        }
    }
}
