//! What becomes of calls, from a batch to an outage.

use std::time::Duration;

use deliver::destinations::intercom::{self, Intercom};
use deliver::destinations::{Destination, Names, Verdict};
use deliver::http::Credentials;
use emulators::{Credentials as Accepts, Effect, Fault, Outage};
use schemas::Provider;

use crate::bench::{
    Bench, anywhere, audience, caller, customerio, event, intercom, people, secret,
};

#[tokio::test]
async fn customerio_takes_a_batch_and_sees_no_second_effect_when_it_comes_again() {
    let (emulator, mut bench) = customerio().await;
    for _ in 0..2 {
        let verdicts = bench.deliver(&people(250)).await;
        assert_eq!(verdicts.len(), 250);
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Delivered));
    }
    assert_eq!(emulator.violations(), []);
    assert_eq!(emulator.people().len(), 250);
    assert!(emulator.people().iter().all(|person| person.events.len() == 1));
    assert_eq!(emulator.requests().len(), 6, "three batches, twice");
}

#[tokio::test]
async fn intercom_takes_events_and_sees_no_second_effect_when_they_come_again() {
    let (emulator, mut bench) = intercom().await;
    for _ in 0..2 {
        let verdicts = bench.deliver(&people(20)).await;
        assert_eq!(verdicts, vec![Verdict::Delivered; 20]);
        bench.destination.forget();
    }
    assert_eq!(emulator.violations(), []);
    assert!(emulator.people().iter().all(|person| person.events.len() == 1));
    let person = emulator.person("u_3").unwrap();
    assert_eq!(person.updates, 1, "what the contact shows already is not written again");
}

#[tokio::test]
async fn intercom_gets_the_event_though_attributes_are_not_declared() {
    let settings = emulators::IntercomSettings::default();
    let emulator = emulators::Intercom::start(anywhere(), settings).await.unwrap();
    let end = intercom::OnCustomerDeleted::Keep;
    let workspace = Intercom::new(audience(), Names::default(), end);
    let credentials = Credentials::Bearer(secret("emulator-token"));
    let mut bench = Bench::new(workspace, caller(&emulator.base_url(), credentials));
    let verdicts = bench.deliver(&people(1)).await;
    assert!(matches!(verdicts[..], [Verdict::DeliveredWithoutAttributes(_)]), "{verdicts:?}");
    assert_eq!(emulator.events_of("u_0").len(), 1);
}

#[tokio::test]
async fn one_attribute_that_intercom_does_not_know_takes_no_other_away() {
    let settings = emulators::IntercomSettings::default();
    let emulator = emulators::Intercom::start(anywhere(), settings).await.unwrap();
    let end = intercom::OnCustomerDeleted::Keep;
    let workspace = Intercom::new(audience(), Names::default(), end);
    for (name, data_type) in workspace.declarations([("shop", Provider::Stripe)]) {
        assert!(name == "subscription_status" || emulator.declare_attribute(&name, data_type));
    }
    let credentials = Credentials::Bearer(secret("emulator-token"));
    let mut bench = Bench::new(workspace, caller(&emulator.base_url(), credentials));
    let verdicts = bench.deliver(&people(1)).await;
    assert!(matches!(verdicts[..], [Verdict::DeliveredWithoutAttributes(_)]), "{verdicts:?}");
    let person = emulator.person("u_0").unwrap();
    let custom = &person.attributes["custom_attributes"];
    assert!(custom["tributary_sequence_shop"].is_string(), "{custom}");
    assert!(custom.get("subscription_status").is_none());
    assert_eq!(person.events.len(), 1);
}

#[tokio::test]
async fn an_archived_contact_parks_its_event() {
    let (emulator, mut bench) = intercom().await;
    assert_eq!(bench.deliver(&people(1)).await, [Verdict::Delivered]);
    assert!(emulator.archive("u_0"));
    let verdicts = bench.deliver(&[event(0, 2)]).await;
    assert!(matches!(verdicts[..], [Verdict::Park(_)]), "{verdicts:?}");
}

#[tokio::test]
async fn an_outage_pauses_the_destination_and_a_probe_ends_the_pause() {
    let (emulator, mut bench) = customerio().await;
    emulator.set_outage(Outage::Unavailable);
    for attempt in 0..5 {
        assert!(bench.caller.gate.is_open_for_calls(), "{attempt}");
        let verdicts = bench.deliver(&people(1)).await;
        assert!(matches!(verdicts[..], [Verdict::Retry(_)]), "{verdicts:?}");
    }
    let made = emulator.requests().len();
    assert_eq!(bench.deliver(&people(1)).await, []);
    assert_eq!(emulator.requests().len(), made, "nothing is called while the breaker is open");
    emulator.set_outage(Outage::Off);
    bench.recover().await;
    assert_eq!(bench.deliver(&people(1)).await, [Verdict::Delivered]);
}

#[tokio::test]
async fn refused_credentials_pause_at_once_and_resume_by_themselves() {
    let (emulator, mut bench) = intercom().await;
    emulator.set_credentials(Accepts::Refused);
    let verdicts = bench.deliver(&people(1)).await;
    assert!(matches!(verdicts[..], [Verdict::Pause { .. }]), "{verdicts:?}");
    assert!(!bench.caller.gate.is_open_for_calls());
    emulator.set_credentials(Accepts::Accepted);
    bench.recover().await;
    assert_eq!(bench.deliver(&people(1)).await, [Verdict::Delivered]);
}

#[tokio::test]
async fn nothing_is_called_before_the_time_that_a_429_asks_for() {
    let (emulator, mut bench) = customerio().await;
    let throttled = Effect::Respond { status: 429, body: None, retry_after_seconds: Some(1) };
    emulator.inject(Fault::always(throttled).times(1));
    let verdicts = bench.deliver(&people(1)).await;
    assert!(matches!(verdicts[..], [Verdict::Pause { .. }]), "{verdicts:?}");
    let wait = bench.dispatch.begin().unwrap();
    assert!(wait > Duration::from_millis(800), "{wait:?}");
    bench.recover().await;
    assert_eq!(bench.deliver(&people(1)).await, [Verdict::Delivered]);
}

#[tokio::test]
async fn a_reply_that_never_comes_is_an_unknown_outcome_and_a_closed_port_a_pause() {
    let (emulator, mut bench) = customerio().await;
    emulator.inject(Fault::always(Effect::HangAfterApplying).times(1));
    let verdicts = bench.deliver(&people(1)).await;
    assert!(matches!(verdicts[..], [Verdict::Retry(_)]), "{verdicts:?}");
    assert_eq!(bench.deliver(&people(1)).await, [Verdict::Delivered]);
    assert_eq!(emulator.events_of("u_0").len(), 1, "the repetition has no second effect");
    emulator.close_port().await;
    let verdicts = bench.deliver(&people(1)).await;
    assert!(matches!(verdicts[..], [Verdict::Pause { .. }]), "{verdicts:?}");
}
