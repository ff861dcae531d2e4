//! Letting go: of partitions that go to somebody else, and of everything at the end.

use super::Line;
use crate::broker::{Broker, BrokerError, FromBroker, ToBroker};
use crate::destinations::Destination;
use crate::dispatch::Finished;

impl<D: Destination> Line<D> {
    /// Lets calls under way end, and commits what came of them.
    pub(super) async fn finish_work(&mut self, broker: &mut Broker) -> Result<(), BrokerError> {
        self.drain().await?;
        let clock = self.around.clock.clone();
        self.ledger.close(self.now(), clock.elapsed());
        loop {
            while self.ledger.is_committing() {
                match broker.incoming.recv().await {
                    Some(FromBroker::Revoked | FromBroker::Lost) => {
                        self.tell(broker, ToBroker::Release).await;
                    }
                    Some(FromBroker::Ended(error)) => return Err(error),
                    Some(FromBroker::Committed) => {
                        self.committed();
                    }
                    // Whatever is read from now on is the next owner's.
                    Some(
                        FromBroker::Assigned { .. }
                        | FromBroker::Record(..)
                        | FromBroker::Started { .. },
                    ) => {}
                    None => return Err(BrokerError::Left),
                }
            }
            let (now, elapsed) = (self.now(), clock.elapsed());
            if self.limit.is_stopped() || !self.ledger.commit(broker, &self.records, now, elapsed) {
                return Ok(());
            }
        }
    }

    /// Begins nothing more, and waits until what has begun is over, or for as long as is allowed.
    async fn drain(&mut self) -> Result<(), BrokerError> {
        self.ledger.end();
        let not_begun = self.dispatch.abandon_queue();
        self.settle(Finished::Interrupted(not_begun))?;
        let clock = self.around.clock.clone();
        let deadline = clock.elapsed() + self.settings.drain;
        while self.dispatch.is_busy() {
            let left = deadline.saturating_sub(clock.elapsed());
            let Ok(finished) = tokio::time::timeout(left, self.dispatch.next()).await else {
                // What was broken off may yet take effect: the next owner has to wait for it.
                self.dispatch.break_off().await;
                break;
            };
            self.settle(finished)?;
        }
        Ok(())
    }

    /// Nothing can be committed any more; that calls are over is worth knowing all the same.
    pub(super) async fn let_calls_end(&mut self) {
        match self.drain().await {
            Ok(()) => self.ledger.leave(self.now(), self.around.clock.elapsed()),
            Err(error) => tracing::warn!(%error, "calls did not end as they should"),
        }
    }

    pub(super) async fn release(&mut self, broker: &Broker) {
        self.drop_everything().await;
        self.tell(broker, ToBroker::Release).await;
    }

    pub(super) async fn leave(&mut self, broker: &mut Broker) -> BrokerError {
        if let Err(error) = self.finish_work(broker).await {
            return error;
        }
        self.tell(broker, ToBroker::Leave).await;
        loop {
            match broker.incoming.recv().await {
                None | Some(FromBroker::Ended(_)) => return BrokerError::Left,
                Some(FromBroker::Revoked | FromBroker::Lost) => {
                    self.tell(broker, ToBroker::Release).await;
                }
                Some(
                    FromBroker::Assigned { .. }
                    | FromBroker::Record(..)
                    | FromBroker::Started { .. }
                    | FromBroker::Committed,
                ) => {}
            }
        }
    }

    pub(super) async fn tell(&self, broker: &Broker, order: ToBroker) {
        if broker.commands.send(order).await.is_err() {
            tracing::debug!(destination = self.settings.name, "the broker's thread was gone first");
        }
    }

    /// Nothing of it is ours any more.
    pub(super) async fn drop_everything(&mut self) {
        self.caller.gate.end_lease();
        self.dispatch.abandon_queue();
        self.dispatch.break_off().await;
        self.ledger.clear();
        self.questions.clear();
        self.destination.forget();
    }
}
