//! The bounds within which everything is searched, with all rules and without each.

use crate::catalogue::{Catalogue, Input, Tells};
use crate::oracle::Violation;
use crate::rules::{Rule, Rules};
use crate::search::{Outcome, Reached, search};
use crate::world::{Faults, Markers, Produce, Setting, Start};

/// How long events are held in the scenarios that hold them, in milliseconds of the stream.
const WINDOW: i64 = 4;

const SUBSCRIBERS: [&str; 2] = ["a", "b"];

/// The second sorts before the first: held together, they change places.
const RECORDS: [Input; 2] = [
    Input { tells: Tells::Event, subscriber: SUBSCRIBERS[0], id: 0, occurred: 6, gap: 1 },
    Input { tells: Tells::Event, subscriber: SUBSCRIBERS[0], id: 1, occurred: 5, gap: 1 },
];

/// So many states are looked at: enough for all there are in the smaller scenarios.
fn most() -> usize {
    if std::env::var_os("TRIBUTARY_LONG_TESTS").is_some() { 1_000_000 } else { 60_000 }
}

fn setting(records: usize, window: i64, faults: Faults) -> Setting {
    Setting {
        catalogue: Catalogue::new(window, &SUBSCRIBERS),
        rules: Rules::default(),
        inputs: vec![RECORDS[..records].to_vec()],
        window,
        faults,
        produce: Produce::AtOnce,
        markers: Markers::EachAlone,
        start: Start::Owned(records),
    }
}

fn faults(change: impl FnOnce(&mut Faults)) -> Faults {
    let mut faults = Faults::default();
    change(&mut faults);
    faults
}

fn say(name: &str, outcome: &Outcome) {
    let Outcome { states, took, reached } = outcome;
    let verdict = match reached {
        Reached::Everything => "holds in all".to_owned(),
        Reached::TheCap => "holds in as many as were looked at".to_owned(),
        Reached::Broken(violation, trace) => {
            format!("{violation}, after {} steps\n  {}", trace.len(), trace.join("\n  "))
        }
    };
    println!("{name}: {states} states in {took:.1?}: {verdict}");
}

fn holds(name: &str, setting: &Setting) {
    holds_within(name, setting, most());
}

fn holds_within(name: &str, setting: &Setting, most: usize) {
    let outcome = search(setting, most);
    say(name, &outcome);
    assert!(!matches!(outcome.reached, Reached::Broken(..)), "{name}: see the trace above");
}

/// Without these rules the search finds something, and this is what.
fn breaks(off: &[Rule], mut setting: Setting) -> Violation {
    setting.rules = Rules::without(off);
    let outcome = search(&setting, 4_000_000);
    say(&format!("without {off:?}"), &outcome);
    match outcome.reached {
        Reached::Broken(violation, _) => violation,
        Reached::Everything | Reached::TheCap => panic!("nothing found without {off:?}"),
    }
}

fn together(setting: Setting) -> Setting {
    Setting { markers: Markers::Together, ..setting }
}

fn fresh(setting: Setting) -> Setting {
    Setting { start: Start::Fresh, ..setting }
}

#[test]
fn from_the_very_beginning() {
    let doubt = faults(|f| (f.crashes, f.unanswered) = (1, 1));
    holds("one record; crash, unanswered commit", &fresh(setting(1, 0, doubt)));
    let moved = faults(|f| f.rebalances = 1);
    holds("one record; rebalance", &fresh(setting(1, 0, moved)));
    let held = faults(|f| f.crashes = 1);
    holds("two held records; crash", &fresh(setting(2, WINDOW, held)));
}

#[test]
fn one_record_through_crash_rebalance_and_doubt() {
    let all = faults(|f| (f.crashes, f.rebalances, f.unanswered) = (1, 1, 1));
    holds("one record; crash, rebalance, unanswered commit", &setting(1, 0, all));
    let crashes = faults(|f| (f.crashes, f.unanswered) = (2, 1));
    holds("one record; two crashes, unanswered commit", &setting(1, 0, crashes));
    let rebalances = faults(|f| f.rebalances = 2);
    holds("one record; two rebalances", &setting(1, 0, rebalances));
}

