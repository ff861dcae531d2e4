//! Spans: what a message's way took, told by OTLP to whoever collects traces.
//!
//! A webhook's `traceparent` goes with it through every topic, as it was when the webhook was received; each stage
//! tells of a span below it. So a trace is the same whether a record was processed once or again, and a replay
//! writes the same headers.
//!
//! Configured by the standard variables of OpenTelemetry alone, and off unless they name an endpoint. Telling never
//! holds anything up: spans are queued within bounds and sent by a thread of their own, and what does not fit or
//! cannot be sent is let go of.

mod context;

use std::borrow::Cow;
use std::env;
use std::fmt;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub use self::context::TraceContext;
pub use opentelemetry::trace::SpanKind;

use crate::Binary;

/// How long the last spans may take at the end of the process.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why spans cannot be told as asked.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// Another protocol was asked for.
    #[error("{variable}={asked}: spans are told by http/protobuf only")]
    Protocol {
        /// Which variable.
        variable: &'static str,
        /// What it says.
        asked: String,
    },
    /// The exporter cannot be set up.
    #[error("the exporter of spans cannot be set up")]
    Exporter(#[source] ExporterBuildError),
}

/// Tells the last spans when it is dropped.
#[derive(Debug, Default)]
pub struct Farewell(Option<SdkTracerProvider>);

impl Drop for Farewell {
    fn drop(&mut self) {
        if let Some(provider) = &self.0
            && let Err(error) = provider.shutdown_with_timeout(FAREWELL)
        {
            tracing::debug!(%error, "the last spans were not told");
        }
    }
}

/// Begins spans, or does nothing where none are told. Cheap to clone.
#[derive(Clone, Default)]
pub struct Tracer(Option<SdkTracer>);

impl fmt::Debug for Tracer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Tracer").field(&self.0.is_some()).finish()
    }
}

/// Begins to tell spans for the rest of the process, if the environment names an endpoint. To be called outside of
/// any runtime.
pub fn begin(binary: Binary) -> Result<(Tracer, Farewell), TracesError> {
    if !is_asked_for(|variable| env::var(variable).ok()) {
        return Ok((Tracer::off(), Farewell::default()));
    }
    for variable in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        match env::var(variable) {
            Ok(asked) if !asked.is_empty() && asked != "http/protobuf" => {
                return Err(TracesError::Protocol { variable, asked });
            }
            Ok(_) | Err(_) => {}
        }
    }
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).build();
    let mut resource = Resource::builder();
    if env::var_os("OTEL_SERVICE_NAME").is_none() {
        let name: &'static str = binary.into();
        resource = resource.with_service_name(format!("tributary-{name}"));
    }
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.build())
        .with_batch_exporter(exporter.map_err(TracesError::Exporter)?)
        .build();
    let tracer = Tracer(Some(provider.tracer("tributary")));
    Ok((tracer, Farewell(Some(provider))))
}

/// An endpoint is named, and nothing says that it is not meant.
fn is_asked_for(variable: impl Fn(&str) -> Option<String>) -> bool {
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let endpoints = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
    let is_disabled =
        variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let is_for_nobody = variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    endpoints.into_iter().any(|name| variable(name).is_some()) && !is_disabled && !is_for_nobody
}

impl Tracer {
    /// Tells nothing.
    pub fn off() -> Self {
        Self(None)
    }

    /// What is done with a record of a topic, by OpenTelemetry's conventions for messaging: from `began` on, or from
    /// now.
    pub fn process(
        &self,
        (topic, partition): (&str, i32),
        parent: Option<TraceContext>,
        began: Option<SystemTime>,
    ) -> Span {
        if self.0.is_none() {
            return Span { told: None, parent };
        }
        let mut span = self.begin(format!("process {topic}"), SpanKind::Consumer, parent, began);
        span.say("messaging.system", "kafka");
        span.say("messaging.operation.name", "process");
        span.say("messaging.operation.type", "process");
        span.say("messaging.destination.name", topic);
        span.say("messaging.destination.partition.id", &partition.to_string());
        span
    }

    /// A span that begins now, below `parent`; without one it is the first of its trace.
    pub fn start(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: Option<TraceContext>,
    ) -> Span {
        self.begin(name, kind, parent, None)
    }

