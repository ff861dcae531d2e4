//! Nothing has a second effect: not what took effect although nobody heard so, not what is sent again
//! after a crash, not a redrive, not a whole replay.

use deliver::destinations::customerio::OnCustomerDeleted::Suppress;
use deliver::destinations::intercom::OnCustomerDeleted::Archive;
use deliver::destinations::{Destination, Verdict};
use emulators::{Effect, Emulator, Event, Fault, Person, Standing};
use schemas::{EventType, LifecycleEvent};

use crate::bench::{Bench, customerio, customerio_that, event, intercom, intercom_that};

/// Effects after which nobody knows whether the request was taken.
const UNHEARD: [Effect; 2] = [Effect::HangAfterApplying, Effect::ResetAfterApplying];

fn names(person: &Person) -> Vec<(&str, u64)> {
    person.events.iter().map(|event| (event.name.as_str(), event.at)).collect()
}

/// A story of one person: what they show changes with each event.
fn story(person: u32) -> Vec<LifecycleEvent> {
    let told = (1..=3).map(|sequence| {
        let mut event = event(person, sequence);
        let plan = Some(format!("plan_{sequence}"));
        event.subscription = event.subscription.map(|mut one| {
            one.plan_id = plan;
            one
        });
        event
    });
    told.collect()
}

async fn tell<D: Destination>(bench: &mut Bench<D>, events: &[LifecycleEvent]) {
    for event in events {
        let verdicts = bench.deliver(std::slice::from_ref(event)).await;
        assert_eq!(verdicts, [Verdict::Delivered], "{}", event.sequence);
    }
}

/// The request is taken and not answered; then it is made again, by a process that knows nothing.
async fn unheard<D: Destination, V: emulators::Vendor>(
    emulator: &Emulator<V>,
    bench: &mut Bench<D>,
    fault: Fault,
) {
    unheard_of(&event(0, 1), emulator, bench, fault).await;
}

async fn unheard_of<D: Destination, V: emulators::Vendor>(
    event: &LifecycleEvent,
    emulator: &Emulator<V>,
    bench: &mut Bench<D>,
    fault: Fault,
) {
    emulator.inject(fault.times(1));
    let verdicts = bench.deliver(std::slice::from_ref(event)).await;
    assert!(matches!(verdicts[..], [Verdict::Retry(_)]), "{verdicts:?}");
    bench.destination.forget();
    assert_eq!(bench.deliver(std::slice::from_ref(event)).await, [Verdict::Delivered]);
    assert_eq!(emulator.violations(), []);
    assert_eq!(emulator.people().len(), 1);
    assert_eq!(emulator.events_of("u_0").len(), 1);
}

#[tokio::test]
async fn a_batch_that_took_effect_unheard_takes_none_again() {
    for effect in UNHEARD {
        let (emulator, mut bench) = customerio().await;
        unheard(&emulator, &mut bench, Fault::always(effect)).await;
        assert_eq!(emulator.person("u_0").unwrap().ignored_duplicates, 1);
    }
}

#[tokio::test]
async fn every_request_of_a_visit_may_take_effect_unheard() {
    for effect in UNHEARD {
        for (method, path) in [("GET", "/contacts"), ("POST", "/contacts"), ("POST", "/events")] {
            let (emulator, mut bench) = intercom().await;
            let fault = Fault::always(effect.clone()).method(method).path(path);
            unheard(&emulator, &mut bench, fault).await;
        }
        let (emulator, mut bench) = intercom().await;
        assert!(emulator.create_contact(&serde_json::json!({"external_id": "u_0"})));
        unheard(&emulator, &mut bench, Fault::always(effect).method("PUT")).await;
    }
}

#[tokio::test]
async fn what_follows_a_deletion_may_take_effect_unheard() {
    let deleted = LifecycleEvent { event_type: EventType::CustomerDeleted, ..event(0, 1) };
    for effect in UNHEARD {
        let (emulator, mut bench) = customerio_that(Suppress).await;
        unheard_of(&deleted, &emulator, &mut bench, Fault::always(effect.clone())).await;
        assert_eq!(emulator.person("u_0").unwrap().standing, Standing::Suppressed);
        for path in ["/events", "/contacts/"] {
            let (emulator, mut bench) = intercom_that(Archive).await;
            let fault = Fault::always(effect.clone()).method("POST").path(path);
            unheard_of(&deleted, &emulator, &mut bench, fault).await;
            assert_eq!(emulator.person("u_0").unwrap().standing, Standing::Archived);
        }
    }
}

