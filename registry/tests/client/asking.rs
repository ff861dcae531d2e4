use std::error::Error;
use std::time::{Duration, Instant};

use base64::Engine;
use registry::{Absence, Registry, RegistryError, Settings, Standing};

use crate::fake::{Answer, Call, Fake, none, ok, unwell};
use crate::{SCHEMA, SUBJECT, open};

const LOOK_UP: &str = "POST /subjects/subscriptions.events-value";
const CHECK: &str =
    "POST /compatibility/subjects/subscriptions.events-value/versions/latest?verbose=true";
const REGISTER: &str = "POST /subjects/subscriptions.events-value/versions";

/// Knows the subject, not the schema.
fn knows_the_subject(verdict: &'static str) -> impl Fn(&str) -> Answer + Send {
    move |line| match line {
        LOOK_UP => none(40_403),
        CHECK => ok(verdict),
        _ => ok(r#"{"id": 3}"#),
    }
}

async fn refusal(script: impl Fn(&str) -> Answer + Send + 'static) -> RegistryError {
    let fake = Fake::new(script).await;
    open(&fake.url(), None).writer_id(SUBJECT, SCHEMA).await.unwrap_err()
}

/// What an operator gets to see: the error and its causes, for people and for programmers.
fn seen(error: &RegistryError) -> String {
    let mut text = format!("{error:?} {error}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[test]
fn a_topic_s_values_have_a_subject_of_their_own() {
    assert_eq!(registry::subject("acme.subscriptions.events"), "acme.subscriptions.events-value");
}

#[tokio::test]
async fn uses_a_registered_schema_without_registering_it_again() {
    let fake = Fake::new(|_| ok(r#"{"id": 5, "subject": "s", "version": 2}"#)).await;
    let registry = open(&fake.url(), None);
    assert_eq!(registry.standing(SUBJECT, SCHEMA).await.unwrap(), Standing::Registered(5));
    assert_eq!(registry.writer_id(SUBJECT, SCHEMA).await.unwrap(), 5);
    let calls = fake.take_calls();
    assert!(calls.iter().all(|call| call.line == LOOK_UP), "{calls:?}");
    assert_eq!(calls[0].body, r#"{"schema":"{\"type\": \"string\"}"}"#);
}

#[tokio::test]
async fn registers_a_new_schema_only_after_asking_whether_it_is_compatible() {
    let fake = Fake::new(knows_the_subject(r#"{"is_compatible": true}"#)).await;
    let registry = open(&fake.url(), None);
    assert_eq!(registry.standing(SUBJECT, SCHEMA).await.unwrap(), Standing::Compatible);
    assert_eq!(fake.take_lines(), [LOOK_UP, CHECK]);
    assert_eq!(registry.writer_id(SUBJECT, SCHEMA).await.unwrap(), 3);
    assert_eq!(fake.take_lines(), [LOOK_UP, CHECK, REGISTER]);
}

#[tokio::test]
async fn the_first_schema_of_a_subject_has_nothing_to_be_compatible_with() {
    let fake = Fake::new(|line| match line {
        LOOK_UP => none(40_401),
        CHECK => none(40_402),
        _ => ok(r#"{"id": 1}"#),
    })
    .await;
    let registry = open(&fake.url(), None);
    assert_eq!(registry.standing(SUBJECT, SCHEMA).await.unwrap(), Standing::First);
    assert_eq!(registry.writer_id(SUBJECT, SCHEMA).await.unwrap(), 1);
}

#[tokio::test]
async fn registers_nothing_that_is_incompatible_and_says_which_subject_and_why() {
    let verdicts = [
        r#"{"is_compatible": false, "reason": "no such field: ordinal"}"#,
        r#"{"is_compatible": false, "messages": ["no such field:", "ordinal"]}"#,
    ];
    for verdict in verdicts {
        let fake = Fake::new(knows_the_subject(verdict)).await;
        let registry = open(&fake.url(), None);
        let refused = registry.writer_id(SUBJECT, SCHEMA).await.unwrap_err();
        assert_eq!(fake.take_lines(), [LOOK_UP, CHECK]);
        assert!(matches!(refused, RegistryError::Incompatible { .. }), "{refused:?}");
        let text = refused.to_string();
        assert!(text.contains("`subscriptions.events-value`"), "{text}");
        assert!(text.contains("no such field:") && text.contains("ordinal"), "{text}");
    }
}

#[tokio::test]
async fn a_conflict_at_registration_is_incompatibility_too() {
    let refused = refusal(|line| match line {
        LOOK_UP => none(40_403),
        CHECK => ok(r#"{"is_compatible": true}"#),
        _ => Answer::Status(409, r#"{"error_code": 409, "message": "not with version 1"}"#.into()),
    })
    .await;
    assert!(
        matches!(&refused, RegistryError::Incompatible { answer, .. } if answer == "not with version 1"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_registry_that_is_down_is_away() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let registry = open(&url, None);
    for error in [
        registry.writer_id(SUBJECT, SCHEMA).await.unwrap_err(),
        registry.standing(SUBJECT, SCHEMA).await.unwrap_err(),
        registry.schema(7).await.unwrap_err(),
    ] {
        assert!(error.is_away(), "{error:?}");
        assert!(
            matches!(error, RegistryError::Away { absence: Absence::Unreachable(_), .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn waits_no_longer_than_its_patience() {
    let fake = Fake::new(|_| Answer::Never).await;
    let settings =
        Settings { url: fake.url().into(), folder: None, patience: Duration::from_millis(200) };
    let registry = Registry::open(&settings).unwrap();
    let begun = Instant::now();
    let error = registry.writer_id(SUBJECT, SCHEMA).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(
        matches!(error, RegistryError::Away { absence: Absence::TimedOut(_), .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_registry_that_is_unwell_or_overrun_is_away() {
    assert!(refusal(unwell).await.is_away());
    let overrun = refusal(|_| Answer::Status(429, String::new())).await;
    assert!(
        matches!(overrun, RegistryError::Away { absence: Absence::Unwell(429), .. }),
        "{overrun:?}"
    );
}

#[tokio::test]
async fn a_404_of_something_else_does_not_pass_for_an_unknown_schema() {
    let page = refusal(|_| Answer::Status(404, "<h1>Not Found</h1>".to_owned())).await;
    assert!(matches!(page, RegistryError::Unintelligible { .. }), "{page:?}");
    let wrong_path =
        r#"{"error_code": 404, "message": "Could not find resource", "name": "NotFoundException"}"#;
    let elsewhere = refusal(|_| Answer::Status(404, wrong_path.to_owned())).await;
    assert!(matches!(elsewhere, RegistryError::Refused { status: 404, .. }), "{elsewhere:?}");
    let fake = Fake::new(|_| Answer::Status(404, String::new())).await;
    let unknown = open(&fake.url(), None).schema(7).await.unwrap_err();
    assert!(matches!(unknown, RegistryError::Unintelligible { .. }), "{unknown:?}");
}

#[tokio::test]
async fn says_which_id_is_unknown_and_which_is_not_avro() {
    let fake = Fake::new(|line| match line {
        "GET /schemas/ids/7" => {
            ok(r#"{"schema": "syntax = \"proto3\";", "schemaType": "PROTOBUF"}"#)
        }
        "GET /schemas/ids/8" => ok(r#"{"schema": "\"string\"", "schemaType": "AVRO"}"#),
        _ => none(40_403),
    })
    .await;
    let registry = open(&fake.url(), None);
    let foreign = registry.schema(7).await.unwrap_err();
    assert!(matches!(foreign, RegistryError::NotAvro { id: 7, .. }), "{foreign:?}");
    assert_eq!(&*registry.schema(8).await.unwrap(), "\"string\"");
    let unknown = registry.schema(9).await.unwrap_err();
    assert!(matches!(unknown, RegistryError::UnknownSchema { id: 9, .. }), "{unknown:?}");
}

#[tokio::test]
async fn garbage_is_no_answer() {
    for garbage in ["", "<html>", "{}", r#"{"id": -1}"#, r#"{"id": 4294967296}"#, r#"{"id": "7"}"#]
    {
        let error = refusal(move |_| ok(garbage)).await;
        assert!(matches!(error, RegistryError::Unintelligible { .. }), "{garbage}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_that_never_ends_is_not_read_to_its_end() {
    let fake = Fake::new(|_| ok(&"[".repeat(2 << 20))).await;
    let error = open(&fake.url(), None).schema(7).await.unwrap_err();
    assert!(matches!(error, RegistryError::TooLarge { limit: 1_048_576, .. }), "{error:?}");
}

#[tokio::test]
async fn quotes_the_beginning_of_a_refusal_in_one_line() {
    let error = refusal(|_| {
        let message = format!("first\\nsecond {}", "x".repeat(5_000));
        Answer::Status(422, format!(r#"{{"error_code": 42201, "message": "{message}"}}"#))
    })
    .await;
    let text = error.to_string();
    assert!(text.contains("HTTP 422: first second xxx"), "{text}");
    assert!(text.len() < 700 && !text.contains('\n'), "{text}");
}

#[tokio::test]
async fn sends_the_credentials_of_the_address_and_shows_them_nowhere() {
    let encoded = base64::engine::general_purpose::STANDARD.encode("clerk:s3cr3t@word");
    let expected = format!("Basic {encoded}");
    let echo = format!(r#"{{"error_code": 401, "message": "not {expected}, s3cr3t@word"}}"#);
    let fake = Fake::new(move |_| Answer::Status(401, echo.clone())).await;
    let url = format!("http://clerk:s3cr3t%40word@{}/base/?token=s3cr3t", fake.authority);
    let registry = open(&url, None);

    let denied = registry.writer_id(SUBJECT, SCHEMA).await.unwrap_err();
    assert!(matches!(denied, RegistryError::Denied { status: 401, .. }), "{denied:?}");
    fake.answers(unwell);
    let away = registry.schema(1).await.unwrap_err();
    fake.answers(|_| ok("garbage"));
    let garbage = registry.schema(1).await.unwrap_err();
    let closed = open(&url.replace(&fake.authority, "127.0.0.1:1"), None);
    let unreachable = closed.schema(1).await.unwrap_err();

    let calls: Vec<Call> = fake.take_calls();
    assert_eq!(calls.len(), 3);
    for call in calls {
        assert_eq!(call.authorization.as_ref(), Some(&expected));
        assert!(call.line.contains(" /base/s"), "{}", call.line);
    }
    for text in [seen(&denied), seen(&away), seen(&garbage), seen(&unreachable)] {
        assert!(!text.contains("s3cr3t") && !text.contains("clerk"), "{text}");
        assert!(!text.contains(&encoded), "{text}");
        assert!(text.contains("/base"), "{text}");
    }
    let shown = format!("{registry:?}");
    assert!(!shown.contains("s3cr3t") && !shown.contains("clerk"), "{shown}");
}

#[test]
fn an_address_that_is_none_is_refused_unseen() {
    for address in ["", "s3cr3t", "ftp://clerk:s3cr3t@host", "mailto:s3cr3t@host"] {
        let settings = Settings {
            url: address.to_owned().into(),
            folder: None,
            patience: Duration::from_secs(1),
        };
        let refused = Registry::open(&settings).unwrap_err();
        assert!(matches!(refused, RegistryError::Address), "{refused:?}");
        assert!(!seen(&refused).contains("s3cr3t"));
    }
}

#[tokio::test]
async fn carries_the_credentials_to_no_other_place() {
    let other = Fake::new(|_| ok(r#"{"id": 6}"#)).await;
    let target = format!("{}/subjects/x", other.url());
    let fake = Fake::new(move |_| Answer::Redirect(target.clone())).await;
    let url = format!("http://clerk:s3cr3t@{}", fake.authority);
    assert!(open(&url, None).writer_id(SUBJECT, SCHEMA).await.is_err());
    assert!(other.take_calls().is_empty());
}

#[tokio::test]
async fn a_subject_stays_one_segment_of_the_path() {
    let fake = Fake::new(|_| ok(r#"{"id": 6}"#)).await;
    open(&fake.url(), None).writer_id("a/b?c#d", SCHEMA).await.unwrap();
    assert_eq!(fake.take_lines(), ["POST /subjects/a%2Fb%3Fc%23d"]);
}
