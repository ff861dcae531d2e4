use std::collections::BTreeMap;

use super::*;
use crate::destinations::customerio::{CustomerIo, OnCustomerDeleted};
use crate::destinations::{Anonymous, Audience, Identity, Names};
use crate::transformation::Reach;
use schemas::Environment;
use script::{Limits, Script};
use service::Binary;
use service::clock::SystemClock;
use service::config::{Loader, Variables, Vocabulary};

fn config() -> Config {
    let (events, attributes) = (configure::event_names(), configure::attribute_names());
    let vocabulary = Vocabulary { events: &events, attributes: &attributes };
    let (variables, clock) = (Variables::default(), Arc::new(SystemClock::new()));
    let loader = Loader { binary: Binary::Deliver, variables: &variables, vocabulary, clock };
    loader.read("built in", BUILT_IN).unwrap()
}

/// In this process: that of a test is no `deliver`.
fn destination(code: &str) -> Destination {
    let script = Script::read("a.js", code, Limits::default()).unwrap();
    let audience = Audience {
        identify_by: vec![Identity::UserId],
        anonymous: Anonymous::Send,
        environments: vec![Environment::Production, Environment::Sandbox],
    };
    let names = Names::default();
    let inner = CustomerIo { audience, names, on_customer_deleted: OnCustomerDeleted::Keep };
    let handlers = Handlers { all: Some(Handler::here(script).into()), ..Handlers::default() };
    let config = config();
    let configured = &config.destinations["customerio"];
    let reach: Reach = configure::reach(configured);
    Destination {
        name: "customerio".to_owned(),
        told: Box::new(Transformed::new(inner, handlers, reach, Counts::default())),
        http: configure::http(configured).unwrap(),
    }
}

fn report(code: &str, trial: &Trial) -> Report {
    go_on(&mut Pipeline::new(&config(), &trial.source).unwrap(), code, trial)
}

fn go_on(story: &mut Pipeline, code: &str, trial: &Trial) -> Report {
    let given = Given {
        body: trial.body.clone(),
        id: None,
        subscriber: None,
        at: jiff::Timestamp::from_second(1_785_000_000).unwrap(),
    };
    let told = story.take(given).unwrap();
    try_out(trial, &told.fate, &[destination(code)])
}

#[test]
fn every_provider_has_samples_and_each_gives_an_event() {
    let trials = samples(&config(), None);
    assert_eq!(trials.len(), SAMPLES.len());
    let mut stories: BTreeMap<&str, Pipeline> = BTreeMap::new();
    for trial in &trials {
        let begun = || Pipeline::new(&config(), &trial.source).unwrap();
        let story = stories.entry(&trial.source).or_insert_with(begun);
        let report = go_on(story, "function handler(webhook) { return webhook; }", trial);
        assert!(!report.failed && report.text.contains("as_mapped"), "{}", report.text);
    }
}

#[test]
fn a_sample_is_shown_before_and_after_with_what_was_put_right() {
    let trials = samples(&config(), Some("dodo"));
    let code = "function handler(webhook) {
      const paid = webhook.payload.data;
      if (webhook.eventType === 'refund.succeeded') throw new Error('no');
      console.log('paid', paid.total_amount);
      if (webhook.eventType === 'payment.succeeded') {
        webhook.payload = { type: 'person', identifiers: { id: paid.customer.customer_id },
          action: 'paid', attributes: { amount: (paid.total_amount / 100).toFixed(2) } };
      }
      return webhook;
    }";
    let of = |name: &str| trials.iter().find(|trial| trial.title.ends_with(name)).unwrap();
    let paid = report(code, of("sample payment"));
    assert!(!paid.failed, "{}", paid.text);
    assert_eq!(paid.warnings, 3, "the action, yen and dinars: {}", paid.text);
    for part in [
        "payment.succeeded",
        "customerio: corrected",
        "\"amount\": \"10.71\"",
        "console: paid 1071",
        "in JPY",
    ] {
        assert!(paid.text.contains(part), "{part}: {}", paid.text);
    }
    let refunded = report(code, of("sample refund"));
    assert!(refunded.failed && refunded.text.contains("a.js:3:"), "{}", refunded.text);
}
