//! Breadth-first search: every state that can be reached, the nearest first, so that what is found is
//! found by a shortest way.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::action::{Action, Kind, possible};
use crate::oracle::{Violation, at_the_end, violation};
use crate::story::Story;
use crate::world::{Setting, World};

/// What a search has found.
pub(crate) struct Outcome {
    pub(crate) states: usize,
    pub(crate) took: Duration,
    pub(crate) reached: Reached,
}

pub(crate) enum Reached {
    /// All there is, and everything holds.
    Everything,
    /// So many states as were allowed, and everything holds in them.
    TheCap,
    Broken(Violation, Vec<String>),
}

/// States are told apart by 64 bits: among ten million of them, two are taken for one with a
/// probability of one in 370,000.
pub(crate) fn search(setting: &Setting, most: usize) -> Outcome {
    let began = Instant::now();
    let first = World::start(setting);
    let mut seen = HashSet::from([first.digest()]);
    let mut ways: Vec<Option<(usize, Action)>> = vec![None];
    let mut queue = VecDeque::from([(0, first)]);
    let mut reached = Reached::Everything;
    while let Some((number, world)) = queue.pop_front() {
        let actions = possible(&world, setting);
        let over = !actions.iter().any(|action| action.kind() == Kind::Progress);
        let broken = violation(&world, setting)
            .or_else(|| over.then(|| at_the_end(&world, setting)).flatten());
        if let Some(violation) = broken {
            let trace = tell(&way_to(number, &ways), setting);
            reached = Reached::Broken(violation, trace);
            break;
        }
        if ways.len() >= most {
            reached = Reached::TheCap;
            break;
        }
        for action in actions {
            let next = world.after(action, setting, &mut Story::default());
            if seen.insert(next.digest()) {
                ways.push(Some((number, action)));
                queue.push_back((ways.len() - 1, next));
            }
        }
    }
    Outcome { states: ways.len(), took: began.elapsed(), reached }
}

fn way_to(mut number: usize, ways: &[Option<(usize, Action)>]) -> Vec<Action> {
    let mut way = Vec::new();
    while let Some((before, action)) = ways[number] {
        way.push(action);
        number = before;
    }
    way.reverse();
    way
}

/// Walks a way again and says what happens on it.
pub(crate) fn tell(way: &[Action], setting: &Setting) -> Vec<String> {
    let mut world = World::start(setting);
    let mut lines = Vec::new();
    for action in way {
        let mut story = Story::listening();
        world = world.after(*action, setting, &mut story);
        lines.push(format!("{action}{}", story.told()));
    }
    lines
}
