//! From pieces to subscribers: what a file tells of one of them becomes one record, or none.
//!
//! A record is all or nothing, so of whom anything is refused nothing is imported. A record that is made here
//! has been read the way the line will read it: what is not refused now will not be parked later.

use std::collections::{BTreeMap, BTreeSet};

use schemas::Timestamp;
use schemas::headers::RawHeaders;
use schemas::state::Role;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use stream::Record;

use super::told::{Piece, Read, Refusal};
use crate::budget::Budget;
use crate::sources::native::imported;
use crate::sources::{RawView, Reading, Source};

/// An event that claims to be further in the future than this would be put to the time of its reception.
const CLOCK_TOLERANCE_MILLIS: i64 = 5 * 60 * 1000;

/// What bears on all of a file.
#[derive(Debug)]
pub struct Setting<'a> {
    /// Whose subscribers these are.
    pub source: &'a Source,
    /// The moment told of where the file does not say.
    pub as_of: Option<Timestamp>,
    /// The time now.
    pub now: Timestamp,
    /// Where the records go.
    pub topic: &'a str,
    /// How much a record may say.
    pub budget: Budget,
}

/// One subscriber, as far as it has been read.
#[derive(Default)]
struct Gathered {
    line: u64,
    as_of: Option<Timestamp>,
    person: Map<String, Value>,
    subscriptions: Vec<(u64, Value)>,
    totals: Vec<(u64, Value)>,
}

/// All that has been read of a file.
#[derive(Default)]
pub(super) struct Gathering {
    subscribers: BTreeMap<String, Gathered>,
    /// Those of whom something was refused.
    spoiled: BTreeSet<String>,
    refusals: Vec<Refusal>,
    read: u64,
    left_out: u64,
}

/// What a file comes to.
#[derive(Debug)]
pub struct Outcome {
    /// One record for each subscriber, in order of their ids.
    pub records: Vec<Record>,
    /// What was refused, in order of place and line.
    pub refusals: Vec<Refusal>,
    /// Rows, lines or objects.
    pub read: u64,
    /// Those of other sources, and what is no subscription yet.
    pub left_out: u64,
    /// Subscribers of whom nothing is imported, because something was refused.
    pub refused: usize,
    /// Ids of people that several of these subscribers share.
    pub shared: usize,
}

