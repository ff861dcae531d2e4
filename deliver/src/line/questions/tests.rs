use super::*;
use registry::{Absence, Settings};

const ID: UnknownSchema = UnknownSchema::Registered(5);

fn name() -> String {
    "http://registry".to_owned()
}

/// One that never answers: nothing listens there.
fn away() -> Questions {
    let settings = Settings {
        url: "http://127.0.0.1:1".to_owned().into(),
        folder: None,
        patience: Duration::from_secs(1),
    };
    Questions::of(Some(Arc::new(Registry::open(&settings).unwrap())))
}

fn started(share: f64) -> InOrder {
    InOrder::Started { share }
}

#[test]
fn a_registry_that_is_away_is_asked_again() {
    let (registry, doing) = (name(), "asking".to_owned());
    let away = RegistryError::Away { registry, doing, absence: Absence::Unwell(503) };
    let Next::Ask(reason) = next(5, Err(away)) else { panic!("asked again") };
    assert!(reason.ends_with("away: it answered HTTP 503"), "{reason}");
}

#[test]
fn an_id_without_a_schema_of_ours_is_foreign_and_parks() {
    for none in [
        RegistryError::UnknownSchema { registry: name(), id: 5 },
        RegistryError::NotAvro { registry: name(), id: 5 },
    ] {
        let says = none.to_string();
        assert!(matches!(next(5, Err(none)), Next::End(Told::Foreign(reason)) if reason == says));
    }
}

#[test]
fn a_registry_that_was_reset_or_refuses_stops_the_line() {
    for wrong in [
        RegistryError::Contradiction { registry: name(), id: 5 },
        RegistryError::Denied { registry: name(), doing: String::new(), status: 401 },
    ] {
        let Next::End(Told::Unusable(error)) = next(5, Err(wrong)) else { panic!("stops") };
        assert!(BrokerError::Registry(error).is_final());
    }
}

#[test]
fn without_a_registry_an_id_is_asked_of_nobody() {
    let mut questions = Questions::of(None);
    let failure = questions.ask(ID, Duration::ZERO).unwrap_err();
    assert_eq!(failure.reason, Reason::Undecodable);
    assert!(failure.message.contains("schema_registry.url"), "{}", failure.message);
    assert!(!questions.is_asking());
}

#[tokio::test]
async fn a_foreign_id_is_believed_for_a_while_and_then_asked_for_again() {
    let mut questions = away();
    let now = Duration::from_secs(100);
    questions.believe_foreign(ID, "none".to_owned(), now);
    assert_eq!(questions.ask(ID, now + BELIEVED_FOR / 2).unwrap_err().message, "none");
    assert!(!questions.is_asking());
    questions.ask(ID, now + BELIEVED_FOR).unwrap();
    assert!(questions.is_asking());
    assert!(questions.foreign.is_empty(), "what is no longer believed takes no room");
}

#[tokio::test]
async fn what_waits_comes_out_in_its_order_and_goes_with_its_partitions() {
    let mut questions = away();
    questions.ask(ID, Duration::ZERO).unwrap();
    questions.wait(started(0.25));
    questions.wait(started(0.5));
    let shares = questions.end_of_wait().into_iter().map(|message| match message {
        InOrder::Started { share } => share,
        InOrder::Record(..) => panic!("no record waits"),
    });
    assert!(shares.eq([0.25, 0.5]));
    questions.wait(started(1.0));
    questions.clear();
    assert!(!questions.is_asking() && questions.end_of_wait().is_empty());
}

const LATER: UnknownSchema = UnknownSchema::Fingerprint(7);

#[tokio::test]
async fn an_event_of_a_later_version_waits_for_this_one_to_be_replaced() {
    let mut questions = Questions::of(None);
    assert!(questions.patience >= Duration::from_hours(1), "{:?}", questions.patience);
    questions.ask(LATER, Duration::ZERO).unwrap();
    questions.wait(started(1.0));
    let soon = Duration::from_millis(20);
    assert!(tokio::time::timeout(soon, questions.answered()).await.is_err(), "it waits");
    assert!(questions.is_asking());
}

#[tokio::test]
async fn an_event_of_a_later_version_is_parked_in_the_end_and_nobody_waits_for_it_again() {
    let patience = Duration::from_millis(20);
    let mut questions = Questions { patience, ..Questions::of(None) };
    questions.ask(LATER, Duration::ZERO).unwrap();
    let (asked, told) = questions.answered().await.unwrap();
    let Told::Foreign(reason) = told else { panic!("parked") };
    assert!(asked == LATER && reason.contains("a later version"), "{reason}");
    questions.believe_foreign(asked, reason, patience);
    let failure = questions.ask(LATER, patience * 2).unwrap_err();
    assert_eq!(failure.reason, Reason::Undecodable);
}

#[tokio::test]
async fn so_much_may_wait_and_no_more() {
    let mut questions = away();
    for _ in 0..MOST_WAITING {
        assert!(questions.has_room());
        questions.wait(started(1.0));
    }
    assert!(!questions.has_room());
}
