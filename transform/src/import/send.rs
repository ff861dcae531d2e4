//! Writing the records of an import, at a pace, until the process is asked to end.

use std::convert::Infallible;
use std::sync::Arc;

use dead_letters::pace::Pace;
use service::clock::Clock;
use service::config::Rate;
use service::exit::Failure;
use stream::{Cluster, Record};
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;
use tokio_util::sync::CancellationToken;

use crate::bulk::{self, Output};

/// What the sending depends on beside the records.
pub(super) struct Around {
    pub(super) cluster: Cluster,
    pub(super) rate: Option<Rate>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) shutdown: CancellationToken,
}

/// Writes all of them, and says how many are acknowledged: fewer when the process was asked to end.
pub(super) async fn send(records: Vec<Record>, around: Around) -> Result<usize, Failure> {
    let mut output = Output::open(&around.cluster).map_err(Failure::failed)?;
    let all = u64::try_from(records.len()).unwrap_or(u64::MAX);
    let bar = bulk::bar(all);
    let Around { rate, clock, shutdown, .. } = around;
    let sending = output.carry(&bar, all, move |to, progress| {
        let pace = Paced { pace: Pace::new(rate), clock: clock.as_ref(), shutdown: &shutdown };
        Ok::<_, Infallible>(pace.hand_over(records, to, progress))
    });
    let sent = sending.await;
    bar.finish_and_clear();
    sent
}

struct Paced<'a> {
    pace: Pace,
    clock: &'a dyn Clock,
    shutdown: &'a CancellationToken,
}

impl Paced<'_> {
    /// Hands the records to the writer; ends early when that has failed, which it tells itself.
    fn hand_over(&self, records: Vec<Record>, to: &Sender<Record>, progress: &dyn Fn()) -> usize {
        let begun = self.clock.elapsed();
        let mut sent = 0;
        for record in records {
            if sent % self.pace.batch() == 0 {
                self.wait(sent, begun);
            }
            if self.shutdown.is_cancelled() || to.blocking_send(record).is_err() {
                break;
            }
            sent += 1;
            progress();
        }
        sent
    }

    fn wait(&self, sent: usize, begun: std::time::Duration) {
        let pause = self.pace.wait(sent, self.clock.elapsed().saturating_sub(begun));
        if !pause.is_zero() {
            // Whether it was the time or the end is asked for afterwards.
            drop(
                Handle::current().block_on(tokio::time::timeout(pause, self.shutdown.cancelled())),
            );
        }
    }
}