#[test]
fn one_held_record_through_crash_rebalance_or_doubt() {
    let moved = faults(|f| (f.rebalances, f.unanswered) = (1, 1));
    holds("one held record; rebalance, unanswered commit", &setting(1, WINDOW, moved));
    let crashed = faults(|f| (f.crashes, f.unanswered) = (1, 1));
    holds("one held record; crash, unanswered commit", &setting(1, WINDOW, crashed));
    let both = faults(|f| (f.crashes, f.rebalances) = (1, 1));
    holds("one held record; crash, rebalance", &setting(1, WINDOW, both));
}

#[test]
fn two_records_through_everything_where_markers_land_together() {
    let all = faults(|f| (f.crashes, f.rebalances, f.unanswered) = (2, 2, 1));
    holds("two records, all faults, markers together", &together(setting(2, 0, all)));
    holds("two held records, all faults, markers together", &together(setting(2, WINDOW, all)));
}

#[test]
fn two_records_through_crash_rebalance_or_doubt() {
    let moved = faults(|f| (f.rebalances, f.unanswered) = (1, 1));
    holds("two records; rebalance, unanswered commit", &setting(2, 0, moved));
    let crashed = faults(|f| (f.crashes, f.rebalances) = (1, 1));
    holds("two held records; crash, rebalance", &setting(2, WINDOW, crashed));
}

#[test]
fn lost_and_stale_disks_and_a_forgetful_coordinator() {
    let lost = faults(|f| (f.crashes, f.rebalances, f.lost_disks) = (1, 1, 1));
    holds("one record; crash that loses the disk, rebalance", &setting(1, 0, lost));
    let stale = faults(|f| (f.crashes, f.stale_disks, f.unanswered) = (2, 1, 1));
    holds("two records; an old disk comes back", &setting(2, 0, stale));
    let forgetful = faults(|f| (f.rebalances, f.forgetful) = (1, 1));
    holds("one record; rebalance, no offset for a moment", &setting(1, 0, forgetful));
}

#[test]
fn records_of_the_changelog_that_land_late() {
    let moved = faults(|f| (f.crashes, f.rebalances) = (1, 1));
    let later = Setting { produce: Produce::Later, ..setting(1, 0, moved) };
    holds("one record, produced later; crash, rebalance", &later);
}

#[test]
fn erased_subscribers_and_topics_made_anew() {
    holds("one record; crash, erased while everything is down", &setting(1, 0, erased()));
    holds("two records; topics made anew, rebalance", &made_anew());
}

/// The group begins anew with other records, and the disks still have what was.
fn made_anew() -> Setting {
    let anew = faults(|f| (f.made_anew, f.rebalances) = (1, 1));
    Setting { start: Start::Owned(1), ..setting(2, 0, anew) }
}

fn erased() -> Faults {
    faults(|f| (f.crashes, f.erasures) = (1, 1))
}

fn moved() -> Faults {
    faults(|f| f.rebalances = 1)
}

/// The driver leaves a rule out. The opening compares offset and state, and does not let it pass; only
/// without that, too, something breaks.
fn breaks_unless_compared(off: &[Rule], setting: impl Fn() -> Setting) -> Violation {
    let rules = Rules::without(off);
    let compared = Setting { rules, ..setting() };
    holds_within(&format!("without {off:?}, but compared"), &compared, most().max(150_000));
    let mut both = off.to_vec();
    both.push(Rule::Compared);
    breaks(&both, setting())
}

#[test]
fn the_comparison_alone_is_not_needed_while_everything_else_is_kept() {
    let rules = Rules::without(&[Rule::Compared]);
    holds("without Compared alone", &Setting { rules, ..setting(1, 0, moved()) });
}

#[test]
fn the_end_of_the_changelog_has_to_be_its_high_watermark() {
    let found = breaks_unless_compared(&[Rule::HighWatermark], || setting(1, 0, moved()));
    assert!(matches!(found, Violation::State { .. }), "{found}");
}

#[test]
fn the_committed_offset_has_to_be_stable() {
    let found = breaks_unless_compared(&[Rule::StableOffset], || setting(1, 0, moved()));
    assert!(matches!(found, Violation::State { .. }), "{found}");
}

