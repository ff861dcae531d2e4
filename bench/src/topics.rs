//! Topics filled and looked into from outside.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use stream::{Appender, Cluster, Reader, Received, Record, TopicPartition};
use tokio::runtime::Runtime;

const ACKNOWLEDGED_WITHIN: Duration = Duration::from_mins(1);
/// Records that are not acknowledged yet.
const UNDERWAY: usize = 10_000;
const POLL: Duration = Duration::from_millis(10);

/// Writes records as fast as the broker takes them.
pub(crate) struct Filler {
    runtime: Runtime,
    appender: Appender,
}

impl Filler {
    pub(crate) fn open(cluster: &Cluster) -> Result<Self> {
        let runtime = Runtime::new().context("starting the filler")?;
        Ok(Self { runtime, appender: Appender::open(cluster, ACKNOWLEDGED_WITHIN)? })
    }

    /// Connects, and learns where the topic is.
    pub(crate) fn warm(&self, topic: &str) -> Result<()> {
        self.appender.warm(topic, ACKNOWLEDGED_WITHIN).context("reaching the broker")
    }

    /// Returns when all of them are acknowledged.
    pub(crate) fn fill(&self, records: impl IntoIterator<Item = Record>) -> Result<()> {
        let mut underway = VecDeque::new();
        for record in records {
            if underway.len() == UNDERWAY {
                self.settle(&mut underway)?;
            }
            underway.push_back(Box::pin(self.appender.enqueue(&record)?));
        }
        while !underway.is_empty() {
            self.settle(&mut underway)?;
        }
        Ok(())
    }

    fn settle<F>(&self, underway: &mut VecDeque<F>) -> Result<()>
    where
        F: Future<Output = Result<stream::Acknowledged, stream::AppendError>>,
    {
        if let Some(fate) = underway.pop_front() {
            self.runtime.block_on(fate).context("filling a topic")?;
        }
        Ok(())
    }
}

/// Reads what has been committed to a topic since it was read last.
pub(crate) struct Tail {
    reader: Reader,
    topic: String,
    positions: Vec<i64>,
}

impl Tail {
    pub(crate) fn open(cluster: &Cluster, topic: String) -> Result<Self> {
        let reader = Reader::open(cluster, &format!("{topic}-tail"))?;
        let partitions = usize::try_from(reader.partitions(&topic)?).unwrap_or_default();
        ensure!(partitions > 0, "the topic {topic} is not there");
        Ok(Self { reader, topic, positions: vec![0; partitions] })
    }

    /// What has come meanwhile, in the order of each partition.
    pub(crate) fn read(&mut self, mut each: impl FnMut(Received)) -> Result<()> {
        for (partition, position) in (0_i32..).zip(&mut self.positions) {
            let (_, end) = self.reader.low_and_high(&self.topic, partition)?;
            self.reader.read_to(&self.topic, partition, (*position, end), |record| {
                each(record);
                ControlFlow::Continue(())
            })?;
            *position = end;
        }
        Ok(())
    }
}

/// How far a group has come in a topic to which nobody writes in transactions.
pub(crate) struct Standing {
    reader: Reader,
    group: String,
    partitions: Vec<TopicPartition>,
}

impl Standing {
    pub(crate) fn of(cluster: &Cluster, group: &str, topic: &str) -> Result<Self> {
        let reader = Reader::open(cluster, group)?;
        let name: Arc<str> = Arc::from(topic);
        let partitions = 0..reader.partitions(topic)?;
        let partitions =
            partitions.map(|partition| TopicPartition { topic: Arc::clone(&name), partition });
        Ok(Self { partitions: partitions.collect(), group: group.to_owned(), reader })
    }

    /// Where the topic ends in each partition.
    pub(crate) fn ends(&self) -> Result<Vec<i64>> {
        let end = |at: &TopicPartition| Ok(self.reader.low_and_high(&at.topic, at.partition)?.1);
        self.partitions.iter().map(end).collect()
    }

    /// Waits until the group has committed all of it, at most `within`.
    pub(crate) fn await_arrival(&self, ends: &[i64], within: Duration) -> Result<()> {
        let deadline = Instant::now() + within;
        loop {
            let standing = self.reader.standing(&self.partitions)?;
            let arrived = standing.iter().all(|committed| {
                let end = usize::try_from(committed.partition.partition).ok();
                let end = end.and_then(|place| ends.get(place)).copied().unwrap_or_default();
                committed.next_offset.unwrap_or_default() >= end
            });
            if arrived {
                return Ok(());
            }
            let group = &self.group;
            ensure!(Instant::now() < deadline, "{group} did not come to the end within {within:?}");
            std::thread::sleep(POLL);
        }
    }
}
