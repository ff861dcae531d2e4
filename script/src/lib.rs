//! Transformation code of operators: JavaScript text in, JSON text out, and nothing of the outside within its reach.
//!
//! A script defines a function `handler`, which is given a value and returns one. There is no file, no network, no
//! timer and no module; the clock and the randomness are given to it ([`Ambient`]), local time is UTC. So the same
//! script with the same input gives the same bytes, on whatever machine and however often.
//!
//! Every call has an engine of its own, made before and thrown away after it: nothing that a script does to its globals
//! or prototypes is seen by the next call, and an engine that stood at its memory limit is never used again, which could
//! end the process (QuickJS asserts that nothing is left over).
//!
//! Limits ([`Limits`]) end what does not end by itself. Time is the processor time of the calling thread, so that a
//! machine that stands still for a while makes no script too slow. But an engine asks how late it is only every 10,000
//! steps, and a step may take half a second, with numbers of a million bits: such a loop goes on for an hour. So whoever
//! may not stand still reads and calls scripts in a process of their own ([`Worker`]), which the kernel ends when it
//! computes for too long, and which nothing that goes wrong in an engine can leave.

mod fault;
mod run;
mod worker;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use fault::{Fault, Kind, Position};
pub use run::Output;
pub use worker::{Unread, Worker, serve};

/// What a script may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Processor time.
    pub time: Duration,
    /// Bytes of the script, of what it is given and of all that it makes.
    pub memory: usize,
    /// Bytes of the calls inside each other. The calling thread must have more than that left.
    pub stack: usize,
    /// Bytes of what it returns, as JSON.
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_millis(100),
            memory: 32 << 20,
            stack: 256 << 10,
            output: 1 << 20,
        }
    }
}

/// What a script sees of the world beside its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ambient {
    /// The present, in milliseconds since 1970.
    pub now_millis: i64,
    /// Where its randomness begins.
    pub seed: u32,
}

/// A script that was read and can be called.
#[derive(Clone, Serialize, Deserialize)]
pub struct Script {
    name: String,
    text: String,
    limits: Limits,
}

impl std::fmt::Debug for Script {
    /// Without the text: it may hold credentials of others.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Script").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Script {
    /// Reads a script; `name` is what errors call it.
    ///
    /// # Errors
    /// When it is no JavaScript, when it defines no function `handler`, and when what it does before it is called goes
    /// wrong.
    pub fn read(name: &str, text: &str, limits: Limits) -> Result<Self, Fault> {
        let script = Self { name: name.to_owned(), text: text.to_owned(), limits };
        run::check(&script)?;
        Ok(script)
    }

    /// What errors call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls the handler with the value that `input` says in JSON.
    ///
    /// # Errors
    /// Whatever it does instead of returning something that JSON can say.
    pub fn call(&self, input: &str, ambient: Ambient) -> Result<Output, Fault> {
        run::call(self, input, ambient)
    }
}
