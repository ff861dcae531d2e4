//! What one event costs in each pure step that it goes through, by itself: without Kafka, without a connection, on one
//! thread. `cargo bench --workspace --bench steps --features bench/steps` measures them; with `-- plan` behind it, those
//! whose name says so.
//!
//! Only what is public of the crates is called, so that a step is what its caller sees of it:
//!
//! * *verify*: an adapter's `authenticate`, of each provider, over the same body;
//! * *map*: a mapper's `read` and `advance::advance`, which asks its `decide`, for a subscriber nobody has met before;
//! * *order*: `order::hold` and `order::take_due` alone, and `Line::take`, which is everything that happens to a record
//!   between two transactions: judged, read, recognised, held, and what is due let go and mapped;
//! * *encode*: a `Codec` over an event and over a state;
//! * *plan*: a destination's `plan` and the first request of the conversation that follows. The signature of a message
//!   is made where connections are opened, and is not in it;
//! * *handler*: a call of transformation code as the process makes it in which it runs, and as `deliver` waits for it,
//!   which writes the question to that process and reads the answer.

mod handler;
mod regular;
mod sender;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use criterion::{BatchSize, Criterion, Throughput};
use deliver::destinations::customerio::{self, CustomerIo};
use deliver::destinations::intercom::{self, Intercom};
use deliver::destinations::webhook::Webhook;
use deliver::destinations::{
    Anonymous, Audience, Conversation, Destination, Identity, Names, Plan, Request,
};
use ingest::sources::Credentials;
use schemas::codec::{Codec, Framing};
use schemas::samples::full_event;
use schemas::state::{Held, Role, SubscriberState};
use schemas::{Environment, LifecycleEvent, Timestamp};
use transform::advance::advance;
use transform::line::Line;
use transform::order::{hold, take_due};
use transform::sources::{RawView, Reading, Source};
use transform::state::MemoryStore;

use self::regular::{BEFORE, Regular, WINDOW, record};
use self::sender::{NOW, REVENUECAT, SENDERS, compact};

fn main() -> Result<ExitCode> {
    // The process of a handler is the program that asks it once more.
    if let Some(ended) = deliver::transformation::run_scripts_if_asked() {
        return Ok(ended);
    }
    let criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    let mut criterion = criterion.configure_from_args();
    verify(&mut criterion)?;
    map(&mut criterion)?;
    order(&mut criterion)?;
    encode(&mut criterion)?;
    plan(&mut criterion)?;
    handler::call(&mut criterion)?;
    criterion.final_summary();
    Ok(ExitCode::SUCCESS)
}

fn verify(criterion: &mut Criterion) -> Result<()> {
    let body = compact(REVENUECAT)?;
    let now = jiff::Timestamp::from_second(NOW).context("making a moment")?;
    let mut group = criterion.benchmark_group("verify");
    group.throughput(Throughput::Bytes(size(&body)));
    for sender in &SENDERS {
        let (secrets, authorization) = (sender.secrets(), sender.authorization());
        let credentials = Credentials {
            secrets: &secrets,
            authorization: &authorization,
            tolerance: Duration::from_mins(5),
        };
        let (headers, authenticate) = (sender.headers(&body)?, sender.adapter()?.authenticate);
        authenticate(&headers, &body, &credentials, now).context(sender.provider.name())?;
        group.bench_function(sender.provider.name(), |bencher| {
            bencher.iter(|| authenticate(&headers, black_box(&body), &credentials, now));
        });
    }
    group.finish();
    Ok(())
}

fn map(criterion: &mut Criterion) -> Result<()> {
    let mut group = criterion.benchmark_group("map");
    for sender in &SENDERS {
        let (body, source) = (compact(sender.body)?, sender.source()?);
        let found = sender.locate(&body)?;
        let raw = RawView {
            body: &body,
            event_id: &found.event_id,
            event_type: &found.event_type,
            subscriber_id: &found.subscriber,
            received_at: Timestamp::from_millis(NOW * 1000),
            traceparent: None,
            role: Role::Own,
        };
        let key = format!("{}/{}", source.name, found.subscriber);
        ensure!(!events(&raw, &key, &source).is_empty(), "{} tells nothing", source.name);
        group.throughput(Throughput::Bytes(size(&body)));
        group.bench_function(sender.provider.name(), |bencher| {
            bencher.iter(|| events(black_box(&raw), &key, &source));
        });
    }
    group.finish();
    Ok(())
}

