use schemas::event::FORGOTTEN;
use schemas::{Environment, EventType, Money, Timestamp};
use serde_json::{Value, json};
use strum::IntoEnumIterator;

use super::*;
use crate::destinations::samples::{event, of_every_type};
use crate::destinations::{
    Anonymous, Answer, Change, Conversation, Identity, Method, Naming, Reply, Transport, Turn,
    Verdict,
};
use crate::failure::Reason;

fn workspace() -> Intercom {
    let audience = Audience {
        identify_by: vec![Identity::UserId, Identity::Email],
        anonymous: Anonymous::Skip,
        environments: vec![Environment::Production],
    };
    Intercom::new(audience, Names::default(), OnCustomerDeleted::Archive)
}

fn reply(status: u16, body: &Value) -> Answer {
    Answer::Replied(Reply { status, body: body.to_string().into_bytes(), ..Reply::default() })
}

fn contact(id: &str) -> Answer {
    reply(200, &json!({"type": "contact", "id": id, "custom_attributes": {}}))
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    let errors = json!([{"code": code, "message": message}]);
    reply(status, &json!({"type": "error.list", "request_id": "req_1", "errors": errors}))
}

fn shown(request: &Request) -> Value {
    let body = request.body.as_ref().map(|body| serde_json::from_slice::<Value>(body).unwrap());
    json!({ "request": format!("{:?} {}", request.method, request.path), "body": body })
}

fn begin(workspace: &Intercom, event: &LifecycleEvent) -> Visit {
    match workspace.plan(event) {
        Plan::Send(message) => workspace.converse(vec![message]),
        other @ (Plan::Skip(_) | Plan::End(_)) => panic!("{other:?}"),
    }
}

/// Plays a visit and says which requests were made, and the verdict.
fn play(workspace: &Intercom, answers: &[Answer]) -> (Vec<String>, Option<Verdict>) {
    play_event(workspace, &event(EventType::SubscriptionRenewed), answers)
}

fn play_event(
    workspace: &Intercom,
    event: &LifecycleEvent,
    answers: &[Answer],
) -> (Vec<String>, Option<Verdict>) {
    let mut visit = begin(workspace, event);
    let line = |request: &Request| {
        let method = match request.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
        };
        format!("{method} {}", request.path)
    };
    let mut made = vec![line(&visit.begin())];
    for answer in answers {
        match visit.judge(answer) {
            Turn::Ask(request) => made.push(line(&request)),
            Turn::Over(mut verdicts) => return (made, verdicts.pop()),
        }
    }
    (made, None)
}

const FIND: &str = "GET /contacts/find_by_external_id/u_42";

fn named(naming: Naming) -> Intercom {
    let names = Names { naming, ..Names::default() };
    Intercom { names, ..workspace() }
}

/// Each event with its requests, a line each, or with why there are none.
fn told(naming: Naming) -> String {
    let workspace = named(naming);
    let mut lines = Vec::new();
    for event in of_every_type() {
        let (ours, theirs) = (event.event_type, &event.provider_event_type);
        lines.push(format!("{ours} ({} {theirs})", event.provider.name()));
        let delivery = match workspace.plan(&event) {
            Plan::Skip(skip) => {
                lines.push(format!("  skipped: {skip}"));
                continue;
            }
            Plan::End(verdict) => panic!("{verdict:?}"),
            Plan::Send(delivery) => delivery,
        };
        workspace.forget();
        let mut visit = workspace.converse(vec![delivery]);
        let mut request = visit.begin();
        let mut answer = reply(404, &json!({}));
        loop {
            let body = request.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            lines.push(format!("  {:?} {} {body}", request.method, request.path));
            match visit.judge(&answer) {
                Turn::Ask(next) => request = next,
                Turn::Over(_) => break,
            }
            answer = contact("c1");
        }
    }
    lines.join("\n").replace(" \n", "\n")
}

