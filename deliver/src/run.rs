//! Runs every destination's line, and the admin port beside them.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use registry::RegistryError;
use service::admin::{Admin, Condition, Readiness, routes};
use service::clock::Clock;
use service::config::{self, Account, Config};
use service::exit::Failure;
use service::metrics::{Dimensions, Registry};
use service::traces::Tracer;
use stream::admin::TopicsError;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::breaker::State;
use crate::configure;
use crate::destinations::Destination;
use crate::dispatch::{Caller, Observers};
use crate::going_live::Question;
use crate::line::{Line, Mode, Surroundings};
use crate::metrics::Metrics;
use crate::preflight::{check_topics, require_home};
use crate::records::Records;
use crate::transformation::{Counts, Transformable, Transformed};
use crate::waits::{self, Exchange};

/// How often topics out of reach are looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

type Lines = JoinSet<(String, Result<(), Failure>)>;

/// Works until `shutdown`.
pub async fn run(
    config: &Config,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
    tracer: Tracer,
) -> Result<(), Failure> {
    configure::judge(config)?;
    let mut registry = Registry::new(Dimensions::of(config)).map_err(Failure::failed)?;
    let metrics = Metrics::register(&mut registry).map_err(Failure::failed)?;
    let schemas = configure::registry(config).map_err(refusal)?;
    let readiness = Readiness::new();
    let resume: Vec<Arc<Notify>> = config.destinations.iter().map(|_| Arc::default()).collect();
    let begun = readiness.register("start", "the topics were not looked at yet");
    let admin = Admin::bind(&config.deliver.admin).await.map_err(Failure::failed)?;
    let served = routes(readiness.clone(), Arc::new(registry)).merge(resuming(resume.clone()));
    let ended = CancellationToken::new();
    let admin = tokio::spawn(admin.serve(served, ended.clone()));
    let result = match await_topics(config, &shutdown, &begun).await {
        Ok(()) => {
            let mut lines = Lines::new();
            for ((name, destination), resume) in config.destinations.iter().zip(resume) {
                let around = Surroundings {
                    clock: clock.clone(),
                    metrics: metrics.clone(),
                    shutdown: shutdown.clone(),
                    resume,
                    joined: readiness.register("group", format!("{name} has not joined")),
                    registry: schemas.clone(),
                    tracer: tracer.clone(),
                };
                begin(&mut lines, config, name, destination, around)?;
            }
            begun.holds();
            outlast(lines, &shutdown).await
        }
        Err(failure) => Err(failure),
    };
    ended.cancel();
    admin.await.map_err(Failure::failed)?.map_err(Failure::failed)?;
    result
}

fn refusal(error: RegistryError) -> Failure {
    Failure::Refused(Failure::failed(error).report())
}

/// `POST /resume` lets lines go on that stopped because too much would have been parked.
fn resuming(lines: Vec<Arc<Notify>>) -> Router {
    let resume = async move || {
        for line in &lines {
            line.notify_one();
        }
        "resumed\n"
    };
    Router::new().route("/resume", post(resume))
}

