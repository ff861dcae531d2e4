//! What is not allowed is not done, and whoever runs the pipeline is told which right is missing, on what.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use end_to_end::authority::Authority;
use end_to_end::broker::{Kind, Operation, Right};
use end_to_end::processes::{Binary, Setting};

use crate::secured::installation::{Installation, PATIENCE, ground};

const POLL: Duration = Duration::from_millis(100);
/// The variables by which the way to Kafka is changed for one run.
const PASSWORD: &str = "TRIBUTARY__KAFKA__PROPERTIES__SASL_PASSWORD";
const AUTHORITY: &str = "TRIBUTARY__KAFKA__PROPERTIES__SSL_CA_LOCATION";
const BROKERS: &str = "TRIBUTARY__KAFKA__BROKERS";

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_missing_is_said_by_name_and_nothing_is_done_without_it() {
    let own = Installation::new("denied").await;
    tokio::task::block_in_place(|| {
        who_is_not_known_is_told_why(&own);
        topics_are_made_by_who_may(&own);
        what_speaks_https_is_trusted_as_the_system_says(&own);
        what_may_not_be_seen_is_not_called_missing(&own);
        who_may_not_write_takes_no_webhook(&own);
        what_may_not_be_read_is_named(&own);
    });
}

fn who_is_not_known_is_told_why(own: &Installation) {
    let stranger = Authority::new(&own.folder.join("stranger")).unwrap();
    let by_address = ground().broker.guarded().unwrap().replace("localhost", "127.0.0.1");
    let other = stranger.certificate().display().to_string();
    for (variable, value, said) in [
        (PASSWORD, "no-pass-phrase", "invalid credentials"),
        (AUTHORITY, other.as_str(), "certificate verify failed"),
        (BROKERS, by_address.as_str(), "certificate verify failed"),
    ] {
        for binary in Binary::ALL {
            let mut setting = own.setting(binary.name(), "strangers");
            setting.environment.retain(|(name, _)| name != variable);
            setting.environment.push((variable.to_owned(), value.to_owned()));
            let checked = check(binary, &setting);
            let told = text(&checked);
            assert!(!checked.status.success(), "{told}");
            assert!(
                told.contains("cannot reach the Kafka cluster") && told.contains(said),
                "{told}"
            );
            assert!(!told.contains("pass-phrase"), "a password is shown");
        }
    }
}

fn topics_are_made_by_who_may(own: &Installation) {
    // The right to create is all that is missing.
    let (creates, rest): (Vec<_>, Vec<_>) =
        own.rights.iter().cloned().partition(|right| right.operation == Operation::Create);
    ground().broker.allow(&rest).unwrap();
    let setting = own.setting("setup", "setup");
    let refused = setting.told(Binary::Transform, "setup", &[]).unwrap_err().to_string();
    assert!(refused.contains("cannot create the topic denied."), "{refused}");
    assert!(refused.contains("needs Create"), "{refused}");
    ground().broker.allow(&creates).unwrap();
    own.set_up();
}

/// Any server with that certificate will do: who gets past it finds out that this is no registry.
fn what_speaks_https_is_trusted_as_the_system_says(own: &Installation) {
    let server = ground().broker.guarded().unwrap();
    let by_address = server.replace("localhost", "127.0.0.1");
    let authority = ground().authority.certificate().display().to_string();
    for (server, trusted, said) in [
        (server, None, "invalid peer certificate"),
        (by_address.as_str(), Some(&authority), "invalid peer certificate"),
        (server, Some(&authority), "the connection broke"),
    ] {
        let mut setting = own.setting("transform", "registry");
        let url = format!("https://somebody:pass-phrase@{server}");
        setting.environment.push(("TRIBUTARY__SCHEMA_REGISTRY__URL".to_owned(), url));
        let trusted = trusted.map(|file| ("SSL_CERT_FILE".to_owned(), file.clone()));
        setting.environment.extend(trusted);
        let checked = check(Binary::Transform, &setting);
        let told = text(&checked);
        assert!(!checked.status.success() && told.contains(said), "{told}");
        assert!(!told.contains("pass-phrase"), "a password is shown");
    }
}