#[test]
fn every_type_as_the_destination_gets_it_in_our_words() {
    insta::assert_snapshot!("unified", told(Naming::Unified));
}

#[test]
fn every_type_as_the_destination_gets_it_in_the_providers_words() {
    insta::assert_snapshot!("provider", told(Naming::Provider));
}

/// The event's request when it is new to an unknown contact.
fn recorded(workspace: &Intercom, event: &LifecycleEvent) -> Value {
    workspace.forget();
    let mut visit = begin(workspace, event);
    let _find = visit.begin();
    let Turn::Ask(_) = visit.judge(&reply(404, &json!({}))) else { panic!("no create") };
    let Turn::Ask(record) = visit.judge(&contact("c1")) else { panic!("no event") };
    shown(&record)["body"].take()
}

#[test]
fn a_name_that_was_chosen_stays_as_it_is_and_what_went_back_is_still_a_refund() {
    let mut workspace = workspace();
    let chosen = |name: &str| Change::Renamed(name.to_owned());
    let changes = [("expires_at", chosen("ends")), ("amount", chosen("value"))];
    workspace.names.attributes = changes.into_iter().chain([("plan_id", Change::Off)]).collect();
    let mut event = event(EventType::PaymentRefunded);
    for (amount, name) in [(1_499, "value"), (-1_499, "refund")] {
        event.money = Some(Money::minor(amount, "USD"));
        let metadata = &recorded(&workspace, &event)["metadata"];
        assert_eq!(metadata[name], json!({"amount": 1_499, "currency": "usd"}));
        let end = event.subscription.as_ref().and_then(|one| one.expires_at);
        assert_eq!(metadata["ends"], json!(end.map(Timestamp::seconds)));
        assert!(metadata.get("plan_id").is_none());
    }
}

#[test]
fn a_contact_that_is_there_is_updated_and_found_by_memory_next_time() {
    let workspace = workspace();
    let done = [contact("c1"), contact("c1"), reply(202, &json!(null))];
    let (made, verdict) = play(&workspace, &done);
    assert_eq!(made, [FIND, "PUT /contacts/c1", "POST /events"]);
    assert_eq!(verdict, Some(Verdict::Delivered));
    let mut next = event(EventType::SubscriptionRenewed);
    next.sequence += 1;
    let (made, verdict) = play_event(&workspace, &next, &done[1..]);
    assert_eq!(made, ["PUT /contacts/c1", "POST /events"]);
    assert_eq!(verdict, Some(Verdict::Delivered));
    workspace.forget();
    assert_eq!(play(&workspace, &done).0[0], FIND);
}

#[test]
fn a_customer_that_was_created_or_changed_is_brought_up_to_date_without_an_event() {
    for event_type in [EventType::CustomerCreated, EventType::CustomerUpdated] {
        let mut visit = begin(&workspace(), &event(event_type));
        let _ = visit.begin();
        let Turn::Ask(update) = visit.judge(&contact("c1")) else { panic!("over") };
        assert_eq!(update.path, "/contacts/c1");
        let Turn::Over(verdicts) = visit.judge(&contact("c1")) else { panic!("more") };
        assert_eq!(verdicts, [Verdict::Delivered]);
    }
}

#[test]
fn a_merge_has_no_counterpart_and_is_skipped() {
    let plan = workspace().plan(&event(EventType::CustomerMerged));
    assert!(matches!(plan, Plan::Skip(Skip::Unsupported)));
}

#[test]
fn an_unknown_contact_is_created_and_a_lost_race_updates_the_winner() {
    let (made, _) = play(&workspace(), &[reply(404, &json!({})), contact("c2")]);
    assert_eq!(made, [FIND, "POST /contacts", "POST /events"]);
    let race = error(
        409,
        "conflict",
        "A contact matching those details already exists with id=66f1a2b3c4d5e6f708192a3b",
    );
    let won = [reply(404, &json!({})), race, contact("66f1a2b3c4d5e6f708192a3b"), contact("c3")];
    let (made, _) = play(&workspace(), &won);
    let winner = "/contacts/66f1a2b3c4d5e6f708192a3b";
    let (read, update) = (format!("GET {winner}"), format!("PUT {winner}"));
    assert_eq!(made, [FIND, "POST /contacts", &read, &update, "POST /events"]);
}

