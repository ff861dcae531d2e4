//! Which faults make a round, and which rounds a run.

use std::time::Duration;

use end_to_end::proxy::{Api, Effect, Extent, Fault};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

/// Longer than the worker's patience with one call (12 s): no repetition gets through, and it is left in doubt.
const LEAVES_DOUBT: Extent = Extent::For(Duration::from_millis(12_500));

/// Made of a transaction, and repeated by the client library until the call's time-out.
const OF_A_TRANSACTION: [Api; 3] = [Api::EndTxn, Api::AddOffsetsToTxn, Api::TxnOffsetCommit];

/// Made all the time. What they do is repeated for a short while, or for ever.
const OF_EVERY_DAY: [Api; 4] = [Api::Produce, Api::AddPartitionsToTxn, Api::Fetch, Api::Heartbeat];

/// Made only by a worker that begins.
const OF_A_START: [Api; 7] = [
    Api::InitProducerId,
    Api::FindCoordinator,
    Api::JoinGroup,
    Api::SyncGroup,
    Api::OffsetFetch,
    Api::ListOffsets,
    Api::Metadata,
];

/// Faults that belong together.
#[derive(Debug, Clone)]
pub(crate) struct Round {
    pub(crate) faults: Vec<Fault>,
    /// Makes a worker begin again, where the faults need that.
    pub(crate) trigger: Option<Fault>,
}

impl Round {
    /// Some requests in a row, which the client library may make good by asking again.
    fn brief(api: Api, effect: Effect, random: &mut StdRng) -> Self {
        let extent = Extent::Times(random.random_range(1..=4));
        let fault = Fault { api, effect, after: random.random_range(0..8), extent };
        Self { faults: vec![fault], trigger: None }
    }

    /// So many in a row that the worker gives up, whatever it repeats.
    fn lasting(api: Api, effect: Effect) -> Self {
        let fault = Fault { api, effect, after: 3, extent: LEAVES_DOUBT };
        Self { faults: vec![fault], trigger: None }
    }

    /// While a worker begins again, because the end of its transaction is lost, or late and on its way: it arrives
    /// before the next producer is initialised, meanwhile, or later.
    fn during_a_start(api: Api, effect: Effect, random: &mut StdRng) -> Self {
        let ends = [Effect::LoseRequest, Effect::DelayRequest(late(random))];
        let effect_on_end = ends.choose(random).copied().unwrap_or(Effect::LoseRequest);
        let trigger = Self::lasting(Api::EndTxn, effect_on_end).faults[0];
        let extent = Extent::Times(random.random_range(1..=2));
        let fault = Fault { api, effect, after: 0, extent };
        Self { faults: vec![trigger, fault], trigger: Some(trigger) }
    }

    /// An end of a transaction that comes late, while its repetition has long been answered: it meets a later
    /// transaction, which is open as often as not.
    fn overtaken_end(random: &mut StdRng) -> Self {
        let delay = Duration::from_millis(random.random_range(2_050..3_500));
        let effect = Effect::DelayRequest(delay);
        let extent = Extent::Times(1);
        let fault = Fault { api: Api::EndTxn, effect, after: random.random_range(0..8), extent };
        Self { faults: vec![fault], trigger: None }
    }

    /// Whether a worker surely gives up at least once.
    pub(crate) fn leaves_doubt(&self) -> bool {
        let lasting = |fault: &Fault| fault.extent == LEAVES_DOUBT;
        self.faults.iter().any(lasting)
    }

    /// What leaves doubt with the shipped settings, which repeat only after ten seconds.
    pub(crate) fn patient() -> Self {
        Self::lasting(Api::EndTxn, Effect::DelayRequest(Duration::from_millis(12_500)))
    }
}

/// Every effect once, with delays on both sides of the client's time-outs.
fn effects(random: &mut StdRng) -> [Effect; 5] {
    [
        Effect::LoseRequest,
        Effect::LoseAnswer,
        Effect::DelayRequest(late(random)),
        Effect::DelayAnswer(late(random)),
        Effect::CutAll,
    ]
}

/// Later than the impatient client waits for an answer, and as late as after its next start.
fn late(random: &mut StdRng) -> Duration {
    Duration::from_millis(random.random_range(2_500..14_000))
}

/// A little late: half of these are made good by waiting.
fn somewhat_late(effect: Effect, random: &mut StdRng) -> Effect {
    let delay = Duration::from_millis(random.random_range(500..4_000));
    match effect {
        Effect::DelayRequest(_) => Effect::DelayRequest(delay),
        Effect::DelayAnswer(_) => Effect::DelayAnswer(delay),
        Effect::LoseRequest | Effect::LoseAnswer | Effect::CutAll => effect,
    }
}

/// Every effect on every call, in any order.
pub(crate) fn grid(random: &mut StdRng) -> Vec<Round> {
    let mut rounds = Vec::new();
    for _ in 0..2 {
        for index in 0..5 {
            rounds.extend(OF_A_TRANSACTION.map(|api| Round::lasting(api, effects(random)[index])));
            rounds.push(Round::lasting(Api::EndTxn, effects(random)[index]));
            for api in OF_A_TRANSACTION.into_iter().chain(OF_EVERY_DAY) {
                let effect = somewhat_late(effects(random)[index], random);
                rounds.push(Round::brief(api, effect, random));
            }
            for api in OF_A_START {
                let effect = somewhat_late(effects(random)[index], random);
                rounds.push(Round::during_a_start(api, effect, random));
            }
            rounds.extend((0..4).map(|_| Round::overtaken_end(random)));
        }
    }
    rounds.shuffle(random);
    rounds
}

/// A programme of each kind of round, for so many clients; between them, every effect on the transaction's end.
pub(crate) fn sample(clients: usize, random: &mut StdRng) -> Vec<Vec<Round>> {
    let mut programmes = Vec::new();
    for client in 0..clients {
        let ends = Round::lasting(Api::EndTxn, effects(random)[client % 5]);
        let mut any = |among: &[Api]| {
            let api = among.choose(random).copied().unwrap_or(Api::EndTxn);
            let effects = effects(random);
            let effect = effects.choose(random).copied().unwrap_or(Effect::CutAll);
            (api, effect)
        };
        let (offsets, start) = (any(&OF_A_TRANSACTION[1..]), any(&OF_A_START));
        let brief = [any(&OF_A_TRANSACTION), any(&OF_EVERY_DAY)];
        let mut rounds = vec![ends, Round::lasting(offsets.0, offsets.1)];
        let effect = somewhat_late(start.1, random);
        rounds.push(Round::during_a_start(start.0, effect, random));
        for (api, effect) in brief {
            let effect = somewhat_late(effect, random);
            rounds.push(Round::brief(api, effect, random));
        }
        rounds.extend((0..2).map(|_| Round::overtaken_end(random)));
        rounds.shuffle(random);
        programmes.push(rounds);
    }
    programmes
}