/// What a webhook tells of somebody of whom nothing is known.
fn events(raw: &RawView<'_>, key: &str, source: &Source) -> Vec<LifecycleEvent> {
    match source.mapper.read(raw, &source.settings) {
        Reading::Facts(facts) => {
            advance(&mut SubscriberState::default(), &facts, key, source).events
        }
        Reading::Ignored(_) | Reading::Parked(_) | Reading::KeyMismatch => Vec::new(),
    }
}

fn order(criterion: &mut Criterion) -> Result<()> {
    let regular = Regular::new()?;
    let mut group = criterion.benchmark_group("order");
    let (waiting, new) = regular.held()?;
    let due = Timestamp::from_millis((NOW + 1) * 1000).plus(WINDOW);
    group.bench_function("hold, take_due", |bencher| {
        let setup = || (waiting.clone(), new.clone());
        let routine = |(mut waiting, new): (Vec<Held>, Held)| {
            let placed = hold(&mut waiting, new);
            (placed, take_due(&mut waiting, WINDOW, due), waiting)
        };
        bencher.iter_batched(setup, routine, BatchSize::SmallInput);
    });
    let (line, next) = (regular.line()?, record(BEFORE)?);
    let told = line.clone().take(&regular.raw(&next), Duration::ZERO, &regular.rules)?;
    ensure!(!told.events.is_empty(), "nothing was let go");
    group.bench_function("Line::take", |bencher| {
        let routine = |mut line: Line<MemoryStore>| {
            let taken = line.take(&regular.raw(&next), Duration::ZERO, &regular.rules);
            (taken, line)
        };
        bencher.iter_batched(|| line.clone(), routine, BatchSize::SmallInput);
    });
    group.finish();
    Ok(())
}

fn encode(criterion: &mut Criterion) -> Result<()> {
    let regular = Regular::new()?;
    let events = Codec::<LifecycleEvent>::new(Framing::SingleObject)?;
    let (event, state) = (full_event(), regular.state()?);
    let mut bytes = Vec::new();
    let mut group = criterion.benchmark_group("encode");
    events.encode(&event, &mut bytes)?;
    group.throughput(Throughput::Bytes(size(&bytes)));
    group.bench_function("event", |bencher| {
        bencher.iter(|| events.encode(black_box(&event), &mut bytes));
    });
    let states = &regular.rules.states;
    states.encode(&state, &mut bytes)?;
    group.throughput(Throughput::Bytes(size(&bytes)));
    group.bench_function("state", |bencher| {
        bencher.iter(|| states.encode(black_box(&state), &mut bytes));
    });
    group.finish();
    Ok(())
}

fn plan(criterion: &mut Criterion) -> Result<()> {
    let audience = || Audience {
        identify_by: vec![Identity::UserId, Identity::Email],
        anonymous: Anonymous::Skip,
        environments: vec![Environment::Production],
    };
    let customerio = CustomerIo {
        audience: audience(),
        names: Names::default(),
        on_customer_deleted: customerio::OnCustomerDeleted::Keep,
    };
    let keep = intercom::OnCustomerDeleted::Keep;
    let intercom = Intercom::new(audience(), Names::default(), keep);
    let webhook =
        Webhook { audience: audience(), names: Names::default(), path: "/hooks".to_owned() };
    let mut group = criterion.benchmark_group("plan");
    let event = LifecycleEvent { payload: None, ..full_event() };
    requested(&customerio, &event).context("Customer.io is told nothing")?;
    requested(&intercom, &event).context("Intercom is told nothing")?;
    requested(&webhook, &event).context("a receiver of webhooks is told nothing")?;
    group.bench_function("customerio", |bencher| {
        bencher.iter(|| requested(&customerio, black_box(&event)));
    });
    group.bench_function("intercom", |bencher| {
        bencher.iter(|| requested(&intercom, black_box(&event)));
    });
    group.bench_function("webhook", |bencher| {
        bencher.iter(|| requested(&webhook, black_box(&event)));
    });
    group.finish();
    Ok(())
}

/// The first request by which the destination is told.
fn requested<D: Destination>(destination: &D, event: &LifecycleEvent) -> Option<Request> {
    match destination.plan(event) {
        Plan::Send(delivery) => Some(destination.converse(vec![delivery]).begin()),
        Plan::Skip(_) | Plan::End(_) => None,
    }
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