#[test]
fn a_contact_in_the_way_keeps_what_is_newer_and_gets_our_id_where_it_has_none() {
    let exists = error(409, "conflict", "A contact matching those details exists with id=c9");
    let found = |sequence: i64, external_id: &Value| {
        let custom = json!({"tributary_sequence_stripe-main": sequence.to_string()});
        let body = json!({"id": "c9", "external_id": external_id, "custom_attributes": custom});
        reply(200, &body)
    };
    for (sequence, external_id, next) in [
        (6, json!(null), Some((true, true))),
        (6, json!("u_42"), Some((true, false))),
        (7, json!(null), Some((false, true))),
        (7, json!("u_42"), None),
    ] {
        let mut visit = begin(&workspace(), &event(EventType::SubscriptionRenewed));
        let _find = visit.begin();
        let _create = visit.judge(&reply(404, &json!({})));
        let _read = visit.judge(&exists);
        let Turn::Ask(request) = visit.judge(&found(sequence, &external_id)) else {
            panic!("over")
        };
        let Some((attributes, id)) = next else {
            assert_eq!(request.path, "/events");
            continue;
        };
        assert_eq!((request.method, request.path.as_str()), (Method::Put, "/contacts/c9"));
        let body = &shown(&request)["body"];
        assert_eq!(body.get("custom_attributes").is_some(), attributes, "{body}");
        assert_eq!(body.get("external_id"), id.then_some(&json!("u_42")), "{body}");
        let Turn::Ask(record) = visit.judge(&contact("c9")) else { panic!("over") };
        assert_eq!(record.path, "/events");
    }
}

#[test]
fn an_archived_contact_is_never_revived() {
    let archived = error(
        409,
        "conflict",
        "An archived contact matching those details already exists with id=66f1a2b3",
    );
    let (_, verdict) = play(&workspace(), &[reply(404, &json!({})), archived]);
    let Some(Verdict::Park(failure)) = verdict else { panic!("not parked") };
    assert_eq!(failure.reason, Reason::PersonArchived);
    assert_eq!(failure.request_id.as_deref(), Some("req_1"));
}

#[test]
fn a_conflict_without_an_id_waits() {
    let vague = error(409, "conflict", "try again");
    let (_, verdict) = play(&workspace(), &[reply(404, &json!({})), vague]);
    assert!(matches!(verdict, Some(Verdict::Retry(failure)) if failure.reason == Reason::NotReady));
}

#[test]
fn a_conflict_parks_whatever_does_not_create() {
    let several = error(409, "conflict", "Multiple existing users match this email address");
    let archived = error(409, "conflict", "An archived contact matches those details");
    for conflict in [several, archived] {
        for before in [vec![contact("c1")], vec![contact("c1"), contact("c1")]] {
            let answers = [before, vec![conflict.clone()]].concat();
            let (_, verdict) = play(&workspace(), &answers);
            let Some(Verdict::Park(failure)) = verdict else { panic!("{verdict:?}") };
            assert_eq!((failure.status, failure.request_id.as_deref()), (Some(409), Some("req_1")));
        }
    }
}

#[test]
fn who_is_to_be_archived_and_is_archived_already_is_done_with() {
    let archived = error(409, "conflict", "An archived contact matches those details, id=c1");
    let answers = [reply(404, &json!({})), archived];
    let deleted = event(EventType::CustomerDeleted);
    let (_, verdict) = play_event(&workspace(), &deleted, &answers);
    assert_eq!(verdict, Some(Verdict::Delivered));
    let keeps = Intercom { on_customer_deleted: OnCustomerDeleted::Keep, ..workspace() };
    let (_, verdict) = play_event(&keeps, &deleted, &answers);
    assert!(matches!(verdict, Some(Verdict::Park(_))));
}

