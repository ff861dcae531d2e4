//! Random walks: more partitions, subscribers, records and faults than can be searched, and clocks of
//! brokers that differ.
//!
//! A walk is made of its seed alone. One that fails says which it was; `TRIBUTARY_WALK=<seed>` takes
//! that one again.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::action::{Action, Kind, possible};
use crate::catalogue::{Catalogue, Input, Tells};
use crate::oracle::{Violation, at_the_end, violation};
use crate::rules::{Rule, Rules};
use crate::story::Story;
use crate::world::{Faults, Markers, Produce, Setting, Start, World};

const SUBSCRIBERS: [&str; 3] = ["a", "b", "c"];

/// A walk that takes longer than this goes nowhere.
const LONGEST: usize = 20_000;

struct Walk {
    random: StdRng,
    setting: Setting,
}

impl Walk {
    fn of(seed: u64, rules: &Rules) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let window = [0, 4, 12][random.random_range(0..3)];
        let partitions = random.random_range(1..=3);
        let inputs = (0..partitions).map(|_| inputs(&mut random)).collect();
        let faults = Faults {
            crashes: random.random_range(0..=6),
            rebalances: random.random_range(0..=6),
            unanswered: random.random_range(0..=4),
            lost_disks: random.random_range(0..=1),
            stale_disks: random.random_range(0..=2),
            forgetful: random.random_range(0..=1),
            erasures: 0,
            made_anew: 0,
        };
        let produce = [Produce::AtOnce, Produce::Later][random.random_range(0..2)];
        let setting = Setting {
            catalogue: Catalogue::new(window, &SUBSCRIBERS),
            rules: rules.clone(),
            inputs,
            window,
            faults,
            produce,
            markers: Markers::EachAlone,
            start: Start::Fresh,
        };
        Self { random, setting }
    }

    /// Walks until nothing but faults can happen.
    fn go(&mut self, mut each: impl FnMut(Action)) -> Option<Violation> {
        let mut world = World::start(&self.setting);
        for _ in 0..LONGEST {
            let found = violation(&world, &self.setting);
            if found.is_some() {
                return found;
            }
            let Some(action) = self.choose(&world) else {
                return at_the_end(&world, &self.setting);
            };
            each(action);
            world = world.after(action, &self.setting, &mut Story::default());
        }
        Some(Violation::Stuck("it goes on"))
    }

    /// One of what can happen: mostly no fault, and never one where nothing else is left.
    fn choose(&mut self, world: &World) -> Option<Action> {
        let (faults, progress): (Vec<_>, Vec<_>) = possible(world, &self.setting)
            .into_iter()
            .partition(|action| action.kind() == Kind::Fault);
        if progress.is_empty() {
            return None;
        }
        let fault = !faults.is_empty() && self.random.random_range(0..12) == 0;
        let among = if fault { faults } else { progress };
        let action = among[self.random.random_range(0..among.len())];
        if let Action::Rebalance(_) = action {
            let patterns = 1 << self.setting.inputs.len();
            return Some(Action::Rebalance(self.random.random_range(1..patterns)));
        }
        if let Action::Tick(worker, partition, gap) = action {
            // A new leader's clock may be behind the old one's, or before it.
            let skew = [0, 0, 0, -3, 7][self.random.random_range(0..5)];
            return Some(Action::Tick(worker, partition, gap + skew));
        }
        Some(action)
    }
}

/// Records of one partition: some come twice, some out of order, by clocks that jump.
fn inputs(random: &mut StdRng) -> Vec<Input> {
    let mut inputs: Vec<Input> = Vec::new();
    for id in 0..random.random_range(1..=8) {
        let again = !inputs.is_empty() && random.random_range(0..5) == 0;
        let gap = [0, 1, 2, 5, 15, -4][random.random_range(0..6)];
        inputs.push(if again {
            Input { gap, ..inputs[random.random_range(0..inputs.len())] }
        } else {
            let subscriber = SUBSCRIBERS[random.random_range(0..SUBSCRIBERS.len())];
            let imports = random.random_range(0..4) == 0;
            let tells = if imports { Tells::Subscriber } else { Tells::Event };
            Input { tells, subscriber, id, occurred: random.random_range(0..20), gap }
        });
    }
    inputs
}

/// Walks all the ways of these seeds; the first that breaks something, and how.
fn first_broken(seeds: impl Iterator<Item = u64>, rules: &Rules) -> Option<(u64, Violation)> {
    let mut walks = 0;
    let mut steps = 0;
    for seed in seeds {
        walks += 1;
        let found = Walk::of(seed, rules).go(|_| steps += 1);
        if let Some(found) = found {
            return Some((seed, found));
        }
    }
    println!("{walks} walks, {steps} steps: everything holds");
    None
}

fn tell(seed: u64, rules: &Rules) {
    let mut way = Vec::new();
    let mut walk = Walk::of(seed, rules);
    walk.go(|action| way.push(action));
    for line in crate::search::tell(&way, &walk.setting) {
        println!("  {line}");
    }
}

#[test]
fn wherever_one_walks_everything_holds() {
    let one = std::env::var("TRIBUTARY_WALK").ok().map(|seed| seed.parse::<u64>().unwrap());
    let long = std::env::var_os("TRIBUTARY_LONG_TESTS").is_some();
    let walks = if long { 20_000 } else { 300 };
    let from = one.unwrap_or_else(|| if long { rand::random::<u64>() >> 1 } else { 0 });
    let seeds = from..from + if one.is_some() { 1 } else { walks };
    println!("seeds {seeds:?}");
    if let Some((seed, violation)) = first_broken(seeds, &Rules::default()) {
        tell(seed, &Rules::default());
        panic!("TRIBUTARY_WALK={seed} walks it again: {violation}");
    }
}

#[test]
fn the_same_seed_walks_the_same_way() {
    let way = |seed| {
        let mut way = Vec::new();
        Walk::of(seed, &Rules::default()).go(|action| way.push(action));
        way
    };
    assert_eq!(way(7), way(7));
    assert_ne!(way(7), way(8));
}

#[test]
fn walks_too_find_what_a_rule_is_there_for() {
    let cases: [&[Rule]; 7] = [
        &[Rule::ChangelogAfterDoubt],
        &[Rule::NewProducerAfterDoubt],
        &[Rule::TicksRelease],
        &[Rule::NoReset],
        &[Rule::TimersFromStore],
        &[Rule::HighWatermark, Rule::Compared],
        &[Rule::StableOffset, Rule::Compared],
    ];
    for off in cases {
        let found = first_broken(0..2_000, &Rules::without(off));
        let (seed, violation) = found.expect("a walk that breaks something");
        println!("without {off:?}: walk {seed}: {violation}");
    }
}
