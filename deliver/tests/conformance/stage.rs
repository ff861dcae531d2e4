//! From a webhook's body to the requests it causes: the way of an event without the topics in between.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use deliver::destinations::customerio::{self, CustomerIo};
use deliver::destinations::intercom::{self, API_VERSION, Intercom};
use deliver::destinations::{
    Anonymous, Audience, Change, Conversation, Destination, Identity, Method, Names, Naming, Plan,
    Request, Turn, Verdict,
};
use deliver::http::{Credentials, Http};
use schemas::state::{Role, SubscriberState};
use schemas::{Environment, LifecycleEvent, Provider, Timestamp};
use secrecy::SecretString;
use serde_json::Value;
use service::secrets::Secrets;
use transform::advance::advance;
use transform::sources::{RawView, Reading, Source, SourceSettings, mapper_of};

/// When every webhook of these tests was received: after all of them happened.
const RECEIVED_AT: i64 = 1_800_000_000_000;

/// One source with what `transform` knows of its subscribers.
pub(crate) struct Webhooks {
    source: Source,
    subscribers: BTreeMap<String, SubscriberState>,
    told: u32,
}

impl Webhooks {
    pub(crate) fn of(provider: Provider) -> Self {
        let source = Source {
            name: provider.name().to_owned(),
            provider,
            mapper: mapper_of(provider).unwrap(),
            settings: SourceSettings::default(),
        };
        Self { source, subscribers: BTreeMap::new(), told: 0 }
    }

    /// The lifecycle events that a webhook about a subscriber gives.
    pub(crate) fn events(
        &mut self,
        subscriber: &str,
        event_type: &str,
        body: &Value,
    ) -> Vec<LifecycleEvent> {
        self.told += 1;
        let bytes = serde_json::to_vec(body).unwrap();
        let raw = RawView {
            body: &bytes,
            event_id: &format!("event_{}", self.told),
            event_type,
            subscriber_id: subscriber,
            received_at: Timestamp::from_millis(RECEIVED_AT),
            traceparent: None,
            role: Role::Own,
        };
        let reading = self.source.mapper.read(&raw, &self.source.settings);
        let Reading::Facts(facts) = reading else { panic!("{event_type}: {reading:?}") };
        let state = self.subscribers.entry(subscriber.to_owned()).or_default();
        let key = format!("{}/{subscriber}", self.source.name);
        advance(state, &facts, &key, &self.source).events
    }
}

/// What an operator configured, as far as these tests differ in it.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) identify_by: Vec<Identity>,
    pub(crate) anonymous: Anonymous,
    pub(crate) environments: Vec<Environment>,
    pub(crate) events: Vec<(&'static str, Change)>,
    pub(crate) attributes: Vec<(&'static str, Change)>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            identify_by: vec![Identity::UserId, Identity::Email],
            anonymous: Anonymous::Skip,
            environments: vec![Environment::Production],
            events: Vec::new(),
            attributes: Vec::new(),
        }
    }
}

impl Setting {
    fn audience(&self) -> Audience {
        Audience {
            identify_by: self.identify_by.clone(),
            anonymous: self.anonymous,
            environments: self.environments.clone(),
        }
    }

    fn names(&self) -> Names {
        Names {
            naming: Naming::Provider,
            events: self.events.iter().cloned().collect(),
            attributes: self.attributes.iter().cloned().collect(),
        }
    }
}

/// One request that was made, or for Customer.io one item of a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// Why events were not sent, in their order.
pub(crate) type Skipped = Vec<&'static str>;

/// A Customer.io workspace.
pub(crate) struct AtCustomerio {
    pub(crate) emulator: emulators::CustomerIo,
    pub(crate) destination: CustomerIo,
    http: Http,
}

impl AtCustomerio {
    pub(crate) async fn with(setting: &Setting) -> Self {
        let settings = emulators::CustomerIoSettings::default();
        let emulator = emulators::CustomerIo::start(anywhere(), settings).await.unwrap();
        let (user, password) = (secret("emulator-site"), secret("emulator-key"));
        let http = caller(&emulator.base_url(), Credentials::Basic { user, password });
        let destination = CustomerIo {
            audience: setting.audience(),
            names: setting.names(),
            on_customer_deleted: customerio::OnCustomerDeleted::Keep,
        };
        Self { emulator, destination, http }
    }

