//! One destination's thread towards Kafka: its consumer group and its transactions.
//!
//! The client is driven from one thread and blocks; deciding and calling happen elsewhere and do not.
//! The two sides talk through bounded channels. The thread keeps the start order: all partitions
//! assigned → committed offsets and their done marks → the true end of the retry topic → everything up
//! to it is read → only then the owner may send (lane protocol, rules 1 and 2). Any error ends the
//! thread; what it knew is dropped, and another starts from what is committed (rule 14).

mod start_order;

use std::sync::Arc;
use std::time::Duration;

use registry::RegistryError;
use schemas::Timestamp;
use stream::{
    Cluster, Group, GroupError, Membership, Polled, Progress, ReadError, Reader, Received, Record,
    TopicPartition, TransactionError, Transactions,
};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;

use crate::lanes::Source;
use crate::marks::{Marks, MarksError};
use crate::tenure::Tenure;

/// How long a command may wait behind a poll.
const POLL: Duration = Duration::from_millis(5);

/// Records on their way to the owner.
const RECORDS_IN_CHANNEL: usize = 1_024;

/// More than the owner ever sends before it is answered.
const COMMANDS_IN_CHANNEL: usize = 64;

/// Where a group begins that never committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// At the oldest event kept.
    Earliest,
    /// At the next event.
    Latest,
    /// At the first event that was recorded at or after this time.
    At(Timestamp),
}

/// Where one destination's records are.
#[derive(Clone, Debug)]
pub struct Place {
    /// The cluster.
    pub cluster: Cluster,
    /// The consumer group.
    pub group: String,
    /// Identifies this process's producer and no other's.
    pub transactional_id: String,
    /// The event topic.
    pub events: String,
    /// The retry topic.
    pub retry: String,
    /// Where to begin.
    pub beginning: Beginning,
}

/// From the thread to the owner.
#[derive(Debug)]
pub enum FromBroker {
    /// A partition is ours: what was done of it.
    Assigned {
        /// The partition.
        partition: i32,
        /// Of the event topic.
        events: Marks,
        /// Of the retry topic.
        retry: Marks,
        /// What its last owner left word of.
        tenure: Tenure,
    },
    /// A record.
    Record(Source, Arc<Received>),
    /// Every retry topic has been read to its end: sending may begin. `share` is how much of all
    /// partitions is ours.
    Started {
        /// From 0 to 1.
        share: f64,
    },
    /// The last commit is done.
    Committed,
    /// The partitions go to somebody else as soon as the owner says `Release`.
    Revoked,
    /// They are somebody else's already.
    Lost,
    /// The thread ended.
    Ended(BrokerError),
}

/// From the owner to the thread.
#[derive(Debug)]
pub enum ToBroker {
    /// All or nothing.
    Commit {
        /// To be appended, in this order.
        records: Vec<Record>,
        /// By topic and partition.
        progress: Vec<Position>,
    },
    /// Stops and starts the flow of records.
    Flow {
        /// To be stopped.
        pause: Vec<(Source, i32)>,
        /// To be started again.
        resume: Vec<(Source, i32)>,
    },
    /// The owner has finished with the revoked partitions.
    Release,
    /// Leave the group and end.
    Leave,
}

/// What is to be committed for one partition of one topic.
#[derive(Clone, Debug)]
pub struct Position {
    /// The topic.
    pub source: Source,
    /// The partition.
    pub partition: i32,
    /// The first offset that is not done.
    pub next: i64,
    /// What stands beside it.
    pub metadata: String,
}

/// Why the thread ended.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The owner asked for it.
    #[error("left the group")]
    Left,
    /// A call ended without a verdict.
    #[error("a call to the destination was lost")]
    CallLost,
    /// A question to the schema registry ended without an answer.
    #[error("a question to the schema registry was lost")]
    QuestionLost,
    /// The schema registry cannot be worked with.
    #[error(transparent)]
    Registry(RegistryError),
    /// The group.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// A transaction is in doubt.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The retry topic cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// One of the two topics of a partition is somebody else's.
    #[error(
        "partition {partition} of {events} and of {retry} are not assigned together; do both \
             topics have the same number of partitions, and do all instances run the same version?"
    )]
    Split {
        /// The partition.
        partition: i32,
        /// The event topic.
        events: String,
        /// The retry topic.
        retry: String,
    },
    /// Records that were never processed have been deleted.
    #[error(
        "the group {group} stands at {next} in partition {partition} of {topic}, whose oldest \
             record is {low}: what lay between is gone. Accept the loss by setting the group's \
             offset, with kafka-consumer-groups --reset-offsets --to-earliest"
    )]
    Gone {
        /// The group.
        group: String,
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The committed offset.
        next: i64,
        /// The oldest record.
        low: i64,
    },
    /// The metadata of a committed offset cannot be read.
    #[error("what is done in partition {partition} of {topic} cannot be read")]
    Marks {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Why.
        #[source]
        cause: MarksError,
    },
}

impl BrokerError {
    /// Whether starting again cannot help: an operator has to decide.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Gone { .. } | Self::Marks { .. } | Self::Registry(_) | Self::Left => true,
            Self::Group(error) => matches!(error, GroupError::OutOfRange(_)),
            Self::Transaction(_)
            | Self::Read(_)
            | Self::Split { .. }
            | Self::CallLost
            | Self::QuestionLost => false,
        }
    }
}

