//! What the lines of a worker share: everything the configuration says about how records are judged,
//! and how states are written.

use std::time::Duration;

use schemas::codec::{Codec, CodecError, Framing};
use schemas::state::{Moved, SubscriberState};

use crate::budget::Budget;
use crate::seen::Memory;
use crate::sources::Sources;

/// How long a link is believed: as long as the topic of links keeps it.
pub const LINK_LIFE: Duration = Duration::from_hours(180 * 24);

/// What the events are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// To go on with the stream: copies and links are written, and records wait for links.
    Live,
    /// To make the events again from what is in raw. Copies are there already, so none is written,
    /// nothing waits, and an original that went on to another key gives nothing.
    Replay,
}

/// For how long things are waited for and remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long an event waits for an earlier one; zero for not at all.
    pub reorder_window: Duration,
    /// How long the ids of events are remembered.
    pub dedup_window: Duration,
    /// How long a record that names no subscriber waits for a link.
    pub link_timeout: Duration,
}

/// One set for each thread: codecs keep what they have learned of schemas.
#[derive(Debug)]
pub struct Rules {
    /// Who sends, and how it is read.
    pub sources: Sources,
    /// How long an event waits for an earlier one; zero for not at all.
    pub window: Duration,
    /// How long and how many ids of events are remembered.
    pub memory: Memory,
    /// How long a record waits for a link.
    pub link_timeout: Duration,
    /// How long a link is believed.
    pub link_life: Duration,
    /// Whether the stream goes on or is told again.
    pub mode: Mode,
    /// How large a state may become.
    pub budget: Budget,
    /// How states are written.
    pub states: Codec<SubscriberState>,
    /// How copies say what a transfer brings.
    pub moved: Codec<Moved>,
}

impl Rules {
    /// Rules for these sources and times, where a message may have `max_message_bytes`.
    pub fn new(
        sources: Sources,
        times: Times,
        max_message_bytes: usize,
    ) -> Result<Self, CodecError> {
        let budget = Budget::of(max_message_bytes);
        Ok(Self {
            sources,
            window: times.reorder_window,
            memory: Memory { window: times.dedup_window, most: budget.ids },
            link_timeout: times.link_timeout,
            link_life: LINK_LIFE,
            mode: Mode::Live,
            budget,
            states: Codec::new(Framing::SingleObject)?,
            moved: Codec::new(Framing::SingleObject)?,
        })
    }

    /// The same, to tell the stream again.
    #[must_use]
    pub fn for_replay(self) -> Self {
        Self { mode: Mode::Replay, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::topics::{Installation, Topic, catalogue};

    #[test]
    fn a_link_is_believed_as_long_as_its_topic_keeps_it() {
        let installation = Installation {
            prefix: "",
            destinations: Vec::new(),
            in_shadow: Vec::new(),
            partitions: 1,
            max_body: 1,
        };
        let topics = catalogue(&installation).unwrap();
        let links = topics.iter().find(|topic| topic.name == Topic::Links.name("")).unwrap();
        assert_eq!(links.retention, Some(LINK_LIFE));
    }
}
