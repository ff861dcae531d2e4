//! What files come to: records that the line reads, and refusals that say where.

use schemas::state::Role;
use schemas::{Provider, Timestamp};
use serde_json::{Value, json};

use super::gather::Setting;
use super::*;
use crate::sources::native::imported;
use crate::sources::{RawView, Reading, SourceSettings, mapper_of};

const AS_OF: &str = "2026-06-01T00:00:00Z";

fn moment(text: &str) -> Timestamp {
    Timestamp::from_rfc3339(text).unwrap()
}

fn told(provider: Provider, format: Format, text: &str) -> Result<Outcome, Failure> {
    let settings = SourceSettings {
        user_id: vec!["/data/object/metadata/user_id".to_owned()],
        ..SourceSettings::default()
    };
    let mapper = mapper_of(provider).unwrap();
    let source = Source { name: "shop".to_owned(), provider, mapper, settings };
    let setting = Setting {
        source: &source,
        as_of: Some(moment(AS_OF)),
        now: moment("2026-06-02T00:00:00Z"),
        topic: "subscriptions.raw",
        budget: Budget::of(1 << 20),
    };
    read(text.as_bytes(), format, setting.as_of, &setting)
}

/// The bodies by key, and the refusals as they are shown.
fn came(outcome: &Outcome) -> (Vec<(String, Value)>, Vec<String>) {
    let body = |record: &stream::Record| {
        let key = String::from_utf8(record.key.clone()).unwrap();
        (key, serde_json::from_slice(record.value.as_ref().unwrap()).unwrap())
    };
    (outcome.records.iter().map(body).collect(), report::refusals(&outcome.refusals))
}

fn csv(text: &str) -> (Vec<(String, Value)>, Vec<String>) {
    came(&told(Provider::Stripe, Format::Csv, text).unwrap())
}

fn stops(text: &str) -> String {
    let Err(failure) = told(Provider::Stripe, Format::Csv, text) else { panic!("{text}") };
    assert_eq!(failure.code(), 78);
    failure.report()
}

