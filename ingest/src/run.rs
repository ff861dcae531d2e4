//! The life of the process: refuse or wait, receive, drain.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use service::admin::{Admin, Condition, Readiness, routes};
use service::clock::Clock;
use service::config::Config;
use service::exit::Failure;
use service::metrics::{Dimensions, Registry};
use service::traces::Tracer;
use stream::admin::TopicsError;
use stream::{AppendError, Appender};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::files;
use crate::metrics::Metrics;
use crate::preflight::{check_topics, cluster, judge_secrets, raw_topic};
use crate::publish::KafkaLog;
use crate::receive::{Limits, Receiver, Source};
use crate::server::{Drained, MAX_CONNECTIONS, serve};
use crate::sources::adapter;

/// Pause before another look at a cluster that is out of reach.
const REACH_PAUSE: Duration = Duration::from_secs(1);

/// How long the cluster may take to say where the raw topic's partitions are.
const WARM_TIMEOUT: Duration = Duration::from_secs(10);

/// Receives webhooks until asked to end.
pub async fn run(
    config: &Config,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
    tracer: Tracer,
) -> Result<(), Failure> {
    judge_secrets(config)?;
    let mut registry = Registry::new(Dimensions::of(config)).map_err(Failure::failed)?;
    let metrics = Metrics::register(&mut registry).map_err(Failure::failed)?;
    let readiness = Readiness::new();
    let receiving = readiness.register("kafka", "the raw topic was not reached yet");
    let admin = Admin::bind(&config.ingest.admin)
        .await
        .map_err(|error| in_use("ingest.admin", &config.ingest.admin, &error))?;
    let ended = CancellationToken::new();
    let serving_admin =
        tokio::spawn(admin.serve(routes(readiness, Arc::new(registry)), ended.clone()));

    let outcome = receive(config, (clock, shutdown), (metrics, tracer), &receiving).await;

    // Last, so that whoever waits for the end can ask until then.
    ended.cancel();
    match serving_admin.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the admin server ended early"),
        Err(error) => tracing::warn!(%error, "the admin server failed"),
    }
    outcome
}

async fn receive(
    config: &Config,
    (clock, shutdown): (Arc<dyn Clock>, CancellationToken),
    (metrics, tracer): (Metrics, Tracer),
    receiving: &Condition,
) -> Result<(), Failure> {
    if !reach(config, &shutdown, receiving).await? {
        return Ok(());
    }
    let log = KafkaLog {
        appender: Appender::open(&cluster(config), config.ingest.ack_timeout)
            .map_err(Failure::failed)?,
        topic: raw_topic(config),
        broken: CancellationToken::new(),
    };
    warm(&log).await;
    let listen = &config.ingest.listen;
    let listener =
        TcpListener::bind(listen).await.map_err(|error| in_use("ingest.listen", listen, &error))?;
    let receiver = Receiver {
        sources: sources(config),
        limits: Limits {
            max_body: config.ingest.max_body,
            body_timeout: config.ingest.body_timeout,
            ack_timeout: config.ingest.ack_timeout,
            connections: files::connections(MAX_CONNECTIONS),
        },
        log: log.clone(),
        clock: Arc::clone(&clock),
        metrics,
        tracer,
    };
    for source in receiver.sources.keys() {
        receiver.metrics.expect(source, clock.now());
    }
    receiving.holds();
    tracing::info!(listen, sources = receiver.sources.len(), "receiving webhooks");

    let stop = async {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = log.broken.cancelled() => {}
            () = log.appender.denied() => {}
        }
        receiving.fails("ending");
        clock.elapsed()
    };
    let (drained, stopped) = serve(listener, Arc::new(receiver), stop, config.ingest.drain).await;
    report(drained);
    let left = config.ingest.drain.saturating_sub(clock.elapsed().saturating_sub(stopped));
    flush(&log, left).await;
    if log.appender.is_denied() {
        let denied = AppendError::Denied { topic: log.topic };
        return Err(Failure::Refused(denied.to_string()));
    }
    if log.broken.is_cancelled() {
        return Err(Failure::failed("the producer failed for good; a restart is needed"));
    }
    Ok(())
}

/// Waits until the topics could be looked at; `false` when asked to end before that. A cluster that
/// is away is no reason to give up, one whose topics are wrong is.
async fn reach(
    config: &Config,
    shutdown: &CancellationToken,
    receiving: &Condition,
) -> Result<bool, Failure> {
    loop {
        let looked = tokio::select! {
            looked = check_topics(config) => looked,
            () = shutdown.cancelled() => return Ok(false),
        };
        match looked {
            Ok(warnings) => {
                for warning in warnings {
                    tracing::warn!(topic = warning.topic, "{}", warning.message);
                }
                return Ok(true);
            }
            Err(TopicsError::Wrong(findings)) => return Err(Failure::Refused(findings)),
            Err(TopicsError::OutOfReach(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "waiting for Kafka");
                receiving.fails(error.to_string());
            }
        }
        tokio::select! {
            () = tokio::time::sleep(REACH_PAUSE) => {}
            () = shutdown.cancelled() => return Ok(false),
        }
    }
}

/// Without it the first webhook would wait for the producer to find its way.
async fn warm(log: &KafkaLog) {
    let (appender, topic) = (log.appender.clone(), log.topic.clone());
    let warmed = tokio::task::spawn_blocking(move || appender.warm(&topic, WARM_TIMEOUT)).await;
    if let Ok(Err(error)) = warmed {
        tracing::warn!(%error, "the first webhooks may wait for the cluster");
    }
}

async fn flush(log: &KafkaLog, timeout: Duration) {
    let appender = log.appender.clone();
    let flushed = tokio::task::spawn_blocking(move || appender.flush(timeout)).await;
    if let Ok(Err(error)) = flushed {
        // None of them was answered 200, so their senders will send them again.
        tracing::warn!(%error, "ended with unacknowledged records");
    }
}

fn report(drained: Drained) {
    match drained {
        Drained::Completely => tracing::info!("every request was answered"),
        Drained::InPart => tracing::warn!("ended with unanswered requests; `ingest.drain` passed"),
    }
}

fn sources(config: &Config) -> BTreeMap<String, Source> {
    let of_webhooks = config.sources.iter().filter_map(|(name, source)| {
        let source = Source {
            provider: source.provider,
            adapter: adapter(source.provider)?,
            secrets: source.secrets.clone(),
            authorization: source.authorization.clone(),
            tolerance: source.tolerance,
        };
        Some((name.clone(), source))
    });
    of_webhooks.collect()
}

fn in_use(option: &str, address: &str, error: &io::Error) -> Failure {
    Failure::Refused(format!("{option}: cannot listen on {address}: {error}"))
}
