//! Writing very many records that a command makes: in order, and acknowledged before they count. What makes
//! them reads, and blocks, on a thread of its own.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use service::exit::Failure;
use stream::{Acknowledged, AppendError, Appender, Cluster, Record};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Longer than a broker's failover: nobody waits for a single record.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_mins(2);

/// Records between the reader and the writer, and those that are not acknowledged yet.
const UNDERWAY: usize = 2_000;

type Fate = Pin<Box<dyn Future<Output = Result<Acknowledged, AppendError>> + Send>>;

/// How far a command has come with reading so many offsets.
pub(crate) fn bar(offsets: u64) -> ProgressBar {
    let bar = ProgressBar::new(offsets);
    let style =
        ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {per_sec} {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// The writer.
pub(crate) struct Output {
    appender: Appender,
    underway: VecDeque<Fate>,
}

impl Output {
    pub(crate) fn open(cluster: &Cluster) -> Result<Self, AppendError> {
        let appender = Appender::open(cluster, ACKNOWLEDGED_WITHIN)?;
        Ok(Self { appender, underway: VecDeque::new() })
    }

    /// Writes what `read` sends while it reads `offsets` offsets. `read` also gets what is to be called for
    /// each record that it has read.
    pub(crate) async fn carry<T, E>(
        &mut self,
        bar: &ProgressBar,
        offsets: u64,
        read: impl FnOnce(&Sender<Record>, &dyn Fn()) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Failure>
    where
        T: Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        let ends_at = bar.position() + offsets;
        let (sender, receiver) = channel(UNDERWAY);
        let progress = bar.clone();
        let reading = tokio::task::spawn_blocking(move || read(&sender, &|| progress.inc(1)));
        // When writing fails the reader finds nobody to send to, and ends.
        let written = self.write_all(receiver).await;
        let read = reading.await.map_err(Failure::failed)?;
        written.map_err(Failure::failed)?;
        bar.set_position(ends_at);
        read.map_err(Failure::failed)
    }

    /// Writes until the reader has no more, and waits until all of it is acknowledged.
    async fn write_all(&mut self, mut from: Receiver<Record>) -> Result<(), AppendError> {
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
