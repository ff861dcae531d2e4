//! Records of the raw topic as any producer can write them.

use schemas::Timestamp;
use schemas::headers::Header;

use super::mappers::{BEGINNING, LONGEST_PAUSE, tell};
use crate::input::messages;
use crate::teller::Told;

/// Most records of one input.
const MOST: usize = 12;

/// Tells records with any key and any headers.
pub(super) fn check(input: &[u8]) {
    let mut at = BEGINNING;
    let told: Vec<Told> = messages(input, MOST)
        .iter()
        .map(|message| {
            at += message.number("after").unwrap_or(500).clamp(0, LONGEST_PAUSE);
            let header = |(name, value): (&str, Vec<u8>)| Header { name: name.to_owned(), value };
            Told {
                key: message.said("key").unwrap_or_default().as_bytes().to_vec(),
                value: message.body.to_vec(),
                headers: message.headers().map(header).collect(),
                appended_at: Timestamp::from_millis(at),
            }
        })
        .collect();
    tell(&told);
}