#[test]
fn sequences_of_another_subscriber_who_is_the_same_person_hold_nothing_back() {
    let workspace = workspace();
    let mut former = event(EventType::SubscriptionRenewed);
    former.sequence = 50;
    let mut visit = begin(&workspace, &former);
    let _find = visit.begin();
    let Turn::Ask(update) = visit.judge(&contact("c1")) else { panic!("over") };
    let custom = shown(&update)["body"]["custom_attributes"].take();
    let shows = reply(200, &json!({"id": "c1", "custom_attributes": custom}));
    let taken = reply(202, &json!(null));
    let _ = (visit.judge(&shows), visit.judge(&taken));

    let mut anew = event(EventType::SubscriptionStarted);
    (anew.sequence, anew.distinct_second) = (1, former.distinct_second + 60);
    anew.subscriber.key = "stripe-main/cus_10".into();
    let mut before = anew.clone();
    before.distinct_second = former.distinct_second - 60;
    let written = [contact("c1"), taken.clone()];
    let read_and_written = [shows.clone(), contact("c1"), taken.clone()];
    // From memory, and after a crash.
    let (made, _) = play_event(&workspace, &before, &[shows.clone(), taken.clone()]);
    assert_eq!(made, ["GET /contacts/c1", "POST /events"]);
    let (made, _) = play_event(&workspace, &anew, &written);
    assert_eq!(made, ["PUT /contacts/c1", "POST /events"]);
    workspace.forget();
    let (made, _) = play_event(&workspace, &before, &[shows, taken]);
    assert_eq!(made, [FIND, "POST /events"]);
    workspace.forget();
    let (made, _) = play_event(&workspace, &anew, &read_and_written);
    assert_eq!(made, [FIND, "PUT /contacts/c1", "POST /events"]);
}

#[test]
fn a_merged_contact_is_followed_three_times_at_most() {
    let merged = |id: &str| {
        let link = Some(format!("</contacts/{id}>; rel=\"canonical\""));
        Answer::Replied(Reply { status: 410, link, ..Reply::default() })
    };
    let (made, _) = play(&workspace(), &[merged("c4"), contact("c4"), contact("c4")]);
    assert_eq!(made, [FIND, "GET /contacts/c4", "PUT /contacts/c4", "POST /events"]);
    let circle = [merged("a"), merged("b"), merged("c"), merged("a")];
    assert!(matches!(play(&workspace(), &circle).1, Some(Verdict::Retry(_))));
}

#[test]
fn an_event_for_a_contact_that_vanished_is_repaired_once() {
    let gone = reply(404, &json!({}));
    let first = [contact("c1"), contact("c1"), gone.clone()];
    let (made, verdict) = play(&workspace(), &first);
    assert_eq!(made.last().map(String::as_str), Some(FIND));
    assert_eq!(verdict, None);
    let again: Vec<Answer> = first.iter().chain(&first).cloned().collect();
    assert!(matches!(play(&workspace(), &again).1, Some(Verdict::Retry(_))));
}

#[test]
fn newer_attributes_are_left_alone_and_the_event_is_sent_all_the_same() {
    for (sequence, next) in
        [("6", "PUT /contacts/c1"), ("7", "POST /events"), ("8", "POST /events")]
    {
        let custom = json!({"tributary_sequence_stripe-main": sequence});
        let seen = reply(200, &json!({"id": "c1", "custom_attributes": custom}));
        let (made, _) = play(&workspace(), &[seen]);
        assert_eq!(made, [FIND, next], "{sequence}");
    }
}

