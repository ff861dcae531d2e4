//! What a configuration may contain, and what is said about one that contains something else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use secrecy::ExposeSecret;
use service::Binary;
use service::clock::SystemClock;
use service::config::{
    Account, Config, Environment, Identity, Loader, Mode, Naming, Origin, Problems, Provider,
    Start, Variables, Vocabulary, reference,
};

const COMPLETE: &str = include_str!("fixtures/complete.yaml");
const MISTAKEN: &str = include_str!("fixtures/mistaken.yaml");
const COMPLAINTS: &str = include_str!("fixtures/mistaken.txt");

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

fn complaints(text: &str, variables: &[(&str, &str)]) -> String {
    match read(text, variables) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

fn registry(config: &Config) -> Option<&str> {
    config.schema_registry.url.as_ref().map(ExposeSecret::expose_secret)
}

/// Either a configuration, or at least one problem, each with a line that exists or a variable.
fn is_explained(text: &str, read: &Result<Config, Problems>) -> bool {
    let lines = text.lines().count() + 1;
    match read {
        Ok(_) => true,
        Err(problems) => {
            !problems.is_empty()
                && problems.iter().all(|problem| match &problem.place.origin {
                    Origin::Line(file, line) => &**file == "it.yaml" && (1..=lines).contains(line),
                    Origin::Variable(name) => name.starts_with("TRIBUTARY__"),
                    Origin::File(_) => false,
                })
        }
    }
}

const SET: &[(&str, &str)] =
    &[("SASL_PASSWORD", "planted-sasl"), ("STRIPE_SECRET", "planted-stripe"), ("SITE_ID", "site")];

#[test]
fn reads_one_of_everything() {
    let config = read(COMPLETE, SET).expect("the fixture is right");
    assert_eq!(config.kafka.topic_prefix, "acme.");
    let properties: Vec<_> = config.kafka.properties.iter().collect();
    assert_eq!(properties, [("sasl.password", "planted-sasl"), ("security.protocol", "SASL_SSL")]);
    assert_eq!(registry(&config), Some("https://reader:planted-registry@registry:8081"));

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
    assert_eq!(registry(&config), None);
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

#[test]
fn says_everything_that_is_wrong_at_once_with_its_line() {
    let overrides = [
        ("TRIBUTARY__TRANSFORM__WORKERS", "2"),
        ("TRIBUTARY__KAFKA__BROKRS", "elsewhere:9092"),
        ("TRIBUTARY__DELIVER__DRAIN", "planted-h"),
        ("TRIBUTARY__KAFKA____BROKERS", "elsewhere:9092"),
        ("TRIBUTARY_UNRELATED", "one underscore is not ours"),
    ];
    let said = complaints(MISTAKEN, &overrides);
    assert_eq!(said, COMPLAINTS.trim_end(), "\n\nsaid:\n{said}\n");
    assert!(!said.contains("planted"), "a complaint quotes a secret:\n{said}");
}

#[test]
fn the_names_of_providers_are_left_to_whoever_knows_them() {
    let text = |naming: &str| {
        format!(
            "kafka: {{ brokers: a }}\ndestinations: {{ desk: {{ type: intercom, region: us, \
             access_token: word, naming: {naming}, events: {{ rc_renewal_event: {{ name: Renewed }} \
             }} }} }}\n"
        )
    };
    let config = read(&text("provider"), &[]).expect("not judged here");
    let renewal = &config.destinations["desk"].events["rc_renewal_event"];
    assert_eq!(renewal.name.as_deref(), Some("Renewed"));
    assert!(complaints(&text("unified"), &[]).contains("unknown event"));
}

#[test]
fn what_yaml_itself_forbids_is_told_with_its_line() {
    let said = |text: &str| complaints(text, &[]);
    assert!(said("kafka:\n  brokers: [a\n").starts_with("it.yaml:"), "an open bracket");
    assert!(said("kafka: &all { brokers: a }\ndeliver: *all").contains(":1: anchors"));
    assert!(said("kafka: { brokers: a }\n---\nkafka: { brokers: b }").contains(":2: a second"));
    assert!(said("? [a]\n: b").contains(":1: a key must be plain text"));
    assert!(said("[kafka]").contains(":1: expected a section of keys, found a list"));
    assert!(
        said(&format!("{}{}", "[".repeat(40), "]".repeat(40))).contains("nested more than 32 deep")
    );
    assert_eq!(said(""), "it.yaml:1: kafka: `brokers` is required");
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem_like_any_other() {
    let variables = Variables::default();
    let clock = Arc::new(SystemClock::new());
    let vocabulary = Vocabulary::default();
    let loader = Loader { binary: Binary::Ingest, variables: &variables, vocabulary, clock };
    let problems = loader.load(Path::new("no/such.yaml")).expect_err("absent");
    assert!(problems.to_string().starts_with("no/such.yaml: cannot be read: "), "{problems}");
}

#[test]
fn the_environment_overrides_single_options() {
    let overrides = [
        ("TRIBUTARY__KAFKA__BROKERS", "elsewhere:9092"),
        ("TRIBUTARY__KAFKA__PROPERTIES__SASL_PASSWORD", "other"),
        ("TRIBUTARY__KAFKA__PROPERTIES__SSL_CA_LOCATION", "/etc/ca.pem"),
        ("TRIBUTARY__SOURCES__STRIPE_EU__SECRETS", "[one, two]"),
        ("TRIBUTARY__SOURCES__NEW_ONE__PROVIDER", "dodo"),
        ("TRIBUTARY__SOURCES__NEW_ONE__SECRETS", "bare"),
        ("TRIBUTARY__SCHEMA_REGISTRY__URL", "http://registry:8081"),
        ("TRIBUTARY__DESTINATIONS__INTERCOM__RETRY__HORIZON", "1h"),
        ("TRIBUTARY__DESTINATIONS__INTERCOM__RETRY__DELAYS", "[1s]"),
    ];
    let config = read(COMPLETE, &[SET, &overrides].concat()).expect("all are known");
    assert_eq!(config.kafka.brokers, "elsewhere:9092");
    let properties: Vec<_> = config.kafka.properties.iter().collect();
    assert_eq!(
        properties,
        [
            ("sasl.password", "other"),
            ("security.protocol", "SASL_SSL"),
            ("ssl.ca.location", "/etc/ca.pem")
        ]
    );
    assert_eq!(config.sources["stripe-eu"].secrets.current().len(), 2);
    assert_eq!(config.sources["new-one"].secrets.current().len(), 1);
    assert_eq!(registry(&config), Some("http://registry:8081"));
    assert_eq!(config.destinations["intercom"].retry.horizon, Duration::from_hours(1));
    assert_eq!(config.destinations["intercom"].retry.delays, [Duration::from_secs(1)]);
}

#[test]
fn no_secret_is_shown_by_debug() {
    let config = read(COMPLETE, SET).expect("the fixture is right");
    let shown = format!("{config:#?}");
    assert!(shown.contains("stripe-eu") && shown.contains("sasl.password"), "{shown}");
    assert!(!shown.contains("planted"), "{shown}");
}

#[test]
fn only_the_binary_that_uses_a_secret_needs_its_file() {
    let text = "kafka: { brokers: a }\n\
                sources: { dodo: { provider: dodo, secrets_file: ./no/such/file } }\n";
    assert!(read_as(Binary::Deliver, text, &[]).is_ok());
    assert!(read_as(Binary::Transform, text, &[]).is_ok());
    let problems = read_as(Binary::Ingest, text, &[]).expect_err("it needs the file");
    let said = problems.to_string();
    assert!(said.starts_with("it.yaml:2: sources.dodo.secrets_file: cannot read"), "{said}");
}

#[test]
fn a_single_credential_in_a_file_is_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let file: PathBuf = folder.path().join("token");
    let text = format!(
        "kafka: {{ brokers: a }}\ndestinations: {{ intercom: {{ type: intercom, region: us, \
         access_token_file: '{}' }} }}\n",
        file.display()
    );
    std::fs::write(&file, "one\ntwo\n").expect("written");
    assert!(complaints(&text, &[]).contains("must hold one line, found 2"));
    std::fs::write(&file, "one\n").expect("written");
    let config = read(&text, &[]).expect("one line");
    let Account::Intercom(intercom) = &config.destinations["intercom"].account else {
        panic!("it is an Intercom destination");
    };
    assert!(intercom.access_token.first().is_some_and(|token| token.expose_secret() == "one"));
}

#[test]
fn a_receiver_of_webhooks_needs_an_address_and_something_to_sign_with() {
    let text = |more: &str| {
        format!("kafka: {{ brokers: a }}\ndestinations: {{ own: {{ type: webhook{more} }} }}\n")
    };
    let config = read(&text(", url: 'https://a.example/in/?b=1', secrets: [one, two]"), &[]);
    let config = config.expect("it is right");
    let Account::Webhook(webhook) = &config.destinations["own"].account else {
        panic!("it is a receiver of webhooks");
    };
    assert_eq!(webhook.url, "https://a.example/in/?b=1", "called as it is written");
    assert_eq!(webhook.secrets.current().len(), 2);
    let printed = format!("{:?}", config.destinations["own"]);
    assert!(printed.contains("https://a.example/in/") && !printed.contains("b=1"), "{printed}");
    let mistaken = complaints(&text(", url: 'a.example/in?token=planted', secrets: [one]"), &[]);
    assert!(!mistaken.contains("planted"), "{mistaken}");
    let said = complaints(&text(""), &[]);
    assert!(
        said.contains("`url` is required")
            && said.contains("`secrets` or `secrets_file` is required"),
        "{said}"
    );
    assert!(complaints(&text(", url: a.example, secrets: [one]"), &[]).contains("a URL such as"));
}

#[test]
fn the_local_default_is_right() {
    let text = include_str!("../../tributary.yaml");
    let names = [
        "STRIPE_WEBHOOK_SECRET",
        "DODO_WEBHOOK_SECRET",
        "REVENUECAT_AUTHORIZATION",
        "PURCHASELY_SECRET",
        "CUSTOMERIO_SITE_ID",
        "CUSTOMERIO_API_KEY",
        "INTERCOM_ACCESS_TOKEN",
    ];
    let variables: Vec<_> = names.iter().map(|name| (*name, "set")).collect();
    let config = read(text, &variables).expect("right as it stands");
    assert_eq!((config.sources.len(), config.destinations.len()), (5, 2));
    let said = complaints(text, &[]);
    assert!(names.iter().all(|name| said.contains(name)), "{said}");
}

#[test]
fn the_reference_page_is_up_to_date() {
    let committed = include_str!("../../docs/configuration.md");
    assert!(
        committed == reference(),
        "write service::config::reference() to docs/configuration.md"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_explained(text in "\\PC{0,200}") {
        prop_assert!(is_explained(&text, &read(&text, &[])));
    }

    #[test]
    fn text_that_looks_like_yaml_is_read_or_explained(text in "[a-z0-9:{}\\[\\],&*!|>?'\"%#$~ \n\t-]{0,200}") {
        prop_assert!(is_explained(&text, &read(&text, &[])));
    }

    #[test]
    fn a_damaged_configuration_is_read_or_explained(
        at in 0..COMPLETE.len(),
        length in 0_usize..40,
        insert in "[a-z:{}\\[\\]$\n -]{0,20}",
    ) {
        let mut damaged = COMPLETE.to_owned();
        let end = (at + length).min(damaged.len());
        damaged.replace_range(at..end, &insert);
        prop_assert!(is_explained(&damaged, &read(&damaged, SET)));
    }

    #[test]
    fn any_override_is_read_or_explained(
        keys in proptest::collection::vec("[A-Z_]{0,10}", 1..5),
        value in "\\PC{0,40}",
    ) {
        let name = format!("TRIBUTARY__{}", keys.join("__"));
        let result = read(COMPLETE, &[SET, &[(&name, &value)]].concat());
        prop_assert!(is_explained(COMPLETE, &result));
    }
}
