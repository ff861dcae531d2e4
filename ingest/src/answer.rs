//! Every answer a sender can get, and nothing else.
//!
//! Bodies are empty: the sender reads the status alone, and whoever probes learns nothing. Only 200
//! means that the event is kept. Everything else makes the sender try again, except that a person
//! must look at 404, 405, 413 and 415.

use bytes::Bytes;
use http_body_util::Empty;
use hyper::Response;
use hyper::header::{ALLOW, CONNECTION, HeaderValue, RETRY_AFTER};
use hyper::http::StatusCode;

use crate::sources::Refusal;

/// Seconds after which a sender may try again. Most follow schedules of their own; this is for those
/// that listen, and about as long as an election of a new partition leader takes.
const RETRY_AFTER_SECONDS: u16 = 5;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200: the broker has acknowledged the record.
    Accepted,
    /// 400: the length was announced in two ways, or the body broke off.
    BadRequest,
    /// 401: the sender is not who it must be.
    Unauthenticated(Refusal),
    /// 404: no such source, or one that does not send webhooks.
    NotFound,
    /// 405: anything but POST.
    MethodNotAllowed,
    /// 408: the body did not come in time.
    BodyTimeout,
    /// 413: more than `ingest.max_body`.
    TooLarge,
    /// 415: a form or text, which no provider sends.
    UnsupportedMediaType,
    /// 503: not durable in time.
    Unavailable(Unavailability),
}

/// Why a record could not be made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailability {
    /// Too much is waiting already.
    QueueFull,
    /// `ingest.ack_timeout` passed. The record may still arrive; the sender's retry is then a
    /// duplicate, which is removed later.
    AckTimeout,
    /// The broker, or the client, gave the record up.
    AppendFailed,
}

impl Answer {
    /// The status that the sender sees.
    pub fn status(self) -> StatusCode {
        match self {
            Answer::Accepted => StatusCode::OK,
            Answer::BadRequest => StatusCode::BAD_REQUEST,
            Answer::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Answer::NotFound => StatusCode::NOT_FOUND,
            Answer::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Answer::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Answer::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Answer::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Answer::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The value of the `outcome` label.
    pub fn outcome(self) -> &'static str {
        match self {
            Answer::Accepted => "accepted",
            Answer::BadRequest => "bad_request",
            Answer::Unauthenticated(_) => "unauthenticated",
            Answer::NotFound => "not_found",
            Answer::MethodNotAllowed => "method_not_allowed",
            Answer::BodyTimeout => "body_timeout",
            Answer::TooLarge => "too_large",
            Answer::UnsupportedMediaType => "unsupported_media_type",
            Answer::Unavailable(Unavailability::QueueFull) => "queue_full",
            Answer::Unavailable(Unavailability::AckTimeout) => "ack_timeout",
            Answer::Unavailable(Unavailability::AppendFailed) => "append_failed",
        }
    }

    /// Everything that [`Self::outcome`] gives.
    pub fn outcomes() -> Vec<&'static str> {
        let all = [
            Answer::Accepted,
            Answer::BadRequest,
            Answer::Unauthenticated(Refusal::Mismatch),
            Answer::NotFound,
            Answer::MethodNotAllowed,
            Answer::BodyTimeout,
            Answer::TooLarge,
            Answer::UnsupportedMediaType,
            Answer::Unavailable(Unavailability::QueueFull),
            Answer::Unavailable(Unavailability::AckTimeout),
            Answer::Unavailable(Unavailability::AppendFailed),
        ];
        all.map(Answer::outcome).to_vec()
    }

    /// The response. Where the body may not have been read to its end, the connection is closed:
    /// what follows in it cannot be trusted to be a request.
    pub fn into_response(self) -> Response<Empty<Bytes>> {
        let mut response = Response::new(Empty::new());
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        match self {
            Answer::Accepted
            | Answer::Unauthenticated(_)
            | Answer::NotFound
            | Answer::UnsupportedMediaType => {}
            Answer::MethodNotAllowed => {
                headers.insert(ALLOW, HeaderValue::from_static("POST"));
            }
            Answer::Unavailable(_) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
            }
            Answer::BadRequest | Answer::BodyTimeout | Answer::TooLarge => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
        }
        response
    }
}
