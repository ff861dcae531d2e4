use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use dead_letters::letter::{Dealt, Letter, Position};
use schemas::EventType;
use schemas::headers::{
    Disposal, Labels, ParkedHeaders, RawHeaders, RekeyedHeaders, RetryHeaders, Stage,
};
use schemas::state::{Facts, Held, KeptRecord, Role, SubscriberState};
use serde_json::Value;
use service::Binary;
use service::clock::SystemClock;
use service::config::{Loader, Mode, Start, Variables, Vocabulary};
use stream::Received;
use transform::seen::{Memory, SeenIds};

use super::deliveries::Delivery;
use super::hindsight::Nothing;
use super::material::{
    AtDestination, Beginning, Breaker, Event, Material, Outcome, Retried, Service, Standing,
};
use super::webhooks::{Fate, Timing};
use super::*;
use crate::cut::Cut;
use crate::destinations::{Skip, samples};
use crate::marks::Marks;
use crate::tenure::Tenure;

const KEY: &str = "stripe-main/cus_9";
const CONFIGURATION: &str = "\
kafka: { brokers: 'localhost:9092' }
sources:
  apps: { provider: revenuecat, authorization: [word] }
  shop: { provider: stripe, secrets: [word] }
";

pub(super) fn config() -> Config {
    let (variables, clock) = (Variables::default(), Arc::new(SystemClock::new()));
    let vocabulary = Vocabulary::default();
    let loader = Loader { binary: Binary::Deliver, variables: &variables, vocabulary, clock };
    loader.read("it.yaml", CONFIGURATION).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(samples::NOON + seconds).unwrap()
}

fn raw_headers(id: &str) -> RawHeaders {
    RawHeaders {
        id: id.to_owned(),
        source: "stripe-main".to_owned(),
        event_type: "stripe.invoice.paid".to_owned(),
        time: None,
        content_type: None,
        traceparent: None,
        rekeyed: None,
    }
}

fn webhook(offset: i64, id: &str) -> Received {
    Received {
        topic: "raw".into(),
        partition: 3,
        offset,
        timestamp: at(offset),
        key: Some(KEY.as_bytes().to_vec()),
        value: Some(b"{}".to_vec()),
        headers: raw_headers(id).to_headers(),
    }
}

/// The event with this sequence, at the offset of the same number, of the webhook at that offset.
fn event(sequence: i64, id: &str) -> Event {
    let mut event = samples::event(EventType::SubscriptionRenewed);
    event.event_id = format!("e{sequence}");
    event.sequence = sequence;
    event.provider_event_id = id.to_owned();
    event.received_at = at(sequence);
    Event { offset: Some(sequence), event }
}

fn letter(offset: i64, id: &str, (topic, failed_at): (&str, i64)) -> Letter {
    Letter {
        position: Position { partition: 0, offset },
        parked_at: at(50),
        happened_at: None,
        key: KEY.as_bytes().to_vec(),
        labels: Labels { id: Some(id.to_owned()), ..Labels::default() },
        end: Ok(ParkedHeaders {
            reason: "refused".to_owned(),
            topic: topic.to_owned(),
            partition: 3,
            offset: failed_at,
            group: "deliver.crm".to_owned(),
            stage: "deliver".to_owned(),
            class: "deliver.refused".to_owned(),
            message: "name is too long".to_owned(),
            attempts: Some(2),
            first_failure: Some(at(40)),
            last_failure: Some(at(50)),
            http_status: Some(400),
            request_id: Some("req_1".to_owned()),
        }),
        redriven: 0,
        dealt: None,
    }
}

fn dealt(disposal: Disposal, letter: Letter) -> Letter {
    Letter { dealt: Some(Dealt { disposal, at: at(60) }), ..letter }
}

fn retried(offset: i64, event_id: &str, attempts: u32) -> Retried {
    let due = (attempts > 0).then(|| at(600));
    Retried {
        offset,
        event_id: event_id.to_owned(),
        history: RetryHeaders { attempts, first_failure: due, due, outages: Duration::ZERO },
        redriven: 0,
        outcome: Outcome::Known,
    }
}

