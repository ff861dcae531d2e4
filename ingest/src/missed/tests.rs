use std::sync::Mutex;

use emulators::StripeEvents;
use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::{Value, json};
use service::clock::SystemClock;

use super::*;
use crate::publish::AppendError;

const KEY: &str = "rk_test_events";

fn event(number: usize, created: i64) -> Value {
    let customer = format!("cus_{}", number % 3);
    json!({
        "id": format!("evt_{number:05}"), "object": "event", "type": "customer.updated",
        "created": created, "data": {"object": {"id": customer, "object": "customer"}},
    })
}

fn id(body: &[u8]) -> String {
    serde_json::from_slice::<Value>(body).unwrap()["id"].as_str().unwrap().to_owned()
}

/// What an account holds, by the second; newest first, as it is listed.
struct Account(Vec<i64>);

const PAGE: usize = 2;

impl Archive for Account {
    async fn page(&self, span: Span, next: Option<&str>) -> Result<Page, ArchiveError> {
        let within = |created: &i64| (span.from..span.until).contains(created);
        let all: Vec<_> =
            self.0.iter().enumerate().filter(|(_, created)| within(created)).rev().collect();
        let begin = next.map_or(0, |next| next.parse().unwrap());
        let events = all.iter().skip(begin).take(PAGE);
        let events = events.map(|(number, created)| event(*number, **created).to_string().into());
        let end = begin + PAGE;
        Ok(Page { events: events.collect(), next: (end < all.len()).then(|| end.to_string()) })
    }
}

proptest! {
    #[test]
    fn everything_of_the_time_asked_for_comes_once_oldest_first_and_never_too_much_at_once(
        mut seconds in prop::collection::vec(
            prop_oneof![0..20_000_i64, Just(7_000), 9_000..9_100_i64],
            0..300,
        ),
        from in 0..10_000_i64,
    ) {
        seconds.sort_unstable();
        let span = Span { from, until: 15_000 };
        let expected: Vec<_> = (0..)
            .zip(&seconds)
            .filter(|(_, second)| (from..15_000).contains(*second))
            .map(|(number, _)| format!("evt_{number:05}"))
            .collect();
        let account = Account(seconds);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut got, mut recovery) = (Vec::new(), Recovery::of(span));
        while let Some(slice) = recovery.next_slice() {
            if let Listed::All(bodies) = runtime.block_on(recovery.list(&account, slice)).unwrap() {
                let is_one_second = slice.until - slice.from == 1;
                prop_assert!(bodies.len() <= 20 * PAGE || is_one_second, "{slice:?}");
                got.extend(bodies.iter().map(|body| id(body)));
            }
        }
        prop_assert_eq!(got, expected);
    }
}

/// Keeps what is written; fails at the record of this number.
#[derive(Default)]
struct Log {
    records: Mutex<Vec<RawRecord>>,
    fails_at: Option<usize>,
}

impl RawLog for Log {
    async fn append(&self, record: RawRecord) -> Result<(), AppendError> {
        let mut records = self.records.lock().unwrap();
        if self.fails_at == Some(records.len()) {
            return Err(AppendError::QueueFull);
        }
        records.push(record);
        Ok(())
    }
}

async fn recover(
    server: &StripeEvents,
    key: &str,
    span: Span,
    log: &Log,
) -> (Count, Result<(), Failure>) {
    let list = EventList::open(&server.base_url(), SecretString::from(key)).unwrap();
    let clock = SystemClock::new();
    let writer = Writer {
        name: "shop",
        provider: Provider::Stripe,
        adapter: &sources::stripe::ADAPTER,
        max_body: 10_000,
        log,
        clock: &clock,
        is_dry_run: false,
    };
    all(&list, span, &writer, &CancellationToken::new(), &ProgressBar::hidden()).await
}

