//! A destination with its calls, against an emulator of it.

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
use deliver::records::Errand;
use schemas::event::{Subscriber, Subscription};
use schemas::samples::bare_event;
use schemas::{Environment, EventType, LifecycleEvent, Provider, Status, Timestamp};
use secrecy::SecretString;
use service::clock::SystemClock;
use service::secrets::Secrets;

pub(crate) const NOON: i64 = 1_780_000_000;
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn anywhere() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

pub(crate) fn secret(text: &str) -> Secrets {
    Secrets::fixed(vec![SecretString::from(text)])
}

pub(crate) fn caller(base_url: &str, credentials: Credentials) -> Caller {
    let headers = vec![("Intercom-Version", API_VERSION)];
    let gate = Gate::new(10_000.0, Lease::new(Duration::from_hours(1)));
    gate.renew_lease(Duration::ZERO);
    Caller {
        http: Http::new(base_url, credentials, Duration::from_secs(2), headers).unwrap(),
        gate: Arc::new(gate),
        clock: Arc::new(SystemClock::new()),
        answers: None,
    }
}

pub(crate) fn audience() -> Audience {
    Audience {
        identify_by: vec![Identity::UserId, Identity::Email],
        anonymous: Anonymous::Skip,
        environments: vec![Environment::Production],
    }
}

pub(crate) fn event(person: u32, sequence: i64) -> LifecycleEvent {
    let bare = bare_event();
    LifecycleEvent {
        event_id: format!("{person}-{sequence}"),
        event_type: EventType::SubscriptionRenewed,
        occurred_at: Timestamp::from_seconds(NOON + sequence).unwrap(),
        received_at: Timestamp::from_seconds(NOON + sequence).unwrap(),
        sequence,
        source: "shop".into(),
        environment: Environment::Production,
        distinct_second: NOON + sequence,
        subscriber: Subscriber {
            key: format!("shop/cus_{person}"),
            id: format!("cus_{person}"),
            user_id: Some(format!("u_{person}")),
            anonymous: false,
            email: Some(format!("{person}@example.com")),
            status: Some(Status::Active),
            ..bare.subscriber
        },
        subscription: Some(Subscription { id: "sub_1".into(), ..Subscription::default() }),
        ..bare
    }
}

/// Tickets as a partition hands them out.
pub(crate) fn tickets(count: i64) -> Vec<Ticket> {
    let schedule = Arc::new(Schedule {
        in_place: Vec::new(),
        delays: Vec::new(),
        horizon: Duration::ZERO,
        quarantine: Duration::ZERO,
    });
    let (now, marks) = (Timestamp::from_millis(0), Marks::up_to(0));
    let mut partition = Partition::restored(marks.clone(), marks, schedule, Bounds::default());
    for offset in 0..count {
        let identity = lanes::Identity {
            lane: offset.to_string().into(),
            turn: Turn::Live,
            sequence: lanes::Sequence::default(),
        };
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
pub(crate) struct Bench<D: Destination> {
    pub(crate) destination: Arc<D>,
    pub(crate) caller: Arc<Caller>,
    pub(crate) dispatch: Dispatch<D>,
}

impl<D: Destination> Bench<D> {
    pub(crate) fn new(destination: D, caller: Caller) -> Self {
        let (destination, caller) = (Arc::new(destination), Arc::new(caller));
        let dispatch = Dispatch::new(destination.clone(), caller.clone(), 8);
        Self { destination, caller, dispatch }
    }

    pub(crate) fn push(&mut self, events: &[LifecycleEvent]) {
        let tickets = tickets(i64::try_from(events.len()).unwrap());
        for (event, ticket) in events.iter().zip(tickets) {
            let Plan::Send(delivery) = self.destination.plan(event) else { panic!("skipped") };
            let LifecycleEvent { occurred_at, received_at, .. } = *event;
            let token =
                Token { partition: 0, ticket, occurred_at, received_at, errand: Errand::Tell };
            self.dispatch.push(token, delivery);
        }
    }

    /// Delivers and says what became of it; what was interrupted has no verdict.
    pub(crate) async fn deliver(&mut self, events: &[LifecycleEvent]) -> Vec<Verdict> {
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
    pub(crate) async fn recover(&mut self) {
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

pub(crate) async fn customerio() -> (emulators::CustomerIo, Bench<CustomerIo>) {
    customerio_that(customerio::OnCustomerDeleted::Keep).await
}

pub(crate) async fn customerio_that(
    on_customer_deleted: customerio::OnCustomerDeleted,
) -> (emulators::CustomerIo, Bench<CustomerIo>) {
    let settings = emulators::CustomerIoSettings::default();
    let emulator = emulators::CustomerIo::start(anywhere(), settings).await.unwrap();
    let credentials =
        Credentials::Basic { user: secret("emulator-site"), password: secret("emulator-key") };
    let workspace =
        CustomerIo { audience: audience(), names: Names::default(), on_customer_deleted };
    let bench = Bench::new(workspace, caller(&emulator.base_url(), credentials));
    (emulator, bench)
}

pub(crate) async fn intercom() -> (emulators::Intercom, Bench<Intercom>) {
    intercom_that(intercom::OnCustomerDeleted::Keep).await
}

pub(crate) async fn intercom_that(
    end: intercom::OnCustomerDeleted,
) -> (emulators::Intercom, Bench<Intercom>) {
    let settings = emulators::IntercomSettings::default();
    let emulator = emulators::Intercom::start(anywhere(), settings).await.unwrap();
    let workspace = Intercom::new(audience(), Names::default(), end);
    for (name, data_type) in workspace.declarations([("shop", Provider::Stripe)]) {
        assert!(emulator.declare_attribute(&name, data_type), "{name}");
    }
    let credentials = Credentials::Bearer(secret("emulator-token"));
    let bench = Bench::new(workspace, caller(&emulator.base_url(), credentials));
    (emulator, bench)
}

pub(crate) fn people(count: u32) -> Vec<LifecycleEvent> {
    (0..count).map(|person| event(person, 1)).collect()
}