/// A destination that has done everything below an offset of the events, and below another of its retry topic.
fn crm(events: i64, retry: i64) -> AtDestination {
    AtDestination {
        name: "crm".to_owned(),
        mode: Mode::Live,
        in_place: 2,
        skips: BTreeMap::new(),
        standing: Some(Standing {
            events: Marks::up_to(events),
            retry: Marks::up_to(retry),
            tenure: Tenure::none(),
        }),
        beginning: Beginning::Earliest,
        retries: Vec::new(),
        refresh: None,
        letters: Vec::new(),
        service: Service { members: 1, ..Service::default() },
    }
}

fn material(raw: Vec<Received>, events: Vec<Event>) -> Material {
    Material {
        key: KEY.to_owned(),
        partition: 3,
        raw,
        taken_up_to: Some(1_000),
        state: None,
        linked_to: None,
        letters: Vec::new(),
        hindsight: BTreeMap::new(),
        events,
        unreadable: 0,
        destinations: Vec::new(),
    }
}

fn story(material: Material) -> Story {
    let (reorder_window, link_timeout) = (Duration::from_secs(2), Duration::from_hours(1));
    Story::of(material, Times { reorder_window, link_timeout })
}

fn fates(material: Material) -> Vec<Fate> {
    story(material).webhooks.into_iter().map(|webhook| webhook.fate).collect()
}

/// What became of events 1, 2 … at a destination.
fn deliveries(events: i64, at: AtDestination) -> Vec<Delivery> {
    let events = (1..=events).map(|sequence| event(sequence, "evt"));
    let told = Material { destinations: vec![at], ..material(Vec::new(), events.collect()) };
    let chapters = story(told).chapters.into_iter();
    chapters.map(|mut chapter| chapter.deliveries.remove(0)).collect()
}

fn accepted(ids: &[(&str, i64)]) -> SubscriberState {
    let mut state = SubscriberState::default();
    let memory = Memory { window: Duration::from_hours(1), most: 100 };
    for (id, second) in ids {
        SeenIds::of(&mut state.seen, memory).remember(id, Role::Own, at(*second));
    }
    state
}

#[test]
fn a_webhook_became_the_events_that_name_it() {
    let mut events = vec![event(1, "a"), event(2, "a"), event(5, "b")];
    events[1].event.received_at = at(1);
    events[2].event.late = true;
    let told = fates(material(vec![webhook(1, "a"), webhook(5, "b")], events));
    let events = |sequences: &[i64], timing| Fate::Events { sequences: sequences.to_vec(), timing };
    assert_eq!(told, [events(&[1, 2], Timing::InTime), events(&[5], Timing::Late)]);
}

#[test]
fn what_was_accepted_before_is_a_repetition_also_within_a_second_and_beyond_what_was_read() {
    let mut soon = webhook(2, "a");
    soon.timestamp = at(1).plus_millis(300);
    let (old, mut silent) = (webhook(7, "old"), [webhook(8, "silent"), webhook(9, "silent")]);
    silent[1].timestamp = at(8).plus_millis(400);
    let raw = [webhook(1, "a"), soon, old].into_iter().chain(silent).collect();
    let mut told = material(raw, vec![event(1, "a")]);
    told.state = Some(accepted(&[("a", 1), ("old", -500), ("silent", 8)]));
    told.hindsight.insert(8, Nothing::Ignored("nothing_new".to_owned()));
    let told = fates(told);
    assert_eq!(told[1], Fate::Repeated(Some(at(1))));
    assert_eq!(told[2], Fate::Repeated(Some(at(-500))));
    assert_eq!(told[3], Fate::Ignored(Some("nothing_new".to_owned())));
    assert_eq!(told[4], Fate::Repeated(Some(at(8))));
}