#[test]
fn rows_of_one_subscriber_become_one_record_wherever_they_stand() {
    let (bodies, refusals) = csv("\
subscriber_id,email,attribute.tier,subscription_id,status,price_amount,price_currency,expires_at,total_amount,total_currency
cus_1,ada@example.com,gold,sub_1,active,990,usd,2026-07-01T02:00:00+02:00,5000,USD
cus_2,,,,,,,,,
cus_1,ada@example.com,,sub_2,expired,,,1767225600000,5000,USD
");
    assert_eq!(refusals, Vec::<String>::new());
    let expected = json!({
        "as_of": 1_780_272_000_000_i64,
        "subscriber": {"email": "ada@example.com", "attributes": {"tier": "gold"}, "id": "cus_1"},
        "subscriptions": [
            {"id": "sub_1", "status": "active", "expires_at": 1_782_864_000_000_i64,
             "price": {"amount": 990, "currency": "usd"}},
            {"id": "sub_2", "status": "expired", "expires_at": 1_767_225_600_000_i64},
        ],
        "totals": [{"amount": 5000, "currency": "USD"}],
    });
    assert_eq!(bodies[0], ("shop/cus_1".to_owned(), expected));
    assert_eq!(bodies[1].1["subscriber"], json!({"id": "cus_2"}));
}

#[test]
fn of_whom_anything_is_refused_nothing_is_imported_and_the_others_are() {
    let text = "\
subscriber_id,email,subscription_id,status,quantity,expires_at,auto_renew,as_of
fine,,sub_1,active,1,,true,
bad-number,,sub_2,active,many,,,
bad-number,,sub_3,active,1,,,
bad-moment,,sub_4,active,,soon,,
bad-flag,,sub_5,active,,,perhaps,
no-status,,sub_6,,,,,
wrong-status,,sub_7,lapsed,,,,
no-subscription,,,active,,,,
twice,,sub_8,active,,,,
twice,,sub_8,active,,,,
two,one@example.com,sub_9,active,,,,
two,other@example.com,sub_10,active,,,,
future,,sub_11,active,,,,2027-01-01T00:00:00Z
short,,sub_12,active,,,,
short,,sub_12,active
,,sub_13,active,,,,
absurd,,sub_14,active,-3,,,
";
    let outcome = told(Provider::Stripe, Format::Csv, text).unwrap();
    let (bodies, refusals) = came(&outcome);
    assert_eq!(bodies.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["shop/fine"]);
    assert_eq!(
        refusals,
        [
            "refused: as_of: in the future (line 14)",
            "refused: auto_renew: neither true nor false (line 6)",
            "refused: email: it differs from line 12, of the same subscriber (line 13)",
            "refused: expires_at: not a time such as 2026-12-01T00:00:00Z, nor milliseconds (line 5)",
            "refused: id: listed twice (line 11)",
            "refused: quantity: an absurd number (line 18)",
            "refused: quantity: not a whole number (line 3)",
            "refused: row: it has 4 fields and the heading 8 (line 16)",
            "refused: status: missing, or no status (lines 7, 8)",
            "refused: subscriber_id: missing (line 17)",
            "refused: subscription_id: missing (line 9)",
        ]
    );
    assert_eq!((outcome.read, outcome.refused, outcome.left_out), (17, 11, 0));
    let shown = format!("{refusals:?}");
    assert!(!shown.contains("example.com") && !shown.contains("lapsed"), "{shown}");
}

#[test]
fn a_heading_that_means_nothing_here_refuses_the_whole_file() {
    assert_eq!(
        stops("subscriber_id,subscripton_id\na,b\n"),
        "line 1: column 2, \"subscripton_id\", is not known; did you mean \"subscription_id\"?"
    );
    assert_eq!(
        stops("subscriber_id,shoe size\na,b\n"),
        "line 1: column 2, \"shoe size\", is not known"
    );
    assert_eq!(stops("email\na\n"), "line 1: there is no column \"subscriber_id\"");
    assert_eq!(
        stops("subscriber_id,subscriber_id\na,b\n"),
        "line 1: column \"subscriber_id\" stands there twice"
    );
    assert_eq!(stops(""), "line 1: the file is empty, or has no heading");
}

#[test]
fn a_spreadsheet_may_write_its_mark_and_its_line_ends() {
    let (bodies, refusals) = csv("\u{feff}subscriber_id,email\r\ncus_1,ada@example.com\r\n");
    assert_eq!((bodies.len(), refusals.len()), (1, 0));
}

#[test]
fn rows_of_another_source_are_left_out_and_people_who_are_several_are_told() {
    let text = "\
subscriber_id,source,email
cus_1,shop,ada@example.com
cus_2,app,ada@example.com
cus_3,,ada@example.com
";
    let outcome = told(Provider::Stripe, Format::Csv, text).unwrap();
    assert_eq!((outcome.records.len(), outcome.left_out, outcome.shared), (2, 1, 1));
}

#[test]
fn a_json_line_is_the_body_of_the_record() {
    let text = r#"
{"subscriber":{"id":"a","attributes":{"tier":"gold"}},"environment":"sandbox","subscriptions":[{"id":"s","status":"trial"}],"as_of":"2026-05-01T00:00:00Z"}
{"subscriber":{"id":"b","mail":"x"}}
{"subscriber":{"id":"c"},"subscriptions":[{"id":"s","state":"trial"}]}
{"subscriber":{}}
not json
{"subscriber":{"id":"d"},"totals":[{"amount":5}]}
{"subscriber":{"id":"e"},"subscriptions":{}}
{"subscriber":{"id":"f"},"as_of":"May"}
"#;
    let outcome = told(Provider::Native, Format::Jsonl, text).unwrap();
    let (bodies, refusals) = came(&outcome);
    assert_eq!(bodies.len(), 1);
    assert_eq!(bodies[0].1["subscriptions"][0]["environment"], "sandbox");
    assert_eq!(bodies[0].1["as_of"], json!(1_777_593_600_000_i64));
    assert_eq!(
        refusals,
        [
            "refused: as_of: not a time (line 9)",
            "refused: currency: missing (line 7)",
            "refused: row: not a JSON object (line 6)",
            "refused: subscriber/id: missing (line 5)",
            "refused: subscriber/mail: not known (line 3)",
            "refused: subscriptions: not a list (line 8)",
            "refused: subscriptions/0/state: not known (line 4)",
        ]
    );
}

#[test]
fn what_stripe_lists_is_imported_as_its_webhooks_would_have_told_it() {
    let subscription = |id: &str, customer: Value, status: &str, more: Value| {
        let mut told = json!({"object": "subscription", "id": id, "customer": customer,
            "status": status, "livemode": true, "cancel_at_period_end": false,
            "start_date": 1_717_200_000, "metadata": {"user_id": "u-1"},
            "items": {"object": "list", "data": [{"id": "si_1", "quantity": 1,
                "current_period_start": 1_777_000_000, "current_period_end": 1_780_600_000,
                "price": {"id": "price_1", "product": "prod_1", "unit_amount": 990,
                    "currency": "usd", "recurring": {"interval": "month", "interval_count": 1}}}]}});
        told.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        told
    };
    let expanded = json!({"id": "cus_1", "email": "ada@example.com", "name": "Ada"});
    let page = json!({"object": "list", "has_more": true, "data": [
        subscription("sub_1", json!("cus_1"), "active", json!({"cancel_at_period_end": true})),
        subscription("sub_2", expanded, "past_due", json!({})),
        subscription("sub_3", json!("cus_3"), "incomplete", json!({})),
    ]});
    let bad = subscription("sub_4", json!("cus_4"), "active", json!({"start_date": "yesterday"}));
    let nobody = subscription("sub_5", Value::Null, "active", json!({}));
    let text =
        format!("{page:#}\n{bad}\n{nobody}\n{{\"object\": \"charge\", \"customer\": \"c\"}}\n{{");
    let outcome = told(Provider::Stripe, Format::Stripe, &text).unwrap();
    let (bodies, refusals) = came(&outcome);
    assert_eq!((bodies.len(), outcome.left_out, bodies[0].0.as_str()), (1, 1, "shop/cus_1"));
    let body = &bodies[0].1;
    assert_eq!(
        body["subscriber"],
        json!({"user_id": "u-1", "email": "ada@example.com", "attributes": {"name": "Ada"}, "id": "cus_1"})
    );
    let listed = &body["subscriptions"];
    assert_eq!(listed[0]["status"], "cancelled");
    assert_eq!(listed[0]["price"], json!({"amount": 990, "currency": "USD", "exponent": 2}));
    assert_eq!(
        (&listed[1]["status"], &listed[1]["provider_status"]),
        (&json!("grace_period"), &json!("past_due"))
    );
    let lines = page_lines(&page);
    assert_eq!(
        refusals,
        [
            format!("refused: customer: missing (line {})", lines + 2),
            format!("refused: livemode: missing (line {})", lines + 3),
            format!("refused: row: from here on it is no JSON (line {})", lines + 4),
            format!("refused: start_date: not a whole number (line {})", lines + 1),
        ]
    );
}

fn page_lines(page: &Value) -> usize {
    format!("{page:#}").lines().count()
}

#[test]
fn what_dodo_lists_is_imported_as_its_webhooks_would_have_told_it() {
    let item = json!({"subscription_id": "sub_1", "status": "active", "product_id": "pro",
        "customer": {"customer_id": "cus_1", "email": "ada@example.com", "name": "Ada"},
        "recurring_pre_tax_amount": 9900, "currency": "USD", "quantity": 1,
        "payment_frequency_interval": "Year", "payment_frequency_count": 1,
        "cancel_at_next_billing_date": true, "created_at": "2024-06-01T00:00:00Z",
        "previous_billing_date": "2025-07-01T00:00:00Z",
        "next_billing_date": "2026-07-01T00:00:00Z", "trial_period_days": 0});
    let text = json!({"items": [item]}).to_string();
    let (bodies, refusals) = came(&told(Provider::Dodo, Format::Dodo, &text).unwrap());
    assert_eq!(refusals, Vec::<String>::new());
    let listed = &bodies[0].1["subscriptions"][0];
    assert_eq!(
        (&listed["status"], &listed["billing_period"], &listed["auto_renew"]),
        (&json!("cancelled"), &json!("P1Y"), &json!(false))
    );
}

const EXPORT: &str = "\
rc_original_app_user_id,rc_last_seen_app_user_id_alias,product_identifier,start_time,end_time,grace_period_end_time,\
effective_end_time,store,is_auto_renewable,is_trial_period,is_in_intro_offer_period,is_sandbox,refunded_at,\
unsubscribe_detected_at,billing_issues_detected_at,purchased_currency,price_in_purchased_currency,\
original_store_transaction_id,reserved_subscriber_attributes,entitlement_identifiers,country
";

#[test]
fn revenuecats_transactions_are_added_up_and_the_latest_says_how_it_stands() {
    let text = format!(
        "{EXPORT}\
ada,$RCAnonymousID:1,pro,2026-05-01 00:00:00,2026-06-30 00:00:00,,2026-06-30 00:00:00,app_store,true,false,false,false,,2026-05-20 00:00:00,,USD,9.99,t1,\"{{\"\"$email\"\":{{\"\"value\"\":\"\"ada@example.com\"\"}}}}\",\"[\"\"pro\"\"]\",DE
ada,ada,pro,2024-05-01 00:00:00,2026-05-01 00:00:00,,2026-05-01 00:00:00,app_store,true,true,false,false,,,,USD,0,t1,,,DE
ada,ada,coins,2026-05-03T10:00:00Z,,,,app_store,false,false,false,false,,,,USD,4.99,t2,,,DE
bob,bob,pro,2026-05-01 00:00:00,2026-05-31 00:00:00,2026-06-10 00:00:00,2026-06-10 00:00:00,play_store,true,false,false,true,,,2026-05-31 00:00:00,JPY,1200,t3,,,JP
eve,eve,pro,2026-05-01 00:00:00,2026-05-31 00:00:00,,2026-05-31 00:00:00,play_store,true,false,false,false,,,,EUR,7.00,t4,,,FR
mal,mal,pro,long ago,,,,app_store,true,false,false,false,,,,USD,1,t5,,,US
"
    );
    let outcome = told(Provider::Revenuecat, Format::Revenuecat, &text).unwrap();
    let (bodies, refusals) = came(&outcome);
    assert_eq!(refusals, ["refused: start_time: not a time (line 7)"]);
    let status = |index: usize| bodies[index].1["subscriptions"][0]["status"].clone();
    assert_eq!([status(0), status(1), status(2)], ["cancelled", "grace_period", "expired"]);
    let ada = &bodies[0].1;
    assert_eq!(ada["subscriptions"].as_array().unwrap().len(), 1, "coins are no subscription");
    assert_eq!(
        ada["subscriptions"][0]["started_at"],
        json!(moment("2024-05-01T00:00:00Z").millis())
    );
    assert_eq!(ada["totals"][0]["amount"], 1498);
    assert_eq!(
        ada["subscriber"],
        json!({"aliases": ["$RCAnonymousID:1"], "email": "ada@example.com", "id": "ada"})
    );
    assert_eq!(
        bodies[1].1["totals"][0],
        json!({"environment": "sandbox", "amount": 1200,
        "currency": "JPY", "exponent": 0})
    );
}

#[test]
fn what_is_too_much_for_one_record_is_refused_before_it_is_sent() {
    let mut rows = vec!["subscriber_id,subscription_id,status".to_owned()];
    rows.extend((0..900).map(|number| format!("whale,sub-{number},active")));
    let text = rows.join("\n");
    let (bodies, refusals) = csv(&text);
    assert!(bodies.is_empty());
    assert_eq!(refusals, ["refused: row: the subscriber has more than a record may say (line 2)"]);
}

#[test]
fn every_record_is_read_by_the_line() {
    let text = "subscriber_id,subscription_id,status\ncus/1,sub_1,paused\n";
    let outcome = told(Provider::Stripe, Format::Csv, text).unwrap();
    let record = &outcome.records[0];
    let mapper = mapper_of(Provider::Stripe).unwrap();
    let settings = SourceSettings::default();
    let source = Source { name: "shop".to_owned(), provider: Provider::Stripe, mapper, settings };
    let raw = RawView {
        body: record.value.as_ref().unwrap(),
        event_id: "",
        event_type: imported::TYPE,
        subscriber_id: "cus/1",
        received_at: moment(AS_OF),
        traceparent: None,
        role: Role::Own,
    };
    assert!(matches!(imported::read(&raw, &source), Reading::Facts(_)));
    let again = told(Provider::Stripe, Format::Csv, text).unwrap();
    assert_eq!(again.records[0], outcome.records[0], "the same file is the same record");
}

#[test]
fn the_report_names_some_lines_and_counts_the_rest() {
    let refusal = |line| told::Refusal::new(line, "status", "missing");
    let all: Vec<_> = (2..20).map(refusal).collect();
    assert_eq!(
        report::refusals(&all),
        ["refused: status: missing (lines 2, 3, 4, 5, 6 and 13 more)"]
    );
    let numbers = Numbers { read: 3, left_out: 1, subscribers: 2, refused: 1, shared: 0 };
    assert!(conclude(numbers, Done::Sent(2), 0).is_ok());
    assert!(matches!(conclude(numbers, Done::DryRun, 1), Err(ImportError::Refused(1, 1))));
    let left = conclude(numbers, Done::Sent(1), 1);
    assert!(matches!(left, Err(ImportError::Interrupted { left: 1, all: 2 })));
}