#[test]
fn an_older_event_that_comes_back_reads_a_remembered_contact_before_it_writes() {
    let workspace = workspace();
    let custom = json!({"tributary_sequence_stripe-main": "7"});
    let newest = reply(200, &json!({"id": "c1", "custom_attributes": custom}));
    let taken = reply(202, &json!(null));
    let _ = play(&workspace, &[contact("c1"), newest.clone(), taken.clone()]);
    let mut older = event(EventType::SubscriptionRenewed);
    older.sequence = 3;
    let (made, verdict) = play_event(&workspace, &older, &[newest, taken.clone()]);
    assert_eq!(made, ["GET /contacts/c1", "POST /events"]);
    assert_eq!(verdict, Some(Verdict::Delivered));
    // Nor is anything known of what another source wrote.
    let mut elsewhere = event(EventType::SubscriptionRenewed);
    (elsewhere.source, elsewhere.sequence) = ("dodo".to_owned(), 9);
    let (made, _) = play_event(&workspace, &elsewhere, &[contact("c1"), contact("c1"), taken]);
    assert_eq!(made, ["GET /contacts/c1", "PUT /contacts/c1", "POST /events"]);
}

/// What is written in the end when these answers refuse attributes one after another.
fn written_after(refusals: &[&str]) -> (Value, Option<Verdict>) {
    let workspace = workspace();
    let mut visit = begin(&workspace, &event(EventType::SubscriptionRenewed));
    let _find = visit.begin();
    let Turn::Ask(mut update) = visit.judge(&contact("c1")) else { panic!("over") };
    for message in refusals {
        let answer = error(400, "parameter_invalid", message);
        match visit.judge(&answer) {
            Turn::Ask(again) => update = again,
            Turn::Over(mut verdicts) => return (json!(null), verdicts.pop()),
        }
        assert_eq!((update.method, update.path.as_str()), (Method::Put, "/contacts/c1"));
    }
    let custom = shown(&update)["body"]["custom_attributes"].take();
    let Turn::Ask(record) = visit.judge(&contact("c1")) else { panic!("over") };
    assert_eq!(record.path, "/events");
    let Turn::Over(mut verdicts) = visit.judge(&reply(202, &json!(null))) else { panic!("more") };
    (custom, verdicts.pop())
}

#[test]
fn an_undeclared_attribute_is_left_out_alone_and_told() {
    let first = "custom_attributes.plan_id does not exist";
    for refusals in [&[first][..], &[first, "Custom attribute 'quantity' does not exist"]] {
        let (custom, verdict) = written_after(refusals);
        let Some(Verdict::DeliveredWithoutAttributes(failure)) = verdict else { panic!("whole") };
        assert!(failure.message.contains("plan_id"), "{failure:?}");
        assert_eq!(custom["product_id"], "prod_pro");
        assert!(custom["tributary_sequence_stripe-main"].is_string());
        let left_out = [custom.get("plan_id"), custom.get("quantity")];
        assert_eq!(left_out.iter().filter(|one| one.is_none()).count(), refusals.len());
    }
}

#[test]
fn all_attributes_are_left_out_where_the_answer_names_none_too_many_or_the_guard_of_the_others() {
    let too_many = ["plan_id", "quantity", "store", "period_type"]
        .map(|name| format!("custom_attributes.{name} does not exist"));
    let too_many: Vec<&str> = too_many.iter().map(String::as_str).collect();
    let guard = "custom_attributes.tributary_sequence_stripe-main does not exist";
    for refusals in [&["Custom attribute 'x' does not exist"][..], &[guard], &too_many] {
        let (custom, verdict) = written_after(refusals);
        assert!(matches!(verdict, Some(Verdict::DeliveredWithoutAttributes(_))), "{verdict:?}");
        assert_eq!(custom, json!(null), "{refusals:?}");
    }
    let still = ["Custom attribute 'x' does not exist"; 2];
    assert!(matches!(written_after(&still).1, Some(Verdict::Park(_))));
}

