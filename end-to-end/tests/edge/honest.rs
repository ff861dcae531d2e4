//! Honest senders: signed webhooks at a steady rate, half on connections that are kept, half on new ones.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use end_to_end::journeys::{self, Webhook};
use end_to_end::keyring::{Keyring, Signing};
use end_to_end::latency::Latencies;
use service::clock::{Clock, SystemClock};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::edge::wire::{self, Wire};

const SEED: u64 = 83;
/// On kept connections, and as many on new ones.
const SENDERS: usize = 5;
/// Of each: together a hundred a second.
const EVERY: Duration = Duration::from_millis(100);
/// As long as the least patient provider waits.
const PROVIDERS_PATIENCE: Duration = Duration::from_secs(10);

/// Senders under way.
pub(crate) struct Honest {
    enough: Arc<AtomicBool>,
    senders: JoinSet<Vec<Sent>>,
}

struct Sent {
    took: Duration,
    /// `None` when there was no answer.
    status: Option<u16>,
}

/// How they fared.
pub(crate) struct Report {
    pub(crate) took: Latencies,
    /// By what they were answered instead of 200.
    refused: BTreeMap<Option<u16>, usize>,
}

#[derive(Clone, Copy)]
enum Habit {
    Keeps,
    OpensAnew,
}

impl Honest {
    pub(crate) fn start(port: u16) -> Self {
        Self::start_signing(port, &Arc::default())
    }

    pub(crate) fn start_signing(port: u16, keyring: &Arc<Keyring>) -> Self {
        let journeys = journeys::generate(SEED, SystemClock::new().now_millis(), 100);
        let webhooks: Arc<[Webhook]> =
            journeys.into_iter().flat_map(|journey| journey.webhooks).collect();
        let enough = Arc::new(AtomicBool::new(false));
        let mut senders = JoinSet::new();
        for place in 0..SENDERS * 2 {
            let habit = if place < SENDERS { Habit::Keeps } else { Habit::OpensAnew };
            let signing = Signing { keyring: Arc::clone(keyring), ..Signing::default() };
            let sender = Sender { port, signing, habit, webhooks: Arc::clone(&webhooks) };
            senders.spawn(sender.work(place, Arc::clone(&enough)));
        }
        Self { enough, senders }
    }

    /// When each has its last answer.
    pub(crate) async fn stop(self) -> Report {
        self.enough.store(true, Ordering::Relaxed);
        let sent: Vec<Sent> = self.senders.join_all().await.into_iter().flatten().collect();
        let mut refused = BTreeMap::new();
        for other in sent.iter().filter(|sent| sent.status != Some(200)) {
            *refused.entry(other.status).or_default() += 1;
        }
        Report { took: sent.iter().map(|sent| sent.took).collect(), refused }
    }
}

impl Report {
    pub(crate) fn assert_taken(&self) {
        assert!(
            self.took.count() > 100,
            "{} honest webhooks are no measurement",
            self.took.count()
        );
        assert!(self.refused.is_empty(), "honest webhooks refused: {:?}", self.refused);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} in {}", self.took.count(), self.took)
    }
}

struct Sender {
    port: u16,
    signing: Signing,
    habit: Habit,
    webhooks: Arc<[Webhook]>,
}

impl Sender {
    async fn work(self, place: usize, enough: Arc<AtomicBool>) -> Vec<Sent> {
        let mut sent = Vec::new();
        let mut kept = None;
        let mut ticks = interval(EVERY);
        // What was late counts as late, and what it held up as well.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let share = self.webhooks.iter().cycle().skip(place).step_by(SENDERS * 2);
        for webhook in share {
            let due = ticks.tick().await;
            if enough.load(Ordering::Relaxed) {
                break;
            }
            let status = timeout(PROVIDERS_PATIENCE, self.send(&mut kept, webhook)).await;
            let status = status.ok().flatten();
            if status.is_none() {
                kept = None;
            }
            sent.push(Sent { took: Instant::now() - due, status });
        }
        sent
    }

    async fn send(&self, kept: &mut Option<Wire>, webhook: &Webhook) -> Option<u16> {
        let body = webhook.body.to_string();
        let now = SystemClock::new().now().as_second();
        let headers = self.signing.headers(webhook, body.as_bytes(), now);
        let (farewell, mut wire) = match self.habit {
            Habit::Keeps => ("", kept.take()),
            Habit::OpensAnew => ("connection: close\r\n", None),
        };
        let lines = format!("{farewell}content-length: {}\r\n", body.len());
        let request = wire::head(webhook.provider, &headers, &lines) + &body;
        if wire.is_none() {
            wire = Some(Wire::open(self.port).await.ok()?);
        }
        let mut wire = wire?;
        wire.send(request).await.ok()?;
        let status = wire.status().await;
        *kept = Some(wire);
        status
    }
}
