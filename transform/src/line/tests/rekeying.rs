//! Every interleaving of a few situations that go wrong when one of the rules of re-keying is missing:
//! found in the protocol's model, here with the lines themselves. And each rule is seen to be needed.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::world::{
    Mishaps, Sabotage, Step, World, bought, charged, disputed, handed_over, real_rules,
};
use super::*;

/// A situation, and who owns what in the end, with the second of its facts.
struct Situation {
    world: World,
    owned: Vec<(&'static str, &'static str, i64)>,
    events: Vec<(&'static str, &'static str)>,
}

/// Sets one up.
type Scene = fn() -> Situation;

/// Searches every interleaving. Returns how many worlds there are, or the shortest way to one that is
/// wrong.
fn search(situation: &Situation, sabotage: Sabotage) -> Result<usize, String> {
    let rules = real_rules(NO_TIME);
    let mut first = situation.world.clone();
    first.sabotage = sabotage;
    let mut known = HashSet::from([first.fingerprint()]);
    let mut open = VecDeque::from([(first, Vec::new())]);
    while let Some((world, way)) = open.pop_front() {
        let steps = world.steps();
        let must =
            |step: &&Step| !matches!(step, Step::TimeOut(_) | Step::LoseDisk(_) | Step::Redrive);
        let is_quiet = steps.iter().find(must).is_none();
        let wrong =
            world.violation().or_else(|| is_quiet.then(|| judge(&world, situation, &rules))?);
        if let Some(wrong) = wrong {
            return Err(format!("{wrong} after {way:?}"));
        }
        for step in steps {
            let next = world.after(step, &rules);
            if known.insert(next.fingerprint()) {
                let mut way: Vec<Step> = way.clone();
                way.push(step);
                open.push_back((next, way));
            }
        }
        assert!(known.len() < 200_000, "the situation is too large to search");
    }
    Ok(known.len())
}

/// What is wrong when nothing is left to be done but to lose patience.
fn judge(world: &World, situation: &Situation, rules: &Rules) -> Option<String> {
    let waits = |key: &str| {
        let at = world.keys.iter().position(|known| known == key)?;
        world.state(at, rules).filter(|state| !state.waiting.is_empty())
    };
    for (key, id) in &situation.events {
        let told = world.places.iter().flat_map(|place| &place.events);
        let told = told.filter(|event| event.provider_event_id == *id).count();
        let parked = world.parked.iter().any(|(_, logged)| {
            logged.headers.contains(&("ce_id".to_owned(), id.as_bytes().to_vec()))
        });
        if told == 0 && !parked && waits(key).is_none() {
            return Some(format!("{id} is lost"));
        }
        if told == 0 && world.is_linked(key) && waits(key).is_some() {
            return Some(format!("{id} waits beside its link"));
        }
    }
    let wanted =
        situation.owned.iter().map(|(key, id, at)| ((format!("app/{key}"), (*id).to_owned()), *at));
    let (wanted, owned) = (wanted.collect::<BTreeMap<_, _>>(), world.owned(rules));
    let mistaken = owned.keys().ne(wanted.keys())
        || wanted.iter().any(|(what, at)| owned.get(what) != Some(at));
    mistaken.then(|| format!("{owned:?} in place of {wanted:?}"))
}

fn app(keys: &[&str]) -> World {
    let keys: Vec<_> = keys.iter().map(|key| format!("app/{key}")).collect();
    World::of(&keys.iter().map(String::as_str).collect::<Vec<_>>())
}

fn buys(world: &mut World, who: &str, id: &str, subscription: &str, at: i64) {
    let body = bought(subscription, at, &[]);
    world.receive(&format!("app/{who}"), id, "RENEWAL", &body);
}

fn gives(world: &mut World, who: &str, id: &str, to: &str, at: i64) {
    world.receive(&format!("app/{who}"), id, "TRANSFER", &handed_over(who, to, at));
}

/// A dispute comes twice before anybody knows whose charge it is.
fn dispute() -> Situation {
    let mut world = World::of(&["shop/charge/ch_1", "shop/C"]);
    world.mishaps = Mishaps { crashes: 1, timeouts: 2, redrives: 1 };
    for _ in 0..2 {
        world.receive("shop/charge/ch_1", "d1", "charge.dispute.created", &disputed("ch_1"));
    }
    world.receive("shop/C", "c1", "charge.succeeded", &charged("ch_1"));
    Situation { world, owned: vec![], events: vec![("shop/charge/ch_1", "d1")] }
}

/// Two people give each other what they have.
fn crossing() -> Situation {
    let mut world = app(&["A", "B"]);
    world.mishaps.timeouts = 1;
    buys(&mut world, "A", "e1", "s1", 1);
    gives(&mut world, "A", "X1", "B", 2);
    buys(&mut world, "B", "e2", "s2", 1);
    gives(&mut world, "B", "X2", "A", 3);
    Situation { world, owned: vec![("A", "s1", 1), ("A", "s2", 1)], events: vec![] }
}

/// What was given away goes on at both sides: late at one, renewed at the other.
fn interleaved() -> Situation {
    let mut world = app(&["A", "B"]);
    world.mishaps.timeouts = 1;
    buys(&mut world, "A", "e1", "s1", 1);
    gives(&mut world, "A", "X1", "B", 3);
    buys(&mut world, "A", "e0", "s1", 2);
    buys(&mut world, "B", "e4", "s1", 4);
    buys(&mut world, "B", "e2", "s2", 1);
    Situation { world, owned: vec![("B", "s1", 4), ("B", "s2", 1)], events: vec![("app/A", "e0")] }
}

