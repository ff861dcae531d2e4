//! The process: from its start to its end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use clap::Subcommand;
use schemas::codec::Framing;
use service::admin::{Admin, Condition, Readiness, routes};
use service::cli::{Command, Invocation};
use service::clock::Clock;
use service::config::Config;
use service::exit::Failure;
use service::metrics::{Dimensions, Registry};
use service::traces::Tracer;
use stream::Transactions;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::adopt;
use crate::configure;
use crate::dead;
use crate::forget;
use crate::framing::{self, teacher::Teacher};
use crate::identity::Identity;
use crate::import;
use crate::line_switch::LineSwitch;
use crate::metrics::Metrics;
use crate::parking::ParkLimit;
use crate::preflight::{self, check, check_topics, setup, tombstones_kept};
use crate::replay;
use crate::state::DiskStores;
use crate::worker::failure::{Cure, WorkerError};
use crate::worker::outgoing::{Names, Outgoing};
use crate::worker::{Shared, Worker};

/// How often a cluster out of reach is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What only this binary can be asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Own {
    /// Makes the events of the raw topic once more, beside the live ones, into topics of their own.
    Replay(replay::Arguments),
    /// Goes on with the subscribers of another installation, which has ended: to change the number of
    /// partitions.
    Adopt(adopt::Arguments),
    /// Tells of subscribers who were there before, from a file: they are known from then on, and nobody is sent
    /// anything.
    Import(import::Arguments),
    /// Forgets people who asked for it, here and at the destinations, and says what remains until when.
    Forget(forget::Arguments),
    /// Sees and deals with the records that were parked.
    Dead(dead_letters::Arguments),
}

/// Does what was asked for.
pub async fn work(invocation: Invocation<Own>) -> Result<(), Failure> {
    let Invocation { command, config, clock, shutdown, tracer } = invocation;
    match command {
        Command::Run => run(config, clock, shutdown, tracer).await,
        Command::Check => check(&config).await,
        Command::Setup => setup(&config).await,
        Command::Own(Own::Replay(arguments)) => replay::run(&config, arguments).await,
        Command::Own(Own::Adopt(arguments)) => adopt::run(&config, arguments).await,
        Command::Own(Own::Import(arguments)) => {
            import::run(&config, arguments, clock, shutdown).await
        }
        Command::Own(Own::Forget(arguments)) => forget::run(&config, arguments, clock).await,
        Command::Own(Own::Dead(arguments)) => dead::work(arguments, &config, clock, shutdown).await,
    }
}

async fn run(
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
    tracer: Tracer,
) -> Result<(), Failure> {
    let mut registry = Registry::new(Dimensions::of(&config)).map_err(Failure::failed)?;
    let metrics = Metrics::register(&mut registry).map_err(Failure::failed)?;
    let limit = ParkLimit::new(config.transform.park_limit.per_second());
    let switch = Arc::new(LineSwitch::new(limit, metrics.clone()));
    let readiness = Readiness::new();
    // First of all the lock on state_dir: nobody else may have these stores and this name.
    let identity = identity(&config)?;
    let schemas = framing::open(&config)?;
    let begun = readiness.register("start", "the topics were not looked at yet");
    let admin = Admin::bind(&config.transform.admin).await.map_err(Failure::failed)?;
    let pages = routes(readiness.clone(), Arc::new(registry)).merge(resume(Arc::clone(&switch)));
    let admin_until = CancellationToken::new();
    let serving = tokio::spawn(admin.serve(pages, admin_until.clone()));
    let ended = async {
        let Some(found) = await_kafka(&config, &shutdown, &begun).await? else { return Ok(()) };
        let shared = Shared {
            teacher: Teacher::new(schemas.clone()),
            names: Names::with_prefix(&config.kafka.topic_prefix),
            bounds: configure::bounds(&config),
            stores: stores(&config, found.partitions)?,
            tombstones_kept: found.tombstones_kept,
            cluster: configure::cluster(&config),
            clock,
            metrics,
            switch,
            shutdown,
            tracer,
        };
        serve(&config, &identity, &shared, schemas.as_deref(), &readiness, begun).await
    };
    let ended = ended.await;
    admin_until.cancel();
    serving.await.map_err(Failure::failed)?.map_err(Failure::failed)?;
    ended
}

/// What the workers have to know of the cluster.
struct Found {
    partitions: usize,
    tombstones_kept: Duration,
}

