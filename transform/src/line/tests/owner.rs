//! Whose a record is: links, waiting, patience, copies and what is announced.

use schemas::headers::{RekeyedHeaders, Stage};
use schemas::state::SubscriberState;

use super::world::{LINK_TIMEOUT, bought, charged, disputed, handed_over, real_rules};
use super::*;
use crate::state::Link;

const HOUR: i64 = 3_600_000;

fn shop(key: &str, id: &str, event_type: &str, body: &serde_json::Value, at: i64) -> Entry {
    let headers = raw_headers(id, "shop", &format!("stripe.{event_type}"));
    Entry { appended_at: at, key: format!("shop/{key}"), body: body.to_string(), headers }
}

fn app(key: &str, id: &str, event_type: &str, body: &serde_json::Value, at: i64) -> Entry {
    let headers = raw_headers(id, "app", &format!("revenuecat.{event_type}"));
    Entry { appended_at: at, key: format!("app/{key}"), body: body.to_string(), headers }
}

fn dispute(id: &str, at: i64) -> Entry {
    shop("charge/ch_1", id, "charge.dispute.created", &disputed("ch_1"), at)
}

fn link(key: &str, subscriber: &str, at: i64) -> Link {
    let appended_at = Timestamp::from_millis(at);
    Link { key: key.as_bytes().to_vec(), subscriber: subscriber.to_owned(), appended_at }
}

fn linked(rules: &Rules, known: Link) -> Line<MemoryStore> {
    let mut line = fresh(rules);
    assert!(line.learn(vec![known], 1, rules).unwrap().is_empty());
    line
}

/// Key, stage and origin of each copy.
fn copies(taken: &Taken) -> Vec<(String, Stage, i64)> {
    let shown = taken.copies.iter().map(|copy| {
        let origin = RekeyedHeaders::from_headers(&copy.headers).unwrap().unwrap();
        assert_eq!(origin.partition, PARTITION);
        (copy.key.clone(), origin.stage, origin.offset)
    });
    shown.collect()
}

fn state(line: &Line<MemoryStore>, key: &str, rules: &Rules) -> Option<SubscriberState> {
    let changes = line.changes(rules).unwrap();
    let change = changes.into_iter().find(|change| change.key == key.as_bytes())?;
    change.value.map(|value| rules.states.decode(&value).unwrap())
}

#[test]
fn a_record_without_a_subscriber_goes_to_the_linked_one_at_once_and_leaves_nothing_behind() {
    let rules = real_rules(NO_TIME);
    let mut line = linked(&rules, link("shop/charge/ch_1", "shop/C", 0));
    let taken = take(&mut line, 7, &dispute("d1", 5), &rules);
    assert_eq!(copies(&taken), [("shop/C".to_owned(), Stage::Alias, 7)]);
    let copy = &taken.copies[0];
    assert_eq!(copy.value, disputed("ch_1").to_string().into_bytes());
    assert!(taken.events.is_empty() && line.changes(&rules).unwrap().is_empty());

    let entry = Entry {
        appended_at: 6,
        key: copy.key.clone(),
        body: String::from_utf8(copy.value.clone()).unwrap(),
        headers: copy.headers.clone(),
    };
    let (first, again) = (take(&mut line, 8, &entry, &rules), take(&mut line, 9, &entry, &rules));
    assert_eq!(first.events[0].event.event_type.name(), "dispute_opened");
    assert_eq!(first.events[0].event.subscriber.key, "shop/C");
    assert!(again.is_empty(), "the subscriber recognises the repetition");
}

#[test]
fn a_record_without_a_link_waits_with_its_bytes_until_one_comes() {
    let rules = real_rules(NO_TIME);
    let mut line = fresh(&rules);
    assert!(take(&mut line, 0, &dispute("d1", 5), &rules).is_empty());
    assert!(take(&mut line, 1, &dispute("d2", 6), &rules).is_empty());
    assert_eq!(line.waiting_for_links(), 2);
    let changes = line.changes(&rules).unwrap();
    assert!(changes[0].waits);
    commit(&mut line, 1, &rules);
    let taken = line.learn(vec![link("shop/charge/ch_1", "shop/C", 7)], 1, &rules).unwrap();
    let wanted = [("shop/C".to_owned(), Stage::Alias, 0), ("shop/C".to_owned(), Stage::Alias, 1)];
    assert_eq!(copies(&taken), wanted);
    let changes = line.changes(&rules).unwrap();
    assert_eq!((changes.len(), changes[0].value.is_none(), changes[0].waits), (1, true, false));
    assert_eq!(line.until_expiry(NO_TIME), None);
}

