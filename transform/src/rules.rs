//! What the lines of a worker share: everything the configuration says about how records are judged,
//! and how states are written.

use std::time::Duration;

use schemas::codec::{Codec, CodecError, Framing};
use schemas::state::SubscriberState;

use crate::budget::Budget;
use crate::seen::Memory;
use crate::sources::Sources;

/// One set for each thread: codecs keep what they have learned of schemas.
#[derive(Debug)]
pub struct Rules {
    /// Who sends, and how it is read.
    pub sources: Sources,
    /// How long an event waits for an earlier one; zero for not at all.
    pub window: Duration,
    /// How long and how many ids of events are remembered.
    pub memory: Memory,
    /// How large a state may become.
    pub budget: Budget,
    /// How states are written.
    pub states: Codec<SubscriberState>,
}

impl Rules {
    /// Rules for these sources and times, where a message may have `max_message_bytes`.
    pub fn new(
        sources: Sources,
        window: Duration,
        dedup_window: Duration,
        max_message_bytes: usize,
    ) -> Result<Self, CodecError> {
        let budget = Budget::of(max_message_bytes);
        Ok(Self {
            sources,
            window,
            memory: Memory { window: dedup_window, most: budget.ids },
            budget,
            states: Codec::new(Framing::SingleObject)?,
        })
    }
}