/// Refuses topics that are wrong; waits for those that cannot be looked at.
async fn await_topics(
    config: &Config,
    shutdown: &CancellationToken,
    begun: &Condition,
) -> Result<(), Failure> {
    loop {
        match check_topics(config).await {
            Ok(warnings) => {
                for warning in warnings {
                    tracing::warn!(topic = warning.topic, "{}", warning.message);
                }
                return Ok(());
            }
            Err(TopicsError::Wrong(findings)) => return Err(Failure::Refused(findings)),
            Err(TopicsError::OutOfReach(error)) => {
                tracing::warn!(%error, "the cluster is out of reach; looking again");
                begun.fails(error.to_string());
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

/// One row for each kind of destination.
fn begin(
    lines: &mut Lines,
    config: &Config,
    name: &str,
    destination: &config::Destination,
    around: Surroundings,
) -> Result<(), Failure> {
    match &destination.account {
        Account::Customerio(_) => {
            let workspace = configure::customerio(destination);
            spawn_transformed(lines, config, name, destination, workspace, around)
        }
        Account::Intercom(_) => {
            let workspace = configure::intercom(destination);
            spawn_transformed(lines, config, name, destination, workspace, around)
        }
        Account::Webhook(account) => {
            let receiver = configure::webhook(destination, account);
            spawn_transformed(lines, config, name, destination, receiver, around)
        }
    }
}

/// With its transformation code, where it has any. Without, it is what it would be if there were no such thing.
fn spawn_transformed<D: Transformable>(
    lines: &mut Lines,
    config: &Config,
    name: &str,
    destination: &config::Destination,
    workspace: D,
    around: Surroundings,
) -> Result<(), Failure> {
    let Some(handlers) = configure::handlers(destination)? else {
        return spawn(lines, config, name, destination, workspace, around);
    };
    let counts = Counts::of(name, around.metrics.transformed.clone());
    let workspace = Transformed::new(workspace, handlers, configure::reach(destination), counts);
    spawn(lines, config, name, destination, workspace, around)
}

fn spawn<D: Destination>(
    lines: &mut Lines,
    config: &Config,
    name: &str,
    destination: &config::Destination,
    workspace: D,
    around: Surroundings,
) -> Result<(), Failure> {
    let group = configure::group(config, name, destination.mode);
    let records =
        Records::new(&config.kafka.topic_prefix, name, &group).map_err(Failure::failed)?;
    let answers = Some(around.metrics.answers_of(name));
    let observers = Observers { answers, tracer: around.tracer.clone() };
    let caller = configure::caller(config, destination, around.clock.clone(), observers)
        .map_err(Failure::failed)?;
    let settings = configure::line(config, name, destination);
    let (shutdown, is_called) = (around.shutdown.clone(), settings.mode == Mode::Live);
    let question = Question::of(config, name, destination);
    let (waits, destination) = (configure::waits(config, name), destination.clone());
    let (name, caller) = (name.to_owned(), Arc::new(caller));
    lines.spawn(async move {
        let mut exchange = None;
        if is_called {
            let allowed = async {
                question.require_date().await?;
                first_call(waits, &destination, &caller).await
            };
            match shutdown.run_until_cancelled(allowed).await {
                Some(Ok(begun)) => exchange = Some(begun),
                Some(Err(failure)) => return (name, Err(failure)),
                None => return (name, Ok(())),
            }
        }
        let ended = Line::new(settings, around, workspace, caller, records).run().await;
        if let Some(exchange) = exchange {
            exchange.end().await;
        }
        (name, ended.map_err(|error| Failure::Refused(Failure::failed(error).report())))
    });
    Ok(())
}

/// Makes the first call of a process, which comes before it has joined its group, and not inside a wait that an
/// instance before this one was asked for.
async fn first_call(
    waits: waits::Place,
    destination: &config::Destination,
    caller: &Arc<Caller>,
) -> Result<Exchange, Failure> {
    let exchange = Exchange::start(waits, caller.gate.clone(), caller.clock.clone())
        .await
        .map_err(Failure::failed)?;
    while let State::Open { until } = caller.gate.state() {
        let wait = until.saturating_sub(caller.clock.elapsed());
        if wait.is_zero() {
            break;
        }
        tokio::time::sleep(wait).await;
    }
    require_home(destination, caller).await?;
    Ok(exchange)
}

/// Until all lines have ended. The first that cannot go on ends all: half a `deliver` that looks alive
/// helps nobody.
async fn outlast(mut lines: Lines, shutdown: &CancellationToken) -> Result<(), Failure> {
    let mut result = Ok(());
    if lines.is_empty() {
        tracing::warn!("no destination is configured");
        shutdown.cancelled().await;
    }
    while let Some(ended) = lines.join_next().await {
        let failure = match ended {
            Ok((_, Ok(()))) => continue,
            Ok((name, Err(failure))) => Failure::Refused(format!("{name}: {}", failure.report())),
            Err(error) => Failure::failed(error),
        };
        shutdown.cancel();
        result = result.and(Err(failure));
    }
    result
}