/// The sender is named by an alias, which its own events teach.
fn alias() -> Situation {
    let mut world = app(&["A", "a1", "B"]);
    world.receive("app/A", "e1", "RENEWAL", &bought("s1", 1, &["a1"]));
    gives(&mut world, "a1", "X1", "B", 3);
    Situation { world, owned: vec![("B", "s1", 1)], events: vec![] }
}

/// The receiver is named by an alias that is known by the time of the transfer.
fn receiver_alias() -> Situation {
    let mut world = app(&["A", "b1", "B"]);
    world.learned("app/b1", "app/B");
    buys(&mut world, "A", "e1", "s1", 1);
    gives(&mut world, "A", "X1", "b1", 3);
    Situation { world, owned: vec![("B", "s1", 1)], events: vec![] }
}

/// From one to the next and back to the first, who by then has bought it again.
fn triangle() -> Situation {
    let mut world = app(&["A", "B", "C"]);
    world.mishaps.timeouts = 1;
    buys(&mut world, "A", "e1", "s1", 1);
    gives(&mut world, "A", "X1", "B", 2);
    gives(&mut world, "B", "X2", "C", 3);
    gives(&mut world, "C", "X3", "A", 4);
    buys(&mut world, "C", "e5", "s1", 5);
    Situation { world, owned: vec![("C", "s1", 5)], events: vec![] }
}

/// Two charges that are each other's owner, if one believes the links.
fn circle() -> Situation {
    let mut world = World::of(&["shop/charge/a1", "shop/charge/b1"]);
    world.link("shop/charge/a1", "shop/charge/b1");
    world.link("shop/charge/b1", "shop/charge/a1");
    world.receive("shop/charge/a1", "d1", "charge.dispute.created", &disputed("a1"));
    Situation { world, owned: vec![], events: vec![("shop/charge/a1", "d1")] }
}

/// The same with two people, and a transfer from one of them to itself.
fn circle_of_people() -> Situation {
    let mut world = app(&["a1", "b1", "B"]);
    world.mishaps = Mishaps { crashes: 1, timeouts: 1, redrives: 0 };
    world.link("app/a1", "app/b1");
    world.link("app/b1", "app/a1");
    gives(&mut world, "a1", "X1", "b1", 3);
    gives(&mut world, "B", "X2", "B", 4);
    buys(&mut world, "B", "e1", "s1", 1);
    Situation { world, owned: vec![("B", "s1", 1)], events: vec![] }
}

/// Crossing, and the first transfer is late because its sender has to be found.
fn crossing_late() -> Situation {
    let mut world = app(&["A", "a1", "B"]);
    world.receive("app/A", "e1", "RENEWAL", &bought("s1", 1, &["a1"]));
    gives(&mut world, "a1", "X1", "B", 2);
    buys(&mut world, "B", "e2", "s2", 1);
    gives(&mut world, "B", "X2", "A", 3);
    Situation { world, owned: vec![("A", "s1", 1), ("A", "s2", 1)], events: vec![] }
}

/// What came with a transfer is renewed before an older transfer of the same person is read.
fn renewed_after() -> Situation {
    let mut world = app(&["A", "B"]);
    buys(&mut world, "A", "e5", "s1", 5);
    gives(&mut world, "A", "X1", "B", 3);
    Situation { world, owned: vec![("A", "s1", 5)], events: vec![] }
}

#[test]
fn every_interleaving_ends_with_the_right_owner_and_nothing_lost_or_twice() {
    let situations: [(&str, Scene); 10] = [
        ("dispute", dispute),
        ("crossing", crossing),
        ("interleaved", interleaved),
        ("alias", alias),
        ("receiver alias", receiver_alias),
        ("triangle", triangle),
        ("circle", circle),
        ("circle of people", circle_of_people),
        ("crossing late", crossing_late),
        ("renewed after", renewed_after),
    ];
    for (name, situation) in situations {
        match search(&situation(), Sabotage::Nothing) {
            Ok(worlds) => println!("{name}: {worlds} worlds"),
            Err(wrong) => panic!("{name}: {wrong}"),
        }
    }
}

#[test]
fn each_rule_is_needed() {
    let needed: [(Sabotage, Scene, &str); 11] = [
        (Sabotage::NoLookUpAfterRestart, dispute, "waits beside its link"),
        (Sabotage::LinksForgotten, dispute, "waits beside its link"),
        (Sabotage::NoStages, circle, "copies without end"),
        (Sabotage::NoPatience, alias, "in place of"),
        (Sabotage::NothingLeft, crossing, "in place of"),
        (Sabotage::NothingLeft, triangle, "in place of"),
        (Sabotage::NothingLeft, interleaved, "in place of"),
        (Sabotage::OwnedForEver, renewed_after, "in place of"),
        (Sabotage::OneRole, crossing, "in place of"),
        (Sabotage::CopiesWin, interleaved, "in place of"),
        (Sabotage::NothingSeen, dispute, "twice"),
    ];
    for (sabotage, situation, expected) in needed {
        let wrong =
            search(&situation(), sabotage).expect_err(&format!("{sabotage:?} goes unnoticed"));
        assert!(wrong.contains(expected), "{sabotage:?}: {wrong}");
    }
}