#[test]
fn why_a_webhook_became_nothing_is_said_only_where_it_is_known() {
    let raw = (1..=4).map(|offset| webhook(offset, &format!("evt_{offset}"))).collect();
    let mut told = material(raw, Vec::new());
    told.state = Some(accepted(&[("evt_2", 2)]));
    told.hindsight.insert(1, Nothing::Ignored("test_event".to_owned()));
    told.hindsight.insert(3, Nothing::LeftToCopy);
    told.linked_to = Some("shop/cus_1".to_owned());
    let expected = [
        Fate::Ignored(Some("test_event".to_owned())),
        Fate::Ignored(None),
        Fate::WentOn(Some("shop/cus_1".to_owned())),
        Fate::Unknown,
    ];
    assert_eq!(fates(told), expected);
}

#[test]
fn what_waits_in_transform_or_was_not_taken_says_so() {
    let raw = vec![webhook(1, "held"), webhook(2, "kept"), webhook(900, "next")];
    let mut told = material(raw, Vec::new());
    let mut state = SubscriberState::default();
    let facts = Facts::bare("held", "invoice.paid", at(0));
    state.held.push(Held { facts, appended_at: at(1) });
    let (headers, value) = (Vec::new(), Vec::new());
    state.waiting.push(KeptRecord { offset: 2, appended_at: at(2), headers, value });
    (told.state, told.taken_up_to) = (Some(state), Some(900));
    let link = Fate::WaitsForLink { until: at(3_602) };
    assert_eq!(fates(told), [Fate::Held { until: at(3) }, link, Fate::NotTaken]);
}

#[test]
fn a_parked_webhook_is_known_by_its_position_and_may_be_redriven() {
    let mut again = webhook(5, "a");
    again.headers.push(schemas::headers::Header::text("tributary-redriven", "1"));
    let mut told = material(vec![webhook(1, "a"), again], vec![event(5, "a")]);
    told.letters.push(dealt(Disposal::Redriven, letter(7, "a", ("raw", 1))));
    let story = story(told);
    let Fate::Parked { reason, dealt, .. } = &story.webhooks[0].fate else { panic!("not parked") };
    assert_eq!((reason.as_str(), dealt.is_some()), ("refused", true));
    let again = &story.webhooks[1];
    assert_eq!(again.redriven, 1);
    assert!(matches!(&again.fate, Fate::Events { sequences, .. } if sequences == &[5]));
}

#[test]
fn a_copy_says_where_it_came_from_and_ticks_are_nobodys() {
    let origin = RekeyedHeaders { partition: 1, offset: 77, stage: Stage::Alias, moved: None };
    let mut copy = webhook(1, "a");
    copy.headers = origin.onto(&copy.headers);
    let mut tick = webhook(2, "");
    tick.headers = schemas::headers::tick();
    let mut receiver = webhook(77, "moved");
    receiver.partition = 1;
    let raw = vec![receiver, copy, tick];
    let mut told = Material { partition: 1, ..material(raw, vec![event(1, "a")]) };
    told.hindsight.insert(77, Nothing::LeftToCopy);
    let story = story(told);
    assert_eq!(story.webhooks[0].fate, Fate::WentOn(Some(KEY.to_owned())));
    let origins: Vec<_> = story.webhooks.iter().map(|webhook| webhook.copy_of).collect();
    assert_eq!(origins, [None, Some(Position { partition: 1, offset: 77 })]);
}

#[test]
fn what_is_not_marked_done_is_queued_and_nothing_overtakes() {
    let delivered = Delivery::Delivered { failures: 0, redriven: 0 };
    let queued = |behind| Delivery::Queued { behind };
    assert_eq!(deliveries(3, crm(2, 0)), [delivered.clone(), queued(None), queued(Some(2))]);
    // Done beyond the committed offset, as another subscriber's events would be.
    let mut apart = crm(0, 0);
    apart.standing.as_mut().unwrap().events = Marks::of(4, [1], &Marks::up_to(0));
    assert_eq!(deliveries(2, apart), [queued(None), delivered]);
    let never = AtDestination { standing: None, ..crm(0, 0) };
    assert_eq!(deliveries(1, never), [Delivery::NotBegun]);
}

