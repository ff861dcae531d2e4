//! Bugs that are planted, so that anybody can see a run fail when it must.
//!
//! No binary can be told to do wrong. What a bug of it would do is done from outside, where it would show: to its
//! calls on their way ([`super::relay`]), to the offsets of its group, to what is sent to it.

use std::time::Duration;

use super::programme::{Fault, Step};
use super::relay::Meddling;
use crate::processes::Binary;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    /// The offsets of a destination's group are committed before its events are delivered.
    OffsetEarly,
    /// An event that is delivered again has another id.
    DoubledOnRetry,
    /// After a restart of `deliver` events overtake those that were under way.
    ReorderedOnRestart,
    /// Forged webhooks are taken.
    ForgedAccepted,
}

impl Plant {
    pub(super) fn meddling(self) -> Option<Meddling> {
        match self {
            Self::DoubledOnRetry => Some(Meddling::NewIdOnRetry),
            Self::ReorderedOnRestart => Some(Meddling::LateAfterRestart),
            Self::OffsetEarly | Self::ForgedAccepted => None,
        }
    }

    /// What has to happen for it to show, whatever the seed says: before everything else.
    pub(super) fn first(self) -> Option<Step> {
        let at = Duration::from_secs(4);
        let killed =
            Step { at, lasts: Duration::from_secs(1), fault: Fault::Kill(Binary::Deliver) };
        match self {
            Self::OffsetEarly | Self::ReorderedOnRestart => Some(killed),
            Self::DoubledOnRetry | Self::ForgedAccepted => None,
        }
    }
}
