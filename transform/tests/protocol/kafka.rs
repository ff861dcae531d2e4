//! As much of Kafka as the protocol leans on: logs with transactions whose markers land one partition
//! at a time, and a group whose offsets are fenced by its generation.
//!
//! Answers come at once, effects do not: a commit is decided when its coordinator says so, and every
//! partition learns of it by a marker of its own, in any order. Markers take an offset, as they do.

use std::hash::Hash;

/// What a record holds, by its number in the catalogue.
pub(crate) type Payload = u32;

/// A transaction, by the order in which they began.
pub(crate) type Txn = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Topic {
    Raw,
    Events,
    State,
}

pub(crate) const TOPICS: [Topic; 3] = [Topic::Raw, Topic::Events, Topic::State];

/// Where a transaction leaves something, and gets a marker for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Log(Topic, usize),
    /// All offsets of a group lie in one partition.
    Offsets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    Record(Payload),
    Marker,
    /// Compacted away.
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) txn: Option<Txn>,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    Open,
    Committed,
    Aborted,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Transaction {
    pub(crate) worker: usize,
    pub(crate) fate: Fate,
    /// Where its markers are still to be written.
    pub(crate) unmarked: Vec<Place>,
}

impl Transaction {
    /// Open, or ended and not everywhere known to be.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.fate == Fate::Open || !self.unmarked.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kafka {
    logs: Vec<Vec<Entry>>,
    pub(crate) txns: Vec<Transaction>,
    committed: Vec<Option<i64>>,
    pending: Vec<(Txn, usize, i64)>,
    /// Generation of the group.
    pub(crate) generation: u32,
    /// Which worker each partition is assigned to.
    pub(crate) owners: Vec<usize>,
    /// The first offset of the changelog from which on every tombstone is still there.
    pub(crate) kept_since: i64,
}

impl Kafka {
    pub(crate) fn new(partitions: usize) -> Self {
        Self {
            logs: vec![Vec::new(); TOPICS.len() * partitions],
            txns: Vec::new(),
            committed: vec![None; partitions],
            pending: Vec::new(),
            generation: 0,
            owners: (0..partitions).map(|partition| partition % 2).collect(),
            kept_since: 0,
        }
    }

    pub(crate) fn partitions(&self) -> usize {
        self.owners.len()
    }

    pub(crate) fn log(&self, topic: Topic, partition: usize) -> &[Entry] {
        &self.logs[topic as usize * self.partitions() + partition]
    }

    pub(crate) fn log_mut(&mut self, topic: Topic, partition: usize) -> &mut Vec<Entry> {
        let index = topic as usize * self.partitions() + partition;
        &mut self.logs[index]
    }

    /// The offset after the last entry.
    pub(crate) fn high(&self, topic: Topic, partition: usize) -> i64 {
        offset(self.log(topic, partition).len())
    }

    /// The last stable offset: before it, every transaction has its marker here.
    pub(crate) fn stable(&self, topic: Topic, partition: usize) -> i64 {
        let place = Place::Log(topic, partition);
        let unstable = |entry: &Entry| {
            entry.txn.is_some_and(|txn| {
                let txn = &self.txns[txn];
                txn.fate == Fate::Open || txn.unmarked.contains(&place)
            })
        };
        let log = self.log(topic, partition);
        offset(log.iter().position(unstable).unwrap_or(log.len()))
    }

    /// What a `read_committed` reader gets from `from` on and before `until`.
    pub(crate) fn read(
        &self,
        topic: Topic,
        partition: usize,
        from: i64,
        until: i64,
    ) -> impl Iterator<Item = (i64, Payload)> {
        let until = until.min(self.stable(topic, partition));
        let entries = self.log(topic, partition).iter().enumerate();
        entries.filter_map(move |(index, entry)| {
            let at = offset(index);
            let What::Record(payload) = entry.what else { return None };
            let visible = entry.txn.is_none_or(|txn| self.txns[txn].fate == Fate::Committed);
            (visible && (from..until).contains(&at)).then_some((at, payload))
        })
    }

    pub(crate) fn begin(&mut self, worker: usize) -> Txn {
        self.txns.push(Transaction { worker, fate: Fate::Open, unmarked: Vec::new() });
        self.txns.len() - 1
    }

