//! The calls of both destinations against strict emulators of them: real connections, real answers, and
//! no request that the vendor would not have taken.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use deliver::destinations::customerio::{self, CustomerIo};
use deliver::destinations::intercom::{self, API_VERSION, Intercom};
use deliver::destinations::{Anonymous, Audience, Destination, Identity, Names, Plan, Verdict};
use deliver::dispatch::{Caller, Dispatch, Finished, Token};
use deliver::gate::Gate;
use deliver::http::{Credentials, Http};
use deliver::lanes::{
    self, Arriving, Bounds, Footprint, History, Partition, Place, Schedule, Source, Ticket, Turn,
};
use deliver::lease::Lease;
use deliver::marks::Marks;
use emulators::{Credentials as Accepts, Effect, Fault, Outage};
use schemas::event::{Subscriber, Subscription};
use schemas::{Environment, EventType, LifecycleEvent, Provider, Status, Timestamp};
use secrecy::SecretString;
use service::clock::SystemClock;
use service::secrets::Secrets;

const NOON: i64 = 1_780_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

fn secret(text: &str) -> Secrets {
    Secrets::fixed(vec![SecretString::from(text)])
}

fn caller(base_url: &str, credentials: Credentials) -> Caller {
    let headers = vec![("Intercom-Version", API_VERSION)];
    let gate = Gate::new(10_000.0, Lease::new(Duration::from_hours(1)));
    gate.renew_lease(Duration::ZERO);
    Caller {
        http: Http::new(base_url, credentials, Duration::from_secs(2), headers).unwrap(),
        gate,
        clock: Arc::new(SystemClock::new()),
    }
}

fn audience() -> Audience {
    Audience {
        identify_by: vec![Identity::UserId, Identity::Email],
        anonymous: Anonymous::Skip,
        environments: vec![Environment::Production],
    }
}

fn event(person: u32, sequence: i64) -> LifecycleEvent {
    LifecycleEvent {
        event_id: format!("{person}-{sequence}"),
        ordinal: 0,
        event_type: EventType::SubscriptionRenewed,
        occurred_at: Timestamp::from_seconds(NOON + sequence).unwrap(),
        received_at: Timestamp::from_seconds(NOON + sequence).unwrap(),
        sequence,
        late: false,
        source: "shop".into(),
        provider: Provider::Stripe,
        provider_event_id: format!("evt_{person}_{sequence}"),
        provider_event_type: "invoice.paid".into(),
        environment: Environment::Production,
        distinct_second: NOON + sequence,
        subscriber: Subscriber {
            key: format!("shop/cus_{person}"),
            id: format!("cus_{person}"),
            user_id: Some(format!("u_{person}")),
            anonymous: false,
            email: Some(format!("{person}@example.com")),
            aliases: Vec::new(),
            status: Some(Status::Active),
            total_spent: None,
            attributes: std::collections::BTreeMap::new(),
        },
        subscription: Some(Subscription { id: "sub_1".into(), ..Subscription::default() }),
        money: None,
        payment: None,
        offer: None,
        transfer: None,
        reason: None,
        payload: None,
    }
}

/// Tickets as a partition hands them out.
fn tickets(count: i64) -> Vec<Ticket> {
    let schedule = Arc::new(Schedule {
        in_place: Vec::new(),
        delays: Vec::new(),
        horizon: Duration::ZERO,
        quarantine: Duration::ZERO,
    });
    let (now, marks) = (Timestamp::from_millis(0), Marks::up_to(0));
    let mut partition = Partition::restored(marks.clone(), marks, schedule, Bounds::default());
    for offset in 0..count {
        let identity =
            lanes::Identity { lane: offset.to_string().into(), turn: Turn::Live, sequence: 1 };
        let arriving = Arriving {
            identity,
            history: History::default(),
            due: now,
            footprint: Footprint::default(),
            content: (),
        };
        let _ = partition.arrive(Place { source: Source::Events, offset }, arriving, now);
    }
    (0..count).map(|_| partition.start(now).unwrap().0).collect()
}

/// A destination with its calls.
struct Bench<D: Destination> {
    destination: Arc<D>,
    caller: Arc<Caller>,
    dispatch: Dispatch<D>,
}

impl<D: Destination> Bench<D> {
    fn new(destination: D, caller: Caller) -> Self {
        let (destination, caller) = (Arc::new(destination), Arc::new(caller));
        let dispatch = Dispatch::new(destination.clone(), caller.clone(), 8);
        Self { destination, caller, dispatch }
    }

