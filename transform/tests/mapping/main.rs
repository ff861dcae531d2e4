//! What webhooks become: the stories under `transform/fixtures`, each delivered as its provider would
//! deliver it, through the edge's own reading of ids and the whole line of `transform`.
//!
//! `snapshots` are transcripts to read, `coverage` keeps stories and catalogues in step, `page` keeps
//! `docs/mappings.md` true, and the other modules hold what must be so for every story.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "in a test, what cannot be had or must not be fails it"
)]

mod bad_input;
mod coverage;
mod fixture;
mod order;
mod outcome;
mod page;
mod revenue;
mod snapshots;
mod teller;