#[test]
fn what_waits_is_looked_up_again_after_a_restart() {
    let rules = real_rules(NO_TIME);
    let mut line = fresh(&rules);
    assert!(take(&mut line, 0, &dispute("d1", 5), &rules).is_empty());
    commit(&mut line, 1, &rules);
    let mut store = line.into_store();
    store.learn(vec![link("shop/charge/ch_1", "shop/C", 7)], 1).unwrap();
    let mut line = Line::restored(store, PARTITION, 1, NO_TIME, &rules).unwrap();
    assert_eq!(line.waiting_for_links(), 1);
    assert_eq!(copies(&line.look_up_again(&rules).unwrap()).len(), 1);
    assert!(line.look_up_again(&rules).unwrap().is_empty(), "once");
}

/// A moment less than a record may wait.
const ALMOST: Duration = Duration::from_millis(59_999);

#[test]
fn patience_counts_from_when_a_record_was_read_or_restored_and_then_it_is_parked_as_it_was() {
    let rules = real_rules(NO_TIME);
    let mut line = fresh(&rules);
    assert!(take(&mut line, 0, &dispute("d1", 5), &rules).is_empty());
    commit(&mut line, 1, &rules);
    assert_eq!(line.until_expiry(Duration::from_secs(20)), Some(Duration::from_secs(40)));
    let later = Duration::from_secs(1_000);
    let mut line = Line::restored(line.into_store(), PARTITION, 1, later, &rules).unwrap();
    assert_eq!(line.until_expiry(later), Some(LINK_TIMEOUT));
    assert!(line.expire(later + ALMOST, &rules).unwrap().is_empty());
    let taken = line.expire(later + LINK_TIMEOUT, &rules).unwrap();
    let [given_up] = taken.expired.as_slice() else { panic!("{taken:?}") };
    assert_eq!((given_up.offset, given_up.key.as_str()), (0, "shop/charge/ch_1"));
    assert_eq!(given_up.parking.reason, ParkReason::SubscriberUnknown);
    assert_eq!(given_up.value, disputed("ch_1").to_string().into_bytes());
    assert_eq!(given_up.headers, dispute("d1", 5).headers);
    assert_eq!(line.tally.parked[&ParkReason::SubscriberUnknown], 1);
    let again = take(&mut line, 1, &dispute("d1", 9), &rules);
    assert!(again.is_empty(), "parked is not accepted: redriven, it waits again");
    assert_eq!(line.waiting_for_links(), 1);
}

#[test]
fn a_link_that_came_unnoticed_still_counts_when_patience_ends() {
    let rules = real_rules(NO_TIME);
    let mut line = fresh(&rules);
    assert!(take(&mut line, 0, &dispute("d1", 5), &rules).is_empty());
    commit(&mut line, 1, &rules);
    let mut store = line.into_store();
    store.learn(vec![link("shop/charge/ch_1", "shop/C", 7)], 1).unwrap();
    let mut line = Line::restored(store, PARTITION, 1, NO_TIME, &rules).unwrap();
    let taken = line.expire(LINK_TIMEOUT, &rules).unwrap();
    assert_eq!((copies(&taken).len(), taken.expired.len()), (1, 0));
}

#[test]
fn a_link_older_than_its_life_is_not_believed() {
    let rules = real_rules(NO_TIME);
    let believed = i64::try_from(rules.link_life.as_millis()).unwrap();
    for (at, found) in [(believed, 1), (believed + 1, 0)] {
        let mut line = linked(&rules, link("shop/charge/ch_1", "shop/C", 0));
        assert_eq!(take(&mut line, 0, &dispute("d1", at), &rules).copies.len(), found);
    }
}

#[test]
fn too_many_that_wait_are_parked_and_what_names_nothing_never_waits() {
    let rules = real_rules(NO_TIME);
    let mut line = fresh(&rules);
    for number in 0..64 {
        let entry = dispute(&format!("d{number}"), 5);
        assert!(take(&mut line, number, &entry, &rules).is_empty());
    }
    let reason = |taken: Taken| taken.parked.unwrap().reason;
    assert_eq!(reason(take(&mut line, 64, &dispute("d", 5), &rules)), ParkReason::TooManyWaiting);
    assert_eq!(line.waiting_for_links(), 64);
    let nothing = shop("unknown", "d", "charge.dispute.created", &disputed("ch_1"), 5);
    assert_eq!(reason(take(&mut line, 65, &nothing, &rules)), ParkReason::SubscriberUnknown);

    let mut large = disputed("ch_1");
    large["padding"] = "x".repeat(150_000).into();
    let entry = |id| shop("charge/ch_1", id, "charge.dispute.created", &large, 5);
    let mut line = fresh(&rules);
    assert!(take(&mut line, 0, &entry("a"), &rules).is_empty());
    assert_eq!(reason(take(&mut line, 1, &entry("b"), &rules)), ParkReason::TooManyWaiting);
}

