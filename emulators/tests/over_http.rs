//! The driver: what a client sees on the wire when a fault strikes, and what the handle tells then.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::io::ErrorKind;
use std::time::Duration;

use emulators::{
    Credentials, CustomerIo, CustomerIoSettings, Effect, Fault, Intercom, IntercomSettings, Outage,
    Rule,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const T: u64 = 1_767_225_600;
const ULID: &str = "01KDVDBK00AAAAAAAAAAAAAAA0";

struct Client {
    http: reqwest::Client,
    base_url: String,
}

impl Client {
    fn new(base_url: String) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().unwrap();
        Self { http, base_url }
    }

    async fn customerio(&self, body: &Value) -> Result<reqwest::Response, reqwest::Error> {
        self.http
            .post(format!("{}/api/v2/batch", self.base_url))
            .basic_auth("emulator-site", Some("emulator-key"))
            .json(body)
            .send()
            .await
    }

    async fn control(&self, path: &str) -> Value {
        let url = format!("{}/__emulator/{path}", self.base_url);
        self.http.get(url).send().await.unwrap().json().await.unwrap()
    }

    async fn order(&self, path: &str, body: Value) -> u16 {
        let url = format!("{}/__emulator/{path}", self.base_url);
        self.http.post(url).json(&body).send().await.unwrap().status().as_u16()
    }
}

fn renewal(id: &str) -> Value {
    json!({"batch": [
        {"type": "person", "action": "identify", "identifiers": {"id": id}, "timestamp": T,
         "attributes": {"plan": "pro"}},
        {"type": "person", "action": "event", "identifiers": {"id": id}, "name": "renewed",
         "id": ULID, "timestamp": T},
    ]})
}

async fn customerio() -> (CustomerIo, Client) {
    let address = "127.0.0.1:0".parse().unwrap();
    let emulator = CustomerIo::start(address, CustomerIoSettings::default()).await.unwrap();
    let client = Client::new(emulator.base_url());
    (emulator, client)
}

fn rules(emulator: &CustomerIo) -> Vec<Rule> {
    emulator.violations().into_iter().map(|violation| violation.rule).collect()
}

#[tokio::test]
async fn takes_a_batch_and_tells_the_story() {
    let (emulator, client) = customerio().await;
    let reply = client.customerio(&renewal("ann")).await.unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.json::<Value>().await.unwrap(), json!({}));
    assert_eq!(emulator.events_of("ann")[0].name, "renewed");
    assert_eq!(emulator.violations(), []);
    let requests = emulator.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        (requests[0].status, &requests[0].people[..]),
        (Some(200), &["id:ann".to_owned()][..])
    );
}

#[tokio::test]
async fn a_wrong_key_is_refused_over_the_wire() {
    let (emulator, client) = customerio().await;
    let url = format!("{}/api/v1/accounts/region", emulator.base_url());
    let right = client.http.get(&url).basic_auth("emulator-site", Some("emulator-key"));
    let region: Value = right.send().await.unwrap().json().await.unwrap();
    assert_eq!(region["region"], "us");
    let wrong = client.http.get(&url).basic_auth("emulator-site", Some("other"));
    assert_eq!(wrong.send().await.unwrap().status(), 401);
    assert_eq!(rules(&emulator), [Rule::Unauthorized]);
}

#[tokio::test]
async fn a_withheld_reply_leaves_its_effect_and_a_retry_is_ignored() {
    let (emulator, client) = customerio().await;
    emulator.inject(Fault::always(Effect::HangAfterApplying).times(1));
    let impatient = Client {
        http: reqwest::Client::builder().timeout(Duration::from_millis(150)).build().unwrap(),
        base_url: emulator.base_url(),
    };
    assert!(impatient.customerio(&renewal("ann")).await.unwrap_err().is_timeout());
    assert_eq!(emulator.events_of("ann").len(), 1);
    assert_eq!(emulator.requests()[0].status, None);
    assert_eq!(client.customerio(&renewal("ann")).await.unwrap().status(), 200);
    let ann = emulator.person("ann").unwrap();
    assert_eq!((ann.events.len(), ann.ignored_duplicates), (1, 1));
}

