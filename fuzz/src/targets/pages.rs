//! What is read from elsewhere and is no webhook: Stripe's list of events, waits, notes of a shadow.

use std::time::Duration;

use deliver::http::LONGEST_WAIT;
use deliver::shadow::Planned;
use deliver::waits;
use ingest::missed::read_page;
use schemas::Timestamp;
use schemas::headers::Header;
use stream::Received;

use crate::input::messages;
use crate::promise::{discreet, discreet_in_logs, keep};

/// More than clocks of instances may differ by.
const MARGIN: Duration = Duration::from_secs(1);

pub(super) fn check(input: &[u8]) {
    for message in messages(input, 4) {
        page(message.body);
        wait(message.body);
        if let Some(note) = Planned::read(message.body) {
            discreet_in_logs(&note.requests);
        }
    }
}

/// What another instance was told holds nobody up for days.
fn wait(value: &[u8]) {
    let Some(until) = waits::read(&received(Some(value.to_vec()), Vec::new())) else { return };
    let remaining = waits::remaining(until, Timestamp::default()).unwrap_or_default();
    keep(remaining <= LONGEST_WAIT + MARGIN, "no destination is left alone for days");
}

/// The events of a page are parts of it, and what is asked for next goes into a URL as it stands.
fn page(body: &[u8]) {
    match read_page(body) {
        Ok(page) => {
            let all: usize = page.events.iter().map(bytes::Bytes::len).sum();
            keep(all <= body.len(), "events are parts of the page");
            let id = page.next.unwrap_or_default();
            keep(
                id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
                "an id has no other letters",
            );
        }
        Err(error) => discreet(&error),
    }
}

/// A record as it is read from a topic.
pub(super) fn received(value: Option<Vec<u8>>, headers: Vec<Header>) -> Received {
    Received {
        topic: "topic".into(),
        partition: 0,
        offset: 7,
        timestamp: Timestamp::from_millis(1_800_000_000_000),
        key: Some(b"shop/cus_1".to_vec()),
        value,
        headers,
    }
}
