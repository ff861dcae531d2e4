//! The one handler: from a request to an answer, in a fixed order of checks.
//!
//! 404 · 405 · 413 · 415 · 401 · 503 · 200. What is cheap comes first, nothing is believed before
//! the signature fits, and after it fits nothing about the content is held against the sender: most
//! providers would repeat the same bytes for days, and one of them sends that person nothing else
//! meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Body;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response};
use service::clock::Clock;
use service::config::Provider;
use service::secrets::Secrets;
use service::traces::{Span, SpanKind, TraceContext, Tracer};

use crate::answer::{Answer, Unavailability};
use crate::body;
use crate::envelope::{RawRecord, Reception, seal};
use crate::metrics::Metrics;
use crate::publish::{AppendError, RawLog};
use crate::room::Guest;
use crate::sources::{Adapter, Credentials};
use crate::traceparent::{self, Randomness};

/// The path, with what differs left open.
const ROUTE: &str = "POST /webhooks/{source}";

/// One source that sends webhooks.
#[derive(Debug)]
pub struct Source {
    /// The provider, for the record's type.
    pub provider: Provider,
    /// How it signs and where its ids are.
    pub adapter: &'static Adapter,
    /// Signing secrets, as they are now.
    pub secrets: Secrets,
    /// Accepted `Authorization` values, as they are now.
    pub authorization: Secrets,
    /// Replay window, in either direction.
    pub tolerance: Duration,
}

/// What a request may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest body, in bytes.
    pub max_body: usize,
    /// For the head, again from its end to the end of the body, and again for taking in an answer.
    pub body_timeout: Duration,
    /// From the end of the body to the broker's acknowledgement.
    pub ack_timeout: Duration,
    /// Connections at a time.
    pub connections: usize,
}

/// Receives webhooks for all sources.
#[derive(Debug)]
pub struct Receiver<Log> {
    /// By name, which is the last part of the path. Those that send no webhooks are absent.
    pub sources: BTreeMap<String, Source>,
    /// What a request may take.
    pub limits: Limits,
    /// Where believed webhooks go.
    pub log: Log,
    /// Tells when a request came.
    pub clock: Arc<dyn Clock>,
    /// Counts what happened.
    pub metrics: Metrics,
    /// Tells how long it took.
    pub tracer: Tracer,
}

impl<Log: RawLog> Receiver<Log> {
    /// Answers one request of a guest. 200 only after the log has acknowledged the record.
    pub async fn receive<B>(
        &self,
        request: Request<B>,
        guest: &Guest,
        randomness: Randomness,
    ) -> Response<Empty<Bytes>>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Send,
    {
        let started = self.clock.elapsed();
        guest.asks();
        let (parts, mut body) = request.into_parts();
        let named = self.source(parts.uri.path());
        let answer = match named {
            None => Answer::NotFound,
            Some((name, source)) => {
                let received = text(&parts.headers, "traceparent");
                let received = received.and_then(|received| received.parse().ok());
                let mut span = self.tracer.start(ROUTE, SpanKind::Server, received);
                let own = || traceparent::continued(received, randomness);
                let context = span.own().unwrap_or_else(own);
                let accepted =
                    self.accept((name, source), &parts, &mut body, (guest, context)).await;
                let answer = accepted.err().unwrap_or(Answer::Accepted);
                if answer == Answer::Accepted {
                    self.metrics.accepted(name, self.clock.now());
                }
                describe(&mut span, name, answer);
                answer
            }
        };
        let took = self.clock.elapsed().saturating_sub(started);
        self.metrics.answered(named.map(|(name, _)| name), answer, took);
        guest.was_answered();
        if !body.is_end_stream() {
            tokio::spawn(body::discard(body));
        }
        answer.into_response()
    }

    fn source(&self, path: &str) -> Option<(&str, &Source)> {
        let name = path.strip_prefix("/webhooks/")?;
        self.sources.get_key_value(name).map(|(name, source)| (name.as_str(), source))
    }

    async fn accept<B>(
        &self,
        (name, source): (&str, &Source),
        parts: &Parts,
        body: &mut B,
        (guest, context): (&Guest, TraceContext),
    ) -> Result<(), Answer>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if parts.method != Method::POST {
            return Err(Answer::MethodNotAllowed);
        }
        let Limits { max_body, body_timeout, .. } = self.limits;
        let read = body::read(body, max_body, body_timeout, guest).await?;
        if is_form_or_text(&parts.headers) {
            return Err(Answer::UnsupportedMediaType);
        }
        let now = self.clock.now();
        let credentials = Credentials {
            secrets: &source.secrets.current(),
            authorization: &source.authorization.current(),
            tolerance: source.tolerance,
        };
        (source.adapter.authenticate)(&parts.headers, &read.bytes, &credentials, now)
            .map_err(Answer::Unauthenticated)?;
        guest.is_believed();
        let located = (source.adapter.locate)(&parts.headers, &read.bytes);
        self.metrics.located(name, &located.subscriber);
        let reception = Reception {
            source: name,
            provider: source.provider,
            received_at: now,
            content_type: text(&parts.headers, CONTENT_TYPE.as_str()),
            traceparent: context.to_string(),
        };
        let record = seal(reception, located, read.bytes);
        let appended = self.append(name, record).await;
        drop(read.held);
        appended
    }

    async fn append(&self, name: &str, record: RawRecord) -> Result<(), Answer> {
        let started = self.clock.elapsed();
        let appended = tokio::time::timeout(self.limits.ack_timeout, self.log.append(record)).await;
        let unavailability = match appended {
            Ok(Ok(())) => {
                self.metrics.appended(self.clock.elapsed().saturating_sub(started));
                return Ok(());
            }
            Ok(Err(AppendError::QueueFull)) => Unavailability::QueueFull,
            Ok(Err(AppendError::Failed(error))) => {
                tracing::warn!(source = name, %error, "a webhook could not be appended");
                Unavailability::AppendFailed
            }
            Err(_) => Unavailability::AckTimeout,
        };
        Err(Answer::Unavailable(unavailability))
    }
}

/// What is told of a request: names of HTTP by OpenTelemetry's conventions, and the source.
fn describe(span: &mut Span, source: &str, answer: Answer) {
    let status = answer.status();
    span.say("http.request.method", "POST");
    span.say("http.route", "/webhooks/{source}");
    span.count("http.response.status_code", status.as_u16());
    span.say("tributary.source", source);
    if status.is_server_error() {
        span.fail(answer.outcome());
    }
}

/// Whether the body says of itself that it is a form or text. No provider sends either; a browser
/// that is made to post somewhere sends nothing else.
fn is_form_or_text(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return false };
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii().to_ascii_lowercase();
    essence == b"application/x-www-form-urlencoded"
        || essence.starts_with(b"multipart/")
        || essence.starts_with(b"text/")
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
