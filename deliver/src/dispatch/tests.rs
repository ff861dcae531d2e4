use secrecy::SecretString;
use service::clock::SystemClock;
use service::secrets::Secrets;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::destinations::Elsewhere;
use crate::http::Credentials;
use crate::lease::Lease;

/// Asks these, whatever is answered.
struct Asks(VecDeque<Request>);

impl Conversation for Asks {
    fn begin(&mut self) -> Request {
        self.0.pop_front().unwrap()
    }

    fn judge(&mut self, _answer: &Answer) -> Turn {
        match self.0.pop_front() {
            Some(request) => Turn::Ask(request),
            None => Turn::Over(vec![Verdict::Delivered]),
        }
    }
}

/// Answers one request that its allowance is used up with it. Gives its origin, and later what it was asked.
async fn host() -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let (mut asked, mut part) = (Vec::new(), [0; 4096]);
        while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
            let read = connection.read(&mut part).await.unwrap();
            asked.extend_from_slice(&part[..read]);
        }
        let answer = b"HTTP/1.1 200 OK\r\ndate: Thu, 28 May 2026 20:26:40 GMT\r\nx-ratelimit-remaining: 0\r\n\
            x-ratelimit-reset: 1780000030\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        connection.write_all(answer).await.unwrap();
        String::from_utf8(asked).unwrap().to_ascii_lowercase()
    });
    (origin, asked)
}

fn caller(base_url: &str) -> Arc<Caller> {
    let credentials = Credentials::Bearer(Secrets::fixed(vec![SecretString::from("hush")]));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut lease = Lease::new(Duration::from_mins(1));
    lease.renew(clock.elapsed());
    Arc::new(Caller {
        http: Http::new(base_url, credentials, Duration::from_secs(10), vec![("version", "7")])
            .unwrap(),
        gate: Arc::new(Gate::new(1_000.0, lease)),
        clock,
        observers: Observers::default(),
    })
}

async fn made(requests: Vec<Request>, caller: &Arc<Caller>) {
    let finished =
        converse(Asks(requests.into()), Vec::new(), Duration::ZERO, Arc::clone(caller)).await;
    assert!(matches!(finished, Finished::Called(_)), "{finished:?}");
}

fn elsewhere(origin: String) -> Request {
    let headers = vec![("x-key".to_owned(), "of-theirs".to_owned())];
    let body = serde_json::json!({});
    Request::post("/in", &body).identified("e.1").to(Elsewhere { origin, headers })
}

#[tokio::test]
async fn another_host_is_told_no_credentials_and_its_allowance_pauses_nobody() {
    let (origin, asked) = host().await;
    let caller = caller("http://127.0.0.1:9");
    made(vec![elsewhere(origin)], &caller).await;
    let asked = asked.await.unwrap();
    assert!(caller.gate.is_open_for_calls());
    assert!(asked.starts_with("post /in "), "{asked}");
    assert!(
        asked.contains("x-key: of-theirs") && asked.contains("idempotency-key: e.1"),
        "{asked}"
    );
    assert!(!asked.contains("authorization") && !asked.contains("version: 7"), "{asked}");
}

#[tokio::test]
async fn the_destinations_own_allowance_is_heeded() {
    let (origin, asked) = host().await;
    let caller = caller(&origin);
    made(vec![Request::get("/own")], &caller).await;
    assert!(asked.await.unwrap().contains("authorization: bearer hush"));
    assert!(!caller.gate.is_open_for_calls());
}

#[tokio::test]
async fn what_other_hosts_answer_says_nothing_about_the_destination() {
    let caller = caller("http://127.0.0.1:9");
    let failed =
        Verdict::Retry(crate::failure::Failure::new(crate::failure::Reason::ServerError, ""));
    let fails = |caller: &Caller| caller.gate.learn(std::slice::from_ref(&failed), Duration::ZERO);
    // As often as it may fail in a row, and between each two another host is well.
    for _ in 0..100 {
        fails(&caller);
        if !caller.gate.is_open_for_calls() {
            return;
        }
        let (origin, _asked) = host().await;
        made(vec![elsewhere(origin)], &caller).await;
    }
    panic!("its failures were forgotten");
}