#[test]
fn a_copy_that_finds_no_subscriber_where_it_was_sent_is_parked() {
    let rules = real_rules(NO_TIME);
    let mut line = linked(&rules, link("shop/charge/ch_1", "shop/charge/ch_2", 0));
    let taken = take(&mut line, 0, &dispute("d1", 5), &rules);
    let mut entry = dispute("d1", 6);
    entry.headers.clone_from(&taken.copies[0].headers);
    let parking = take(&mut line, 1, &entry, &rules).parked.unwrap();
    assert_eq!(parking.reason, ParkReason::RekeyLoop);
}

#[test]
fn every_charge_of_a_known_customer_is_announced_also_when_it_is_a_repetition() {
    let rules = real_rules(NO_TIME);
    let mut line = fresh(&rules);
    let entry = shop("C", "c1", "charge.succeeded", &charged("ch_1"), 5);
    for offset in 0..2 {
        let taken = take(&mut line, offset, &entry, &rules);
        let links = taken.links.iter().map(|link| (link.key.as_str(), link.subscriber.as_str()));
        assert_eq!(links.collect::<Vec<_>>(), [("shop/charge/ch_1", "shop/C")]);
    }
    assert_eq!((line.tally.links, line.tally.duplicates), (2, 1));
}

#[test]
fn an_alias_is_announced_when_it_is_new_and_again_after_ninety_days() {
    let rules = real_rules(NO_TIME);
    let mut line = fresh(&rules);
    let mut announced = |offset: usize, at: i64, aliases: &[&str]| {
        let body = bought("s1", at / 1000, aliases);
        let entry = app("A", &offset.to_string(), "RENEWAL", &body, at);
        let links = take(&mut line, offset, &entry, &rules).links;
        links.into_iter().map(|link| link.key).collect::<Vec<_>>()
    };
    assert_eq!(announced(0, HOUR, &["a1", "A"]), ["app/a1"], "the key itself is no alias");
    assert!(announced(1, 2 * HOUR, &["a1"]).is_empty());
    assert_eq!(announced(2, 3 * HOUR, &["a1", "a2"]), ["app/a2"]);
    assert!(announced(3, 90 * 24 * HOUR, &["a1", "a2"]).is_empty());
    assert_eq!(announced(4, (90 * 24 + 1) * HOUR, &["a1", "a2"]), ["app/a1", "app/a2"]);
}

#[test]
fn a_replay_writes_no_copy_and_no_link_and_nothing_waits() {
    let rules = real_rules(NO_TIME).for_replay();
    let mut line = linked(&rules, link("shop/charge/ch_1", "shop/C", 0));
    let transfer = app("a", "X", "TRANSFER", &handed_over("a", "b", 3), 5);
    let charge = shop("C", "c1", "charge.succeeded", &charged("ch_1"), 5);
    for (offset, entry) in [dispute("d1", 5), transfer, charge].iter().enumerate() {
        assert!(take(&mut line, offset, entry, &rules).is_empty());
    }
    assert_eq!((line.waiting_for_links(), line.tally.left_to_copies), (0, 2));
}

#[test]
fn a_transfer_of_an_unknown_sender_waits_and_goes_on_when_the_sender_becomes_known() {
    let rules = real_rules(NO_TIME);
    let mut line = fresh(&rules);
    let transfer = app("a", "X", "TRANSFER", &handed_over("a", "b", 3), 4_000);
    assert!(take(&mut line, 0, &transfer, &rules).is_empty());
    let purchase = app("a", "e", "RENEWAL", &bought("s1", 1, &[]), 5_000);
    let taken = take(&mut line, 1, &purchase, &rules);
    assert_eq!(copies(&taken), [("app/a".to_owned(), Stage::Sender, 0)]);
    assert!(!taken.events.is_empty());
    assert!(state(&line, "app/a", &rules).unwrap().waiting.is_empty());
}

#[test]
fn a_transfer_whose_sender_stays_unknown_goes_on_and_is_remembered() {
    let rules = real_rules(NO_TIME);
    let mut line = fresh(&rules);
    let mut transfer = app("a", "X", "TRANSFER", &handed_over("a", "b", 3), 4_000);
    assert!(take(&mut line, 0, &transfer, &rules).is_empty());
    let taken = line.expire(LINK_TIMEOUT, &rules).unwrap();
    assert_eq!(copies(&taken), [("app/a".to_owned(), Stage::Sender, 0)]);
    assert_eq!(line.tally.senders_unknown, 1);
    transfer.headers.clone_from(&taken.copies[0].headers);
    let taken = take(&mut line, 1, &transfer, &rules);
    assert_eq!(taken.events[0].event.event_type.name(), "subscription_transferred");
    assert_eq!(copies(&taken), [("app/b".to_owned(), Stage::Receiver, 1)]);
    assert_eq!(state(&line, "app/a", &rules).unwrap().left[0].to, "app/b");
}
