use std::time::Duration;

use schemas::event::FORGOTTEN;
use schemas::{Environment, EventType};
use serde_json::{Value, json};

use super::*;
use crate::destinations::samples::{event, of_every_type};
use crate::destinations::{
    Anonymous, Answer, Change, Conversation, Identity, Naming, Reply, Skip, Transport, Turn,
    Verdict,
};
use crate::failure::Reason;

fn workspace() -> CustomerIo {
    CustomerIo {
        audience: Audience {
            identify_by: vec![Identity::UserId, Identity::Email],
            anonymous: Anonymous::Skip,
            environments: vec![Environment::Production],
        },
        names: Names::default(),
        on_customer_deleted: OnCustomerDeleted::Suppress,
    }
}

fn planned(workspace: &CustomerIo, event: &LifecycleEvent) -> Operations {
    match workspace.plan(event) {
        Plan::Send(operations) => operations,
        other @ (Plan::Skip(_) | Plan::End(_)) => panic!("{other:?}"),
    }
}

fn values(operations: &Operations) -> Vec<Value> {
    operations.items().iter().map(|item| serde_json::from_str(item).unwrap()).collect()
}

/// Each event with its operations, a line each, or with why there are none.
fn told(workspace: &CustomerIo) -> String {
    let mut lines = Vec::new();
    for event in of_every_type() {
        let (ours, theirs) = (event.event_type, &event.provider_event_type);
        lines.push(format!("{ours} ({} {theirs})", event.provider.name()));
        match workspace.plan(&event) {
            Plan::Skip(skip) => lines.push(format!("  skipped: {skip}")),
            Plan::End(verdict) => panic!("{verdict:?}"),
            Plan::Send(operations) => {
                lines.extend(operations.items().iter().map(|item| format!("  {item}")));
            }
        }
    }
    lines.join("\n")
}

#[test]
fn every_type_as_the_destination_gets_it_in_our_words() {
    insta::assert_snapshot!("unified", told(&workspace()));
}

#[test]
fn every_type_as_the_destination_gets_it_in_the_providers_words() {
    let mut workspace = workspace();
    workspace.names.naming = Naming::Provider;
    insta::assert_snapshot!("provider", told(&workspace));
}

#[test]
fn the_id_of_an_event_does_not_depend_on_its_name() {
    let event = event(EventType::SubscriptionRenewed);
    let mut renamed = workspace();
    renamed.names.events =
        [("subscription_renewed", Change::Renamed("renewed".into()))].into_iter().collect();
    let (ours, theirs) = (planned(&workspace(), &event), planned(&renamed, &event));
    let (ours, theirs) = (values(&ours).remove(1), values(&theirs).remove(1));
    assert_eq!(theirs["name"], "renewed");
    assert_eq!(ours["id"], theirs["id"]);
}

#[test]
fn attributes_can_be_renamed_and_switched_off() {
    let mut workspace = workspace();
    let renamed = Change::Renamed("plan_status".into());
    workspace.names.attributes =
        [("subscription_status", renamed), ("expires_at", Change::Off)].into_iter().collect();
    let operations = planned(&workspace, &event(EventType::SubscriptionRenewed));
    for operation in values(&operations) {
        let said = &operation["attributes"];
        assert_eq!(said["plan_status"], "active");
        assert!(said.get("subscription_status").is_none() && said.get("expires_at").is_none());
    }
}

#[test]
fn money_that_goes_with_an_event_can_be_renamed_and_switched_off_too() {
    let mut workspace = workspace();
    let mut paid = event(EventType::TransactionProcessed);
    paid.money = Some(schemas::Money::minor(1_499, "USD"));
    let changes = [("amount", Change::Renamed("value".into())), ("total_spent", Change::Off)];
    workspace.names.attributes = changes.into_iter().collect();
    let told = values(&planned(&workspace, &paid)).remove(1);
    assert_eq!(told["attributes"]["value"].to_string(), "14.99");
    assert_eq!(told["attributes"]["value_minor"], 1_499);
    assert_eq!(told["attributes"]["currency"], "USD");
    assert!(told["attributes"].get("amount").is_none());
    assert!(told["attributes"].get("total_spent").is_none());
}

#[test]
fn a_customer_that_was_created_or_changed_is_brought_up_to_date_without_an_event() {
    for event_type in [EventType::CustomerCreated, EventType::CustomerUpdated] {
        let operations = values(&planned(&workspace(), &event(event_type)));
        let actions: Vec<&str> =
            operations.iter().filter_map(|operation| operation["action"].as_str()).collect();
        assert_eq!(actions, ["identify"]);
    }
}

