//! How much memory the store on disk takes, and how fast it is, with many subscribers.
//!
//! A process of its own, because what is measured is the process. `TRIBUTARY_LONG_TESTS` measures with
//! 1,000,000 and 5,000,000 subscribers what is otherwise shown with 100,000 under a smaller bound.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use transform::state::{Batch, Change, DiskStore, DiskStores, Store};

const PARTITIONS: usize = 12;
/// Like two workers, each with half of the partitions.
const WORKERS: usize = 2;
/// Keys in a batch, about what a transaction of 25 ms changes under load.
const BATCH: usize = 300;
/// Bytes of a typical subscriber's state.
const VALUE: usize = 600;
const MIB: usize = 1024 * 1024;

fn key(subscriber: u64) -> Vec<u8> {
    format!("stripe-main/cus_{subscriber:014}").into_bytes()
}

/// One worker's share of the stores.
struct Worker {
    stores: Vec<DiskStore>,
    subscribers: u64,
    random: StdRng,
    checkpoint: i64,
}

impl Worker {
    fn apply(&mut self, store: usize, changes: Vec<Change>) {
        self.checkpoint += 1;
        let checkpoint = self.checkpoint;
        self.stores[store].apply(Batch { changes, checkpoint }).unwrap();
    }

    fn load(&mut self) {
        let everybody: Vec<u64> = (0..self.subscribers).collect();
        for batch in everybody.chunks(BATCH) {
            for store in 0..self.stores.len() {
                let changes = batch.iter().map(|one| self.change(*one)).collect();
                self.apply(store, changes);
            }
        }
    }

    fn change(&mut self, subscriber: u64) -> Change {
        let mut value = vec![0; VALUE];
        self.random.fill(&mut value[..]);
        Change { key: key(subscriber), value: Some(value), waits: false }
    }

    fn read_and_write(&mut self, batches: usize) {
        for batch in 0..batches {
            let store = batch % self.stores.len();
            let mut changes = Vec::with_capacity(BATCH);
            for _one in 0..BATCH {
                let subscriber = self.random.random_range(0..self.subscribers);
                let found = self.stores[store].get(&key(subscriber)).unwrap();
                assert_eq!(found.unwrap().len(), VALUE);
                changes.push(self.change(subscriber));
            }
            self.apply(store, changes);
        }
    }
}

/// What a phase took.
struct Took {
    time: Duration,
    processor: Duration,
    peak: usize,
}

impl Took {
    fn show(&self, count: usize) -> String {
        let rate = count as f64 / self.time.as_secs_f64();
        let each = self.processor.as_secs_f64() * 1e6 / count as f64;
        format!("{rate:.0}/s, {each:.1} µs of a processor each, peak {} MiB", self.peak / MIB)
    }
}

fn in_parallel(workers: &mut [Worker], work: impl Fn(&mut Worker) + Sync) -> Took {
    forget_peak();
    let (began, processor) = (Instant::now(), processor_time());
    std::thread::scope(|scope| {
        for worker in workers {
            scope.spawn(|| work(worker));
        }
    });
    Took {
        time: began.elapsed(),
        processor: processor_time().saturating_sub(processor),
        peak: peak(),
    }
}

/// Forgets the most memory this process ever had, so that the next peak is found (proc(5), `clear_refs`).
fn forget_peak() {
    fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// Processor time that this process has taken, all threads together.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let behind_the_name = stat.rsplit_once(')').unwrap().1;
    let fields = behind_the_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

/// The most memory this process had since the last one was forgotten, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();

    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

fn on_disk(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => on_disk(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0, // merged meanwhile
    };
    entries.map(size).sum()
}

fn workers(stores: &DiskStores, subscribers: usize) -> Vec<Worker> {
    let take = |partition| {
        let partition = i32::try_from(partition).unwrap();
        stores.take(partition, Duration::ZERO).unwrap()
    };
    let worker = |number: usize| Worker {
        stores: (number..PARTITIONS).step_by(WORKERS).map(take).collect(),
        subscribers: (subscribers / PARTITIONS) as u64,
        random: StdRng::seed_from_u64(number as u64),
        checkpoint: 0,
    };
    (0..WORKERS).map(worker).collect()
}

/// Loads the subscribers, changes some at random, and holds the memory of the whole process against the
/// bound.
fn stays_within(subscribers: usize, memory: usize, updates: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let stores = DiskStores::open(folder.path(), memory, PARTITIONS).unwrap();
    let mut busy = workers(&stores, subscribers);
    let loading = in_parallel(&mut busy, Worker::load);
    let batches = updates / BATCH / WORKERS;
    let updating = in_parallel(&mut busy, |worker| worker.read_and_write(batches));
    let closing = Instant::now();
    drop(busy);
    let closing = closing.elapsed();
    let disk = on_disk(folder.path());
    let opening = Instant::now();
    drop(workers(&stores, subscribers));
    let opening = opening.elapsed();
    let most = loading.peak.max(updating.peak);
    assert!(most <= memory, "{} MiB for a bound of {} MiB", most / MIB, memory / MIB);
    format!(
        "{subscribers} subscribers, bound {} MiB: loaded {}; read and written {}; on disk {} MiB, \
         closed in {closing:.1?}, opened in {opening:.1?}",
        memory / MIB,
        loading.show(subscribers),
        updating.show(updates),
        disk / MIB as u64,
    )
}

#[test]
fn memory_stays_within_the_bound() {
    if std::env::var_os("TRIBUTARY_LONG_TESTS").is_none() {
        println!("{}", stays_within(100_000, 64 * MIB, 100_000));
        return;
    }
    println!("{}", stays_within(1_000_000, 256 * MIB, 2_000_000));
    println!("{}", stays_within(5_000_000, 256 * MIB, 2_000_000));
}
