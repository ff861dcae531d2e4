use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use schemas::EventType;

use super::*;
use crate::destinations::samples;
use crate::shadow::Note;
use crate::tenure::{Ending, Owner};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Of every record here.
const FOOTPRINT: Footprint = Footprint { bytes: 100, appended: Timestamp::from_millis(0) };

fn partition() -> Partition<&'static str> {
    bounded(Bounds { undone_events: 4, ..Bounds::default() })
}

fn bounded(bounds: Bounds) -> Partition<&'static str> {
    let schedule = Schedule {
        in_place: vec![Duration::from_millis(10)],
        delays: vec![Duration::from_millis(100)],
        horizon: Duration::from_secs(10),
        quarantine: Duration::from_secs(1),
    };
    Partition::restored(Marks::up_to(100), Marks::up_to(0), Arc::new(schedule), bounds)
}

fn numbered(number: i64) -> Sequence {
    Sequence { number, ..Sequence::default() }
}

fn arriving(lane: &str, sequence: i64, content: &'static str) -> Arriving<&'static str> {
    let identity = Identity { lane: lane.into(), turn: Turn::Live, sequence: numbered(sequence) };
    Arriving { identity, history: History::default(), due: at(0), footprint: FOOTPRINT, content }
}

fn event(offset: i64) -> Place {
    Place { source: Source::Events, offset }
}

fn failed() -> Outcome {
    Outcome::Failed(Failure::new(Reason::ServerError, ""))
}

fn refused() -> Outcome {
    Outcome::Refused(Failure::new(Reason::Refused, ""))
}

#[test]
fn subscribers_go_at_once_and_one_subscriber_in_sequence() {
    let mut partition = partition();
    for (offset, lane, sequence, content) in
        [(100, "a", 7, "a7"), (101, "a", 8, "a8"), (102, "b", 1, "b1")]
    {
        let _ = partition.arrive(event(offset), arriving(lane, sequence, content), at(0));
    }
    let (a7, content) = partition.start(at(0)).unwrap();
    assert_eq!(content, "a7");
    assert_eq!(partition.start(at(0)).unwrap().1, "b1");
    assert_eq!(partition.start(at(0)), None);
    assert_eq!(partition.finish(a7, Outcome::Done, at(5), 0.0), Some(Settled::Done));
    assert_eq!(partition.start(at(5)).unwrap().1, "a8");
}

#[test]
fn a_failed_head_waits_in_place_and_holds_its_lane() {
    let mut partition = partition();
    let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
    let _ = partition.arrive(event(101), arriving("a", 2, "a2"), at(0));
    let (ticket, _) = partition.start(at(0)).unwrap();
    assert_eq!(partition.finish(ticket, failed(), at(5), 0.0), Some(Settled::AgainInPlace));
    assert_eq!(partition.start(at(14)), None);
    assert_eq!(partition.next_wake(), Some(at(15)));
    assert_eq!(partition.start(at(15)).unwrap().1, "a1");
}

#[test]
fn followers_of_a_head_that_is_set_aside_move_untried_in_the_same_order() {
    let mut partition = partition();
    let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
    let _ = partition.arrive(event(101), arriving("a", 2, "a2"), at(0));
    for now in [0, 10] {
        let (ticket, _) = partition.start(at(now)).unwrap();
        let _ = partition.finish(ticket, failed(), at(now), 0.0);
    }
    let _ = partition.arrive(event(102), arriving("a", 3, "a3"), at(10));
    assert!(partition.urgent());
    let checkpoint = partition.checkpoint(at(10)).unwrap();
    let moved: Vec<_> = checkpoint
        .departures
        .iter()
        .map(|departure| (departure.content, departure.history.attempts))
        .collect();
    assert_eq!(moved, [("a1", 2), ("a2", 0), ("a3", 0)]);
    assert_eq!(checkpoint.events, Marks::up_to(103));
    partition.committed(at(11));
    assert_eq!(partition.start(at(5_000)), None, "nothing goes before the copies were read");
}

#[test]
fn followers_go_as_soon_as_the_head_succeeded() {
    let mut partition = partition();
    let retry = |offset| Place { source: Source::Retry, offset };
    let tried = History { attempts: 3, first_failure: Some(at(0)), ..History::default() };
    let head = Arriving { history: tried, due: at(500), ..arriving("a", 1, "a1") };
    let _ = partition.arrive(retry(0), head, at(0));
    let _ = partition.arrive(retry(1), arriving("a", 2, "a2"), at(0));
    assert_eq!(partition.start(at(499)), None);
    let (ticket, _) = partition.start(at(500)).unwrap();
    let _ = partition.finish(ticket, Outcome::Done, at(501), 0.0);
    assert_eq!(partition.start(at(501)).unwrap().1, "a2");
}

#[test]
fn a_parked_event_releases_its_lane_when_the_parking_is_committed() {
    let mut partition = partition();
    let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
    let _ = partition.arrive(event(101), arriving("a", 2, "a2"), at(0));
    let (ticket, _) = partition.start(at(0)).unwrap();
    let settled = partition.finish(ticket, refused(), at(1), 0.0);
    assert_eq!(settled, Some(Settled::Parked(Reason::Refused)));
    assert_eq!(partition.start(at(1)), None);
    let checkpoint = partition.checkpoint(at(1)).unwrap();
    assert!(matches!(checkpoint.departures[0].fate, Fate::Parked { .. }));
    assert_eq!(checkpoint.departures[0].history.attempts, 1);
    assert_eq!(partition.start(at(2)), None);
    partition.committed(at(3));
    assert_eq!(partition.start(at(3)).unwrap().1, "a2");
}

#[test]
fn a_postponed_event_spends_no_attempt() {
    let mut partition = partition();
    let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
    for now in [0, 50, 100] {
        let (ticket, _) = partition.start(at(now)).unwrap();
        let until = at(now + 50);
        let settled = partition.finish(ticket, Outcome::Postponed { until }, at(now), 0.0);
        assert_eq!(settled, Some(Settled::Postponed));
    }
    let (ticket, _) = partition.start(at(150)).unwrap();
    assert_eq!(partition.finish(ticket, failed(), at(150), 0.0), Some(Settled::AgainInPlace));
}

#[test]
fn a_record_that_cannot_be_read_is_parked_and_blocks_nobody() {
    let mut partition = partition();
    let failure = Failure::new(Reason::Undecodable, "");
    let arrival = partition.arrive_unreadable(event(100), "?", failure, at(0));
    assert_eq!(arrival, Arrival::Owed);
    let _ = partition.arrive(event(101), arriving("a", 1, "a1"), at(0));
    assert_eq!(partition.start(at(0)).unwrap().1, "a1");
    let checkpoint = partition.checkpoint(at(0)).unwrap();
    assert_eq!(checkpoint.departures.len(), 1);
    assert_eq!(checkpoint.events.next(), 101);
}

#[test]
fn reading_stops_while_too_much_is_undone() {
    let mut partition = partition();
    for offset in 100..104 {
        assert!(partition.wants(Source::Events));
        let _ = partition.arrive(event(offset), arriving("a", offset, "a"), at(0));
    }
    assert!(!partition.wants(Source::Events));
    assert!(partition.wants(Source::Retry));
    let (ticket, _) = partition.start(at(0)).unwrap();
    let _ = partition.finish(ticket, Outcome::Done, at(0), 0.0);
    assert!(partition.wants(Source::Events));
}

#[test]
fn a_copy_of_an_event_in_the_lane_is_dropped_and_the_one_with_more_attempts_kept() {
    let mut partition = partition();
    let _ = partition.arrive(event(100), arriving("a", 1, "first"), at(0));
    let tried = History { attempts: 2, first_failure: Some(at(0)), ..History::default() };
    let copy = Arriving { history: tried, ..arriving("a", 1, "copy") };
    let arrival = partition.arrive(Place { source: Source::Retry, offset: 0 }, copy, at(0));
    assert_eq!(arrival, Arrival::Duplicate);
    assert_eq!(partition.start(at(0)).unwrap().1, "copy");
    assert_eq!(partition.undone(Source::Events), 0);
    assert_eq!(partition.undone(Source::Retry), 1);
}

#[test]
fn a_ticket_counts_once() {
    let mut partition = partition();
    let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
    let (ticket, _) = partition.start(at(0)).unwrap();
    assert!(partition.finish(ticket, Outcome::Done, at(0), 0.0).is_some());
    assert_eq!(partition.finish(ticket, Outcome::Done, at(0), 0.0), None);
}

#[test]
fn nothing_is_committed_when_nothing_changed() {
    let mut partition = partition();
    assert!(partition.checkpoint(at(0)).is_none());
    let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
    assert!(partition.checkpoint(at(0)).is_some());
    assert!(partition.checkpoint(at(0)).is_none(), "one at a time");
    partition.committed(at(0));
    assert!(partition.checkpoint(at(0)).is_none());
}

#[test]
fn an_earlier_event_that_turns_up_waits_for_the_sending_under_way_and_goes_next() {
    let mut partition = partition();
    let _ = partition.arrive(event(100), arriving("a", 5, "a5"), at(0));
    let (a5, _) = partition.start(at(0)).unwrap();
    let _ = partition.arrive(event(101), arriving("a", 6, "a6"), at(0));
    let _ = partition.arrive(event(102), arriving("a", 4, "a4"), at(0));
    assert_eq!(partition.start(at(0)), None);
    let _ = partition.finish(a5, Outcome::Done, at(1), 0.0);
    assert_eq!(partition.start(at(1)).unwrap().1, "a4");
}

fn redriven(lane: &str, sequence: i64, content: &'static str) -> Arriving<&'static str> {
    let identity =
        Identity { lane: lane.into(), turn: Turn::Redriven, sequence: numbered(sequence) };
    Arriving { identity, history: History::default(), due: at(0), footprint: FOOTPRINT, content }
}

fn retry(offset: i64) -> Place {
    Place { source: Source::Retry, offset }
}

#[test]
fn a_redriven_event_goes_when_nothing_live_of_its_lane_is_left() {
    let mut partition = partition();
    let _ = partition.arrive(retry(0), redriven("a", 1, "a1 again"), at(0));
    let _ = partition.arrive(event(100), arriving("a", 4, "a4"), at(0));
    let _ = partition.arrive(event(101), arriving("a", 5, "a5"), at(0));
    for expected in ["a4", "a5", "a1 again"] {
        let (ticket, content) = partition.start(at(0)).unwrap();
        assert_eq!(content, expected);
        assert_eq!(partition.finish(ticket, Outcome::Done, at(0), 0.0), Some(Settled::Done));
    }
    assert_eq!((partition.undone(Source::Events), partition.undone(Source::Retry)), (0, 0));
}

#[test]
fn a_redriven_event_that_waits_holds_nobody_up() {
    let mut partition = partition();
    let _ = partition.arrive(retry(0), redriven("a", 1, "a1 again"), at(0));
    let (ticket, _) = partition.start(at(0)).unwrap();
    assert_eq!(partition.finish(ticket, failed(), at(0), 0.0), Some(Settled::AgainInPlace));
    let _ = partition.arrive(event(100), arriving("a", 4, "a4"), at(1));
    assert_eq!(partition.start(at(1)).unwrap().1, "a4");
}

#[test]
fn a_redriven_event_waits_for_a_head_that_is_set_aside() {
    let mut partition = partition();
    let tried = History { attempts: 3, first_failure: Some(at(0)), ..History::default() };
    let head = Arriving { history: tried, due: at(500), ..arriving("a", 4, "a4") };
    let _ = partition.arrive(retry(0), head, at(0));
    let _ = partition.arrive(retry(1), redriven("a", 1, "a1 again"), at(0));
    assert_eq!(partition.start(at(499)), None);
    assert_eq!(partition.start(at(500)).unwrap().1, "a4");
}

#[test]
fn a_redriven_event_that_fails_again_goes_back_to_the_dead_letters() {
    let mut partition = partition();
    let _ = partition.arrive(retry(0), redriven("a", 1, "a1 again"), at(0));
    let (ticket, _) = partition.start(at(0)).unwrap();
    let _ = partition.finish(ticket, failed(), at(0), 0.0);
    let (ticket, _) = partition.start(at(10)).unwrap();
    let settled = partition.finish(ticket, failed(), at(10), 0.0);
    assert_eq!(settled, Some(Settled::Parked(Reason::ServerError)));
    let _ = partition.arrive(event(100), arriving("a", 4, "a4"), at(10));
    assert_eq!(partition.start(at(10)).unwrap().1, "a4", "parking holds nobody up");
    let checkpoint = partition.checkpoint(at(10)).unwrap();
    assert!(matches!(checkpoint.departures[0].fate, Fate::Parked { .. }));
    assert_eq!(checkpoint.retry, Marks::up_to(1));
}

#[test]
fn a_redriven_event_is_no_copy_of_the_same_one_that_is_live() {
    let mut partition = partition();
    let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
    let arrival = partition.arrive(retry(0), redriven("a", 1, "a1 again"), at(0));
    assert_eq!(arrival, Arrival::Owed);
    let arrival = partition.arrive(retry(1), redriven("a", 1, "a1 twice"), at(0));
    assert_eq!(arrival, Arrival::Duplicate);
    assert_eq!(partition.undone(Source::Retry), 1);
}

fn unanswered() -> Outcome {
    Outcome::Failed(Failure::new(Reason::TimedOut, ""))
}

#[test]
fn nothing_of_a_lane_is_sent_while_a_call_that_nobody_answered_may_take_effect() {
    let mut partition = partition();
    let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
    let _ = partition.arrive(event(101), arriving("b", 1, "b1"), at(0));
    let (ticket, _) = partition.start(at(0)).unwrap();
    assert_eq!(partition.finish(ticket, unanswered(), at(0), 0.0), Some(Settled::AgainInPlace));
    assert_eq!(partition.start(at(0)).unwrap().1, "b1", "other subscribers go on");
    assert_eq!(partition.start(at(999)), None);
    assert_eq!(partition.next_wake(), Some(at(1_000)));
    assert_eq!(partition.start(at(1_000)).unwrap().1, "a1");
}

#[test]
fn an_unanswered_call_holds_its_lane_also_when_the_destination_takes_the_blame() {
    let mut partition = partition();
    let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
    let (ticket, _) = partition.start(at(0)).unwrap();
    let excused = Outcome::Excused(Failure::new(Reason::ConnectionLost, ""));
    assert_eq!(partition.finish(ticket, excused, at(0), 0.0), Some(Settled::Postponed));
    assert_eq!(partition.start(at(999)), None);
    assert_eq!(partition.start(at(1_000)).unwrap().1, "a1");
}

#[test]
fn a_lane_stays_in_quarantine_after_its_last_event_was_parked() {
    let mut partition = partition();
    let _ = partition.arrive(retry(0), redriven("a", 1, "a1 again"), at(0));
    let (ticket, _) = partition.start(at(0)).unwrap();
    let _ = partition.finish(ticket, unanswered(), at(0), 0.0);
    let (ticket, _) = partition.start(at(1_000)).unwrap();
    let settled = partition.finish(ticket, unanswered(), at(1_000), 0.0);
    assert_eq!(settled, Some(Settled::Parked(Reason::TimedOut)));
    let checkpoint = partition.checkpoint(at(1_001)).unwrap();
    assert_eq!(checkpoint.departures[0].history.effect, Effect::Unknown);
    partition.committed(at(1_002));
    let _ = partition.arrive(event(100), arriving("a", 4, "a4"), at(1_003));
    assert_eq!(partition.start(at(1_999)), None);
    assert_eq!(partition.start(at(2_000)).unwrap().1, "a4");
}

#[test]
fn a_copy_in_the_retry_topic_is_not_due_before_the_quarantine_ends() {
    let mut partition = partition();
    let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
    let (ticket, _) = partition.start(at(0)).unwrap();
    let _ = partition.finish(ticket, failed(), at(0), 0.0);
    let (ticket, _) = partition.start(at(10)).unwrap();
    assert_eq!(partition.finish(ticket, unanswered(), at(10), 0.0), Some(Settled::SetAside));
    let checkpoint = partition.checkpoint(at(10)).unwrap();
    assert!(matches!(checkpoint.departures[0].fate, Fate::SetAside { due } if due == at(1_010)));
}

#[test]
fn time_in_which_the_destination_is_out_of_service_does_not_count_towards_the_horizon() {
    for (out_of_service, settled) in [
        (Duration::ZERO, Settled::Parked(Reason::HorizonExceeded)),
        (Duration::from_secs(10), Settled::SetAside),
    ] {
        let mut partition = partition();
        partition.out_of_service(Duration::from_mins(1));
        let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
        let (ticket, _) = partition.start(at(0)).unwrap();
        let _ = partition.finish(ticket, failed(), at(0), 0.0);
        partition.out_of_service(out_of_service);
        let (ticket, _) = partition.start(at(15_000)).unwrap();
        assert_eq!(partition.finish(ticket, failed(), at(15_000), 0.0), Some(settled));
    }
}

#[test]
fn an_end_is_clean_when_nothing_that_was_sent_can_take_effect_any_more() {
    let mut partition =
        partition().after(Tenure { outages: Duration::from_secs(3), ..Tenure::none() }, Owner(1));
    let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
    let ending = |partition: &mut Partition<&'static str>, now| {
        partition.close(at(now));
        partition.refresh();
        let tenure = partition.checkpoint(at(now)).unwrap().tenure;
        partition.committed(at(now));
        assert_eq!(tenure.outages, Duration::from_secs(3));
        tenure.ending
    };
    let (ticket, _) = partition.start(at(0)).unwrap();
    assert_eq!(ending(&mut partition, 0), Ending::Open, "a call is under way");
    let _ = partition.finish(ticket, unanswered(), at(0), 0.0);
    assert_eq!(ending(&mut partition, 999), Ending::Open, "it may take effect");
    assert_eq!(ending(&mut partition, 1_000), Ending::Clean);
}

#[test]
fn no_more_events_are_taken_on_while_too_many_or_too_large_records_wait() {
    let bounds = Bounds { undone_retry: 3, ..Bounds::default() };
    for bounds in [bounds, Bounds { undone_bytes: 300, ..Bounds::default() }] {
        let mut partition = bounded(bounds);
        for offset in 0..3 {
            assert!(partition.wants(Source::Events));
            let _ = partition.arrive(retry(offset), arriving("a", offset, "a"), at(0));
        }
        assert!(!partition.wants(Source::Events));
        assert!(partition.wants(Source::Retry), "the first of a lane may lie at the end");
        let (ticket, _) = partition.start(at(0)).unwrap();
        let _ = partition.finish(ticket, Outcome::Done, at(0), 0.0);
        assert!(partition.has_caught_up(Source::Events));
    }
}

#[test]
fn a_flow_of_retries_that_was_stopped_does_not_wait_for_events() {
    let mut partition = partition();
    for offset in 100..104 {
        let _ = partition.arrive(event(offset), arriving("a", offset, "a"), at(0));
    }
    assert!(!partition.has_caught_up(Source::Events));
    assert!(partition.has_caught_up(Source::Retry), "the first of their lane may lie there");
}

#[test]
fn what_lies_long_in_the_retry_topic_is_appended_anew_as_it_is() {
    let day = Duration::from_hours(24);
    let mut partition = bounded(Bounds { longest_stay: day, ..Bounds::default() });
    let tried = History { attempts: 3, first_failure: Some(at(0)), ..History::default() };
    let due = at(0).plus_millis(25 * 3_600_000);
    let _ = partition.arrive(
        retry(0),
        Arriving { history: tried, due, ..arriving("a", 1, "a1") },
        at(0),
    );
    let _ = partition.arrive(retry(1), arriving("a", 2, "a2"), at(0));
    let young = Footprint { appended: at(1_000), ..FOOTPRINT };
    let _ =
        partition.arrive(retry(2), Arriving { footprint: young, ..arriving("a", 3, "a3") }, at(0));
    let just_before = at(24 * 3_600_000 - 1);
    assert!(partition.checkpoint(just_before).unwrap().departures.is_empty());
    partition.committed(just_before);
    partition.refresh();
    let checkpoint = partition.checkpoint(at(24 * 3_600_000)).unwrap();
    let moved: Vec<_> = checkpoint
        .departures
        .iter()
        .map(|departure| (departure.content, departure.history.attempts))
        .collect();
    assert_eq!(moved, [("a1", 3), ("a2", 0)]);
    assert!(matches!(checkpoint.departures[0].fate, Fate::SetAside { due: moved } if moved == due));
    assert_eq!(checkpoint.retry.next(), 2);
}

#[test]
fn an_event_of_a_later_epoch_is_no_copy_of_the_one_with_its_number_and_goes_after_it() {
    let mut partition = partition();
    let mut anew = arriving("a", 1, "rebuilt");
    anew.identity.sequence.epoch = at(5);
    let before = [arriving("a", 1, "before"), arriving("a", 2, "last before")];
    for (offset, arriving) in (100..).zip([anew].into_iter().chain(before)) {
        let _ = partition.arrive(event(offset), arriving, at(0));
    }
    let mut told = Vec::new();
    while let Some((ticket, content)) = partition.start(at(0)) {
        told.push(content);
        partition.finish(ticket, Outcome::Done, at(0), 0.0);
    }
    assert_eq!(told, ["before", "last before", "rebuilt"]);
}

fn refresh(lane: &str, known_at: i64, content: &'static str) -> Arriving<&'static str> {
    let mut refresh = arriving(lane, 2, content);
    refresh.identity.turn = Turn::Refreshed(at(known_at));
    refresh
}

#[test]
fn a_refresh_goes_behind_everything_live_and_holds_up_nothing_when_it_waits() {
    let mut partition = partition();
    assert_eq!(partition.arrive(retry(0), refresh("a", 5, "r5"), at(0)), Arrival::Owed);
    assert_eq!(partition.arrive(event(100), arriving("a", 2, "a2"), at(0)), Arrival::Owed);
    let (a2, content) = partition.start(at(0)).unwrap();
    assert_eq!(content, "a2", "the event of the same sequence is another");
    let _ = partition.finish(a2, Outcome::Done, at(1), 0.0);
    for now in [1, 11] {
        let (r5, content) = partition.start(at(now)).unwrap();
        assert_eq!(content, "r5");
        let _ = partition.finish(r5, failed(), at(now), 0.0);
    }
    let checkpoint = partition.checkpoint(at(12)).unwrap();
    let moved: Vec<_> = checkpoint.departures.iter().map(|one| one.content).collect();
    assert_eq!(moved, ["r5"], "it is set aside as an event would be");
    partition.committed(at(12));
    assert_eq!(partition.arrive(event(101), arriving("a", 3, "a3"), at(12)), Arrival::Owed);
    assert_eq!(partition.start(at(12)).unwrap().1, "a3");
}

#[test]
fn of_several_refreshes_that_wait_only_the_latest_is_sent() {
    let mut partition = partition();
    let waits = |due| Arriving { due: at(due), ..refresh("a", 5, "r5") };
    assert_eq!(partition.arrive(retry(0), waits(9_000), at(0)), Arrival::Owed);
    assert_eq!(partition.arrive(retry(1), refresh("a", 6, "r6"), at(0)), Arrival::Owed);
    assert_eq!(partition.undone(Source::Retry), 1, "the earlier one is done with");
    assert_eq!(partition.arrive(retry(2), refresh("a", 4, "r4"), at(0)), Arrival::Outdone);
    let (r6, content) = partition.start(at(0)).unwrap();
    assert_eq!(content, "r6");
    let _ = partition.finish(r6, Outcome::Done, at(1), 0.0);
    assert_eq!(partition.start(at(10_000)), None);
    assert_eq!(partition.undone(Source::Retry), 0);
}

#[test]
fn a_refresh_that_comes_back_from_its_move_makes_way_for_a_later_one() {
    let mut partition = partition();
    let _ = partition.arrive(retry(0), refresh("a", 5, "r5"), at(0));
    for now in [0, 10] {
        let (r5, _) = partition.start(at(now)).unwrap();
        let _ = partition.finish(r5, failed(), at(now), 0.0);
    }
    let _ = partition.checkpoint(at(10)).unwrap();
    let _ = partition.arrive(retry(1), refresh("a", 6, "r6"), at(10));
    partition.committed(at(11));
    assert_eq!(partition.start(at(11)), None, "the copy was not read yet");
    let tried = History { attempts: 2, ..History::default() };
    let copy = Arriving { history: tried, due: at(9_000), ..refresh("a", 5, "r5") };
    assert_eq!(partition.arrive(retry(2), copy, at(11)), Arrival::Outdone);
    assert_eq!(partition.start(at(11)).unwrap().1, "r6");
}

fn shadowed() -> Outcome {
    let event = samples::event(EventType::SubscriptionRenewed);
    Outcome::Shadowed(Note::of(&event, &[], 10_000))
}

#[test]
fn a_lane_in_shadow_goes_on_at_once_and_nothing_is_done_before_its_note_is_written() {
    let mut partition = partition();
    let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
    let _ = partition.arrive(event(101), arriving("a", 2, "a2"), at(0));
    let (ticket, _) = partition.start(at(0)).unwrap();
    assert_eq!(partition.finish(ticket, shadowed(), at(0), 0.0), Some(Settled::Done));
    assert_eq!(partition.undone(Source::Events), 2);
    assert!(partition.changed() && !partition.urgent());
    assert_eq!(partition.start(at(0)).unwrap().1, "a2");
    let checkpoint = partition.checkpoint(at(0)).unwrap();
    let [departure] = &checkpoint.departures[..] else { panic!("{checkpoint:?}") };
    assert!(matches!(departure.fate, Fate::Shadowed(_)) && departure.content == "a1");
    assert_eq!(checkpoint.events, Marks::up_to(101));
}

#[test]
fn notes_that_do_not_fit_one_transaction_wait_for_the_next_and_so_does_the_mark() {
    let mut partition = bounded(Bounds { departures: 2, ..Bounds::default() });
    for number in 0..3 {
        let _ = partition.arrive(event(100 + number), arriving("a", number, "one"), at(0));
    }
    for urgent in [false, false, true] {
        assert_eq!(partition.urgent(), urgent);
        let (ticket, _) = partition.start(at(0)).unwrap();
        let _ = partition.finish(ticket, shadowed(), at(0), 0.0);
        if urgent {
            break;
        }
    }
    let first = partition.checkpoint(at(0)).unwrap();
    assert_eq!((first.departures.len(), first.events), (2, Marks::up_to(102)));
    partition.committed(at(0));
    let second = partition.checkpoint(at(0)).unwrap();
    assert_eq!((second.departures.len(), second.events), (1, Marks::up_to(103)));
}

#[test]
fn what_is_somebody_elses_counts_as_done_and_is_never_started_or_moved() {
    let mut partition = partition();
    let old = Place { source: Source::Retry, offset: 0 };
    partition.pass(old);
    let _ = partition.arrive(event(100), arriving("a", 1, "a1"), at(0));
    let checkpoint = partition.checkpoint(at(90_000_000)).unwrap();
    assert_eq!((checkpoint.departures.len(), checkpoint.retry), (0, Marks::up_to(1)));
    assert_eq!(partition.start(at(90_000_000)).unwrap().1, "a1");
}

/// A step of a line in shadow, and of what befalls it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Read,
    Plan,
    Checkpoint,
    Commit,
    Crash { landed: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Read),
        6 => Just(Step::Plan),
        4 => Just(Step::Checkpoint),
        3 => Just(Step::Commit),
        1 => any::<bool>().prop_map(|landed| Step::Crash { landed }),
    ]
}

