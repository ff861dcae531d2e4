//! What must hold whatever bytes come from outside.
//!
//! Every boundary at which bytes of others are read has a target here: a function that gives the bytes to the code that
//! reads them in production, and ends with a panic if what comes of it breaks a promise. Not to panic is the least of
//! them; `docs/reliability.md` says what else each target holds the code to.
//!
//! The same targets are run in two ways. `tests/corpus.rs` runs them as they are compiled for production, over the kept
//! inputs and over mutations of them from a fixed seed. `src/main.rs` runs one of them under an engine that is guided by
//! coverage, for as long as one likes.
//!
//! An input is text wherever that is possible (see [`input`]), so that a kept one can be read and changed by hand. No
//! message of a broken promise contains any of it.

mod dictionary;
pub mod input;
mod memory;
pub mod mutate;
mod promise;
mod targets;
mod teller;

use std::cell::RefCell;
use std::collections::BTreeSet;

pub use dictionary::MARKER;
pub use targets::{LONGEST, TARGETS, Target, target};

thread_local! {
    /// The targets that have made what lives as long as the process: schemas, tables.
    static READY: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
}

/// Runs a target once, and insists that it takes no more memory than so many bytes can be worth. What is measured is the
/// memory of the process: targets are not run side by side.
pub fn run(target: &Target, input: &[u8]) {
    if READY.with_borrow_mut(|ready| ready.insert(target.name)) {
        (target.check)(b"");
    }
    let before = memory::begin();
    (target.check)(input);
    let allowed = target.memory + 1024 * input.len();
    promise::keep(memory::peak_since(before) <= allowed, "it takes memory without bounds");
}
