//! As much of Kafka's wire format as a proxy needs: where a request begins and ends, which call it makes, whose it is
//! and which answer belongs to it.
//!
//! A request is a length (4 bytes), the key and the version of the call (2 each), a correlation id (4) and the
//! client's name (2 bytes of length, or −1, and the text), which every version of the request header has alike; an
//! answer is a length and the correlation id (kafka.apache.org/protocol, "Request and Response Headers", read 2026-11).

use std::io::{Error, ErrorKind, Read};

/// No message of a test comes near; a larger length is not Kafka talking.
const LARGEST: usize = 64 * 1024 * 1024;

/// The calls that can be disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    Produce,
    Fetch,
    ListOffsets,
    Metadata,
    OffsetFetch,
    FindCoordinator,
    JoinGroup,
    Heartbeat,
    SyncGroup,
    InitProducerId,
    AddPartitionsToTxn,
    AddOffsetsToTxn,
    EndTxn,
    TxnOffsetCommit,
}

impl Api {
    pub const ALL: [Self; 14] = [
        Self::Produce,
        Self::Fetch,
        Self::ListOffsets,
        Self::Metadata,
        Self::OffsetFetch,
        Self::FindCoordinator,
        Self::JoinGroup,
        Self::Heartbeat,
        Self::SyncGroup,
        Self::InitProducerId,
        Self::AddPartitionsToTxn,
        Self::AddOffsetsToTxn,
        Self::EndTxn,
        Self::TxnOffsetCommit,
    ];

    /// Its key (kafka.apache.org/protocol, "Api Keys", read 2026-11).
    pub fn key(self) -> i16 {
        match self {
            Self::Produce => 0,
            Self::Fetch => 1,
            Self::ListOffsets => 2,
            Self::Metadata => 3,
            Self::OffsetFetch => 9,
            Self::FindCoordinator => 10,
            Self::JoinGroup => 11,
            Self::Heartbeat => 12,
            Self::SyncGroup => 14,
            Self::InitProducerId => 22,
            Self::AddPartitionsToTxn => 24,
            Self::AddOffsetsToTxn => 25,
            Self::EndTxn => 26,
            Self::TxnOffsetCommit => 28,
        }
    }

    fn of(key: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|api| api.key() == key)
    }
}

/// What a request's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// None for a call that is never disturbed.
    pub(super) api: Option<Api>,
    pub(super) correlation: i32,
    pub(super) client_id: String,
}

/// The next request or answer, with its length before it.
///
/// # Errors
/// `UnexpectedEof` when the other side has closed; `InvalidData` when it does not speak Kafka.
pub(super) fn read(from: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let size = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if !(4..=LARGEST).contains(&size) {
        return Err(invalid("no length of a Kafka message"));
    }
    let mut frame = length.to_vec();
    frame.resize(4 + size, 0);
    from.read_exact(&mut frame[4..])?;
    Ok(frame)
}

/// Reads the header of a request.
///
/// # Errors
/// `InvalidData` when it is cut short.
pub(super) fn request(frame: &[u8]) -> std::io::Result<Request> {
    header(frame).ok_or_else(|| invalid("the header of a request is cut short"))
}

fn header(frame: &[u8]) -> Option<Request> {
    let (api, rest) = frame.get(4..)?.split_first_chunk()?;
    let (_version, rest) = rest.split_first_chunk::<2>()?;
    let (correlation, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(i16::from_be_bytes(*length)).unwrap_or(0);
    let client_id = String::from_utf8_lossy(rest.get(..length)?).into_owned();
    let correlation = i32::from_be_bytes(*correlation);
    Some(Request { api: Api::of(i16::from_be_bytes(*api)), correlation, client_id })
}

/// The request an answer belongs to.
///
/// # Errors
/// `InvalidData` when it is cut short.
pub(super) fn correlation(answer: &[u8]) -> std::io::Result<i32> {
    let correlation = answer.get(4..).and_then(|body| body.first_chunk());
    let correlation = correlation.ok_or_else(|| invalid("an answer is cut short"))?;
    Ok(i32::from_be_bytes(*correlation))
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

/// A request of one client, for tests.
#[cfg(test)]
pub(super) fn example(api: i16, correlation: i32, client_id: &str) -> Vec<u8> {
    let length = i16::try_from(client_id.len()).unwrap();
    let body = [
        &api.to_be_bytes()[..],
        &3_i16.to_be_bytes(),
        &correlation.to_be_bytes(),
        &length.to_be_bytes(),
        client_id.as_bytes(),
        b"whatever follows",
    ]
    .concat();
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_which_call_it_is_whose_and_what_answers_it() {
        let frame = example(26, 7, "worker");
        let read = read(&mut [&frame[..], b"the next"].concat().as_slice()).unwrap();
        assert_eq!(read, frame);
        let expected =
            Request { api: Some(Api::EndTxn), correlation: 7, client_id: "worker".to_owned() };
        assert_eq!(request(&frame).unwrap(), expected);
        assert_eq!(correlation(&[0, 0, 0, 4, 0, 0, 0, 7]).unwrap(), 7);
    }

    #[test]
    fn a_call_that_is_never_disturbed_and_a_client_without_a_name_are_fine() {
        let api_versions = request(&example(18, 1, "")).unwrap();
        assert_eq!((api_versions.api, api_versions.client_id.as_str()), (None, ""));
        let mut nameless = example(0, 1, "");
        nameless[12..14].copy_from_slice(&(-1_i16).to_be_bytes());
        assert_eq!(request(&nameless).unwrap().client_id, "");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let kind = |bytes: &[u8]| read(&mut &bytes[..]).unwrap_err().kind();
        assert_eq!(kind(b"GET / HTTP/1.1\r\n"), ErrorKind::InvalidData);
        assert_eq!(kind(&[0, 0, 0, 2, 0, 0]), ErrorKind::InvalidData);
        assert_eq!(kind(&[0, 0, 0, 9, 0]), ErrorKind::UnexpectedEof);
        assert!(request(&[0, 0, 0, 4, 0, 0, 0, 7]).is_err());
        assert!(correlation(&[0, 0, 0, 2, 0, 0]).is_err());
    }
}
