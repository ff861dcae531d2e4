//! The header of a refresh: a record of the retry topic that tells no event but what a subscriber shows.

use super::{Header, HeaderError, moment, without};
use crate::time::Timestamp;

const REFRESH: &str = "tributary-refresh";

/// What stands in place of an event's type in a refresh, for readers that do not decode.
pub const REFRESH_TYPE: &str = "refresh";

/// The headers of a refresh that shows what was known at a moment.
pub fn with_refresh(original: &[Header], known_at: Timestamp) -> Vec<Header> {
    let mut headers = without(original, &[REFRESH]);
    headers.push(Header::text(REFRESH, known_at.to_string()));
    headers
}

/// As of which moment a refresh shows its subscriber; none for an event.
pub fn refreshed_at(headers: &[Header]) -> Result<Option<Timestamp>, HeaderError> {
    moment(headers, REFRESH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_says_as_of_when_and_an_event_says_nothing() {
        let own = [Header::text("x-theirs", "kept")];
        let (first, second) = (Timestamp::from_millis(5), Timestamp::from_millis(6));
        let headers = with_refresh(&with_refresh(&own, first), second);
        assert_eq!(refreshed_at(&headers), Ok(Some(second)));
        assert_eq!((headers.len(), &headers[0]), (2, &own[0]));
        assert_eq!(refreshed_at(&own), Ok(None));
        let broken = [Header::text(REFRESH, "yesterday")];
        assert_eq!(refreshed_at(&broken), Err(HeaderError::Malformed(REFRESH)));
    }
}
