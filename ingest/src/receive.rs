//! The one handler: from a request to an answer, in a fixed order of checks.
//!
//! 404 · 405 · 413 · 415 · 401 · 503 · 200. What is cheap comes first, nothing is believed before
//! the signature fits, and after it fits nothing about the content is held against the sender: most
//! providers would repeat the same bytes for days, and one of them sends that person nothing else
//! meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::body::Body;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response};
use service::clock::Clock;
use service::config::Provider;
use service::secrets::Secrets;
use service::traces::{Span, SpanKind, TraceContext, Tracer};

use crate::answer::{Answer, Unavailability};
use crate::envelope::{RawRecord, Reception, seal};
use crate::metrics::Metrics;
use crate::publish::{AppendError, RawLog};
use crate::sources::{Adapter, Credentials};
use crate::traceparent::{self, Randomness};

/// The path, with what differs left open.
const ROUTE: &str = "POST /webhooks/{source}";

/// How long, and how much, an unwanted body is read after its answer. A connection that is closed
/// with unread bytes is reset, and the sender would see the reset and not the answer.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);
const DISCARD_BYTES: usize = 8 * 1024 * 1024;

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
    /// For the head, and again from its end to the end of the body.
    pub body_timeout: Duration,
    /// From the end of the body to the broker's acknowledgement.
    pub ack_timeout: Duration,
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
    /// Answers one request. 200 only after the log has acknowledged the record.
    pub async fn receive<B>(
        &self,
        request: Request<B>,
        randomness: Randomness,
    ) -> Response<Empty<Bytes>>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Send,
    {
        let started = self.clock.elapsed();
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
                let accepted = self.accept(name, source, &parts, &mut body, context).await;
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
        if !body.is_end_stream() {
            tokio::spawn(discard(body));
        }
        answer.into_response()
    }

    fn source(&self, path: &str) -> Option<(&str, &Source)> {
        let name = path.strip_prefix("/webhooks/")?;
        self.sources.get_key_value(name).map(|(name, source)| (name.as_str(), source))
    }

    async fn accept<B>(
        &self,
        name: &str,
        source: &Source,
        parts: &Parts,
        body: &mut B,
        context: TraceContext,
    ) -> Result<(), Answer>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        if parts.method != Method::POST {
            return Err(Answer::MethodNotAllowed);
        }
        let body = self.read(body).await?;
        if is_form_or_text(&parts.headers) {
            return Err(Answer::UnsupportedMediaType);
        }
        let now = self.clock.now();
        let credentials = Credentials {
            secrets: &source.secrets.current(),
            authorization: &source.authorization.current(),
            tolerance: source.tolerance,
        };
        (source.adapter.authenticate)(&parts.headers, &body, &credentials, now)
            .map_err(Answer::Unauthenticated)?;
        let located = (source.adapter.locate)(&parts.headers, &body);
        self.metrics.located(name, &located.subscriber);
        let reception = Reception {
            source: name,
            provider: source.provider,
            received_at: now,
            content_type: text(&parts.headers, CONTENT_TYPE.as_str()),
            traceparent: context.to_string(),
        };
        let record = seal(reception, located, body);
        self.append(name, record).await
    }

    /// The whole body, or why not. An announced length is judged before a byte is waited for.
    async fn read<B>(&self, body: &mut B) -> Result<Bytes, Answer>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let limit = self.limits.max_body;
        if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > limit) {
            return Err(Answer::TooLarge);
        }
        let reading = async {
            let mut read = BytesMut::new();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| Answer::BadRequest)?;
                let Ok(data) = frame.into_data() else { continue };
                if read.len() + data.len() > limit {
                    return Err(Answer::TooLarge);
                }
                read.extend_from_slice(&data);
            }
            Ok(read.freeze())
        };
        tokio::time::timeout(self.limits.body_timeout, reading)
            .await
            .unwrap_or(Err(Answer::BodyTimeout))
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

async fn discard<B>(mut body: B)
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