/// The owner's end of the thread.
#[derive(Debug)]
pub struct Broker {
    /// What the thread says.
    pub incoming: mpsc::Receiver<FromBroker>,
    /// What the thread is told.
    pub commands: mpsc::Sender<ToBroker>,
    thread: std::thread::JoinHandle<()>,
}

impl Broker {
    /// Starts the thread, which joins the group as such a member.
    pub fn start(place: Place, membership: Membership) -> std::io::Result<Self> {
        let (outgoing, incoming) = mpsc::channel(RECORDS_IN_CHANNEL);
        let (commands, orders) = mpsc::channel(COMMANDS_IN_CHANNEL);
        let thread = std::thread::Builder::new()
            .name(place.group.clone())
            .spawn(move || Session::end_of(place, &membership, outgoing, orders))?;
        Ok(Self { incoming, commands, thread })
    }

    /// Whether the thread has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }
}

struct Session {
    place: Place,
    outgoing: mpsc::Sender<FromBroker>,
    orders: mpsc::Receiver<ToBroker>,
    transactions: Transactions,
    group: Group,
    reader: Reader,
}

/// The owner is gone: there is nobody to go on for.
fn abandoned<T>(_: T) -> BrokerError {
    BrokerError::Left
}

impl Session {
    fn end_of(
        place: Place,
        membership: &Membership,
        outgoing: mpsc::Sender<FromBroker>,
        orders: mpsc::Receiver<ToBroker>,
    ) {
        let last_words = outgoing.clone();
        let error = match Self::open(place, membership, outgoing, orders) {
            Ok(mut session) => match session.run() {
                Ok(never) => match never {},
                Err(error) => error,
            },
            Err(error) => error,
        };
        if last_words.blocking_send(FromBroker::Ended(error)).is_err() {
            tracing::debug!("the owner was gone first");
        }
    }

    fn open(
        place: Place,
        membership: &Membership,
        outgoing: mpsc::Sender<FromBroker>,
        orders: mpsc::Receiver<ToBroker>,
    ) -> Result<Self, BrokerError> {
        let transactions = Transactions::open(&place.cluster, &place.transactional_id)?;
        let reader = Reader::open(&place.cluster, &place.group)?;
        let topics = [place.events.as_str(), place.retry.as_str()];
        let group = Group::join(&place.cluster, &place.group, &topics, membership)?;
        Ok(Self { place, outgoing, orders, transactions, group, reader })
    }

    fn run(&mut self) -> Result<std::convert::Infallible, BrokerError> {
        loop {
            loop {
                match self.orders.try_recv() {
                    Ok(order) => self.obey(order)?,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Err(BrokerError::Left),
                }
            }
            match self.group.poll(POLL)? {
                Polled::Idle => {}
                Polled::Record(received) => {
                    let source = self.source(&received.topic);
                    self.tell(FromBroker::Record(source, Arc::new(received)))?;
                }
                Polled::Assigned(partitions) => self.take_over(&partitions)?,
                Polled::Revoked(_) => self.hand_over(FromBroker::Revoked)?,
                Polled::Lost(_) => self.hand_over(FromBroker::Lost)?,
            }
        }
    }

    fn tell(&self, message: FromBroker) -> Result<(), BrokerError> {
        self.outgoing.blocking_send(message).map_err(abandoned)
    }

    fn source(&self, topic: &str) -> Source {
        if topic == self.place.retry { Source::Retry } else { Source::Events }
    }

    fn topic(&self, source: Source) -> &str {
        match source {
            Source::Events => &self.place.events,
            Source::Retry => &self.place.retry,
        }
    }

    fn at(&self, source: Source, partition: i32) -> TopicPartition {
        TopicPartition { topic: Arc::from(self.topic(source)), partition }
    }

    fn obey(&mut self, order: ToBroker) -> Result<(), BrokerError> {
        match order {
            ToBroker::Commit { records, progress } => self.commit(records, progress),
            ToBroker::Flow { pause, resume } => {
                let named = |list: &[(Source, i32)]| {
                    list.iter().map(|(source, at)| self.at(*source, *at)).collect::<Vec<_>>()
                };
                let (pause, resume) = (named(&pause), named(&resume));
                self.group.pause(&pause)?;
                Ok(self.group.resume(&resume)?)
            }
            // Only ever the answer to a revocation.
            ToBroker::Release => Ok(()),
            ToBroker::Leave => Err(BrokerError::Left),
        }
    }

    fn commit(&mut self, records: Vec<Record>, progress: Vec<Position>) -> Result<(), BrokerError> {
        let progress: Vec<Progress> = progress
            .into_iter()
            .map(|position| Progress {
                partition: self.at(position.source, position.partition),
                next_offset: position.next,
                metadata: position.metadata,
            })
            .collect();
        self.transact(records, &progress)?;
        self.tell(FromBroker::Committed)
    }

    fn transact(&mut self, records: Vec<Record>, progress: &[Progress]) -> Result<(), BrokerError> {
        let member = self.group.member()?;
        self.transactions.begin()?;
        for record in records {
            self.transactions.send(record)?;
        }
        self.transactions.commit(progress, &member)?;
        Ok(())
    }

    /// Lets the owner finish, and only then the group.
    fn hand_over(&mut self, message: FromBroker) -> Result<(), BrokerError> {
        self.tell(message)?;
        loop {
            match self.orders.blocking_recv().ok_or(BrokerError::Left)? {
                ToBroker::Release => return Ok(self.group.release()?),
                order @ (ToBroker::Commit { .. } | ToBroker::Flow { .. } | ToBroker::Leave) => {
                    self.obey(order)?;
                }
            }
        }
    }
}
