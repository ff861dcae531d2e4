//! What is to happen to whose requests, and what has happened. Pure; the time is passed in.

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

/// When a fault ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// With so many requests.
    Times(u32),
    /// So long after the first. What a client repeats patiently is in doubt only when no repetition gets through.
    For(Duration),
}

/// Something to do to requests of one kind, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub api: Api,
    pub effect: Effect,
    /// So many are let pass first.
    pub after: u32,
    pub extent: Extent,
}

/// How often each has happened.
pub type Done = BTreeMap<(Api, Effect), u32>;

/// The faults of one client. Those of one kind of request happen one after the other.
#[derive(Debug, Default)]
pub(super) struct Plan {
    faults: Vec<Planned>,
    done: Done,
}

#[derive(Debug)]
struct Planned {
    fault: Fault,
    let_pass: u32,
    disturbed: u32,
    since: Option<Duration>,
}

impl Planned {
    fn new(fault: Fault) -> Self {
        Self { fault, let_pass: 0, disturbed: 0, since: None }
    }

    fn is_over(&self, now: Duration) -> bool {
        match self.fault.extent {
            Extent::Times(times) => self.disturbed >= times,
            Extent::For(long) => self.since.is_some_and(|since| now.saturating_sub(since) >= long),
        }
    }
}

impl Plan {
    pub(super) fn replace(&mut self, faults: Vec<Fault>) {
        self.faults = faults.into_iter().map(Planned::new).collect();
    }

    /// What is to happen to a request that has just come; counted as done.
    pub(super) fn meet(&mut self, api: Api, now: Duration) -> Option<Effect> {
        let mut open = self.faults.iter_mut().filter(|planned| !planned.is_over(now));
        let planned = open.find(|planned| planned.fault.api == api)?;
        if planned.let_pass < planned.fault.after {
            planned.let_pass += 1;
            return None;
        }
        planned.disturbed += 1;
        planned.since.get_or_insert(now);
        let effect = planned.fault.effect;
        *self.done.entry((api, effect)).or_default() += 1;
        Some(effect)
    }

    /// The faults that are not over.
    pub(super) fn left(&self, now: Duration) -> Vec<Fault> {
        let open = self.faults.iter().filter(|planned| !planned.is_over(now));
        open.map(|planned| planned.fault).collect()
    }

    pub(super) fn done(&self) -> Done {
        self.done.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Effect = Effect::DelayRequest(Duration::from_millis(1));
    const NOW: Duration = Duration::ZERO;

    fn fault(api: Api, effect: Effect, after: u32, times: u32) -> Fault {
        Fault { api, effect, after, extent: Extent::Times(times) }
    }

    #[test]
    fn a_fault_happens_after_and_as_often_as_was_said_and_then_no_more() {
        let mut plan = Plan::default();
        plan.replace(vec![fault(Api::EndTxn, LATE, 1, 2)]);
        let met: Vec<_> = (0..5).map(|_| plan.meet(Api::EndTxn, NOW)).collect();
        assert_eq!(met, [None, Some(LATE), Some(LATE), None, None]);
        assert_eq!(plan.left(NOW), []);
        assert_eq!(plan.done(), Done::from([((Api::EndTxn, LATE), 2)]));
    }

    #[test]
    fn a_lasting_fault_ends_so_long_after_the_first_request_it_met() {
        let mut plan = Plan::default();
        let extent = Extent::For(Duration::from_secs(10));
        plan.replace(vec![Fault { api: Api::EndTxn, effect: LATE, after: 0, extent }]);
        let mut meet = |second| plan.meet(Api::EndTxn, Duration::from_secs(second)).is_some();
        assert_eq!([meet(60), meet(69), meet(70)], [true, true, false]);
        assert_eq!(plan.left(Duration::from_secs(70)), []);
    }

    #[test]
    fn faults_of_one_call_follow_each_other_and_leave_other_calls_alone() {
        let mut plan = Plan::default();
        plan.replace(vec![
            fault(Api::EndTxn, LATE, 0, 1),
            fault(Api::EndTxn, Effect::CutAll, 1, 1),
            fault(Api::Fetch, Effect::LoseRequest, 0, 1),
        ]);
        assert_eq!(plan.meet(Api::Produce, NOW), None);
        assert_eq!(plan.meet(Api::EndTxn, NOW), Some(LATE));
        assert_eq!(plan.meet(Api::EndTxn, NOW), None);
        assert_eq!(plan.left(NOW).len(), 2);
        assert_eq!(plan.meet(Api::EndTxn, NOW), Some(Effect::CutAll));
        assert_eq!(plan.meet(Api::Fetch, NOW), Some(Effect::LoseRequest));
    }
}
