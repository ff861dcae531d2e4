//! Writing very many records that a command makes: in order, and acknowledged before they count.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use stream::{Acknowledged, AppendError, Appender, Record};
use tokio::sync::mpsc::{Receiver, Sender, channel as bounded};

/// Longer than a broker's failover: nobody waits for a single record.
pub(crate) const ACKNOWLEDGED_WITHIN: Duration = Duration::from_mins(2);

/// Records between the reader and the writer, and those that are not acknowledged yet.
const UNDERWAY: usize = 2_000;

type Fate = Pin<Box<dyn Future<Output = Result<Acknowledged, AppendError>> + Send>>;

/// From the reader, which blocks, to the writer.
pub(crate) fn channel() -> (Sender<Record>, Receiver<Record>) {
    bounded(UNDERWAY)
}

/// The writer.
pub(crate) struct Output {
    appender: Appender,
    underway: VecDeque<Fate>,
}

impl Output {
    pub(crate) fn new(appender: Appender) -> Self {
        Self { appender, underway: VecDeque::new() }
    }

    /// Writes until the reader has no more, and waits until all of it is acknowledged.
    pub(crate) async fn write_all(
        &mut self,
        mut from: Receiver<Record>,
    ) -> Result<(), AppendError> {
        while let Some(record) = from.recv().await {
            while self.underway.len() >= UNDERWAY {
                self.settle_oldest().await?;
            }
            let fate = loop {
                match self.appender.enqueue(&record) {
                    Ok(fate) => break fate,
                    Err(AppendError::QueueFull) if !self.underway.is_empty() => {
                        self.settle_oldest().await?;
                    }
                    Err(error) => return Err(error),
                }
            };
            self.underway.push_back(Box::pin(fate));
        }
        while !self.underway.is_empty() {
            self.settle_oldest().await?;
        }
        Ok(())
    }

    async fn settle_oldest(&mut self) -> Result<(), AppendError> {
        match self.underway.pop_front() {
            Some(fate) => fate.await.map(drop),
            None => Ok(()),
        }
    }
}