    fn push(&mut self, events: &[LifecycleEvent]) {
        let tickets = tickets(i64::try_from(events.len()).unwrap());
        for (event, ticket) in events.iter().zip(tickets) {
            let Plan::Send(delivery) = self.destination.plan(event) else { panic!("skipped") };
            let received_at = event.received_at;
            self.dispatch.push(Token { partition: 0, ticket, received_at }, delivery);
        }
    }

    /// Delivers and says what became of it; what was interrupted has no verdict.
    async fn deliver(&mut self, events: &[LifecycleEvent]) -> Vec<Verdict> {
        self.push(events);
        let mut verdicts = Vec::new();
        while verdicts.len() < events.len() && self.caller.gate.is_open_for_calls() {
            let wait = self.dispatch.begin();
            if !self.dispatch.is_busy() {
                tokio::time::sleep(wait.unwrap_or_default()).await;
                continue;
            }
            match tokio::time::timeout(PATIENCE, self.dispatch.next()).await.unwrap() {
                Finished::Called(called) => {
                    verdicts.extend(called.into_iter().map(|(_, verdict)| verdict));
                }
                Finished::Interrupted(_) | Finished::Probed => {}
                Finished::Broken => panic!("a call broke"),
            }
        }
        self.dispatch.abandon_queue();
        verdicts
    }

    /// Waits until a probe has let calls through again.
    async fn recover(&mut self) {
        let recovery = async {
            while !self.caller.gate.is_open_for_calls() {
                let wait = self.dispatch.begin();
                if self.dispatch.is_busy() {
                    let _probed = self.dispatch.next().await;
                } else {
                    tokio::time::sleep(wait.unwrap_or_default()).await;
                }
            }
        };
        tokio::time::timeout(PATIENCE, recovery).await.unwrap();
    }
}

async fn customerio() -> (emulators::CustomerIo, Bench<CustomerIo>) {
    let settings = emulators::CustomerIoSettings::default();
    let emulator = emulators::CustomerIo::start(anywhere(), settings).await.unwrap();
    let credentials =
        Credentials::Basic { user: secret("emulator-site"), password: secret("emulator-key") };
    let workspace = CustomerIo {
        audience: audience(),
        names: Names::default(),
        on_customer_deleted: customerio::OnCustomerDeleted::Keep,
    };
    let bench = Bench::new(workspace, caller(&emulator.base_url(), credentials));
    (emulator, bench)
}

async fn intercom() -> (emulators::Intercom, Bench<Intercom>) {
    let settings = emulators::IntercomSettings::default();
    let emulator = emulators::Intercom::start(anywhere(), settings).await.unwrap();
    let end = intercom::OnCustomerDeleted::Keep;
    let workspace = Intercom::new(audience(), Names::default(), end);
    for (name, data_type) in workspace.declarations([("shop", Provider::Stripe)]) {
        assert!(emulator.declare_attribute(&name, data_type), "{name}");
    }
    let credentials = Credentials::Bearer(secret("emulator-token"));
    let bench = Bench::new(workspace, caller(&emulator.base_url(), credentials));
    (emulator, bench)
}

fn people(count: u32) -> Vec<LifecycleEvent> {
    (0..count).map(|person| event(person, 1)).collect()
}

#[tokio::test]
async fn customerio_takes_a_batch_and_sees_no_second_effect_when_it_comes_again() {
    let (emulator, mut bench) = customerio().await;
    for _ in 0..2 {
        let verdicts = bench.deliver(&people(250)).await;
        assert_eq!(verdicts.len(), 250);
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Delivered));
    }
    assert_eq!(emulator.violations(), []);
    assert_eq!(emulator.people().len(), 250);
    assert!(emulator.people().iter().all(|person| person.events.len() == 1));
    assert_eq!(emulator.requests().len(), 6, "three batches, twice");
}

#[tokio::test]
async fn intercom_takes_events_and_sees_no_second_effect_when_they_come_again() {
    let (emulator, mut bench) = intercom().await;
    for _ in 0..2 {
        let verdicts = bench.deliver(&people(20)).await;
        assert_eq!(verdicts, vec![Verdict::Delivered; 20]);
        bench.destination.forget();
    }
    assert_eq!(emulator.violations(), []);
    assert!(emulator.people().iter().all(|person| person.events.len() == 1));
    let person = emulator.person("u_3").unwrap();
    assert_eq!(person.updates, 1, "what the contact shows already is not written again");
}