/// Whom an event merges into its person.
fn merged(workspace: &CustomerIo, event: &LifecycleEvent) -> Vec<String> {
    let merges = values(&planned(workspace, event)).into_iter();
    let merges = merges.filter(|operation| operation["action"] == "merge");
    merges.map(|merge| merge["secondary"]["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_merge_is_of_all_that_the_provider_knows_the_person_by_and_that_may_be_somebody_here() {
    let mut event = event(EventType::CustomerMerged);
    event.subscriber.id = "$RCAnonymousID:1".into();
    let aliases = ["u_42", "u_7", "", "$RCAnonymousID:2", "u_8", &"x".repeat(151)];
    event.subscriber.aliases = aliases.into_iter().map(str::to_owned).collect();
    assert_eq!(merged(&workspace(), &event), ["u_7", "u_8"]);
    let mut open = workspace();
    open.audience.anonymous = Anonymous::Send;
    let everybody = ["u_7", "$RCAnonymousID:2", "u_8", "$RCAnonymousID:1"];
    assert_eq!(merged(&open, &event), everybody);
    // The application's own id is none of the provider's: theirs may belong to somebody else.
    event.subscriber.user_id = Some("account-1".into());
    assert_eq!(merged(&open, &event), [""; 0]);
    let from = vec!["account-2".into(), "account-1".into()];
    event.transfer = Some(schemas::event::Transfer { from, to: vec!["account-1".into()] });
    assert_eq!(merged(&open, &event), ["account-2"]);
    event.subscriber.user_id = None;
    open.audience.identify_by = vec![Identity::Email];
    assert_eq!(merged(&open, &event), [""; 0]);
}

#[test]
fn a_deletion_that_nobody_is_told_of_suppresses_all_the_same() {
    let deleted = event(EventType::CustomerDeleted);
    let off = |naming, event_name: &str| {
        let mut workspace = workspace();
        workspace.names.naming = naming;
        workspace.names.events = [(event_name, Change::Off)].into_iter().collect();
        workspace
    };
    let mut second = deleted.clone();
    second.ordinal = 1;
    for (workspace, event, id) in [
        (off(Naming::Unified, "customer_deleted"), &deleted, "u_42"),
        (off(Naming::Provider, "customer.subscription.updated"), &deleted, "cus_9"),
        (off(Naming::Provider, "nothing"), &second, "cus_9"),
    ] {
        let suppress = json!({"type": "person", "identifiers": {"id": id}, "action": "suppress"});
        assert_eq!(values(&planned(&workspace, event)), [suppress]);
        let keeps = CustomerIo { on_customer_deleted: OnCustomerDeleted::Keep, ..workspace };
        assert!(matches!(keeps.plan(event), Plan::Skip(_)));
    }
}

#[test]
fn whoever_asked_to_be_forgotten_is_suppressed_whatever_is_configured_and_nothing_is_told_of_it() {
    let mut erased = event(EventType::CustomerDeleted);
    FORGOTTEN.clone_into(&mut erased.provider_event_type);
    let mut off = workspace();
    off.on_customer_deleted = OnCustomerDeleted::Keep;
    off.names.events = [("customer_deleted", Change::Off)].into_iter().collect();
    let mut as_provider = workspace();
    as_provider.names.naming = Naming::Provider;
    for (workspace, id) in [(workspace(), "u_42"), (off, "u_42"), (as_provider, "cus_9")] {
        let suppress = json!({"type": "person", "identifiers": {"id": id}, "action": "suppress"});
        assert_eq!(values(&planned(&workspace, &erased)), [suppress]);
    }
}

#[test]
fn an_event_that_is_switched_off_sends_nothing() {
    let mut workspace = workspace();
    workspace.names.events = [("trial_started", Change::Off)].into_iter().collect();
    let plan = workspace.plan(&event(EventType::TrialStarted));
    assert!(matches!(plan, Plan::Skip(Skip::Disabled)));
}

#[test]
fn what_a_provider_says_about_a_person_is_cut_to_the_limits_and_keeps_off_reserved_names() {
    let mut event = event(EventType::CustomerUpdated);
    let attributes = &mut event.subscriber.attributes;
    attributes.insert("id".into(), "somebody else".into());
    attributes.insert("expires_at".into(), "never".into());
    attributes.insert("x".repeat(151), "long name".into());
    for number in 0..500 {
        attributes.insert(format!("custom_{number}"), "é".repeat(5_000));
    }
    let operations = planned(&workspace(), &event);
    assert!(operations.items().iter().all(|item| item.len() <= ITEM_LIMIT));
    let identify = &values(&operations)[0]["attributes"];
    assert_eq!(identify["custom_0"].as_str().unwrap().len(), 1_000);
    assert!(identify["expires_at"].is_number());
    assert!(identify.get("id").is_none() && identify.get("x".repeat(151)).is_none());
}

fn reply(status: u16, body: &str) -> Answer {
    Answer::Replied(Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() })
}

/// The verdicts on three deliveries when the batch is answered so again and again.
fn verdicts(answers: &[Answer]) -> Vec<Verdict> {
    let operations = planned(&workspace(), &event(EventType::SubscriptionRenewed));
    let mut batch = workspace().converse(vec![operations; 3]);
    let _ = batch.begin();
    for answer in answers {
        if let Turn::Over(verdicts) = batch.judge(answer) {
            return verdicts;
        }
    }
    panic!("more answers were needed")
}

fn reason(verdict: &Verdict) -> (&'static str, Option<Reason>) {
    match verdict {
        Verdict::Delivered => ("delivered", None),
        Verdict::DeliveredWithoutAttributes(failure) => ("without", Some(failure.reason)),
        Verdict::Outdated => ("outdated", None),
        Verdict::Retry(failure) => ("retry", Some(failure.reason)),
        Verdict::Park(failure) => ("park", Some(failure.reason)),
        Verdict::Pause { failure, .. } => ("pause", Some(failure.reason)),
    }
}

#[test]
fn every_class_of_answer_has_its_meaning() {
    for (status, meaning) in [
        (200, ("delivered", None)),
        (302, ("pause", Some(Reason::CredentialsRefused))),
        (401, ("pause", Some(Reason::CredentialsRefused))),
        (403, ("pause", Some(Reason::CredentialsRefused))),
        (404, ("pause", Some(Reason::UnexpectedAnswer))),
        (408, ("retry", Some(Reason::ServerError))),
        (429, ("pause", Some(Reason::Throttled))),
        (500, ("retry", Some(Reason::ServerError))),
        (503, ("retry", Some(Reason::ServerError))),
        (524, ("retry", Some(Reason::ServerError))),
        (600, ("retry", Some(Reason::UnexpectedAnswer))),
    ] {
        let verdicts = verdicts(&vec![reply(status, "{}"); 5]);
        assert!(verdicts.iter().all(|verdict| reason(verdict) == meaning), "{status}");
        assert_eq!(verdicts.len(), 3);
    }
    for (transport, meaning) in [
        (Transport::Unreachable, ("pause", Some(Reason::Unreachable))),
        (Transport::TimedOut, ("retry", Some(Reason::TimedOut))),
        (Transport::Lost, ("retry", Some(Reason::ConnectionLost))),
    ] {
        let verdicts = verdicts(&[Answer::Failed(transport)]);
        assert!(verdicts.iter().all(|verdict| reason(verdict) == meaning), "{transport:?}");
    }
}

#[test]
fn a_pause_keeps_the_wait_that_was_asked_for() {
    let wait = Some(Duration::from_secs(7));
    let throttled = Reply { status: 429, retry_after: wait, ..Reply::default() };
    for verdict in verdicts(&[Answer::Replied(throttled)]) {
        assert!(matches!(verdict, Verdict::Pause { after, .. } if after == wait));
    }
}

#[test]
fn errors_of_items_concern_their_delivery_alone_also_in_a_200() {
    let body = r#"{"errors":[{"batch_index":3,"reason":"invalid","field":"name","message":"is"},
        {"batch_index":99}]}"#;
    for status in [200, 207] {
        let verdicts = verdicts(&[reply(status, body)]);
        let meanings: Vec<_> = verdicts.iter().map(reason).collect();
        assert_eq!(
            meanings,
            [("delivered", None), ("park", Some(Reason::Refused)), ("delivered", None)]
        );
    }
}

