//! Room for senders, and who has to go when there is none left.
//!
//! Strangers can open connections and say nothing, or begin bodies and never end them, faster than any time-out ends
//! them. If newcomers waited for room, honest senders would wait behind them. So it is made for the newcomer: whoever
//! has owed a believed webhook for the longest time is closed, strangers before those who once sent one. A webhook of
//! an honest sender is here and believed within milliseconds of its connection, long before it is its turn to go.
//! Nobody is closed while Kafka is asked to keep what they sent.
//!
//! There are two kinds of room: places for connections, and memory for bodies beyond what every connection has.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use strum::{EnumIter, IntoEnumIterator, IntoStaticStr};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// What there can be too little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Scarce {
    /// Places for connections.
    Connections,
    /// Memory for bodies.
    Memory,
}

impl Scarce {
    /// The value of the `scarce` label.
    pub fn label(self) -> &'static str {
        self.into()
    }

    /// Everything that [`Self::label`] gives.
    pub fn labels() -> Vec<&'static str> {
        Self::iter().map(Self::label).collect()
    }
}

/// The room of one process.
pub struct Room {
    places: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    guests: Mutex<Guests>,
    /// Told when somebody may have become one who can go.
    answered: Notify,
    metrics: Metrics,
}

#[derive(Default)]
struct Guests {
    /// In the order in which they came.
    present: BTreeMap<u64, Standing>,
    /// Counts what happens, so that there is an order in time without a clock.
    moments: u64,
    /// What newcomers wait for, of each kind.
    wanted: [usize; 2],
}

/// Somebody waits for so much, until this is dropped.
struct Wanted<'a> {
    room: &'a Room,
    scarce: Scarce,
    amount: usize,
}

/// How one guest stands.
struct Standing {
    /// Whether anything was ever believed.
    is_known: bool,
    /// Since when a believed webhook is owed; `None` while one is being kept.
    owes_since: Option<u64>,
    /// Bytes of the room's memory.
    held: usize,
    leave: CancellationToken,
}

impl fmt::Debug for Room {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Room").finish_non_exhaustive()
    }
}

impl Room {
    /// For so many connections, and so many bytes of bodies.
    pub fn new(places: usize, memory: usize, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Semaphore::new(places)),
            memory: Arc::new(Semaphore::new(memory)),
            guests: Mutex::new(Guests::default()),
            answered: Notify::new(),
            metrics,
        })
    }

    /// A place for one more connection. Waits only while everybody is one whose webhook is being kept.
    pub async fn enter(self: &Arc<Self>) -> Guest {
        let place = self.make(Scarce::Connections, 1, None).await;
        let mut guests = self.guests();
        let number = guests.tick();
        let leave = CancellationToken::new();
        let standing =
            Standing { is_known: false, owes_since: Some(number), held: 0, leave: leave.clone() };
        guests.present.insert(number, standing);
        self.metrics.connected(guests.present.len());
        Guest(Arc::new(Stay { room: Arc::clone(self), number, leave, _place: place }))
    }

    /// Room of this kind, and somebody's for it if there is no other; not that of `asking`.
    async fn make(
        &self,
        scarce: Scarce,
        amount: usize,
        asking: Option<u64>,
    ) -> OwnedSemaphorePermit {
        let room = match scarce {
            Scarce::Connections => &self.places,
            Scarce::Memory => &self.memory,
        };
        let permits = u32::try_from(amount).unwrap_or(u32::MAX);
        if let Ok(made) = Arc::clone(room).try_acquire_many_owned(permits) {
            return made;
        }
        let _wanted = self.want(scarce, amount);
        loop {
            // Before the look, so that nothing is missed between the two.
            let answered = self.answered.notified();
            self.close_for(scarce, asking);
            tokio::select! {
                // The semaphores are never closed.
                Ok(made) = Arc::clone(room).acquire_many_owned(permits) => return made,
                () = answered => {}
            }
        }
    }

    fn want(&self, scarce: Scarce, amount: usize) -> Wanted<'_> {
        self.guests().wanted[scarce as usize] += amount;
        Wanted { room: self, scarce, amount }
    }

    /// Asks as many to leave as it takes until enough is being left for all who wait.
    fn close_for(&self, scarce: Scarce, asking: Option<u64>) {
        let mut guests = self.guests();
        let wanted = guests.wanted[scarce as usize];
        let leaving = guests.present.values().filter(|standing| standing.leave.is_cancelled());
        let mut left: usize = leaving.map(|standing| standing.takes(scarce)).sum();
        while left < wanted {
            let Some(longest) = guests.longest_owing(scarce, asking) else { return };
            longest.leave.cancel();
            left += longest.takes(scarce);
            self.metrics.crowded_out(scarce);
        }
    }

    fn guests(&self) -> MutexGuard<'_, Guests> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.room.guests().wanted[self.scarce as usize] -= self.amount;
    }
}

impl Guests {
    fn tick(&mut self) -> u64 {
        self.moments += 1;
        self.moments
    }

    fn longest_owing(&mut self, scarce: Scarce, asking: Option<u64>) -> Option<&mut Standing> {
        let can_go = self.present.iter_mut().filter(|(number, standing)| {
            Some(**number) != asking && standing.takes(scarce) > 0 && !standing.leave.is_cancelled()
        });
        let owing = can_go.filter_map(|(_, standing)| Some((standing.owes_since?, standing)));
        owing.min_by_key(|(since, standing)| (standing.is_known, *since)).map(|(_, found)| found)
    }
}