#[tokio::test]
async fn a_colleague_who_was_faster_is_no_second_contact() {
    let (emulator, mut bench) = intercom().await;
    let absent = Effect::respond(404);
    emulator.inject(Fault::always(absent).method("GET").path("/contacts/find").times(1));
    assert!(emulator.create_contact(&serde_json::json!({"external_id": "u_0"})));
    tell(&mut bench, &story(0)).await;
    assert_eq!((emulator.people().len(), emulator.events_of("u_0").len()), (1, 3));
}

#[tokio::test]
async fn a_contact_that_goes_by_its_address_alone_is_given_our_id() {
    let (emulator, mut bench) = intercom().await;
    assert!(emulator.create_contact(&serde_json::json!({"email": "0@example.com"})));
    tell(&mut bench, &story(0)).await;
    let made = emulator.requests().len();
    bench.destination.forget();
    tell(&mut bench, &story(0)[..1]).await;
    assert_eq!(emulator.requests().len() - made, 2, "found by our id, and told the event");
    assert_eq!((emulator.people().len(), emulator.events_of("u_0").len()), (1, 3));
    assert_eq!(emulator.violations(), []);
}

/// Everything once more from the beginning, as after a replay: nothing that a person sees changes.
fn replayed(before: &[Person], after: &[Person]) {
    assert_eq!(before.len(), after.len());
    for (before, after) in before.iter().zip(after) {
        assert_eq!(names(before), names(after));
        assert!(before.attributes == after.attributes, "what is shown has changed");
    }
}

#[tokio::test]
async fn a_replay_changes_nothing_at_customerio() {
    let (emulator, mut bench) = customerio().await;
    let all: Vec<_> = (0..5).flat_map(story).collect();
    tell(&mut bench, &all).await;
    let before = emulator.people();
    tell(&mut bench, &all).await;
    replayed(&before, &emulator.people());
    assert_eq!(before[0].attributes["plan_id"], "plan_3");
    assert_eq!(emulator.violations(), []);
}

#[tokio::test]
async fn a_replay_changes_nothing_at_intercom() {
    let (emulator, mut bench) = intercom().await;
    let all: Vec<_> = (0..5).flat_map(story).collect();
    tell(&mut bench, &all).await;
    let before = emulator.people();
    for crash in [true, false] {
        if crash {
            bench.destination.forget();
        }
        tell(&mut bench, &all).await;
        replayed(&before, &emulator.people());
    }
    assert_eq!(before[0].attributes["custom_attributes"]["plan_id"], "plan_3");
    assert_eq!(emulator.violations(), []);
}

#[tokio::test]
async fn a_redrive_tells_the_event_and_takes_back_nothing() {
    let refused = Effect::respond(400);
    let of = |emulator_events: Vec<Event>| emulator_events.iter().map(|event| event.at).collect();

    let (emulator, mut bench) = customerio().await;
    emulator.inject(Fault::always(refused.clone()).times(1));
    let events = story(0);
    assert!(matches!(bench.deliver(&events[..1]).await[..], [Verdict::Park(_)]));
    tell(&mut bench, &events[1..]).await;
    for _ in 0..2 {
        tell(&mut bench, &events[..1]).await;
    }
    let told: Vec<u64> = of(emulator.events_of("u_0"));
    let at = |event: &LifecycleEvent| u64::try_from(event.occurred_at.seconds()).unwrap();
    assert_eq!(told, [at(&events[1]), at(&events[2]), at(&events[0])]);
    assert_eq!(emulator.person("u_0").unwrap().attributes["plan_id"], "plan_3");

    let (emulator, mut bench) = intercom().await;
    emulator.inject(Fault::always(refused).path("/events").times(1));
    assert!(matches!(bench.deliver(&events[..1]).await[..], [Verdict::Park(_)]));
    tell(&mut bench, &events[1..]).await;
    for _ in 0..2 {
        bench.destination.forget();
        tell(&mut bench, &events[..1]).await;
    }
    let told: Vec<u64> = of(emulator.events_of("u_0"));
    assert_eq!(told, [at(&events[1]), at(&events[2]), at(&events[0])]);
    let person = emulator.person("u_0").unwrap();
    assert_eq!(person.attributes["custom_attributes"]["plan_id"], "plan_3");
    assert_eq!(emulator.violations(), []);
}

#[tokio::test]
async fn two_events_of_one_name_in_one_second_stay_two() {
    let mut events = story(0);
    let moment = events[0].occurred_at;
    for event in &mut events {
        event.occurred_at = moment;
    }
    let (emulator, mut bench) = customerio().await;
    tell(&mut bench, &events).await;
    assert_eq!(emulator.events_of("u_0").len(), 3);
    assert_eq!(emulator.violations(), []);
    let (emulator, mut bench) = intercom().await;
    tell(&mut bench, &events).await;
    assert_eq!(emulator.events_of("u_0").len(), 3);
    assert_eq!(emulator.violations(), []);
}
