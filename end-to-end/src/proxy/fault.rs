//! What is to happen to whose requests, and what has happened. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Api;

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It never reaches the broker, and the connection is cut.
    LoseRequest,
    /// It takes effect, and the connection is cut in place of the answer.
    LoseAnswer,
    /// It reaches the broker only after this long, whether or not the client still waits.
    DelayRequest(Duration),
    /// It takes effect, and is answered only after this long.
    DelayAnswer(Duration),
    /// It takes effect, and in place of the answer every connection of the client is cut at once.
    CutAll,
}

/// Something to do to requests of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub api: Api,
    pub effect: Effect,
    /// This many are let pass first.
    pub after: u32,
    /// This many in a row are disturbed then; it ends by itself.
    pub times: u32,
}

/// How often each has happened.
pub type Done = BTreeMap<(Api, Effect), u32>;

/// The faults of one client. Those of one kind of request happen one after the other.
#[derive(Debug, Default)]
pub(super) struct Plan {
    faults: Vec<Fault>,
    done: Done,
}

impl Plan {
    pub(super) fn replace(&mut self, faults: Vec<Fault>) {
        self.faults = faults;
    }

    /// What is to happen to a request that has just come; counted as done.
    pub(super) fn meet(&mut self, api: Api) -> Option<Effect> {
        let fault = self.faults.iter_mut().find(|fault| fault.api == api && fault.times > 0)?;
        if fault.after > 0 {
            fault.after -= 1;
            return None;
        }
        fault.times -= 1;
        *self.done.entry((api, fault.effect)).or_default() += 1;
        Some(fault.effect)
    }

    pub(super) fn left(&self) -> Vec<Fault> {
        self.faults.iter().filter(|fault| fault.times > 0).copied().collect()
    }

    pub(super) fn done(&self) -> Done {
        self.done.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Effect = Effect::DelayRequest(Duration::from_millis(1));

    fn fault(api: Api, effect: Effect, after: u32, times: u32) -> Fault {
        Fault { api, effect, after, times }
    }

    #[test]
    fn a_fault_happens_after_and_as_often_as_was_said_and_then_no_more() {
        let mut plan = Plan::default();
        plan.replace(vec![fault(Api::EndTxn, LATE, 1, 2)]);
        let met: Vec<_> = (0..5).map(|_| plan.meet(Api::EndTxn)).collect();
        assert_eq!(met, [None, Some(LATE), Some(LATE), None, None]);
        assert_eq!(plan.left(), []);
        assert_eq!(plan.done(), Done::from([((Api::EndTxn, LATE), 2)]));
    }

    #[test]
    fn faults_of_one_call_follow_each_other_and_leave_other_calls_alone() {
        let mut plan = Plan::default();
        plan.replace(vec![
            fault(Api::EndTxn, LATE, 0, 1),
            fault(Api::EndTxn, Effect::CutAll, 1, 1),
            fault(Api::Fetch, Effect::LoseRequest, 0, 1),
        ]);
        assert_eq!(plan.meet(Api::Produce), None);
        assert_eq!(plan.meet(Api::EndTxn), Some(LATE));
        assert_eq!(plan.meet(Api::EndTxn), None);
        assert_eq!(plan.left().len(), 2);
        assert_eq!(plan.meet(Api::EndTxn), Some(Effect::CutAll));
        assert_eq!(plan.meet(Api::Fetch), Some(Effect::LoseRequest));
    }
}