    /// The operations that the events cause, each taken by the vendor, and why others cause none.
    pub(crate) async fn get(&self, events: &[LifecycleEvent]) -> (Vec<Value>, Skipped) {
        let (sent, skipped) = deliver(&self.destination, &self.http, events).await;
        assert_eq!(self.emulator.violations(), []);
        (items(sent), skipped)
    }

    /// The same of a destination that plans them otherwise.
    pub(crate) async fn get_by<D: Destination>(
        &self,
        destination: &D,
        events: &[LifecycleEvent],
    ) -> Vec<Value> {
        let (sent, _) = deliver(destination, &self.http, events).await;
        assert_eq!(self.emulator.violations(), []);
        items(sent)
    }
}

/// The operations of all batches.
fn items(sent: Vec<Sent>) -> Vec<Value> {
    let batches = sent.into_iter().map(|mut sent| sent.body["batch"].take());
    batches.flat_map(|batch| batch.as_array().cloned().unwrap()).collect()
}

/// An Intercom workspace.
pub(crate) struct AtIntercom {
    pub(crate) emulator: emulators::Intercom,
    destination: Intercom,
    http: Http,
}

impl AtIntercom {
    pub(crate) async fn with(setting: &Setting, source: Provider) -> Self {
        let settings = emulators::IntercomSettings::default();
        let emulator = emulators::Intercom::start(anywhere(), settings).await.unwrap();
        let end = intercom::OnCustomerDeleted::Keep;
        let destination = Intercom::new(setting.audience(), setting.names(), end);
        for (name, data_type) in destination.declarations([(source.name(), source)]) {
            assert!(emulator.declare_attribute(&name, data_type), "{name}");
        }
        let http = caller(&emulator.base_url(), Credentials::Bearer(secret("emulator-token")));
        Self { emulator, destination, http }
    }

    /// The requests that the events cause, each taken by the vendor, and why others cause none.
    pub(crate) async fn get(&self, events: &[LifecycleEvent]) -> (Vec<Sent>, Skipped) {
        let got = deliver(&self.destination, &self.http, events).await;
        assert_eq!(self.emulator.violations(), []);
        got
    }
}

async fn deliver<D: Destination>(
    destination: &D,
    http: &Http,
    events: &[LifecycleEvent],
) -> (Vec<Sent>, Skipped) {
    let (mut sent, mut skipped) = (Vec::new(), Vec::new());
    for event in events {
        let delivery = match destination.plan(event) {
            Plan::Skip(skip) => {
                skipped.push(skip.word());
                continue;
            }
            Plan::End(verdict) => panic!("{verdict:?}"),
            Plan::Send(delivery) => delivery,
        };
        let mut conversation = destination.converse(vec![delivery]);
        let mut request = conversation.begin();
        let verdicts = loop {
            if request.method != Method::Get {
                sent.push(written(&request));
            }
            let answer = http.send(&request, 0, None).await;
            match conversation.judge(&answer) {
                Turn::Ask(next) => request = next,
                Turn::Over(verdicts) => break verdicts,
            }
        };
        assert_eq!(verdicts, [Verdict::Delivered], "{}", event.provider_event_type);
    }
    (sent, skipped)
}

fn written(request: &Request) -> Sent {
    let body = request.body.as_deref().map(|bytes| serde_json::from_slice(bytes).unwrap());
    Sent { path: request.path.clone(), body: body.unwrap_or_default() }
}

fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn secret(text: &str) -> Secrets {
    Secrets::fixed(vec![SecretString::from(text)])
}

fn caller(base_url: &str, credentials: Credentials) -> Http {
    let headers = vec![("Intercom-Version", API_VERSION)];
    Http::new(base_url, credentials, Duration::from_secs(5), headers).unwrap()
}
