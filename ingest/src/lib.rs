//! `ingest`: the edge of the pipeline.
//!
//! A webhook's way, in the order of the modules: `server` bounds the connection, of which `room` and `files` say how
//! many there may be, `receive` decides the answer, `body` reads what came, `sources` authenticates the bytes and locates the ids in them, `envelope` makes the
//! raw record, `publish` makes it durable. 200 is answered after that and never before. Around them,
//! `preflight` says whether the process may start, and `run` is its life. `missed` gets what was announced while
//! nobody answered.

pub mod answer;
mod body;
pub mod envelope;
pub mod files;
pub mod head_watch;
pub mod metrics;
pub mod missed;
pub mod preflight;
pub mod publish;
pub mod receive;
pub mod room;
pub mod run;
pub mod server;
pub mod sources;
pub mod traceparent;