#[tokio::test]
async fn what_stripe_lists_is_written_as_if_it_had_come_as_a_webhook() {
    let events: Vec<_> =
        (0..250).map(|number| event(number, 1_000 + i64::try_from(number).unwrap())).collect();
    let server = StripeEvents::start(KEY, events.clone()).await.unwrap();
    // A limit of requests, and a moment of weakness.
    server.refuse(&[429, 500]);
    let log = Log::default();
    let (count, ended) = recover(&server, KEY, Span { from: 1_010, until: 1_240 }, &log).await;
    ended.unwrap();
    assert_eq!(count, Count { listed: 230, written: 230, too_large: 0 });
    let records = log.records.into_inner().unwrap();
    for (record, event) in records.iter().zip(&events[10..240]) {
        assert_eq!(serde_json::from_slice::<Value>(&record.body).unwrap(), *event);
        assert_eq!(record.headers.id, event["id"].as_str().unwrap());
        assert_eq!(record.headers.event_type, "stripe.customer.updated");
        let customer = event["data"]["object"]["id"].as_str().unwrap();
        assert_eq!(record.key, format!("shop/{customer}").into_bytes());
    }
    assert_eq!(server.requests(), 5, "two refused, and three pages");
}

#[tokio::test]
async fn a_key_that_is_refused_is_said_at_once() {
    let server = StripeEvents::start(KEY, Vec::new()).await.unwrap();
    let (count, ended) =
        recover(&server, "another", Span { from: 0, until: 9 }, &Log::default()).await;
    let report = ended.unwrap_err().report();
    assert!(
        report.contains("HTTP 401") && report.contains("--from 1970-01-01T00:00:00Z"),
        "{report}"
    );
    assert_eq!((count, server.requests()), (Count::default(), 1));
}

#[tokio::test]
async fn what_could_not_be_written_is_named_to_go_on_from() {
    let events =
        (0..10).map(|number| event(number, 1_000 + 3_600 * i64::try_from(number).unwrap()));
    let server = StripeEvents::start(KEY, events.collect()).await.unwrap();
    let log = Log { fails_at: Some(4), ..Log::default() };
    let (count, ended) = recover(&server, KEY, Span { from: 1_000, until: 100_000 }, &log).await;
    let report = ended.unwrap_err().report();
    let from = report.rsplit_once("--from ").unwrap().1.parse::<Timestamp>().unwrap().as_second();
    assert_eq!(count.written, 4);
    assert!(from <= 1_000 + 3_600 * 4, "{report}");
    let rest = Log::default();
    recover(&server, KEY, Span { from, until: 100_000 }, &rest).await.1.unwrap();
    let ids =
        |log: Log| log.records.into_inner().unwrap().into_iter().map(|record| record.headers.id);
    let mut all: Vec<_> = ids(log).chain(ids(rest)).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 10);
}

#[tokio::test]
async fn an_event_that_no_webhook_could_have_brought_is_counted_and_left_out() {
    let mut large = event(0, 1_000);
    large["data"]["object"]["description"] = "x".repeat(10_000).into();
    let server = StripeEvents::start(KEY, vec![large, event(1, 1_001)]).await.unwrap();
    let (count, ended) =
        recover(&server, KEY, Span { from: 0, until: 2_000 }, &Log::default()).await;
    ended.unwrap();
    assert_eq!(count, Count { listed: 2, written: 1, too_large: 1 });
}

#[test]
fn a_time_that_cannot_be_asked_for_is_refused() {
    let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
    let arguments = |from: &str, to: Option<&str>| Arguments {
        source: "shop".to_owned(),
        from: from.parse().unwrap(),
        to: to.map(|to| to.parse().unwrap()),
        api_key_file: None,
        api: stripe::API.to_owned(),
        dry_run: false,
        json: false,
    };
    let asked = |from, to| span(&arguments(from, to), now).map_err(|failure| failure.code());
    for (from, to) in [
        ("2026-11-21T13:00:00Z", None),
        ("2026-11-20T12:00:00Z", Some("2026-11-20T11:00:00Z")),
        ("2026-10-01T00:00:00Z", None),
    ] {
        assert_eq!(asked(from, to), Err(64), "{from}");
    }
    let until_now = asked("2026-11-21T11:59:00Z", Some("2026-12-01T00:00:00Z")).unwrap();
    assert_eq!(until_now.until - until_now.from, 61);
}