    pub(crate) fn append(
        &mut self,
        topic: Topic,
        partition: usize,
        txn: Option<Txn>,
        payload: Payload,
    ) {
        if let Some(txn) = txn {
            self.add(txn, Place::Log(topic, partition));
        }
        self.log_mut(topic, partition).push(Entry { txn, what: What::Record(payload) });
    }

    pub(crate) fn send_offset(&mut self, txn: Txn, partition: usize, next: i64) {
        self.add(txn, Place::Offsets);
        self.pending.push((txn, partition, next));
    }

    fn add(&mut self, txn: Txn, place: Place) {
        let unmarked = &mut self.txns[txn].unmarked;
        if !unmarked.contains(&place) {
            unmarked.push(place);
        }
    }

    /// The coordinator has decided.
    pub(crate) fn decide(&mut self, txn: Txn, fate: Fate) {
        self.txns[txn].fate = fate;
    }

    /// A decision becomes known in one more place.
    pub(crate) fn mark(&mut self, txn: Txn, place: Place) {
        self.txns[txn].unmarked.retain(|other| *other != place);
        match place {
            Place::Log(topic, partition) => {
                self.log_mut(topic, partition).push(Entry { txn: Some(txn), what: What::Marker });
            }
            Place::Offsets => {
                let (ended, rest): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut self.pending).into_iter().partition(|one| one.0 == txn);
                self.pending = rest;
                if self.txns[txn].fate == Fate::Committed {
                    for (_, partition, next) in ended {
                        self.committed[partition] = Some(next);
                    }
                }
            }
        }
    }

    /// Every decision becomes known everywhere.
    pub(crate) fn mark_all(&mut self) {
        for txn in 0..self.txns.len() {
            if self.txns[txn].fate != Fate::Open {
                for place in self.txns[txn].unmarked.clone() {
                    self.mark(txn, place);
                }
            }
        }
    }

    /// The group's offset, and whether no open transaction can change it.
    pub(crate) fn committed(&self, partition: usize) -> (Option<i64>, Stability) {
        let pending = self.pending.iter().any(|(_, other, _)| *other == partition);
        let stability = if pending { Stability::Unstable } else { Stability::Stable };
        (self.committed[partition], stability)
    }

    pub(crate) fn has_unfinished(&self) -> bool {
        self.txns.iter().any(Transaction::is_unfinished)
    }

    pub(crate) fn has_unfinished_of(&self, worker: usize) -> bool {
        self.txns.iter().any(|txn| txn.worker == worker && txn.is_unfinished())
    }

    /// The topics and the group's offsets are deleted and made anew.
    pub(crate) fn make_anew(&mut self) {
        let generation = self.generation + 1;
        let owners = std::mem::take(&mut self.owners);
        *self = Self { generation, ..Self::new(owners.len()) };
        self.owners = owners;
    }

    /// Everything is older than tombstones are kept, and compaction has passed over it: of each key
    /// the latest value is left.
    pub(crate) fn compact(&mut self, partition: usize, key_of: impl Fn(Payload) -> Latest) {
        let fates: Vec<_> = self.txns.iter().map(|txn| txn.fate).collect();
        let mut later = Vec::new();
        for entry in self.log_mut(Topic::State, partition).iter_mut().rev() {
            let What::Record(payload) = entry.what else { continue };
            let latest = key_of(payload);
            let tombstone = matches!(latest, Latest::Tombstone(_));
            let (Latest::Value(key) | Latest::Tombstone(key)) = latest;
            let aborted = entry.txn.is_some_and(|txn| fates[txn] == Fate::Aborted);
            if aborted || tombstone || later.contains(&key) {
                entry.what = What::Gone;
            }
            if !aborted {
                later.push(key);
            }
        }
        self.kept_since = self.high(Topic::State, partition);
    }
}

/// A record of a compacted topic: its key, and whether it has a value.
pub(crate) enum Latest {
    Value(Vec<u8>),
    Tombstone(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stability {
    Stable,
    Unstable,
}

pub(crate) fn offset(index: usize) -> i64 {
    i64::try_from(index).unwrap()
}
