//! A person who is to be forgotten, and one who may be told of again: native types of record that ask for
//! something instead of telling what happened.
//!
//! They may be written for a source of any provider. The body names the subscriber once more, so that nobody is
//! forgotten by a slip in a key. What is done about it is [`forget`](mod@crate::advance::forget)'s to say.

use schemas::event::FORGOTTEN;

use super::super::json::{Fields, parse};
use super::super::{RawView, Unreadable};

/// The `ce_type` by which somebody who was forgotten may be told of again.
pub const READMITTED: &str = "native.subscriber_readmitted";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// What is known of the person goes, and nothing is told of them any more.
    Forget,
    /// What comes from now on is told again.
    Readmit,
}

impl Wish {
    /// What a `ce_type` asks for.
    pub fn of(event_type: &str) -> Option<Self> {
        match event_type {
            FORGOTTEN => Some(Self::Forget),
            READMITTED => Some(Self::Readmit),
            _ => None,
        }
    }

    /// The `ce_type` that asks for it.
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Forget => FORGOTTEN,
            Self::Readmit => READMITTED,
        }
    }
}

/// Whether the body names the subscriber that the key does.
pub fn names_its_key(raw: &RawView<'_>) -> Result<bool, Unreadable> {
    let payload = parse(raw.body)?;
    let body = Fields::of(&payload);
    let id = body.require("/subscriber/id", body.word("/subscriber/id"))?;
    Ok(id == raw.subscriber_id)
}
