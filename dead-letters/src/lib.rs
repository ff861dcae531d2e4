//! `dead list | show | redrive | discard`: what was parked is seen, and goes through again after a
//! correction.
//!
//! `transform` and `deliver` have the same commands because they share this crate; what differs between
//! them is a [`Stage`]. A command's way: [`arguments`] says what was asked for, [`survey`] reads the
//! topic into [`letter`]s, [`plan`] decides which of them go and which cannot, [`disposal`] carries it
//! out, [`present`] shows it. [`arguments`], [`letter`], [`plan`], [`pace`] and [`present`] decide
//! without IO.
//!
//! # What is promised
//!
//! * A letter is redriven **once**, whatever interrupts it. The copy and the record that says so
//!   ([`ledger`]) are one Kafka transaction: seen together or not at all.
//! * That record lies **in the topic of the dead letters itself**, in the letter's own partition, behind
//!   it. So it lives at least as long as the letter. A committed offset of a group would not: a group
//!   without members loses its offsets after `offsets.retention.minutes` (7 days unless configured),
//!   dead letters are kept for 90, and everything redriven would be redriven again.
//! * Of two operators at once **one goes on**: both write under the transactional id of the topic, so the
//!   later one fences the earlier, and reads what that one had committed before it decides anything.
//! * Nothing here ever shows a body, and `list` shows no subscriber, unless asked to.

pub mod arguments;
mod command;
pub mod disposal;
pub mod error;
pub mod ledger;
pub mod letter;
pub mod pace;
pub mod plan;
pub mod present;
pub mod survey;

use schemas::Timestamp;
use stream::{Received, Record};

pub use arguments::Arguments;
pub use command::{Surroundings, execute};
pub use error::DeadError;

use crate::letter::Letter;

/// What is particular to the dead letters of one topic.
pub trait Stage: Send + Sync {
    /// What operators know it by: `transform`, or the destination's name.
    fn name(&self) -> &str;

    /// The topic of the dead letters.
    fn topic(&self) -> &str;

    /// The transactional id of whoever deals with these letters, with the installation's prefix: the same
    /// for all, so that there is one at a time.
    fn identity(&self) -> &str;

    /// The topic that redriven letters go to. It has the partitions of the one they failed in.
    fn target(&self) -> &str;

    /// Every word that a letter's reason can be in this version.
    fn reasons(&self) -> Vec<&'static str>;

    /// Why redriving this letter cannot help, whatever was corrected.
    fn obstacle(&self, letter: &Letter) -> Option<&'static str>;

    /// When that happened which the letter tells of, if its body says so.
    fn happened_at(&self, letter: &Received) -> Option<Timestamp>;

    /// What an operator should know before a letter of this age (milliseconds, see [`Letter::age`]) is
    /// redriven.
    fn caution(&self, age: i64) -> Option<&'static str>;

    /// The letter as it goes back to `partition` of [`Self::target`]; `headers` are those from before its
    /// end.
    fn redriven(
        &self,
        letter: Received,
        partition: i32,
        headers: Vec<schemas::headers::Header>,
    ) -> Record;

    /// A body as text for a person who asked for it; none when it cannot be told.
    fn legible(&self, body: &[u8]) -> Option<String>;
}
