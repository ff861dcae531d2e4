//! Calls that end in time, also where what is called does not.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

type Call<T> = Box<dyn FnOnce(&T) + Send>;

/// Something whose calls are made by a thread of their own, so that whoever waits for one can give it up.
///
/// It is used up by a call that was given up: what is called next would wait behind it.
pub(super) struct Bounded<T> {
    target: Arc<T>,
    /// None only while it is dropped.
    calls: Option<mpsc::SyncSender<Call<T>>>,
    caller: Option<JoinHandle<()>>,
    was_given_up: AtomicBool,
}

impl<T: Send + Sync + 'static> Bounded<T> {
    pub(super) fn new(target: T) -> std::io::Result<Self> {
        let target = Arc::new(target);
        let (calls, queue) = mpsc::sync_channel::<Call<T>>(1);
        let own = Arc::clone(&target);
        let caller = std::thread::Builder::new().name("transactions".to_owned());
        let caller = caller.spawn(move || queue.into_iter().for_each(|call| call(&own)))?;
        let was_given_up = AtomicBool::new(false);
        Ok(Self { target, calls: Some(calls), caller: Some(caller), was_given_up })
    }

    /// What the call gives; none where it did not end within this time. It may take effect later all the same.
    pub(super) fn call<R: Send + 'static>(
        &self,
        within: Duration,
        call: impl FnOnce(&T) -> R + Send + 'static,
    ) -> Option<R> {
        let (answer, answered) = mpsc::sync_channel(1);
        // Nobody may be left who hears the answer.
        let call: Call<T> = Box::new(move |target| drop(answer.send(call(target))));
        let told = match &self.calls {
            Some(calls) if calls.try_send(call).is_ok() => answered.recv_timeout(within).ok(),
            Some(_) | None => None,
        };
        if told.is_none() {
            self.was_given_up.store(true, Ordering::Relaxed);
        }
        told
    }
}

impl<T> Deref for Bounded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.target
    }
}

impl<T> Drop for Bounded<T> {
    fn drop(&mut self) {
        self.calls = None;
        // A call that was given up keeps what it calls until it ends; else everything is gone with this.
        if !self.was_given_up.load(Ordering::Relaxed)
            && let Some(caller) = self.caller.take()
            && caller.join().is_err()
        {
            tracing::error!("a call of the client library ended its thread");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn a_call_in_time_gives_its_answer_and_nothing_outlives_it() {
        let bounded = Bounded::new(41).unwrap();
        assert_eq!(bounded.call(PATIENCE, |number| number + 1), Some(42));
        let target = Arc::downgrade(&bounded.target);
        drop(bounded);
        assert_eq!(target.strong_count(), 0);
    }

    #[test]
    fn a_call_that_hangs_is_given_up_and_keeps_what_it_calls_until_it_ends() {
        let (wake, asleep) = mpsc::sync_channel::<()>(1);
        let (ended, end) = mpsc::sync_channel(1);
        let asleep = Mutex::new(asleep);
        let bounded = Bounded::new(()).unwrap();
        let target = Arc::downgrade(&bounded.target);
        let hangs = move |(): &()| {
            let woken = asleep.lock().unwrap().recv();
            ended.send(woken).unwrap();
        };
        assert_eq!(bounded.call(SOON, hangs), None);
        assert_eq!(bounded.call(SOON, |()| ()), None, "it is used up");
        drop(bounded);
        assert_eq!(target.strong_count(), 1);
        drop(wake);
        assert!(end.recv_timeout(PATIENCE).unwrap().is_err());
    }
}