/// Waits until the topics could be looked at; none when asked to end before that. A cluster that is away is no reason
/// to give up, because a restart does not bring it back; topics that are wrong are.
async fn await_kafka(
    config: &Config,
    shutdown: &CancellationToken,
    begun: &Condition,
) -> Result<Option<Found>, Failure> {
    loop {
        match shutdown.run_until_cancelled(look(config)).await {
            None => return Ok(None),
            Some(Ok(found)) => return Ok(Some(found)),
            Some(Err(Failure::Failed(error))) => {
                tracing::warn!(%error, "waiting for Kafka");
                begun.fails(error.to_string());
            }
            Some(Err(failure)) => return Err(failure),
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(LOOK_AGAIN)).await.is_none() {
            return Ok(None);
        }
    }
}

async fn look(config: &Config) -> Result<Found, Failure> {
    for finding in check_topics(config).await? {
        tracing::warn!(topic = finding.topic, "{}", finding.message);
    }
    let cluster = configure::cluster(config);
    Ok(Found {
        partitions: preflight::partitions(config, &cluster).await?,
        tombstones_kept: tombstones_kept(config, &cluster).await?,
    })
}

/// Settles how events are written, and only then lets the workers begin.
async fn serve(
    config: &Config,
    identity: &Identity,
    shared: &Shared,
    schemas: Option<&registry::Registry>,
    readiness: &Readiness,
    begun: Condition,
) -> Result<(), Failure> {
    let Some(framing) = framing::settle(config, schemas, &begun, &shared.shutdown).await? else {
        return Ok(());
    };
    let workers = workers(config, identity, shared, framing, readiness)?;
    begun.holds();
    work_until_the_end(workers, &shared.shutdown).await
}

/// `POST /resume` lets a stopped line go on.
fn resume(switch: Arc<LineSwitch>) -> Router {
    Router::new().route(
        "/resume",
        post(move || async move {
            switch.resume();
            "resumed\n"
        }),
    )
}

fn identity(config: &Config) -> Result<Identity, Failure> {
    let transform = &config.transform;
    let fresh = format!("{:016x}", rand::random::<u64>());
    let given = transform.instance_id.as_deref();
    Identity::take(&transform.state_dir, given, &fresh, transform.workers)
        .map_err(|error| Failure::Refused(Failure::failed(error).report()))
}

fn stores(config: &Config, partitions: usize) -> Result<Arc<DiskStores>, Failure> {
    let folder = config.transform.state_dir.join("store");
    DiskStores::open(&folder, config.transform.store_memory, partitions)
        .map(Arc::new)
        .map_err(|error| Failure::Refused(Failure::failed(error).report()))
}

fn workers(
    config: &Config,
    identity: &Identity,
    shared: &Shared,
    framing: Framing,
    readiness: &Readiness,
) -> Result<Vec<Worker>, Failure> {
    let prefix = &config.kafka.topic_prefix;
    // Nobody else would end a transaction that a worker of old left open, and it blocks every reader.
    for former in identity.former_workers(config.transform.workers) {
        let name = identity.of_worker(prefix, former);
        drop(Transactions::open(&shared.cluster, &name).map_err(Failure::failed)?);
    }
    (0..config.transform.workers)
        .map(|number| {
            let name = identity.of_worker(prefix, number);
            let joined = readiness.register("kafka", format!("worker {number} has not joined"));
            let rules = configure::rules(config).map_err(Failure::failed)?;
            let outgoing = Outgoing::new(shared.names.clone(), framing).map_err(Failure::failed)?;
            Ok(Worker::new(shared.clone(), name, rules, outgoing, joined))
        })
        .collect()
}

/// One thread for each; when one must stop, all do.
async fn work_until_the_end(
    workers: Vec<Worker>,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    let mut threads = JoinSet::new();
    for worker in workers {
        threads.spawn_blocking(move || worker.run());
    }
    let mut outcome = Ok(());
    while let Some(ended) = threads.join_next().await {
        let ended = ended.map_err(Failure::failed).and_then(|ended| ended.map_err(failure_of));
        if let Err(failure) = ended {
            tracing::error!("{}", failure.report());
            if outcome.is_ok() {
                outcome = Err(failure);
            }
        }
        shutdown.cancel();
    }
    outcome
}

fn failure_of(error: WorkerError) -> Failure {
    match error.cure() {
        Cure::Stop => Failure::Refused(Failure::failed(error).report()),
        Cure::StartAgain | Cure::StartAgainOnce => Failure::failed(error),
    }
}