#[tokio::test]
async fn intercom_gets_the_event_though_attributes_are_not_declared() {
    let settings = emulators::IntercomSettings::default();
    let emulator = emulators::Intercom::start(anywhere(), settings).await.unwrap();
    let end = intercom::OnCustomerDeleted::Keep;
    let workspace = Intercom::new(audience(), Names::default(), end);
    let credentials = Credentials::Bearer(secret("emulator-token"));
    let mut bench = Bench::new(workspace, caller(&emulator.base_url(), credentials));
    let verdicts = bench.deliver(&people(1)).await;
    assert!(matches!(verdicts[..], [Verdict::DeliveredWithoutAttributes(_)]), "{verdicts:?}");
    assert_eq!(emulator.events_of("u_0").len(), 1);
}

#[tokio::test]
async fn an_archived_contact_parks_its_event() {
    let (emulator, mut bench) = intercom().await;
    assert_eq!(bench.deliver(&people(1)).await, [Verdict::Delivered]);
    assert!(emulator.archive("u_0"));
    let verdicts = bench.deliver(&[event(0, 2)]).await;
    assert!(matches!(verdicts[..], [Verdict::Park(_)]), "{verdicts:?}");
}

#[tokio::test]
async fn an_outage_pauses_the_destination_and_a_probe_ends_the_pause() {
    let (emulator, mut bench) = customerio().await;
    emulator.set_outage(Outage::Unavailable);
    for attempt in 0..5 {
        assert!(bench.caller.gate.is_open_for_calls(), "{attempt}");
        let verdicts = bench.deliver(&people(1)).await;
        assert!(matches!(verdicts[..], [Verdict::Retry(_)]), "{verdicts:?}");
    }
    let made = emulator.requests().len();
    assert_eq!(bench.deliver(&people(1)).await, []);
    assert_eq!(emulator.requests().len(), made, "nothing is called while the breaker is open");
    emulator.set_outage(Outage::Off);
    bench.recover().await;
    assert_eq!(bench.deliver(&people(1)).await, [Verdict::Delivered]);
}

#[tokio::test]
async fn refused_credentials_pause_at_once_and_resume_by_themselves() {
    let (emulator, mut bench) = intercom().await;
    emulator.set_credentials(Accepts::Refused);
    let verdicts = bench.deliver(&people(1)).await;
    assert!(matches!(verdicts[..], [Verdict::Pause { .. }]), "{verdicts:?}");
    assert!(!bench.caller.gate.is_open_for_calls());
    emulator.set_credentials(Accepts::Accepted);
    bench.recover().await;
    assert_eq!(bench.deliver(&people(1)).await, [Verdict::Delivered]);
}

#[tokio::test]
async fn nothing_is_called_before_the_time_that_a_429_asks_for() {
    let (emulator, mut bench) = customerio().await;
    let throttled = Effect::Respond { status: 429, body: None, retry_after_seconds: Some(1) };
    emulator.inject(Fault::always(throttled).times(1));
    let verdicts = bench.deliver(&people(1)).await;
    assert!(matches!(verdicts[..], [Verdict::Pause { .. }]), "{verdicts:?}");
    let wait = bench.dispatch.begin().unwrap();
    assert!(wait > Duration::from_millis(800), "{wait:?}");
    bench.recover().await;
    assert_eq!(bench.deliver(&people(1)).await, [Verdict::Delivered]);
}

#[tokio::test]
async fn a_reply_that_never_comes_is_an_unknown_outcome_and_a_closed_port_a_pause() {
    let (emulator, mut bench) = customerio().await;
    emulator.inject(Fault::always(Effect::HangAfterApplying).times(1));
    let verdicts = bench.deliver(&people(1)).await;
    assert!(matches!(verdicts[..], [Verdict::Retry(_)]), "{verdicts:?}");
    assert_eq!(bench.deliver(&people(1)).await, [Verdict::Delivered]);
    assert_eq!(emulator.events_of("u_0").len(), 1, "the repetition has no second effect");
    emulator.close_port().await;
    let verdicts = bench.deliver(&people(1)).await;
    assert!(matches!(verdicts[..], [Verdict::Pause { .. }]), "{verdicts:?}");
}