#[test]
fn what_waits_in_the_retry_topic_says_until_when_and_its_followers_behind_whom() {
    let mut waits = crm(4, 2);
    waits.retries = vec![retried(0, "e2", 3), retried(2, "e2", 4), retried(3, "e3", 0)];
    let told = deliveries(4, waits);
    let Delivery::Waiting(wait) = &told[1] else { panic!("{told:?}") };
    assert_eq!((wait.attempts, wait.due), (4, Some(at(600))));
    assert_eq!(words::retry_number(wait, &crm(0, 0)), 2, "two failures were met on the spot");
    assert_eq!(told[2], Delivery::Following { behind: Some(2) });
    assert_eq!(told[3], Delivery::Queued { behind: Some(2) });
    let mut over = crm(2, 5);
    over.retries = vec![retried(0, "e1", 3), retried(2, "e1", 4)];
    assert_eq!(deliveries(1, over), [Delivery::Delivered { failures: 4, redriven: 0 }]);
}

#[test]
fn a_dead_letter_is_dead_until_somebody_decides_otherwise() {
    let parked = |letters| AtDestination { letters, ..crm(9, 9) };
    let first = || letter(4, "e1", ("events", 1));
    let told = deliveries(1, parked(vec![first()]));
    let Delivery::Dead(end) = &told[0] else { panic!("{told:?}") };
    assert_eq!((end.status, end.message.as_str()), (Some(400), "name is too long"));
    let told = deliveries(1, parked(vec![dealt(Disposal::Discarded, first())]));
    assert!(matches!(&told[0], Delivery::Discarded { .. }), "{told:?}");
    let told = deliveries(1, parked(vec![dealt(Disposal::Redriven, first())]));
    assert_eq!(told, [Delivery::Delivered { failures: 2, redriven: 1 }]);
    let mut waits = parked(vec![dealt(Disposal::Redriven, first())]);
    waits.retries = vec![Retried { redriven: 1, ..retried(9, "e1", 0) }];
    assert_eq!(deliveries(2, waits)[0], Delivery::Redriven);
    let again = Letter { redriven: 1, ..letter(8, "e1", ("retry", 9)) };
    let told = deliveries(1, parked(vec![dealt(Disposal::Redriven, first()), again]));
    assert!(matches!(&told[0], Delivery::Dead(end) if end.letter.offset == 8), "{told:?}");
}

#[test]
fn what_is_done_and_lies_nowhere_was_sent_unless_it_was_not_to_be() {
    let mut skips = crm(9, 0);
    let from = |moment: Timestamp, first| {
        let moment = jiff::Timestamp::from_millisecond(moment.millis()).unwrap();
        Beginning::At { cut: Cut::of(Start::At(moment)), first }
    };
    let happened = event(1, "a").event.occurred_at;
    skips.beginning = from(happened, 2);
    skips.skips = [("e1", Skip::Disabled), ("e2", Skip::NoIdentity)]
        .map(|(id, skip)| (id.to_owned(), skip))
        .into();
    let expected = [
        Delivery::BeforeStart,
        Delivery::Skipped(Skip::NoIdentity),
        Delivery::Delivered { failures: 0, redriven: 0 },
    ];
    assert_eq!(deliveries(3, skips), expected);
    let cut = AtDestination { beginning: from(happened.plus_millis(1), 1), ..crm(9, 0) };
    assert_eq!(deliveries(1, cut), [Delivery::BeforeStart]);
    let shadow = AtDestination { mode: Mode::Shadow, ..crm(9, 0) };
    assert_eq!(deliveries(1, shadow), [Delivery::Planned]);
    let kept = Event { offset: None, ..event(1, "a") };
    let told = Material { destinations: vec![crm(9, 0)], ..material(Vec::new(), vec![kept]) };
    assert_eq!(story(told).chapters[0].deliveries, [Delivery::NotKept]);
}