#[test]
fn the_offset_comes_before_the_end_or_every_record_is_acknowledged_before_offsets() {
    let later = || Setting { produce: Produce::Later, ..setting(1, 0, moved()) };
    let found = breaks_unless_compared(&[Rule::OffsetBeforeEnd, Rule::FlushBeforeOffsets], later);
    assert!(matches!(found, Violation::State { .. }), "{found}");
    for either in [Rule::OffsetBeforeEnd, Rule::FlushBeforeOffsets] {
        let rules = Rules::without(&[either, Rule::Compared]);
        holds(&format!("without {either:?} and Compared"), &Setting { rules, ..later() });
    }
}

#[test]
fn what_a_timer_releases_needs_an_offset_too() {
    let off = [Rule::TicksRelease, Rule::OffsetsAlways];
    let found = breaks(&off, setting(1, WINDOW, moved()));
    assert!(matches!(found, Violation::Sequences(_)), "{found}");
}

#[test]
fn the_clock_must_not_release() {
    let arriving = fresh(setting(2, WINDOW, Faults::default()));
    let found = breaks(&[Rule::TicksRelease], arriving);
    assert!(matches!(found, Violation::NotTheReplay { .. }), "{found}");
}

#[test]
fn offsets_have_to_be_fenced_by_the_generation() {
    let found = breaks(&[Rule::GenerationFences], setting(1, 0, moved()));
    assert!(matches!(found, Violation::Sequences(_)), "{found}");
}

#[test]
fn after_a_doubt_the_changelog_has_to_be_read_again() {
    let doubt = faults(|f| f.unanswered = 1);
    let found = breaks(&[Rule::ChangelogAfterDoubt], setting(1, 0, doubt));
    assert!(matches!(found, Violation::State { .. }), "{found}");
}

#[test]
fn after_a_doubt_there_has_to_be_a_new_producer() {
    let doubt = faults(|f| f.unanswered = 1);
    let found = breaks(&[Rule::NewProducerAfterDoubt], setting(1, 0, doubt));
    assert!(matches!(found, Violation::Sequences(_)), "{found}");
}

#[test]
fn a_store_written_before_the_commit_is_only_safe_while_the_opening_notices() {
    let crash = faults(|f| (f.crashes, f.rebalances) = (1, 2));
    let of_two = || {
        let mut setting = together(setting(2, 0, crash));
        setting.inputs[0][1].subscriber = SUBSCRIBERS[1];
        setting
    };
    let found = breaks_unless_compared(&[Rule::StoreAfterCommit], of_two);
    assert!(matches!(found, Violation::State { .. }), "{found}");
}

#[test]
fn a_batch_of_an_earlier_tenure_must_not_reach_the_store() {
    let twice = faults(|f| f.rebalances = 2);
    let found = breaks(&[Rule::BatchOfThisTenure], together(setting(2, 0, twice)));
    assert!(matches!(found, Violation::State { .. }), "{found}");
}

#[test]
fn a_store_older_than_tombstones_must_not_be_believed() {
    let found = breaks(&[Rule::TombstoneAge], setting(1, 0, erased()));
    assert!(matches!(found, Violation::ErasedIsBack { .. }), "{found}");
}

#[test]
fn a_store_of_another_incarnation_must_not_be_believed() {
    let found = breaks(&[Rule::Incarnation], made_anew());
    assert!(matches!(found, Violation::State { .. }), "{found}");
}

#[test]
fn a_missing_offset_must_not_be_taken_for_a_beginning() {
    let forgetful = faults(|f| (f.rebalances, f.forgetful) = (1, 1));
    let found = breaks(&[Rule::NoReset], setting(1, 0, forgetful));
    assert!(matches!(found, Violation::State { .. }), "{found}");
}

#[test]
fn timers_have_to_be_rebuilt_from_the_whole_store() {
    let crash = faults(|f| f.crashes = 1);
    let found = breaks(&[Rule::TimersFromStore], setting(1, WINDOW, crash));
    assert!(matches!(found, Violation::Stuck(_)), "{found}");
}