#[tokio::test]
async fn a_reset_reaches_the_client_as_an_error_with_or_without_effect() {
    let (emulator, client) = customerio().await;
    emulator.inject(Fault::always(Effect::ResetBeforeApplying).times(1));
    assert!(client.customerio(&renewal("ann")).await.is_err());
    assert_eq!(emulator.people().len(), 0);
    emulator.inject(Fault::always(Effect::ResetAfterApplying).times(1));
    assert!(client.customerio(&renewal("ann")).await.is_err());
    assert_eq!(emulator.events_of("ann").len(), 1);
    assert_eq!(client.customerio(&renewal("ann")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_reset_is_a_reset_and_no_orderly_end() {
    let (emulator, _) = customerio().await;
    emulator.inject(Fault::always(Effect::ResetBeforeApplying));
    let mut stream = TcpStream::connect(emulator.address()).await.unwrap();
    let request = "GET /api/v1/accounts/region HTTP/1.1\r\nhost: emulator\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let ending = stream.read(&mut [0; 64]).await;
    assert_eq!(ending.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_effect_may_land_after_the_client_has_gone() {
    let (emulator, client) = customerio().await;
    emulator.inject(Fault::always(Effect::DelayApplying { millis: 200 }).times(1));
    let body = renewal("ann");
    let gone = tokio::time::timeout(Duration::from_millis(50), client.customerio(&body)).await;
    assert!(gone.is_err());
    assert_eq!(emulator.people().len(), 0);
    let landed = async {
        while emulator.events_of("ann").is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), landed).await.unwrap();
}

#[tokio::test]
async fn notes_two_requests_for_one_person_at_once_but_not_for_two_people() {
    let (emulator, client) = customerio().await;
    emulator.inject(Fault::always(Effect::DelayReply { millis: 100 }));
    let (ann, bob) = (renewal("ann"), renewal("bob"));
    let (first, second) = tokio::join!(client.customerio(&ann), client.customerio(&bob));
    assert_eq!(
        (first.unwrap().status(), second.unwrap().status()),
        (200.try_into().unwrap(), 200.try_into().unwrap())
    );
    assert!(!rules(&emulator).contains(&Rule::ConcurrentRequestsForPerson));
    let (first, second) = tokio::join!(client.customerio(&ann), client.customerio(&ann));
    assert!(first.is_ok() && second.is_ok());
    assert!(rules(&emulator).contains(&Rule::ConcurrentRequestsForPerson));
}

#[tokio::test]
async fn requests_one_after_the_other_on_many_connections_are_no_violation() {
    let (emulator, _) = customerio().await;
    for _ in 0..50 {
        let client = Client::new(emulator.base_url());
        client.customerio(&renewal("ann")).await.unwrap();
    }
    assert_eq!(emulator.violations(), []);
}

#[tokio::test]
async fn says_when_to_come_back_and_notes_who_does_not_wait() {
    let (emulator, client) = customerio().await;
    let respond = Effect::Respond { status: 429, body: None, retry_after_seconds: Some(30) };
    emulator.inject(Fault::always(respond).times(1));
    let reply = client.customerio(&renewal("ann")).await.unwrap();
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["retry-after"]),
        (429, &"30".parse().unwrap())
    );
    // So eager a client may be noted for its pace as well.
    let noted = async {
        while !rules(&emulator).contains(&Rule::RequestInsideRetryAfter) {
            client.customerio(&renewal("ann")).await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(5), noted).await.unwrap();
}

#[tokio::test]
async fn outages_and_refused_credentials_are_switched_on_and_off() {
    let (emulator, client) = customerio().await;
    emulator.set_outage(Outage::Unavailable);
    assert_eq!(client.customerio(&renewal("ann")).await.unwrap().status(), 503);
    emulator.set_outage(Outage::Reset);
    assert!(client.customerio(&renewal("ann")).await.is_err());
    emulator.set_outage(Outage::Off);
    emulator.set_credentials(Credentials::Refused);
    assert_eq!(client.customerio(&renewal("ann")).await.unwrap().status(), 401);
    emulator.clear_faults();
    assert_eq!(client.customerio(&renewal("ann")).await.unwrap().status(), 200);
    assert_eq!(emulator.violations(), []);
}

#[tokio::test]
async fn a_closed_port_refuses_connections_until_it_opens_at_the_same_address() {
    let (emulator, client) = customerio().await;
    client.customerio(&renewal("ann")).await.unwrap();
    emulator.close_port().await;
    assert!(client.customerio(&renewal("ann")).await.unwrap_err().is_connect());
    emulator.open_port().await;
    assert_eq!(client.customerio(&renewal("ann")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_port() {
    let (emulator, client) = customerio().await;
    let other = emulator.clone();
    drop(emulator);
    assert_eq!(client.customerio(&renewal("ann")).await.unwrap().status(), 200);
    drop(other);
    let closed = async { while client.customerio(&renewal("ann")).await.is_ok() {} };
    tokio::time::timeout(Duration::from_secs(5), closed).await.unwrap();
}

#[tokio::test]
async fn the_demo_reads_and_orders_everything_over_http() {
    let (emulator, client) = customerio().await;
    let order =
        json!({"faults": [{"effect": {"respond": {"status": 500}}, "person": "ann", "times": 1}]});
    assert_eq!(client.order("faults", order).await, 204);
    assert_eq!(client.order("faults", json!({"outages": "off"})).await, 422);
    assert_eq!(client.control("faults").await["faults"][0]["times"], 1);
    assert_eq!(client.customerio(&renewal("bob")).await.unwrap().status(), 200);
    assert_eq!(client.customerio(&renewal("ann")).await.unwrap().status(), 500);
    assert_eq!(client.control("state?person=bob").await["events"][0]["name"], "renewed");
    assert_eq!(client.control("state").await["people"][0]["id"], "bob");
    assert_eq!(client.control("requests").await[1]["fault"], "respond");
    client.customerio(&json!({"batch": []})).await.unwrap();
    assert_eq!(client.control("violations").await[0]["rule"], "malformed_body");
    assert_eq!(client.order("reset", json!({})).await, 204);
    assert!(emulator.people().is_empty() && emulator.requests().is_empty());
}

#[tokio::test]
async fn intercom_takes_a_contact_and_an_event_and_tells_its_limits() {
    let address = "127.0.0.1:0".parse().unwrap();
    let emulator = Intercom::start(address, IntercomSettings::default()).await.unwrap();
    assert!(emulator.declare_attribute("plan", "string"));
    let client = Client::new(emulator.base_url());
    let send = |method: reqwest::Method, path: String, body: Value| {
        client
            .http
            .request(method, format!("{}{path}", client.base_url))
            .bearer_auth("emulator-token")
            .header("intercom-version", "2.16")
            .header("accept", "application/json")
            .json(&body)
            .send()
    };
    let created = send(
        reqwest::Method::POST,
        "/contacts".into(),
        json!({"external_id": "ann", "custom_attributes": {"plan": "pro"}}),
    );
    let created: Value = created.await.unwrap().json().await.unwrap();
    let event = json!({"id": created["id"], "event_name": "renewed", "created_at": T});
    let reply = send(reqwest::Method::POST, "/events".into(), event).await.unwrap();
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["x-ratelimit-limit"]),
        (202, &"1667".parse().unwrap())
    );
    assert_eq!(reply.bytes().await.unwrap().len(), 0);
    assert_eq!(emulator.events_of("ann").len(), 1);
    assert!(emulator.create_contact(&json!({"external_id": "bob"})));
    assert!(emulator.merge("ann", "bob") && !emulator.merge("ann", "nobody"));
    let gone = send(reqwest::Method::GET, "/contacts/find_by_external_id/ann".into(), json!({}));
    let gone = gone.await.unwrap();
    assert_eq!(gone.status(), 410);
    assert!(gone.headers()["link"].to_str().unwrap().contains("canonical"));
    assert_eq!(emulator.violations(), []);
}
