use super::*;
use crate::state::FORMAT;

const PARTITIONS: i32 = 12;
const CHANGELOG: Bounds = Bounds { low: 0, high: 101 };

fn record(next_raw_offset: i64) -> PartitionRecord {
    PartitionRecord {
        incarnation: "first".to_owned(),
        next_raw_offset,
        format: FORMAT,
        partitions: PARTITIONS,
    }
}

fn stored(checkpoint: i64, next_raw_offset: i64) -> Stored {
    Stored { checkpoint, links_position: 0, record: Some(record(next_raw_offset)) }
}

fn followed(next_raw_offset: i64) -> Followed {
    let record = Some(record(next_raw_offset));
    Followed { records: 5, record, another_incarnation: false }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An opening that has asked for the offset and for what the changelog holds.
fn asked(stored: Stored, committed: Option<i64>, kept_since: i64) -> Opening {
    let mut opening = Opening::new(stored, PARTITIONS);
    assert_eq!(opening.step(), Step::AskCommitted);
    opening.committed(committed);
    assert_eq!(opening.step(), Step::AskChangelog, "never before the offset");
    opening.changelog(CHANGELOG, kept_since);
    opening
}

#[test]
fn a_good_store_reads_the_tail_only_and_the_last_record_again() {
    let mut opening = asked(stored(60, 7), Some(9), 10);
    assert_eq!(opening.step(), Step::Follow { from: 59, until: 101 });
    opening.followed(followed(9), 100, seconds(0));
    assert_eq!(opening.step(), Step::AskLinks);
    opening.links(Bounds { low: 2, high: 30 });
    assert_eq!(opening.step(), Step::FollowLinks { from: 2, until: 30 });
    opening.linked();
    assert_eq!(opening.step(), Step::AskRaw);
    opening.raw(Bounds { low: 9, high: 9 });
    assert_eq!(opening.step(), Step::Continue(9));
}

#[test]
fn an_empty_store_reads_everything() {
    let opening = asked(Stored::default(), Some(9), 50);
    assert_eq!(opening.step(), Step::Follow { from: 0, until: 101 });
}

#[test]
fn a_store_that_something_speaks_against_is_cleared_first() {
    let cases = [
        (stored(102, 7), 9, 10, Cause::BehindTheEnd),
        (stored(60, 7), 9, 61, Cause::TooOld),
        (stored(60, 10), 9, 10, Cause::NewerThanCommitted),
    ];
    for (stored, committed, kept_since, cause) in cases {
        let mut opening = asked(stored, Some(committed), kept_since);
        assert_eq!(opening.step(), Step::Clear(cause));
        opening.cleared();
        assert_eq!(opening.step(), Step::AskCommitted);
        opening.committed(Some(9));
        opening.changelog(CHANGELOG, kept_since);
        assert_eq!(opening.step(), Step::Follow { from: 0, until: 101 });
    }
    let mut opening = Opening::new(stored(60, 7), PARTITIONS);
    opening.committed(Some(9));
    opening.changelog(Bounds { low: 61, high: 101 }, 0);
    assert_eq!(opening.step(), Step::Clear(Cause::BeforeTheStart));
}

#[test]
fn an_idle_partition_is_not_too_old() {
    // Nothing was appended since tombstones were last dropped: the end itself is kept.
    let opening = asked(stored(100, 9), Some(9), 500);
    assert_eq!(opening.step(), Step::Follow { from: 99, until: 101 });
    let opening = asked(stored(99, 9), Some(9), 500);
    assert_eq!(opening.step(), Step::Clear(Cause::TooOld), "something may be gone behind it");
}

#[test]
fn a_changelog_made_anew_is_noticed_by_its_incarnation_or_its_silence() {
    let another = Followed { another_incarnation: true, ..followed(9) };
    let silence = Followed { records: 0, ..followed(9) };
    for heard in [another, silence] {
        let mut opening = asked(stored(60, 7), Some(9), 10);
        opening.followed(heard, 100, seconds(0));
        assert_eq!(opening.step(), Step::Clear(Cause::AnotherChangelog));
    }
}

#[test]
fn a_disagreement_is_waited_for_then_the_store_is_doubted_then_it_is_refused() {
    let mut opening = asked(stored(60, 7), Some(9), 10);
    opening.followed(followed(8), 100, seconds(100));
    let ahead = Disagreement::OffsetAhead { committed: 9, recorded: 8 };
    assert_eq!(opening.step(), Step::Wait(ahead.clone()));
    let again = |opening: &mut Opening, now| {
        opening.waited();
        assert_eq!(opening.step(), Step::AskCommitted, "the whole order again");
        opening.committed(Some(9));
        opening.changelog(CHANGELOG, 10);
        opening.followed(followed(8), 100, seconds(now));
        opening.step()
    };
    assert_eq!(again(&mut opening, 129), Step::Wait(ahead.clone()));
    assert_eq!(again(&mut opening, 130), Step::Clear(Cause::DoesNotFit));
    opening.cleared();
    assert_eq!(again(&mut opening, 131), Step::Wait(ahead.clone()));
    assert_eq!(again(&mut opening, 161), Step::Refuse(Refusal::Disagree(ahead)));
}

#[test]
fn a_missing_offset_is_waited_for_with_the_store_as_it_is() {
    let mut opening = asked(stored(60, 7), None, 10);
    assert_eq!(opening.step(), Step::Follow { from: 59, until: 101 }, "a coordinator may be new");
    opening.followed(followed(9), 100, seconds(0));
    assert_eq!(opening.step(), Step::Wait(Disagreement::OffsetGone { recorded: 9 }));
    opening.waited();
    opening.committed(Some(9));
    opening.changelog(CHANGELOG, 10);
    opening.followed(followed(9), 100, seconds(1));
    assert_eq!(opening.step(), Step::AskLinks);
}

#[test]
fn an_offset_that_stays_missing_is_refused_and_costs_no_store() {
    let mut opening = asked(stored(60, 7), None, 10);
    opening.followed(followed(9), 100, seconds(0));
    opening.waited();
    opening.committed(None);
    opening.changelog(CHANGELOG, 10);
    opening.followed(followed(9), 100, seconds(30));
    let gone = Disagreement::OffsetGone { recorded: 9 };
    assert_eq!(opening.step(), Step::Refuse(Refusal::Disagree(gone)));
}

#[test]
fn what_was_just_filled_is_not_cleared_again_while_it_waits_behind_an_aborted_tail() {
    // The last record is at 97: behind it lies a transaction that was aborted, and all of it is old.
    let mut opening = asked(Stored::default(), Some(9), 500);
    opening.followed(followed(8), 98, seconds(0));
    let ahead = Disagreement::OffsetAhead { committed: 9, recorded: 8 };
    for (now, expected) in
        [(10, Step::Wait(ahead.clone())), (30, Step::Refuse(Refusal::Disagree(ahead.clone())))]
    {
        opening.waited();
        opening.committed(Some(9));
        opening.changelog(CHANGELOG, 500);
        assert_eq!(opening.step(), Step::Follow { from: 97, until: 101 });
        opening.followed(followed(8), 98, seconds(now));
        assert_eq!(opening.step(), expected);
    }
}

#[test]
fn waiting_does_not_help_against_another_partition_count() {
    let mut opening = Opening::new(stored(60, 9), 24);
    opening.committed(Some(9));
    opening.changelog(CHANGELOG, 0);
    opening.followed(followed(9), 100, seconds(0));
    let changed = Disagreement::PartitionsChanged { recorded: 12, found: 24 };
    assert_eq!(opening.step(), Step::Refuse(changed.into()));
}

#[test]
fn begins_only_where_neither_offset_nor_state_exists() {
    let mut opening = asked(Stored::default(), None, 0);
    opening.followed(Followed::default(), 0, seconds(0));
    opening.links(Bounds { low: 0, high: 0 });
    opening.linked();
    opening.raw(Bounds { low: 3, high: 50 });
    assert_eq!(opening.step(), Step::Begin(3));
}

#[test]
fn records_missing_from_raw_are_a_refusal() {
    for raw in [Bounds { low: 10, high: 50 }, Bounds { low: 0, high: 8 }] {
        let mut opening = asked(stored(60, 9), Some(9), 0);
        opening.followed(followed(9), 100, seconds(0));
        opening.links(Bounds { low: 0, high: 0 });
        opening.linked();
        opening.raw(raw);
        assert_eq!(opening.step(), Step::Refuse(Refusal::RawGone { committed: 9, raw }));
    }
}

#[test]
fn links_that_were_made_anew_are_read_from_their_start() {
    let mut opening = asked(Stored { links_position: 40, ..stored(60, 9) }, Some(9), 0);
    opening.followed(followed(9), 100, seconds(0));
    opening.links(Bounds { low: 0, high: 30 });
    assert_eq!(opening.step(), Step::FollowLinks { from: 0, until: 30 });
    opening.links(Bounds { low: 0, high: 0 });
    assert_eq!(opening.step(), Step::FollowLinks { from: 0, until: 0 }, "and are empty");
}