impl Gathering {
    /// Takes in what was read.
    pub(super) fn take(&mut self, read: Read, setting: &Setting<'_>) {
        self.read += 1;
        match read {
            Read::Refused(refusal, whose) => self.refuse(refusal, whose),
            Read::LeftOut => self.left_out += 1,
            Read::Piece(piece)
                if piece.source.as_ref().is_some_and(|name| *name != setting.source.name) =>
            {
                self.left_out += 1;
            }
            Read::Piece(piece) => {
                let subscriber = piece.subscriber.clone();
                let known = self.subscribers.entry(subscriber.clone()).or_default();
                if let Err(refusal) = known.add(*piece, setting) {
                    self.refuse(refusal, Some(subscriber));
                }
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal, whose: Option<String>) {
        self.refusals.push(refusal);
        if let Some(subscriber) = whose.filter(|id| !id.is_empty()) {
            self.spoiled.insert(subscriber);
        }
    }

    /// Makes the records of all of whom nothing was refused.
    pub(super) fn finish(mut self, setting: &Setting<'_>) -> Outcome {
        let mut records = Vec::new();
        let mut people: BTreeMap<String, usize> = BTreeMap::new();
        for (id, gathered) in std::mem::take(&mut self.subscribers) {
            if self.spoiled.contains(&id) {
                continue;
            }
            let person = gathered.person.get("user_id").or_else(|| gathered.person.get("email"));
            let person = person.map(Value::to_string);
            match gathered.record(&id, setting) {
                Ok(record) => {
                    records.push(record);
                    if let Some(person) = person {
                        *people.entry(person).or_default() += 1;
                    }
                }
                Err(refusal) => self.refuse(refusal, Some(id)),
            }
        }
        self.refusals.sort();
        Outcome {
            records,
            refusals: self.refusals,
            read: self.read,
            left_out: self.left_out,
            refused: self.spoiled.len(),
            shared: people.values().filter(|subscribers| **subscribers > 1).count(),
        }
    }
}

impl Gathered {
    fn add(&mut self, piece: Piece, setting: &Setting<'_>) -> Result<(), Refusal> {
        let Piece { line, as_of, person, subscriptions, totals, .. } = piece;
        if self.line == 0 {
            self.line = line;
        }
        let first = self.line;
        let differs = |place: &str| {
            Refusal::new(
                line,
                place,
                format!("it differs from line {first}, of the same subscriber"),
            )
        };
        let as_of = as_of.or(setting.as_of).ok_or_else(|| {
            Refusal::new(line, "as_of", "missing: say --as-of, the moment of the export")
        })?;
        if as_of > setting.now.plus_millis(CLOCK_TOLERANCE_MILLIS) {
            return Err(Refusal::new(line, "as_of", "in the future"));
        }
        if *self.as_of.get_or_insert(as_of) != as_of {
            return Err(differs("as_of"));
        }
        for (name, value) in person {
            match self.person.get(&name) {
                None => drop(self.person.insert(name, value)),
                Some(known) if *known == value => {}
                Some(_) => return Err(differs(&name)),
            }
        }
        self.subscriptions.extend(subscriptions.into_iter().map(|told| (line, told)));
        // A sum may stand in every row of its subscriber.
        let known = |sum: &Value| self.totals.iter().any(|(_, known)| known == sum);
        let new: Vec<_> = totals.into_iter().filter(|sum| !known(sum)).collect();
        self.totals.extend(new.into_iter().map(|told| (line, told)));
        Ok(())
    }

    /// The record, if the line will be able to read it.
    fn record(self, id: &str, setting: &Setting<'_>) -> Result<Record, Refusal> {
        let Self { line, as_of, mut person, subscriptions, totals } = self;
        person.insert("id".to_owned(), id.into());
        let body = json!({
            "as_of": as_of.map(Timestamp::millis),
            "subscriber": person,
            "subscriptions": values(&subscriptions),
            "totals": values(&totals),
        });
        let body = body.to_string().into_bytes();
        let raw = RawView {
            body: &body,
            event_id: "",
            event_type: imported::TYPE,
            subscriber_id: id,
            received_at: setting.now,
            traceparent: None,
            role: Role::Own,
        };
        match imported::read(&raw, setting.source) {
            Reading::Facts(facts) if setting.budget.is_exceeded_by(&facts) => {
                return Err(Refusal::row(line, "the subscriber has more than a record may say"));
            }
            Reading::Facts(_) => {}
            Reading::Parked(unreadable) => {
                let path = unreadable.path.trim_start_matches('/');
                let (line, place) = place(path, line, &subscriptions, &totals);
                return Err(Refusal::new(line, place, unreadable.problem));
            }
            Reading::Ignored(_) | Reading::KeyMismatch => {
                return Err(Refusal::new(line, "subscriber/id", "not a subscriber's id"));
            }
        }
        let key = format!("{}/{id}", setting.source.name);
        let digest = Sha256::new().chain_update(&key).chain_update(&body).finalize();
        let headers = RawHeaders {
            id: hex::encode(digest.get(..16).unwrap_or(&digest)),
            source: setting.source.name.clone(),
            event_type: imported::TYPE.to_owned(),
            time: Some(setting.now),
            content_type: Some("application/json".to_owned()),
            traceparent: None,
            rekeyed: None,
        };
        Ok(Record {
            topic: setting.topic.to_owned(),
            partition: None,
            key: key.into_bytes(),
            value: Some(body),
            headers: headers.to_headers(),
        })
    }
}

fn values(told: &[(u64, Value)]) -> Vec<&Value> {
    told.iter().map(|(_, value)| value).collect()
}

/// The line of what stands at a path of the body, and the path as the line has it.
fn place<'a>(
    path: &'a str,
    line: u64,
    subscriptions: &[(u64, Value)],
    totals: &[(u64, Value)],
) -> (u64, &'a str) {
    for (list, told) in [("subscriptions/", subscriptions), ("totals/", totals)] {
        let Some(rest) = path.strip_prefix(list) else { continue };
        let (index, field) = rest.split_once('/').unwrap_or((rest, path));
        let of = index.parse::<usize>().ok().and_then(|index| told.get(index));
        return (of.map_or(line, |(line, _)| *line), field);
    }
    (line, path.strip_prefix("subscriber/").unwrap_or(path))
}