#[test]
fn a_207_that_does_not_say_which_item_is_halved_until_the_item_stands_alone() {
    let named = |error: &str| format!(r#"{{"errors":[{error}]}}"#);
    let vague = [
        named(r#"{"reason":"no index"}"#),
        named(r#"{"batch_index":"1"}"#),
        named(r#"{"batch_index":-1}"#),
        named("7"),
        r#"{"errors":[{"batch_index":1"#.to_owned(),
        "<html>".to_owned(),
        "{}".to_owned(),
    ];
    for body in vague {
        // [0 1 2] vague, [0] taken, [1 2] vague, [1] vague, [2] taken.
        let (no, yes) = (reply(207, &body), reply(200, "{}"));
        let verdicts = verdicts(&[no.clone(), yes.clone(), no.clone(), no, yes]);
        let meanings: Vec<_> = verdicts.iter().map(reason).collect();
        let parked = ("park", Some(Reason::Refused));
        assert_eq!(meanings, [("delivered", None), parked, ("delivered", None)], "{body}");
    }
}

#[test]
fn an_error_says_what_it_says_and_nothing_of_an_item_is_lost_by_a_null() {
    let body = r#"{"errors":[{"batch_index":2,"reason":"invalid","field":null,"message":"x"}]}"#;
    let verdicts = verdicts(&[reply(207, body)]);
    let Verdict::Park(failure) = &verdicts[1] else { panic!("not parked") };
    assert_eq!((failure.message.as_str(), failure.status), ("invalid x", Some(207)));
    assert_eq!((reason(&verdicts[0]).0, reason(&verdicts[2]).0), ("delivered", "delivered"));
}

#[test]
fn a_plain_success_is_one_whatever_its_body_and_a_207_of_no_errors_too() {
    for (status, body) in
        [(200, "<html>"), (200, ""), (200, r#"{"errors":null}"#), (207, r#"{"errors":[]}"#)]
    {
        let verdicts = verdicts(&[reply(status, body)]);
        assert_eq!(verdicts, vec![Verdict::Delivered; 3], "{status} {body}");
    }
}

#[test]
fn a_batch_refused_whole_is_halved_until_the_wrong_one_stands_alone() {
    // [0 1 2] refused, [0] taken, [1 2] refused, [1] refused, [2] taken.
    let (no, yes) = (reply(400, "{}"), reply(200, "{}"));
    let verdicts = verdicts(&[no.clone(), yes.clone(), no.clone(), no, yes]);
    let meanings: Vec<_> = verdicts.iter().map(reason).collect();
    assert_eq!(
        meanings,
        [("delivered", None), ("park", Some(Reason::Refused)), ("delivered", None)]
    );
}

#[test]
fn one_that_the_server_stumbles_over_stands_alone_in_the_end() {
    // [0 1 2] fails, [0] taken, [1 2] fails, [1] taken, [2] fails.
    let (no, yes) = (reply(500, "{}"), reply(200, "{}"));
    let verdicts = verdicts(&[no.clone(), yes.clone(), no.clone(), yes, no]);
    let meanings: Vec<_> = verdicts.iter().map(reason).collect();
    let waits = ("retry", Some(Reason::ServerError));
    assert_eq!(meanings, [("delivered", None), ("delivered", None), waits]);
}

/// The verdicts on a full batch in which the server stumbles over these people.
fn stumbled_over(stumbling: &[usize]) -> (Vec<Verdict>, usize) {
    let mut all = Vec::new();
    for person in 0..100 {
        let mut event = event(EventType::SubscriptionRenewed);
        event.subscriber.user_id = Some(format!("person_{person}."));
        all.push(planned(&workspace(), &event));
    }
    let mut batch = workspace().converse(all);
    let (mut request, mut made) = (batch.begin(), 1);
    loop {
        let body = String::from_utf8(request.body.unwrap()).unwrap();
        let stumbles = stumbling.iter().any(|person| body.contains(&format!("person_{person}.")));
        match batch.judge(&reply(if stumbles { 500 } else { 200 }, "{}")) {
            Turn::Ask(next) => (request, made) = (next, made + 1),
            Turn::Over(verdicts) => return (verdicts, made),
        }
    }
}

#[test]
fn two_that_the_server_stumbles_over_hold_up_nobody_else() {
    for pair in [[3, 96], [0, 50], [49, 99]] {
        let (verdicts, _) = stumbled_over(&pair);
        let waiting = |place: &usize| matches!(verdicts[*place], Verdict::Retry(_));
        assert_eq!((0..100).filter(waiting).collect::<Vec<_>>(), pair);
    }
}

#[test]
fn a_server_that_fails_at_everything_is_asked_as_often_as_two_people_would_take() {
    let everybody: Vec<usize> = (0..100).collect();
    let (verdicts, made) = stumbled_over(&everybody);
    assert_eq!(made, 14);
    assert_eq!(verdicts.len(), 100);
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Retry(_))));
}

#[test]
fn after_an_unknown_outcome_nothing_more_is_sent_and_nobody_is_told_otherwise() {
    let gateways = [408, 502, 504, 520, 522, 524].map(|status| reply(status, "{}"));
    let silence = [Transport::TimedOut, Transport::Lost].map(Answer::Failed);
    for unknown in gateways.into_iter().chain(silence) {
        // [0 1 2] fails for certain, [0] taken, [1 2] unknown.
        let answers = [reply(500, "{}"), reply(200, "{}"), unknown.clone()];
        let verdicts = verdicts(&answers);
        assert_eq!(verdicts[0], Verdict::Delivered, "{unknown:?}");
        for verdict in &verdicts[1..] {
            assert!(matches!(verdict, Verdict::Retry(failure) if failure.may_still_land()));
        }
    }
}

#[test]
fn trouble_in_the_middle_leaves_what_was_accepted_as_it_is() {
    let verdicts =
        verdicts(&[reply(413, "{}"), reply(200, "{}"), Answer::Failed(Transport::TimedOut)]);
    let meanings: Vec<_> = verdicts.iter().map(reason).collect();
    assert_eq!(meanings[0], ("delivered", None));
    assert_eq!(meanings[1], ("retry", Some(Reason::TimedOut)));
    assert_eq!(meanings[2], ("retry", Some(Reason::TimedOut)));
}

fn refreshed(workspace: &CustomerIo, snapshot: &LifecycleEvent) -> Vec<Value> {
    match workspace.refresh(snapshot) {
        Plan::Send(operations) => values(&operations),
        other @ (Plan::Skip(_) | Plan::End(_)) => panic!("{other:?}"),
    }
}

/// What is known of the person of the samples, asked for so long after the latest event.
fn snapshot(seconds_later: i64) -> LifecycleEvent {
    let event = event(EventType::CustomerUpdated);
    let occurred_at = event.occurred_at.plus_millis(seconds_later * 1_000);
    let distinct_second = event.occurred_at.seconds();
    LifecycleEvent { occurred_at, distinct_second, ..event }
}

#[test]
fn a_refresh_is_one_identify_whatever_is_switched_off() {
    let mut workspace = workspace();
    workspace.names.events = [("customer_updated", Change::Off)].into_iter().collect();
    let renamed = Change::Renamed("plan_status".into());
    workspace.names.attributes = [("subscription_status", renamed)].into_iter().collect();
    let operations = refreshed(&workspace, &snapshot(3_600));
    assert_eq!(operations.len(), 1);
    assert_eq!(operations[0]["action"], "identify");
    assert_eq!(operations[0]["attributes"]["plan_status"], "active");
    let sandbox = LifecycleEvent { environment: Environment::Sandbox, ..snapshot(3_600) };
    assert!(matches!(workspace.refresh(&sandbox), Plan::Skip(Skip::Environment)));
}

#[test]
fn a_refresh_in_the_providers_words_shows_what_holds_and_not_what_only_happened() {
    let mut workspace = workspace();
    workspace.names.naming = Naming::Provider;
    let mut of_dodo = snapshot(3_600);
    of_dodo.provider = schemas::Provider::Dodo;
    let operations = refreshed(&workspace, &of_dodo);
    let attributes = operations[0]["attributes"].as_object().unwrap();
    assert!(attributes.contains_key("total_spent") && attributes.contains_key("email"));
    assert!(!attributes.contains_key("last_payment_date"));
    assert!(!attributes.contains_key("subscription_status"), "that is none of Dodo's");
}

#[test]
fn a_refresh_is_later_than_what_others_wrote_and_earlier_than_what_may_be_on_its_way() {
    let second = |seconds_later| {
        let operations = refreshed(&workspace(), &snapshot(seconds_later));
        let asked = snapshot(seconds_later).occurred_at.seconds();
        asked - operations[0]["timestamp"].as_i64().unwrap()
    };
    for later in [61, 3_600, 86_400, 30 * 86_400, 10 * 365 * 86_400] {
        assert!((60..=300).contains(&second(later)), "{later}: {}", second(later));
    }
    assert_eq!(second(30), 30, "never before the latest event");
    // Of two subscribers of one person the one of the later event wins.
    let older = [3_600, 86_400, 30 * 86_400, 365 * 86_400];
    for pair in older.windows(2) {
        assert!(second(pair[1]) > second(pair[0]), "{pair:?}");
    }
}
