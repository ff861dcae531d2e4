//! Headers of dead letters after their end: what was done with them, and what goes on after all.

use strum::{Display, EnumIter, EnumString, IntoStaticStr};

use super::{DUE, Header, HeaderError, ID, PARKED, SOURCE, TYPE, find, parse, without};

const DEALT_WITH: &str = "tributary-dealt-with";
const REDRIVEN: &str = "tributary-redriven";

/// How somebody dealt with a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumIter, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Disposal {
    /// It went back to where it failed.
    Redriven,
    /// Nothing more is to become of it.
    Discarded,
}

/// The headers of a record among dead letters that is none itself: it says how those were dealt with
/// that its value names. Whoever reads dead letters skips it.
pub fn disposal_headers(disposal: Disposal) -> Vec<Header> {
    vec![Header::text(DEALT_WITH, disposal.to_string())]
}

/// What the record says of the dead letters that its value names; none when it is a dead letter.
pub fn disposal(headers: &[Header]) -> Result<Option<Disposal>, HeaderError> {
    parse(headers, DEALT_WITH)
}

/// How often the record was redriven.
pub fn times_redriven(headers: &[Header]) -> Result<u32, HeaderError> {
    Ok(parse(headers, REDRIVEN)?.unwrap_or(0))
}

/// The headers a dead letter had before its end, and that it was redriven once more.
pub fn restored(parked: &[Header]) -> Result<Vec<Header>, HeaderError> {
    let times = times_redriven(parked)?.saturating_add(1);
    let mut headers = without(parked, &PARKED);
    headers.retain(|header| header.name != DUE && header.name != REDRIVEN);
    headers.push(Header::text(REDRIVEN, times.to_string()));
    Ok(headers)
}

/// What a record says about itself, as far as it says anything: for lists of records that may be
/// broken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// `ce_id`.
    pub id: Option<String>,
    /// `ce_source`.
    pub source: Option<String>,
    /// `ce_type`.
    pub event_type: Option<String>,
}

impl Labels {
    /// Reads what can be read.
    pub fn from_headers(headers: &[Header]) -> Self {
        let text = |name| find(headers, name).ok().flatten().map(str::to_owned);
        Self { id: text(ID), source: text(SOURCE), event_type: text(TYPE) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::headers::{ParkedHeaders, RetryHeaders};
    use crate::time::Timestamp;

    fn parked(original: &[Header]) -> Vec<Header> {
        let end = ParkedHeaders {
            reason: "refused".to_owned(),
            topic: "events".to_owned(),
            partition: 1,
            offset: 2,
            group: "deliver.crm".to_owned(),
            stage: "deliver".to_owned(),
            class: "deliver.refused".to_owned(),
            message: "no".to_owned(),
            attempts: Some(3),
            first_failure: Some(Timestamp::from_millis(5)),
            last_failure: Some(Timestamp::from_millis(6)),
            http_status: Some(400),
            request_id: Some("r".to_owned()),
        };
        end.onto(original)
    }

    #[test]
    fn a_redriven_record_has_its_own_headers_and_a_count() {
        let own = [Header::text("ce_id", "evt_1"), Header::text("x-theirs", "kept")];
        let due = Some(Timestamp::from_millis(9));
        let waited = RetryHeaders { attempts: 2, first_failure: due, due, outages: Duration::ZERO }
            .onto(&own);
        let once = restored(&parked(&waited)).unwrap();
        assert_eq!(once[..2], own);
        assert_eq!((once.len(), times_redriven(&once)), (3, Ok(1)));
        let twice = restored(&parked(&once)).unwrap();
        assert_eq!((twice.len(), times_redriven(&twice)), (3, Ok(2)));
        assert_eq!(times_redriven(&own), Ok(0));
    }

    #[test]
    fn a_disposal_is_no_dead_letter_and_a_dead_letter_no_disposal() {
        let headers = disposal_headers(Disposal::Discarded);
        assert_eq!(disposal(&headers), Ok(Some(Disposal::Discarded)));
        assert!(ParkedHeaders::from_headers(&headers).is_err());
        assert_eq!(disposal(&parked(&[])), Ok(None));
        let later = [Header::text(DEALT_WITH, "archived")];
        assert_eq!(disposal(&later), Err(HeaderError::Malformed(DEALT_WITH)));
    }

    #[test]
    fn labels_are_read_as_far_as_they_go() {
        let broken = Header { name: "ce_type".to_owned(), value: vec![0xff] };
        let labels = Labels::from_headers(&[Header::text("ce_source", "shop"), broken]);
        assert_eq!(labels, Labels { source: Some("shop".to_owned()), ..Labels::default() });
    }
}