#[test]
fn whoever_was_merged_is_the_same_person_and_the_other_side_of_a_transfer_is_not() {
    let mut merged = event(1, "a");
    merged.event.event_type = EventType::CustomerMerged;
    merged.event.subscriber.aliases = vec!["cus_1".to_owned(), "cus_9".to_owned()];
    let mut moved = event(2, "b");
    moved.event.event_type = EventType::SubscriptionTransferred;
    moved.event.subscriber.aliases = vec!["cus_3".to_owned()];
    let mut told = material(Vec::new(), vec![merged, moved]);
    told.linked_to = Some("stripe-main/cus_2".to_owned());
    assert_eq!(story(told).same_person(), ["stripe-main/cus_1", "stripe-main/cus_2"]);
}

/// Something of everything.
fn answer() -> Answer {
    let mut desk = AtDestination { name: "helpdesk".to_owned(), ..crm(1, 0) };
    desk.service.breaker = Breaker::Open;
    desk.beginning = Beginning::Forgotten;
    let mut crm = crm(9, 0);
    crm.retries = vec![retried(0, "e2", 5)];
    crm.letters = vec![letter(4, "e1", ("events", 1))];
    let raw = [(1, "a"), (2, "b"), (3, "b\u{1b}"), (4, "c")];
    let raw = raw.map(|(offset, id)| webhook(offset, id)).to_vec();
    // The fourth webhook tells what came before the second.
    let events = [(1, 1, "a"), (2, 4, "c"), (3, 2, "b")].map(|(sequence, received, id)| {
        let mut told = event(sequence, id);
        told.event.received_at = at(received);
        told
    });
    let mut told = material(raw, events.to_vec());
    told.destinations = vec![crm, desk];
    told.letters = vec![letter(6, "b", ("raw", 3))];
    told.state = Some(accepted(&[("a", 1), ("b", 2)]));
    Answer { asked_at: at(100), since: at(-100), stories: vec![story(told)] }
}

#[test]
fn people_get_a_table_that_does_not_say_what_is_known_of_the_person() {
    let page = page::page(&answer()).join("\n");
    assert!(!page.contains("ada@example.com") && !page.contains("Lovelace"), "{page}");
    assert!(!page.contains('\u{1b}'));
    insta::assert_snapshot!("page", page);
}

#[test]
fn programs_get_all_of_it_and_bodies_when_asked() {
    let answer = answer();
    let without = object::object(&answer, Shown::LeftOut);
    assert_eq!(without["subscribers"][0]["webhooks"][0]["body"], Value::Null);
    let with = object::object(&answer, Shown::Shown);
    assert_eq!(with["subscribers"][0]["webhooks"][0]["body"], "{}");
    let told = &with["subscribers"][0]["events"][1];
    assert_eq!(told["event"]["subscriber"]["email"], "ada@example.com");
    assert_eq!(told["deliveries"][0]["fate"], "waiting");
    assert_eq!(told["deliveries"][0]["details"]["retry"], 3);
    assert_eq!(told["deliveries"][1]["fate"], "queued");
    assert_eq!(with["subscribers"][0]["destinations"][1]["breaker"], "open");
}

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

#[test]
fn how_far_to_look_back_is_a_time_or_for_how_long() {
    let since = |text: &str| {
        let line = Line::try_parse_from(["trace", "shop/cus_1", "--since", text]);
        line.map(|line| line.arguments.since.moment(at(100)))
    };
    assert_eq!(since("90s").unwrap(), at(10));
    assert_eq!(since("2026-05-28T20:26:41Z").unwrap(), at(1));
    assert!(since("yesterday").unwrap_err().to_string().contains("30d"));
    let line = Line::try_parse_from(["trace", "shop/cus_1"]).unwrap();
    assert_eq!(line.arguments.since, Since::Ago(Duration::from_hours(720)));
}