impl Standing {
    fn takes(&self, scarce: Scarce) -> usize {
        match scarce {
            Scarce::Connections => 1,
            Scarce::Memory => self.held,
        }
    }
}

/// Whoever has a place; it is free again when the last clone is dropped.
#[derive(Clone)]
pub struct Guest(Arc<Stay>);

struct Stay {
    room: Arc<Room>,
    number: u64,
    leave: CancellationToken,
    _place: OwnedSemaphorePermit,
}

impl fmt::Debug for Guest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Guest").field(&self.0.number).finish()
    }
}

impl Guest {
    /// Resolves when the place is needed for somebody else.
    pub async fn asked_to_leave(&self) {
        self.0.leave.cancelled().await;
    }

    /// A request began. Who was believed before is believed to mean it.
    pub fn asks(&self) {
        self.0.change(|standing, now| {
            if standing.is_known {
                standing.owes_since = Some(now);
            }
        });
    }

    /// A webhook was believed: until it is answered, nobody else gets this place.
    pub fn is_believed(&self) {
        self.0.change(|standing, _| {
            standing.is_known = true;
            standing.owes_since = None;
        });
    }

    /// The request was answered; the next is owed.
    pub fn was_answered(&self) {
        self.0.change(|standing, now| {
            if standing.is_known {
                standing.owes_since = Some(now);
            }
        });
        self.0.room.answered.notify_waiters();
    }

    /// Memory for `bytes` more of a body. Waits until there is room; somebody else's body may have to go for it.
    pub async fn hold(&self, bytes: usize) -> Held {
        let permit = self.0.room.make(Scarce::Memory, bytes, Some(self.0.number)).await;
        self.0.change(|standing, _| standing.held += bytes);
        Held { stay: Arc::clone(&self.0), bytes, _permit: permit }
    }
}

impl Stay {
    fn change(&self, change: impl FnOnce(&mut Standing, u64)) {
        let mut guests = self.room.guests();
        let now = guests.tick();
        if let Some(standing) = guests.present.get_mut(&self.number) {
            change(standing, now);
        }
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut guests = self.room.guests();
        guests.present.remove(&self.number);
        self.room.metrics.connected(guests.present.len());
    }
}

/// Memory that is free again when this is dropped.
pub struct Held {
    stay: Arc<Stay>,
    bytes: usize,
    _permit: OwnedSemaphorePermit,
}

impl fmt::Debug for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Held").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.stay.change(|standing, _| standing.held -= self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::Poll;
    use std::time::Duration;

    use service::metrics::{Dimensions, Registry};

    use super::*;

    fn room(places: usize, memory: usize) -> Arc<Room> {
        let mut registry = Registry::new(Dimensions::default()).expect("a registry");
        Room::new(places, memory, Metrics::register(&mut registry).expect("declared"))
    }

    fn must_leave(guest: &Guest) -> bool {
        guest.0.leave.is_cancelled()
    }

    /// As the server does: who is asked to leave does.
    async fn enter_for(room: &Arc<Room>, leaving: Guest) -> Guest {
        let leave = async {
            leaving.asked_to_leave().await;
            drop(leaving);
        };
        let entering = async { tokio::join!(room.enter(), leave).0 };
        tokio::time::timeout(Duration::from_secs(5), entering).await.expect("a place")
    }

    #[tokio::test]
    async fn whoever_has_owed_a_webhook_the_longest_goes_and_strangers_go_first() {
        let room = room(3, 0);
        let (known, first, second) = (room.enter().await, room.enter().await, room.enter().await);
        known.is_believed();
        known.was_answered();
        // A request that is not believed makes nobody younger.
        first.asks();
        first.was_answered();
        let third = enter_for(&room, first).await;
        assert!(!must_leave(&known) && !must_leave(&second));
        let fourth = enter_for(&room, second).await;
        third.is_believed();
        third.was_answered();
        fourth.is_believed();
        fourth.was_answered();
        // Strangers there are none left; of the known ones it has been the longest for the first.
        let _fifth = enter_for(&room, known).await;
        assert!(!must_leave(&third) && !must_leave(&fourth));
    }

    /// Whether it waits, once it has done all that it can do by itself.
    async fn waits(future: &mut (impl Future + Unpin)) -> bool {
        let mut future = Pin::new(future);
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }

    #[tokio::test]
    async fn nobody_goes_while_a_webhook_is_being_kept_and_afterwards_it_is_noticed() {
        let room = room(1, 0);
        let only = room.enter().await;
        only.is_believed();
        let mut entering = Box::pin(room.enter());
        assert!(waits(&mut entering).await && !must_leave(&only));
        only.was_answered();
        let leave = async {
            only.asked_to_leave().await;
            drop(only);
        };
        let entered = async { tokio::join!(entering, leave) };
        tokio::time::timeout(Duration::from_mins(1), entered).await.expect("a place");
    }

    #[tokio::test]
    async fn memory_is_taken_from_whoever_holds_some_and_has_owed_the_longest() {
        let room = room(9, 10);
        let (idle, first, second) = (room.enter().await, room.enter().await, room.enter().await);
        let [a_few, some] = [first.hold(4).await, second.hold(6).await];
        let newcomer = room.enter().await;
        let mut asking = Box::pin(newcomer.hold(5));
        // Four bytes are not enough, so that both have to go.
        assert!(waits(&mut asking).await && must_leave(&first) && must_leave(&second));
        drop(a_few);
        drop(some);
        drop(asking.await);
        assert!(!must_leave(&idle) && !must_leave(&newcomer));
        assert_eq!(room.memory.available_permits(), 10);
    }
}
