//! What a configuration may contain, and what is said about one that contains something else.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use service::Binary;
use service::clock::SystemClock;
use service::config::{
    Account, Config, Environment, Identity, Loader, Mode, Naming, Problems, Provider, Start,
    Variables, Vocabulary,
};

const COMPLETE: &str = include_str!("fixtures/complete.yaml");

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    events: &["subscription_renewed", "trial_started"],
    attributes: &["subscription_status", "expires_at"],
};

fn read_as(binary: Binary, text: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    let variables: Variables = variables.iter().copied().collect();
    let clock = Arc::new(SystemClock::new());
    Loader { binary, variables: &variables, vocabulary: VOCABULARY, clock }.read("it.yaml", text)
}

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, Problems> {
    read_as(Binary::Deliver, text, variables)
}

const SET: &[(&str, &str)] =
    &[("SASL_PASSWORD", "planted-sasl"), ("STRIPE_SECRET", "planted-stripe"), ("SITE_ID", "site")];

#[test]
fn reads_one_of_everything() {
    let config = read(COMPLETE, SET).expect("the fixture is right");
    assert_eq!(config.kafka.topic_prefix, "acme.");
    let properties: Vec<_> = config.kafka.properties.iter().collect();
    assert_eq!(properties, [("sasl.password", "planted-sasl"), ("security.protocol", "SASL_SSL")]);
    assert_eq!(config.schema_registry.url, None);

    let stripe = &config.sources["stripe-eu"];
    assert_eq!(stripe.provider, Provider::Stripe);
    let secrets = stripe.secrets.current();
    let secrets: Vec<_> = secrets.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(secrets, ["planted-stripe", "planted-old-stripe"]);
    assert_eq!(stripe.tolerance, Duration::from_mins(10));
    assert_eq!(config.sources["dodo-test"].environment, Some(Environment::Sandbox));
    assert_eq!(config.sources["billing"].provider, Provider::Native);
    assert_eq!(config.ingest.max_body, 512 * 1024);
    assert_eq!(config.transform.reorder_window, Duration::ZERO);

    let customerio = &config.destinations["customerio"];
    assert!(matches!(&customerio.account, Account::Customerio(account)
        if account.site_id.first().is_some_and(|site| site.expose_secret() == "site")));
    assert_eq!(customerio.base_url.as_deref(), Some("http://localhost:9201"));
    assert_eq!(customerio.identify_by, [Identity::UserId, Identity::Email, Identity::ProviderId]);
    assert_eq!(customerio.events["subscription_renewed"].name.as_deref(), Some("renewed"));
    assert!(!customerio.events["trial_started"].enabled);
    assert_eq!(customerio.attributes["subscription_status"].name, None);
    assert!(matches!(customerio.start, Start::At(_)));
    assert_eq!(customerio.mode, Mode::Shadow);
    assert!(customerio.retry.in_place.is_empty());
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = read("kafka: { brokers: 'localhost:9092' }", &[]).expect("enough");
    assert_eq!((config.kafka.partitions, config.transform.workers), (12, 2));
    assert_eq!(config.ingest.ack_timeout, Duration::from_secs(8));
    let config = read(COMPLETE, SET).expect("the fixture is right");
    let intercom = &config.destinations["intercom"];
    assert_eq!(intercom.identify_by, [Identity::UserId, Identity::Email]);
    assert_eq!(intercom.environments, [Environment::Production]);
    assert_eq!((intercom.naming, intercom.mode), (Naming::Unified, Mode::Live));
    assert_eq!(intercom.start, Start::Earliest);
    assert_eq!(intercom.retry.horizon, Duration::from_hours(48));
    assert_eq!(intercom.retry.delays.len(), 5);
    assert_eq!(intercom.retry.in_place, [Duration::from_millis(200), Duration::from_secs(1)]);
}