#[test]
fn whoever_asked_to_be_forgotten_is_archived_whatever_is_configured_and_nothing_is_told_of_it() {
    let keeps = Intercom::new(workspace().audience, Names::default(), OnCustomerDeleted::Keep);
    let mut erased = event(EventType::CustomerDeleted);
    FORGOTTEN.clone_into(&mut erased.provider_event_type);
    let (made, verdict) = play_event(&keeps, &erased, &[contact("c1"), contact("c1")]);
    assert_eq!(made, [FIND, "POST /contacts/c1/archive"]);
    assert_eq!(verdict, Some(Verdict::Delivered));
}

#[test]
fn a_deletion_that_nobody_is_told_of_archives_all_the_same_and_creates_nobody() {
    let mut workspace = workspace();
    workspace.names.events = [("customer_deleted", Change::Off)].into_iter().collect();
    let deleted = event(EventType::CustomerDeleted);
    let (made, verdict) = play_event(&workspace, &deleted, &[contact("c1"), contact("c1")]);
    assert_eq!(made, [FIND, "POST /contacts/c1/archive"]);
    assert_eq!(verdict, Some(Verdict::Delivered));
    let (made, verdict) =
        play_event(&workspace, &deleted, &[reply(404, &json!({})), reply(404, &json!({}))]);
    assert_eq!((made.len(), verdict), (2, Some(Verdict::Delivered)), "{made:?}");
    let mut by_address = deleted.clone();
    by_address.subscriber.user_id = None;
    let nobody = reply(200, &json!({"type": "list", "data": []}));
    let (made, verdict) = play_event(&workspace, &by_address, &[nobody]);
    assert_eq!(
        (made.as_slice(), verdict),
        (&["POST /contacts/search".to_owned()][..], Some(Verdict::Delivered))
    );
    workspace.on_customer_deleted = OnCustomerDeleted::Keep;
    assert!(matches!(workspace.plan(&deleted), Plan::Skip(Skip::Disabled)));
}

#[test]
fn a_person_known_by_address_alone_is_searched_for() {
    let mut event = event(EventType::SubscriptionRenewed);
    event.subscriber.user_id = None;
    let workspace = workspace();
    let mut visit = begin(&workspace, &event);
    assert_eq!(visit.begin().path, "/contacts/search");
    let Turn::Ask(create) = visit.judge(&reply(200, &json!({"type": "list", "data": []}))) else {
        panic!("over")
    };
    assert_eq!(shown(&create)["body"]["email"], "ada@example.com");
    let mut visit = begin(&workspace, &event);
    let found = json!({"type": "list", "data": [{"id": "c5"}]});
    let Turn::Ask(update) = visit.judge(&reply(200, &found)) else { panic!("over") };
    assert_eq!(update.path, "/contacts/c5");
}

#[test]
fn every_class_of_answer_has_its_meaning() {
    for status in [400, 405, 406, 422] {
        let (_, verdict) = play(&workspace(), &[reply(status, &json!({}))]);
        assert!(matches!(verdict, Some(Verdict::Park(_))), "{status}");
    }
    for status in [301, 401, 403, 429] {
        let (_, verdict) = play(&workspace(), &[reply(status, &json!({}))]);
        assert!(matches!(verdict, Some(Verdict::Pause { .. })), "{status}");
    }
    for status in [408, 500, 502, 503, 504] {
        let (_, verdict) = play(&workspace(), &[reply(status, &json!({}))]);
        assert!(matches!(verdict, Some(Verdict::Retry(_))), "{status}");
    }
    for transport in [Transport::TimedOut, Transport::Lost] {
        let (_, verdict) = play(&workspace(), &[Answer::Failed(transport)]);
        assert!(matches!(verdict, Some(Verdict::Retry(_))), "{transport:?}");
    }
}

