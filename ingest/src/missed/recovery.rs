//! Oldest first out of a list that is told newest first.
//!
//! A list of a month may be millions long. So the time is cut into slices, from the earliest on: a slice is listed
//! whole, turned round and let go. One that turns out too long is halved, one that holds little is followed by one
//! twice as long.

use std::future::Future;

use bytes::Bytes;

/// Pages of one slice that are kept in memory.
const MOST_PAGES: usize = 20;

/// A slice of no more pages than this is followed by a longer one.
const FEW_PAGES: usize = 5;

/// The length of the first slice, in seconds.
const FIRST_LENGTH: i64 = 3_600;

/// The longest slice: a run that is interrupted has not far to go back.
const LONGEST: i64 = 86_400;

/// From one second on, up to another and without it; seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first second.
    pub from: i64,
    /// The second after the last.
    pub until: i64,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The events as told, newest first.
    pub events: Vec<Bytes>,
    /// What to ask for next; none where there is no more.
    pub next: Option<String>,
}

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The provider refuses.
    #[error("the provider refuses the request: HTTP {0}{hint}", hint = hint(*.0))]
    Refused(u16),
    /// It could not be reached, or was not well, for as long as was tried.
    #[error("the provider cannot be reached, or is not well")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What it says is no list of events.
    #[error("the provider's answer is no list of events")]
    Malformed,
}

fn hint(status: u16) -> &'static str {
    match status {
        401 => "; is the key in the file one of this account?",
        403 => "; may the key read events?",
        _ => "",
    }
}

/// A provider's list of events.
pub trait Archive {
    /// A page of what happened in `span`, after what `next` of the page before said.
    fn page(
        &self,
        span: Span,
        next: Option<&str>,
    ) -> impl Future<Output = Result<Page, ArchiveError>> + Send;
}

/// What a slice holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// All of it, oldest first.
    All(Vec<Bytes>),
    /// More than is kept at once: it comes again in smaller slices.
    TooMuch,
}

/// How far the time has been gone through.
#[derive(Debug)]
pub struct Recovery {
    left: Span,
    length: i64,
}

impl Recovery {
    /// At the beginning of a span.
    pub fn of(span: Span) -> Self {
        Self { left: span, length: FIRST_LENGTH }
    }

    /// What to list next; none when all is done.
    pub fn next_slice(&self) -> Option<Span> {
        let Span { from, until } = self.left;
        (from < until).then(|| Span { from, until: until.min(from + self.length) })
    }

    /// Lists a slice and goes on behind it.
    pub async fn list(
        &mut self,
        archive: &impl Archive,
        slice: Span,
    ) -> Result<Listed, ArchiveError> {
        let (mut events, mut next, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = archive.page(slice, next.as_deref()).await?;
            events.extend(page.events);
            pages += 1;
            next = page.next;
            if next.is_none() {
                break;
            }
            if pages >= MOST_PAGES && slice.until - slice.from > 1 {
                self.length = (slice.until - slice.from) / 2;
                return Ok(Listed::TooMuch);
            }
        }
        self.left.from = slice.until;
        if pages <= FEW_PAGES {
            self.length = (self.length * 2).min(LONGEST);
        }
        events.reverse();
        Ok(Listed::All(events))
    }
}