/// Events of two lanes with what is committed about them: the marks, and the offsets of which there is a note.
struct Shadow {
    partition: Partition<i64>,
    pending: Option<Checkpoint<i64>>,
    marks: Marks,
    noted: Vec<i64>,
}

impl Shadow {
    fn restored(marks: &Marks) -> Partition<i64> {
        let schedule = Schedule {
            in_place: Vec::new(),
            delays: Vec::new(),
            horizon: Duration::ZERO,
            quarantine: Duration::ZERO,
        };
        let bounds = Bounds { departures: 3, ..Bounds::default() };
        Partition::restored(marks.clone(), Marks::up_to(0), Arc::new(schedule), bounds)
    }

    fn commit(&mut self) {
        let Some(checkpoint) = self.pending.take() else { return };
        self.noted.extend(checkpoint.departures.iter().map(|departure| departure.content));
        self.marks = checkpoint.events;
    }

    fn take(&mut self, step: Step, next: &mut i64) {
        match step {
            Step::Read => {
                let lane = if *next % 2 == 0 { "a" } else { "b" };
                let Arriving { identity, history, due, footprint, .. } = arriving(lane, *next, "");
                let arriving = Arriving { identity, history, due, footprint, content: *next };
                let _ = self.partition.arrive(event(*next), arriving, at(0));
                *next += 1;
            }
            Step::Plan => {
                let Some((ticket, offset)) = self.partition.start(at(0)) else { return };
                // An event is for the destination or it is not, whenever it is asked.
                let outcome = if offset % 3 == 0 { Outcome::Done } else { shadowed() };
                let _ = self.partition.finish(ticket, outcome, at(0), 0.0);
            }
            Step::Checkpoint if self.pending.is_none() => {
                self.pending = self.partition.checkpoint(at(0));
            }
            Step::Checkpoint => {}
            Step::Commit => {
                if self.pending.is_some() {
                    self.commit();
                    self.partition.committed(at(0));
                }
            }
            Step::Crash { landed } => {
                if landed {
                    self.commit();
                }
                self.pending = None;
                self.partition = Self::restored(&self.marks);
                *next = self.marks.next();
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_befalls_a_shadow_there_is_one_note_of_each_event_that_is_done_and_was_not_skipped(
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let marks = Marks::up_to(0);
        let partition = Shadow::restored(&marks);
        let mut shadow = Shadow { partition, pending: None, marks, noted: Vec::new() };
        let mut next = 0;
        // What is done beyond the first undone event stays done when reading goes back to that one.
        let mut end = next;
        for step in steps {
            shadow.take(step, &mut next);
            end = end.max(next);
            let done = (0..end).filter(|offset| shadow.marks.is_done(*offset));
            let expected: Vec<_> = done.filter(|offset| offset % 3 != 0).collect();
            let mut noted = shadow.noted.clone();
            noted.sort_unstable();
            prop_assert_eq!(noted, expected);
        }
    }
}
