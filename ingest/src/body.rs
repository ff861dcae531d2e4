//! Reading a body whose end, length and pace are the sender's to choose.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;

use crate::answer::Answer;
use crate::room::{Guest, Held};

/// Memory for its body that every connection has: far more than the webhooks of most need. What it takes beyond that
/// is the room's.
const OWN: usize = 16 * 1024;

/// How long, and how much, an unwanted body is read after its answer. A connection that is closed
/// with unread bytes is reset, and the sender would see the reset and not the answer.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);
const DISCARD_BYTES: usize = 8 * 1024 * 1024;

/// A whole body, and the room it takes.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    /// To be kept as long as the bytes.
    pub(crate) held: Vec<Held>,
}

/// The whole body, or why not. An announced length is judged before a byte is waited for, and memory
/// taken only for what has come.
pub(crate) async fn read<B>(
    body: &mut B,
    limit: usize,
    timeout: Duration,
    guest: &Guest,
) -> Result<Whole, Answer>
where
    B: Body<Data = Bytes> + Unpin,
{
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > limit) {
        return Err(Answer::TooLarge);
    }
    // Most say how long they are: no more is taken, and nothing has to be given back.
    let announced = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let first = announced.map_or(OWN, |announced| announced.min(OWN));
    let reading = async {
        let mut read = Vec::new();
        let mut held = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Answer::BadRequest)?;
            let Ok(data) = frame.into_data() else { continue };
            let length = read.len() + data.len();
            if length > limit {
                return Err(Answer::TooLarge);
            }
            if length > read.capacity() {
                let wanted = length.max(read.capacity() * 2).max(first).min(limit.max(OWN));
                let more = wanted.saturating_sub(read.capacity().max(OWN));
                if more > 0 {
                    held.push(guest.hold(more).await);
                }
                read.reserve_exact(wanted - read.len());
            }
            read.extend_from_slice(&data);
        }
        Ok(Whole { bytes: read.into(), held })
    };
    tokio::time::timeout(timeout, reading).await.unwrap_or(Err(Answer::BodyTimeout))
}

/// Reads on where nobody wants it.
pub(crate) async fn discard<B>(mut body: B)
where
    B: Body<Data = Bytes> + Unpin,
{
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DISCARD_BYTES {
                break;
            }
        }
    };
    // Whether it ends or time is up: the connection is closed either way.
    drop(tokio::time::timeout(DISCARD_TIMEOUT, reading).await);
}