    fn begin(
        &self,
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        parent: Option<TraceContext>,
        began: Option<SystemTime>,
    ) -> Span {
        let Some(tracer) = &self.0 else { return Span { told: None, parent } };
        let mut builder = tracer.span_builder(name).with_kind(kind);
        if let Some(began) = began {
            builder = builder.with_start_time(began);
        }
        let context = parent.map_or_else(Context::new, |parent| {
            Context::new().with_remote_span_context(parent.into())
        });
        Span { told: Some(tracer.build_with_context(builder, &context)), parent }
    }
}

/// Something that takes time; it ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    told: Option<opentelemetry_sdk::trace::Span>,
    parent: Option<TraceContext>,
}

impl Span {
    /// What whoever is called on its account is told: the span itself, or its parent where no spans are told.
    pub fn context(&self) -> Option<TraceContext> {
        self.own().or(self.parent)
    }

    /// The span itself, where it is told.
    pub fn own(&self) -> Option<TraceContext> {
        self.told.as_ref().and_then(|span| TraceContext::of(span.span_context()))
    }

    /// Says something about it. Never what names a person.
    pub fn say(&mut self, key: &'static str, text: &str) {
        self.set(key, || text.to_owned());
    }

    /// Says a number about it.
    pub fn count(&mut self, key: &'static str, number: impl Into<i64>) {
        self.set(key, || number.into());
    }

    /// Nothing is made of what is not told.
    fn set<Said: Into<Value>>(&mut self, key: &'static str, value: impl FnOnce() -> Said) {
        if let Some(span) = &mut self.told {
            span.set_attribute(KeyValue::new(key, value()));
        }
    }

    /// It is also on account of another.
    pub fn link(&mut self, other: TraceContext) {
        if let Some(span) = &mut self.told {
            span.add_link(other.into(), Vec::new());
        }
    }

    /// It did not end well: one word.
    pub fn fail(&mut self, reason: &'static str) {
        if let Some(span) = &mut self.told {
            span.set_attribute(KeyValue::new("error.type", reason));
            span.set_status(Status::error(reason));
        }
    }
}

impl From<TraceContext> for SpanContext {
    fn from(context: TraceContext) -> Self {
        Self::new(
            TraceId::from_bytes(context.trace),
            SpanId::from_bytes(context.span),
            TraceFlags::new(context.flags),
            true,
            TraceState::NONE,
        )
    }
}

impl TraceContext {
    fn of(context: &SpanContext) -> Option<Self> {
        context.is_valid().then(|| Self {
            trace: context.trace_id().to_bytes(),
            span: context.span_id().to_bytes(),
            flags: context.trace_flags().to_u8(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_only_where_an_endpoint_is_named_and_nobody_says_otherwise() {
        let asked = |variables: &[(&str, &str)]| {
            is_asked_for(|name| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
        let of_traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://collector:4318/v1/traces");
        assert!(!asked(&[]) && !asked(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]));
        assert!(asked(&[endpoint]) && asked(&[of_traces]));
        assert!(!asked(&[endpoint, ("OTEL_SDK_DISABLED", "TRUE")]));
        assert!(!asked(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]));
    }

    #[test]
    fn where_no_spans_are_told_the_context_goes_on_as_it_came() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().ok();
        let mut span = Tracer::off().start("send", SpanKind::Producer, parent);
        span.say("tributary.source", "shop");
        span.fail("refused");
        assert_eq!(span.context(), parent);
    }

    #[test]
    fn a_span_is_below_its_parent_in_the_same_trace() {
        let provider = SdkTracerProvider::builder().build();
        let tracer = Tracer(Some(provider.tracer("test")));
        let parent: TraceContext =
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".parse().unwrap();
        let below = tracer.start("process", SpanKind::Consumer, Some(parent)).context().unwrap();
        assert_eq!((below.trace, below.flags), (parent.trace, 1));
        assert_ne!(below.span, parent.span);
        let first = tracer.start("receive", SpanKind::Server, None).context().unwrap();
        assert_ne!(first.trace, parent.trace);
    }
}
