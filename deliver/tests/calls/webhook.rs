//! Signed webhooks against a receiver that believes nothing: it checks each signature with the code that
//! `ingest` checks those of other senders with, keeps to the window of five minutes, and remembers ids.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use deliver::destinations::webhook::Webhook;
use deliver::destinations::{Names, Verdict};
use deliver::http::Credentials;
use ingest::sources::adapter;
use secrecy::SecretString;
use serde_json::Value;
use service::config::Provider;
use service::secrets::Secrets;
use tokio::net::TcpListener;

use crate::bench::{Bench, anywhere, audience, caller, event};

const OURS: &str = "whsec_b3VyIHNpZ25pbmcgc2VjcmV0";
const FORMER: &str = "whsec_dGhlIG9uZSBiZWZvcmUgaXQ=";

/// What the receiver knows.
struct Receiver {
    secret: SecretString,
    answers: Mutex<Vec<StatusCode>>,
    /// Messages that are taken and never answered.
    silent: Mutex<usize>,
    seen: Mutex<HashSet<String>>,
    told: Mutex<Vec<Value>>,
    refused: Mutex<usize>,
}

async fn receive(
    State(receiver): State<Arc<Receiver>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let secrets = [receiver.secret.clone()];
    let credentials = ingest::sources::Credentials {
        secrets: &secrets,
        authorization: &[],
        tolerance: Duration::from_mins(5),
    };
    // Dodo signs as Standard Webhooks describes, too.
    let authenticate = adapter(Provider::Dodo).unwrap().authenticate;
    let now = service::clock::Clock::now(&service::clock::SystemClock::new());
    if authenticate(&headers, &body, &credentials, now).is_err() {
        *receiver.refused.lock().unwrap() += 1;
        return StatusCode::UNAUTHORIZED;
    }
    if let Some(status) = receiver.answers.lock().unwrap().pop() {
        return status;
    }
    let message: Value = serde_json::from_slice(&body).unwrap();
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    if message["type"] != "tributary.ping" && receiver.seen.lock().unwrap().insert(id) {
        receiver.told.lock().unwrap().push(message);
    }
    if receiver.keeps_silent() {
        std::future::pending::<()>().await;
    }
    StatusCode::NO_CONTENT
}

impl Receiver {
    fn keeps_silent(&self) -> bool {
        let mut silent = self.silent.lock().unwrap();
        let keeps = *silent > 0;
        *silent = silent.saturating_sub(1);
        keeps
    }

    /// What each subscriber shows at a receiver that does as the page of destinations says.
    fn shown(&self) -> HashMap<String, Value> {
        let mut kept: HashMap<String, (i64, Value)> = HashMap::new();
        for message in self.told.lock().unwrap().iter() {
            let data = &message["data"];
            let key = data["subscriber"]["key"].as_str().unwrap().to_owned();
            let sequence = data["sequence"].as_i64().unwrap();
            if kept.get(&key).is_none_or(|(last, _)| sequence > *last) {
                kept.insert(key, (sequence, data["attributes"].clone()));
            }
        }
        kept.into_iter().map(|(key, (_, attributes))| (key, attributes)).collect()
    }
}

async fn start(knows: &str, signs: &[&str]) -> (Arc<Receiver>, Bench<Webhook>) {
    let receiver = Arc::new(Receiver {
        secret: SecretString::from(knows),
        answers: Mutex::default(),
        silent: Mutex::default(),
        seen: Mutex::default(),
        told: Mutex::default(),
        refused: Mutex::default(),
    });
    let listener = TcpListener::bind(anywhere()).await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/hooks", post(receive)).with_state(receiver.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let secrets = signs.iter().map(|secret| SecretString::from(*secret)).collect();
    let credentials = Credentials::Signed(Secrets::fixed(secrets));
    let path = "/hooks?team=7".to_owned();
    let webhook = Webhook { audience: audience(), names: Names::default(), path };
    (receiver, Bench::new(webhook, caller(&origin, credentials)))
}

#[tokio::test]
async fn a_message_is_believed_and_told_once_however_often_it_comes() {
    let (receiver, mut bench) = start(OURS, &[OURS]).await;
    for _ in 0..3 {
        assert_eq!(bench.deliver(&[event(0, 1)]).await, [Verdict::Delivered]);
    }
    assert_eq!(bench.deliver(&[event(0, 2)]).await, [Verdict::Delivered]);
    let told = receiver.told.lock().unwrap();
    let sequences: Vec<_> = told.iter().map(|message| &message["data"]["sequence"]).collect();
    assert_eq!(sequences, [1, 2]);
    assert_eq!(told[0]["type"], "subscription_renewed");
    assert_eq!(*receiver.refused.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_message_that_was_taken_unheard_is_told_once() {
    let (receiver, mut bench) = start(OURS, &[OURS]).await;
    *receiver.silent.lock().unwrap() = 1;
    let verdicts = bench.deliver(&[event(0, 1)]).await;
    let [Verdict::Retry(failure)] = &verdicts[..] else { panic!("{verdicts:?}") };
    assert!(failure.may_still_land());
    assert_eq!(bench.deliver(&[event(0, 1)]).await, [Verdict::Delivered]);
    assert_eq!(receiver.told.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_redriven_message_is_told_and_takes_back_nothing_where_sequences_are_compared() {
    let (receiver, mut bench) = start(OURS, &[OURS]).await;
    let of_plan = |sequence: i64| {
        let mut event = event(0, sequence);
        event.subscription.as_mut().unwrap().plan_id = Some(format!("plan_{sequence}"));
        event
    };
    receiver.answers.lock().unwrap().push(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(matches!(bench.deliver(&[of_plan(1)]).await[..], [Verdict::Park(_)]));
    for sequence in [2, 1] {
        assert_eq!(bench.deliver(&[of_plan(sequence)]).await, [Verdict::Delivered]);
    }
    let told =
        |at: usize| receiver.told.lock().unwrap()[at]["data"]["attributes"]["plan_id"].clone();
    assert_eq!((told(0), told(1)), (Value::from("plan_2"), Value::from("plan_1")));
    assert_eq!(receiver.shown()["shop/cus_0"]["plan_id"], "plan_2");
}

#[tokio::test]
async fn while_a_secret_is_rotated_either_side_may_be_first() {
    for knows in [OURS, FORMER] {
        let (receiver, mut bench) = start(knows, &[OURS, FORMER]).await;
        assert_eq!(bench.deliver(&[event(0, 1)]).await, [Verdict::Delivered]);
        assert_eq!(receiver.told.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_secret_that_the_receiver_does_not_know_pauses_and_loses_nothing() {
    let (receiver, mut bench) = start(OURS, &[FORMER]).await;
    assert!(matches!(bench.deliver(&[event(0, 1)]).await[..], [Verdict::Pause { .. }]));
    assert!(!bench.caller.gate.is_open_for_calls());
    assert!(receiver.told.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_receiver_that_is_gone_pauses_until_a_ping_is_answered() {
    let (receiver, mut bench) = start(OURS, &[OURS]).await;
    receiver.answers.lock().unwrap().push(StatusCode::GONE);
    assert!(matches!(bench.deliver(&[event(0, 1)]).await[..], [Verdict::Pause { .. }]));
    bench.recover().await;
    assert_eq!(bench.deliver(&[event(0, 1)]).await, [Verdict::Delivered]);
    assert_eq!(receiver.told.lock().unwrap().len(), 1, "a ping tells nothing");
}