#[test]
fn a_name_too_many_parks_under_a_reason_of_its_own() {
    let message = "Cannot have more than 120 active event names";
    let answers = [contact("c1"), contact("c1"), error(422, "422", message)];
    let (_, verdict) = play(&workspace(), &answers);
    let Some(Verdict::Park(failure)) = verdict else { panic!("{verdict:?}") };
    assert_eq!(failure.reason, Reason::TooManyNames);
}

#[test]
fn the_names_that_events_can_have_are_counted_as_intercom_compares_them() {
    let stripe = || (Provider::Stripe, vec!["invoice.paid", "invoice.created"]);
    let unified = workspace().event_names([stripe(), (Provider::Native, Vec::new())]);
    assert!(unified.contains("subscription_renewed") && !unified.contains("customer_updated"));
    assert!(unified.len() <= MOST_EVENT_NAMES, "{}", unified.len());
    let mut theirs = named(Naming::Provider);
    theirs.names.events = [("invoice.created", Change::Renamed("INVOICE-paid".into()))]
        .into_iter()
        .chain([("rc_renewal_event", Change::Off)])
        .collect();
    let told = theirs.event_names([stripe(), (Provider::Revenuecat, vec!["RENEWAL", "TRANSFER"])]);
    assert_eq!(
        told.into_iter().collect::<Vec<_>>(),
        ["invoice-paid", "rc_trial_converted_event"],
        "a renewal may end a trial"
    );
}

#[test]
fn all_attributes_in_use_are_declared() {
    let sources = Provider::iter().map(|provider| (provider.name(), provider));
    for naming in [Naming::Unified, Naming::Provider] {
        let workspace = named(naming);
        let declared = workspace.declarations(sources.clone());
        for event in of_every_type() {
            let Plan::Send(delivery) = workspace.plan(&event) else { continue };
            workspace.forget();
            let mut visit = workspace.converse(vec![delivery]);
            let _ = visit.begin();
            let Turn::Ask(create) = visit.judge(&reply(404, &json!({}))) else { panic!("over") };
            let body = shown(&create);
            let Some(custom) = body["body"]["custom_attributes"].as_object() else { continue };
            for name in custom.keys() {
                assert!(declared.iter().any(|(declared, _)| declared == name), "{name}");
            }
        }
    }
}

/// Refreshes the person of the samples, whose contact shows this progress.
fn refresh_over(progress: &str) -> (usize, Option<Verdict>) {
    let workspace = workspace();
    let snapshot = event(EventType::CustomerUpdated);
    let Plan::Send(message) = workspace.refresh(&snapshot) else { panic!("skipped") };
    let attribute = format!("tributary_sequence_{}", snapshot.source);
    let found = json!({"type": "contact", "id": "c1", "custom_attributes": {attribute: progress}});
    let mut visit = workspace.converse(vec![message]);
    let _ = visit.begin();
    let mut made = 1;
    for answer in [reply(200, &found), contact("c1"), contact("c1")] {
        match visit.judge(&answer) {
            Turn::Ask(_) => made += 1,
            Turn::Over(mut verdicts) => return (made, verdicts.pop()),
        }
    }
    (made, None)
}

#[test]
fn a_refresh_writes_over_what_the_same_event_left_and_over_nothing_newer() {
    let snapshot = event(EventType::CustomerUpdated);
    let progress = |sequence: i64| {
        let shown = LifecycleEvent { sequence, ..snapshot.clone() };
        progress::Progress::of(&shown).to_string()
    };
    let sequence = snapshot.sequence;
    for not_newer in [sequence - 1, sequence] {
        let (made, verdict) = refresh_over(&progress(not_newer));
        assert_eq!((made, verdict), (2, Some(Verdict::Delivered)), "found, updated");
    }
    let (made, verdict) = refresh_over(&progress(sequence + 1));
    assert_eq!((made, verdict), (1, Some(Verdict::Outdated)), "found, and left alone");
}
