//! `transform replay`: the events of the raw topic made once more, beside the live ones.
//!
//! Records give the same events in the same order whenever they are read, because nothing but the raw
//! topic decides: not a clock, and not a link, whose effect lies in raw as a copy. So from a raw topic
//! that reaches back to the first record, with the configuration and the mapping it was read with, the
//! events are the live ones, byte for byte; from a later moment they have the same ids and are made from
//! nothing but what came since. `docs/reliability.md` lists what else tells them apart.
//!
//! A replay writes to topics of its own and to no other. It keeps the states of one partition at a time
//! in memory and joins no group, so that the live ones never notice.

mod arguments;
mod partition;

use std::sync::Arc;

use schemas::topics::{Topic, TopicSpec};
use service::cli::say;
use service::config::Config;
use service::exit::Failure;
use stream::{Cluster, Reader, admin};

pub use self::arguments::{Arguments, From};
use self::partition::{Replayed, replay};
use crate::bulk::{self, Output};
use crate::framing::teacher::Teacher;
use crate::worker::outgoing::{Names, Outgoing};
use crate::{configure, framing};

/// Does the whole replay.
pub async fn run(config: &Arc<Config>, arguments: Arguments) -> Result<(), Failure> {
    let cluster = configure::cluster(config);
    let into = into(config, &arguments)?;
    let registry = framing::open(config)?;
    let framing = framing::ask(config, registry.as_deref()).await?;
    let teacher = Teacher::new(registry);
    let live = Names::with_prefix(&config.kafka.topic_prefix);
    let plan = plan(&cluster, &live, arguments.from)?;
    make_room(config, &cluster, (into.as_str(), live.group.as_str()), plan.len()).await?;
    announce(&plan, arguments.from, &into)?;
    let mut output = Output::open(&cluster).map_err(Failure::failed)?;
    let bar = bulk::bar(plan.iter().map(Span::offsets).sum());
    let mut sum = Replayed::default();
    for span in plan {
        let names = Names { events: into.clone(), ..live.clone() };
        let outgoing = Outgoing::new(names, framing).map_err(Failure::failed)?;
        let rules = configure::replay_rules(config).map_err(Failure::failed)?;
        let reader = Reader::open(&cluster, &live.group).map_err(Failure::failed)?;
        let (raw, teacher) = (live.raw.clone(), teacher.clone());
        let replaying = output.carry(&bar, span.offsets(), move |to, progress| {
            replay(&reader, &raw, span, (&outgoing, &rules, &teacher), to, progress)
        });
        sum.add(&replaying.await?);
    }
    bar.finish_and_clear();
    sum.lines(&into).iter().try_for_each(|line| say(line))
}

/// What is read of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    partition: i32,
    from: i64,
    until: i64,
}

impl Span {
    fn offsets(&self) -> u64 {
        u64::try_from(self.until - self.from).unwrap_or(0)
    }
}

fn into(config: &Config, arguments: &Arguments) -> Result<String, Failure> {
    if arguments.into == config.kafka.topic_prefix {
        let prefix = &arguments.into;
        return Err(Failure::Refused(format!(
            "--into {prefix:?} is this installation's own prefix: a replay never writes to live topics"
        )));
    }
    Ok(Topic::Events.name(&arguments.into))
}

fn plan(cluster: &Cluster, live: &Names, from: From) -> Result<Vec<Span>, Failure> {
    let reader = Reader::open(cluster, &live.group).map_err(Failure::failed)?;
    let partitions = reader.partitions(&live.raw).map_err(Failure::failed)?;
    (0..partitions)
        .map(|partition| {
            let (low, until) = reader.low_and_high(&live.raw, partition)?;
            let from = match from {
                From::Beginning => low,
                From::Time(moment) => reader.offset_at(&live.raw, partition, moment)?.max(low),
            };
            Ok(Span { partition, from, until })
        })
        .collect::<Result<_, stream::ReadError>>()
        .map_err(Failure::failed)
}

/// The topic to write to: made if it is missing, refused if anything is in it already.
async fn make_room(
    config: &Config,
    cluster: &Cluster,
    (into, group): (&str, &str),
    partitions: usize,
) -> Result<(), Failure> {
    let mut spec: TopicSpec = configure::topics(config)
        .map_err(Failure::failed)?
        .into_iter()
        .find(|spec| spec.name == Topic::Events.name(&config.kafka.topic_prefix))
        .ok_or_else(|| Failure::failed("the catalogue has no topic for events"))?;
    into.clone_into(&mut spec.name);
    spec.partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
    let replication = i32::try_from(config.kafka.replication_factor).unwrap_or(i32::MAX);
    admin::create_missing(cluster, &[spec], replication).await.map_err(Failure::failed)?;
    let reader = Reader::open(cluster, group).map_err(Failure::failed)?;
    let found = reader.partitions(into).map_err(Failure::failed)?;
    if usize::try_from(found) != Ok(partitions) {
        return Err(Failure::Refused(format!(
            "{into} has {found} partitions and the raw topic has {partitions}; choose another prefix"
        )));
    }
    for partition in 0..found {
        let (low, high) = reader.low_and_high(into, partition).map_err(Failure::failed)?;
        if low < high {
            return Err(Failure::Refused(format!(
                "{into} is not empty: choose another prefix, or delete the topic"
            )));
        }
    }
    Ok(())
}

/// Says what the result will be worth before it is made.
fn announce(plan: &[Span], from: From, into: &str) -> Result<(), Failure> {
    let offsets: u64 = plan.iter().map(Span::offsets).sum();
    say(&format!("replaying {} partitions, {offsets} offsets, into {into}", plan.len()))?;
    say(
        "the events are the live ones where raw is whole and nothing that decides has changed since: no \
         other window, plans, mapping or number of partitions, and nothing redriven after a correction",
    )?;
    if plan.iter().any(|span| span.from > 0) {
        let why = match from {
            From::Beginning => "the raw topic no longer holds its first records",
            From::Time(_) => "it does not begin with the first record",
        };
        say(&format!(
            "{why}: states begin empty, so the events have the ids of the live ones, but count their \
             sequences from 1 and know nothing of what came before"
        ))?;
    }
    Ok(())
}
