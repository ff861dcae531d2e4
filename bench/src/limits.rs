//! What the machine can do at most: programs that do the unavoidable part of a stage and nothing else. Each is a process
//! of its own, started and measured as the binaries are.

mod call;
mod copy_through;
mod no_op;
mod produce;

use anyhow::Result;
use clap::Subcommand;

pub(crate) use copy_through::group as copy_through_group;

/// One of them.
#[derive(Debug, Subcommand)]
pub(crate) enum Limit {
    /// Reads each request's body and answers 200
    NoOp(no_op::Arguments),
    /// Writes webhooks to a topic as fast as the broker acknowledges them
    Produce(produce::Arguments),
    /// Calls a destination as fast as it answers
    Call(call::Arguments),
    /// Copies records from one topic to another exactly once, with a read and a write of state and an encoding for each
    CopyThrough(copy_through::Arguments),
}

pub(crate) fn run(limit: Limit) -> Result<()> {
    match limit {
        Limit::NoOp(arguments) => no_op::run(&arguments),
        Limit::Produce(arguments) => produce::run(&arguments),
        Limit::Call(arguments) => call::run(&arguments),
        Limit::CopyThrough(arguments) => copy_through::run(&arguments),
    }
}
