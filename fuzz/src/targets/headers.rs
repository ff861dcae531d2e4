//! Headers of records: raw, retried, re-keyed, refreshed, parked and redriven.

use dead_letters::letter::Letter;
use schemas::headers::{
    Correlation, EventHeaders, Header, HeaderError, Labels, ParkedHeaders, RawHeaders,
    RekeyedHeaders, RetryHeaders, disposal, refreshed_at, restored, times_redriven, with_refresh,
    with_unknown_outcome,
};

use crate::input::messages;
use crate::promise::{discreet, keep, ok};

/// A header that is none of ours and stays where it is.
const THEIRS: &str = "x-theirs";

pub(super) fn check(input: &[u8]) {
    for message in messages(input, 4) {
        let header = |(name, value): (&str, Vec<u8>)| Header { name: name.to_owned(), value };
        let mut headers: Vec<Header> = message.headers().map(header).collect();
        headers.push(Header::text(THEIRS, "kept"));
        written(&headers);
        moved(&headers);
        told(&headers);
    }
}

/// What is read is written, and read to the same.
fn written(headers: &[Header]) {
    same(RawHeaders::from_headers(headers), RawHeaders::to_headers, RawHeaders::from_headers);
    same(EventHeaders::from_headers(headers), EventHeaders::to_headers, EventHeaders::from_headers);
}

/// What is written onto a record takes the place of what was there, and nothing else's.
fn moved(headers: &[Header]) {
    let retried = RetryHeaders::from_headers(headers);
    same(retried, |read| kept(headers, read.onto(headers)), RetryHeaders::from_headers);
    let parked = ParkedHeaders::from_headers(headers);
    if let Ok(end) = &parked {
        let again = ok(
            ParkedHeaders::from_headers(&kept(headers, end.onto(headers))),
            "a dead letter is read",
        );
        // Its message is cut to what a header may have.
        keep(
            again.message.len() <= 1_000 && end.message.starts_with(&again.message),
            "a message has bounds",
        );
        keep(ParkedHeaders { message: end.message.clone(), ..again } == *end, "as it was written");
    } else {
        same(parked, |_| Vec::new(), ParkedHeaders::from_headers);
    }
    let rekeyed =
        RekeyedHeaders::from_headers(headers).and_then(|read| read.ok_or(HeaderError::Missing("")));
    let again =
        |headers: &[Header]| RekeyedHeaders::from_headers(headers)?.ok_or(HeaderError::Missing(""));
    same(rekeyed, |read| kept(headers, read.onto(headers)), again);
    if let Ok(Some(at)) = refreshed_at(headers) {
        keep(refreshed_at(&with_refresh(headers, at)) == Ok(Some(at)), "a refresh is read");
    }
    keep(
        kept(headers, with_unknown_outcome(headers)).len() <= headers.len() + 1,
        "an outcome is said once",
    );
    if let (Ok(times), Ok(restored)) = (times_redriven(headers), restored(headers)) {
        let counted = times_redriven(&kept(headers, restored));
        keep(counted == Ok(times.saturating_add(1)), "how often a letter was redriven is counted");
    }
}

/// What people are told of them.
fn told(headers: &[Header]) {
    let trace = Correlation::of(headers);
    keep(trace.trace_id().is_none_or(|id| id.len() == 32), "a trace has an id of 32 digits");
    drop(Labels::from_headers(headers));
    if let Err(error) = disposal(headers) {
        discreet(&error);
    }
    let letter = Letter::of(&super::pages::received(None, headers.to_vec()));
    drop(letter.subscriber());
    crate::promise::discreet_in_logs(&letter);
}

/// The headers, which have lost nothing that is not ours.
fn kept(before: &[Header], after: Vec<Header>) -> Vec<Header> {
    let theirs = |header: &&Header| {
        !header.name.starts_with("tributary-") && !header.name.starts_with("__connect.errors.")
    };
    let had: Vec<&Header> = before.iter().filter(theirs).collect();
    let have: Vec<&Header> = after.iter().filter(theirs).collect();
    keep(had == have, "headers of others stay");
    after
}

fn same<T: PartialEq>(
    read: Result<T, HeaderError>,
    write: impl Fn(&T) -> Vec<Header>,
    again: impl Fn(&[Header]) -> Result<T, HeaderError>,
) {
    match read {
        Ok(read) => keep(
            again(&write(&read)).as_ref() == Ok(&read),
            "headers are read as they were written",
        ),
        Err(error) => discreet(&error),
    }
}
