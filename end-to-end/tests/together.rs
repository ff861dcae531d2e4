//! The three binaries and what surrounds them, at a real broker: tests that wait more than they work, so that several
//! run beside each other. One program of all of them is built sooner than one of each. What measures how soon something
//! happens is in `alone.rs`.

mod chart;
mod check;
mod cluster;
mod compose;
mod consumer;
mod dead;
mod declarations;
mod forget;
mod frozen;
mod going_live;
mod health;
mod lost;
mod metrics;
mod missed;
mod monitoring;
mod pipeline;
mod refresh;
mod registry;
mod secured;
mod stream;
mod traces;
mod transform;
mod transformed;
mod unseen;
mod webhook;
