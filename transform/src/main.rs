//! `transform`: turns webhooks into lifecycle events, in order and once.

use std::process::ExitCode;

use schemas::EventType;
use service::Binary;
use service::cli::launch;
use service::config::Vocabulary;
use strum::IntoEnumIterator;
use transform::run::work;

#[global_allocator]
static ALLOCATOR: service::Allocator = service::ALLOCATOR;

fn main() -> ExitCode {
    let events: Vec<_> = EventType::iter()
        .map(EventType::name)
        .filter(|name| *name != EventType::Unknown.name())
        .collect();
    launch(Binary::Transform, Vocabulary { events: &events, attributes: &[] }, work)
}
