//! Which partitions records come from: those that have been taken over, as long as the line runs and
//! their next record can be judged.

use registry::RegistryError;

use super::super::failure::WorkerError;
use super::super::holdings::Held;
use super::Tenure;
use crate::framing::teacher::{ASK_AGAIN, Question};
use crate::record::Raw;

impl Tenure<'_> {
    /// Lets records come from all partitions that are not set aside, each from where it stands.
    pub(super) fn flow(&mut self) -> Result<(), WorkerError> {
        let at = |(number, held): (i32, &Held<_>)| (self.at(number), held.line.next_offset());
        let positions: Vec<_> = self.held.flowing().map(at).collect();
        self.group.start(&positions)?;
        self.agenda.go_on();
        Ok(())
    }

    /// Lets partitions that were set aside flow again when their time has come.
    pub(super) fn recall(&mut self) -> Result<(), WorkerError> {
        if !self.agenda.stands() && self.held.recall(self.now()) {
            self.commit_if_open()?;
            self.flow()?;
        }
        Ok(())
    }

    /// Sees to it that the schema is known that the record was written with. The registry is asked
    /// outside of a transaction, which would hold up whoever reads what it wrote; where there is no
    /// answer the partition is set aside, and the record comes again with it.
    pub(super) fn can_be_judged(
        &mut self,
        partition: i32,
        raw: &Raw<'_>,
    ) -> Result<bool, WorkerError> {
        let teacher = &self.worker.shared.teacher;
        let until = match teacher.question(raw, &self.worker.rules.sources, self.now()) {
            Question::None => return Ok(true),
            Question::Wait(until) => until,
            Question::Ask(id) => {
                self.commit_if_open()?;
                match teacher.ask(id, self.now()) {
                    Ok(()) => return Ok(true),
                    Err(error @ RegistryError::Contradiction { .. }) => return Err(error.into()),
                    Err(error) => {
                        tracing::warn!(partition, id, %error, "a partition waits for the registry");
                        self.now() + ASK_AGAIN
                    }
                }
            }
        };
        self.commit_if_open()?;
        self.held.set_aside(partition, until);
        self.flow()?;
        Ok(false)
    }

    /// Stops reading, or goes on, as the line's switch says.
    pub(super) fn obey_the_switch(&mut self) -> Result<(), WorkerError> {
        let stopped = self.worker.shared.switch.is_stopped();
        if stopped == self.agenda.stands() {
            return Ok(());
        }
        self.commit_if_open()?;
        let partitions: Vec<_> = self.held.flowing().map(|(number, _)| self.at(number)).collect();
        if stopped {
            self.group.pause(&partitions)?;
            self.agenda.stand();
        } else {
            self.group.resume(&partitions)?;
            self.agenda.go_on();
            self.held.wait_anew(self.now());
        }
        Ok(())
    }
}