fn what_may_not_be_seen_is_not_called_missing(own: &Installation) {
    let raw = "denied.subscriptions.raw";
    // Who may write may also look.
    without(
        &rights(own, "ingest", Kind::Topic, raw, &[Operation::Write, Operation::Describe]),
        || {
            let checked = check(Binary::Ingest, &own.setting("ingest", "unseen"));
            let told = text(&checked);
            assert_eq!(checked.status.code(), Some(78), "{told}");
            let expected = format!("{raw}: may not be looked at: the Kafka user needs Describe");
            assert!(told.contains(&expected), "{told}");
        },
    );
    without(&rights(own, "transform", Kind::Topic, raw, &[Operation::DescribeConfigs]), || {
        let checked = check(Binary::Transform, &own.setting("transform", "unseen"));
        let told = text(&checked);
        assert!(checked.status.success(), "{told}");
        assert!(
            told.contains(&format!("warning: {raw}: its configuration may not be read")),
            "{told}"
        );
    });
}

fn who_may_not_write_takes_no_webhook(own: &Installation) {
    let raw = "denied.subscriptions.raw";
    without(&rights(own, "ingest", Kind::Topic, raw, &[Operation::Write]), || {
        let mut ingest = own.start(Binary::Ingest, "no-write");
        let deadline = Instant::now() + PATIENCE;
        let ended = loop {
            if let Some(ended) = ingest.ended().unwrap() {
                break ended;
            }
            assert!(Instant::now() < deadline, "ingest goes on without the right to write");
            std::thread::sleep(POLL);
        };
        assert_eq!(ended.code(), Some(78));
        let expected = format!("the Kafka user may not write to {raw}: it needs Write on it");
        assert!(log(own, Binary::Ingest, "no-write").contains(&expected));
    });
}

fn what_may_not_be_read_is_named(own: &Installation) {
    let (group, raw) = ("denied.transform", "denied.subscriptions.raw");
    let events = "denied.subscriptions.events";
    for (binary, kind, on, operation, said) in [
        (
            Binary::Transform,
            Kind::Group,
            group,
            Operation::Read,
            "needs Read on the group denied.transform",
        ),
        (
            Binary::Transform,
            Kind::TransactionalId,
            group,
            Operation::Write,
            "Transactional Id authorization failed",
        ),
        (
            Binary::Transform,
            Kind::Topic,
            raw,
            Operation::Read,
            "denied.subscriptions.raw((null))[0](Broker: Topic authorization failed)",
        ),
        (
            Binary::Deliver,
            Kind::Topic,
            events,
            Operation::Read,
            "denied.subscriptions.events((null))[0](Broker: Topic authorization failed)",
        ),
    ] {
        let place = format!("no-{kind:?}-{operation:?}");
        without(&rights(own, binary.name(), kind, on, &[operation]), || {
            let mut process = own.start(binary, &place);
            let deadline = Instant::now() + PATIENCE;
            while !log(own, binary, &place).contains(said) {
                assert!(process.ended().unwrap().is_none(), "{}", log(own, binary, &place));
                assert!(Instant::now() < deadline, "{}", log(own, binary, &place));
                std::thread::sleep(POLL);
            }
            process.kill().unwrap();
        });
    }
}

/// Does something without these rights, which are there before and after.
fn without(rights: &[Right], act: impl FnOnce()) {
    ground().broker.forbid(rights).unwrap();
    act();
    ground().broker.allow(rights).unwrap();
}

/// Those of the chart's rights, all of which there must be.
fn rights(
    own: &Installation,
    user: &str,
    kind: Kind,
    name: &str,
    operations: &[Operation],
) -> Vec<Right> {
    let user = format!("{}-{user}", own.name);
    let meant = |right: &&Right| {
        right.user == user
            && right.resource.kind == kind
            && right.resource.name == name
            && operations.contains(&right.operation)
    };
    let found: Vec<_> = own.rights.iter().filter(meant).cloned().collect();
    assert_eq!(found.len(), operations.len(), "{user} on {name}");
    found
}

fn check(binary: Binary, setting: &Setting) -> Output {
    std::process::Command::new(end_to_end::processes::path(binary))
        .args(["check", "--config"])
        .arg(&setting.configuration)
        .envs(setting.environment.iter().cloned())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    let both = [output.stdout.clone(), output.stderr.clone()].concat();
    String::from_utf8(both).unwrap()
}

fn log(own: &Installation, binary: Binary, place: &str) -> String {
    let file = Path::new(place).join(format!("{}.log", binary.name()));
    std::fs::read_to_string(own.folder.join(file)).unwrap()
}
