use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::choice::samples;
use super::*;
use crate::destinations::customerio::{CustomerIo, OnCustomerDeleted};
use crate::destinations::{Anonymous, Audience, Identity, Names};
use crate::transformation::{Counts, Handler, Handlers, Reach};
use schemas::Environment;
use script::{Limits, Script};
use service::Binary;
use service::clock::SystemClock;
use service::config::{Loader, Variables, Vocabulary};
use transform::sources::samples::SAMPLES;

fn config() -> Config {
    read(BUILT_IN)
}

fn all(config: &Config) -> BTreeSet<String> {
    config.sources.keys().cloned().collect()
}

fn read(text: &str) -> Config {
    let (events, attributes) = (configure::event_names(), configure::attribute_names());
    let vocabulary = Vocabulary { events: &events, attributes: &attributes };
    let (variables, clock) = (Variables::default(), Arc::new(SystemClock::new()));
    let loader = Loader { binary: Binary::Deliver, variables: &variables, vocabulary, clock };
    loader.read("built in", text).unwrap()
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
        sources: all(&config),
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
    try_out(trial, &told.fate, story.longest_payload(), &[destination(code)])
}

#[test]
fn every_provider_has_samples_and_each_gives_an_event() {
    let trials = samples(&config(), &all(&config()));
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
    let trials = samples(&config(), &BTreeSet::from(["dodo".to_owned()]));
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

fn trial(body: &[u8]) -> Trial {
    Trial { title: "one".to_owned(), source: "dodo".to_owned(), body: body.to_vec() }
}

const AS_IT_IS: &str = "function handler(webhook) { return webhook; }";

#[test]
fn a_webhook_that_would_be_parked_before_any_handler_fails_as_well() {
    let broken = report(AS_IT_IS, &trial(b"{\"type\": "));
    assert!(broken.failed && broken.text.contains("no event comes of it"), "{}", broken.text);
    let unknown = report(AS_IT_IS, &trial(br#"{"type": "something.else", "data": {}}"#));
    assert!(!unknown.failed && unknown.text.contains("ignored as"), "{}", unknown.text);
}

#[test]
fn a_webhook_that_its_events_cannot_carry_fails() {
    let samples = samples(&config(), &all(&config()));
    let mut large = samples.into_iter().find(|one| one.title.ends_with("sample payment")).unwrap();
    large.body.extend(std::iter::repeat_n(b' ', 200 << 10));
    let report = report(AS_IT_IS, &large);
    assert!(report.failed && report.text.contains("larger than an eighth"), "{}", report.text);
}

#[test]
fn each_event_of_a_webhook_is_tried() {
    let code = "function handler(webhook) {
      if (webhook.event.ordinal > 0) throw new Error('later');
      return webhook;
    }";
    let trials = samples(&config(), &BTreeSet::from(["stripe".to_owned()]));
    let mut story = Pipeline::new(&config(), "stripe").unwrap();
    let reports: Vec<_> = trials.iter().map(|trial| go_on(&mut story, code, trial)).collect();
    let failed = reports.iter().find(|report| report.failed).unwrap();
    assert!(failed.text.contains("(the same webhook)"), "{}", failed.text);
}

#[test]
fn a_handler_is_tried_for_the_sources_whose_it_is_however_its_file_is_named() {
    let folder = std::env::temp_dir().join(format!("test-transform-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("dodo.js");
    std::fs::write(&file, AS_IT_IS).unwrap();
    let of_dodo = format!("    transform_by_source: {{dodo: {}}}\n", file.display());
    let text =
        BUILT_IN.replace("    type: customerio\n", &format!("    type: customerio\n{of_dodo}"));
    assert_ne!(text, BUILT_IN);
    let config = read(&text);
    let script = Script::read("dodo.js", AS_IT_IS, Limits::default()).unwrap();
    let handler = Arc::new(Handler::here(script));
    let tried = |file: &Path| {
        let arguments = Arguments {
            file: file.to_owned(),
            payloads: Vec::new(),
            source: None,
            destination: None,
        };
        destinations(&arguments, &config, &handler).unwrap().remove(0).sources
    };
    assert_eq!(tried(&file), BTreeSet::from(["dodo".to_owned()]));
    assert_eq!(
        tried(&folder.join("../").join(folder.file_name().unwrap()).join("dodo.js")),
        tried(&file)
    );
    assert_eq!(tried(Path::new("another.js")), all(&config));
    std::fs::remove_dir_all(&folder).unwrap();
}
