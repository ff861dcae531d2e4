//! The records a transaction writes, as they go onto their topics.

use schemas::LifecycleEvent;
use schemas::codec::{Codec, CodecError, Framing};
use schemas::headers::{EventHeaders, ParkedHeaders, tick, waits};
use schemas::state::PartitionRecord;
use schemas::topics::Topic;
use stream::{Received, Record};

use crate::line::{Emission, GivenUp, LinkAnnouncement};
use crate::parking::Parking;
use crate::rekey::RawCopy;
use crate::state::{Change, PARTITION_KEY};

/// Key of a tick: it belongs to nobody.
const TICK_KEY: &[u8] = b"tick";

/// Key of a parked record that has none.
const NO_KEY: &[u8] = b"unknown";

/// Names of an installation's topics and of the group.
#[derive(Clone, Debug)]
pub struct Names {
    /// Where records come from, and ticks go to.
    pub raw: String,
    /// Lifecycle events.
    pub events: String,
    /// The changelog.
    pub state: String,
    /// Whose a thing is.
    pub links: String,
    /// Parked records.
    pub unprocessable: String,
    /// The consumer group.
    pub group: String,
}

impl Names {
    /// Names that begin with `prefix`.
    pub fn with_prefix(prefix: &str) -> Self {
        Self {
            raw: Topic::Raw.name(prefix),
            events: Topic::Events.name(prefix),
            state: Topic::State.name(prefix),
            links: Topic::Links.name(prefix),
            unprocessable: Topic::Unprocessable.name(prefix),
            group: format!("{prefix}transform"),
        }
    }
}

/// Makes the records of one worker.
#[derive(Debug)]
pub struct Outgoing {
    /// The topics.
    pub names: Names,
    events: Codec<LifecycleEvent>,
    partitions: Codec<PartitionRecord>,
}

impl Outgoing {
    /// Writes to these topics, events in `framing`. A partition's own record is ours alone and needs no
    /// registry.
    pub fn new(names: Names, framing: Framing) -> Result<Self, CodecError> {
        Ok(Self {
            names,
            events: Codec::new(framing)?,
            partitions: Codec::new(Framing::SingleObject)?,
        })
    }

    /// A lifecycle event, in the partition its raw record came from: one subscriber, one partition.
    pub fn event(&self, partition: i32, emission: &Emission) -> Result<Record, CodecError> {
        let event = &emission.event;
        let mut value = Vec::new();
        self.events.encode(event, &mut value)?;
        let headers = EventHeaders {
            id: event.event_id.clone(),
            source: event.source.clone(),
            event_type: event.event_type.name().to_owned(),
            traceparent: emission.traceparent.clone(),
        };
        Ok(Record {
            topic: self.names.events.clone(),
            partition: Some(partition),
            key: event.subscriber.key.clone().into_bytes(),
            value: Some(value),
            headers: headers.to_headers(),
        })
    }

    /// A parked record: as it was, with headers that say why.
    pub fn parked(&self, record: Received, parking: &Parking) -> Record {
        let at = (record.partition, record.offset);
        let key = record.key.filter(|key| !key.is_empty());
        Record {
            topic: self.names.unprocessable.clone(),
            partition: None,
            key: key.unwrap_or_else(|| NO_KEY.to_vec()),
            value: record.value,
            headers: self.end(at, parking).onto(&record.headers),
        }
    }

    /// A parked record that had waited for a link.
    pub fn given_up(&self, partition: i32, record: GivenUp) -> Record {
        Record {
            topic: self.names.unprocessable.clone(),
            partition: None,
            headers: self.end((partition, record.offset), &record.parking).onto(&record.headers),
            key: record.key.into_bytes(),
            value: Some(record.value),
        }
    }

    /// Why the record of raw at this partition and offset ends here.
    fn end(&self, (partition, offset): (i32, i64), parking: &Parking) -> ParkedHeaders {
        ParkedHeaders {
            reason: parking.reason.name().to_owned(),
            topic: self.names.raw.clone(),
            partition,
            offset,
            group: self.names.group.clone(),
            stage: parking.reason.stage().to_owned(),
            class: format!("transform.{}.{}", parking.reason.stage(), parking.reason.name()),
            message: parking.message.clone(),
            attempts: None,
            first_failure: None,
            last_failure: None,
            http_status: None,
            request_id: None,
        }
    }

    /// A copy of a raw record under another key, in that key's partition.
    pub fn copy(&self, copy: RawCopy) -> Record {
        Record {
            topic: self.names.raw.clone(),
            partition: None,
            key: copy.key.into_bytes(),
            value: Some(copy.value),
            headers: copy.headers,
        }
    }

    /// A link, in the partition of the records that need it.
    pub fn link(&self, link: LinkAnnouncement) -> Record {
        Record {
            topic: self.names.links.clone(),
            partition: None,
            key: link.key.into_bytes(),
            value: Some(link.subscriber.into_bytes()),
            headers: Vec::new(),
        }
    }

    /// A change of a state, in the changelog of its partition.
    pub fn change(&self, partition: i32, change: &Change) -> Record {
        Record {
            topic: self.names.state.clone(),
            partition: Some(partition),
            key: change.key.clone(),
            value: change.value.clone(),
            headers: if change.waits { waits() } else { Vec::new() },
        }
    }

    /// The partition's own record, as a change.
    pub fn partition_record(&self, record: &PartitionRecord) -> Result<Change, CodecError> {
        let mut value = Vec::new();
        self.partitions.encode(record, &mut value)?;
        Ok(Change { key: PARTITION_KEY.to_vec(), value: Some(value), waits: false })
    }

    /// A tick for a partition of raw.
    pub fn tick(&self, partition: i32) -> Record {
        Record {
            topic: self.names.raw.clone(),
            partition: Some(partition),
            key: TICK_KEY.to_vec(),
            value: None,
            headers: tick(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parking::ParkReason;
    use schemas::Timestamp;
    use schemas::headers::{Header, is_tick};

    fn outgoing() -> Outgoing {
        Outgoing::new(Names::with_prefix("acme."), Framing::Registry(7)).unwrap()
    }

    #[test]
    fn a_parked_record_keeps_its_key_bytes_and_headers_and_says_why() {
        let received = Received {
            topic: "acme.subscriptions.raw".into(),
            partition: 3,
            offset: 77,
            timestamp: Timestamp::from_millis(0),
            key: Some(b"shop/cus_1".to_vec()),
            value: Some(b"{".to_vec()),
            headers: vec![Header::text("ce_id", "evt_1")],
        };
        let parking = Parking::new(ParkReason::Unreadable, "/data: is no object");
        let record = outgoing().parked(received, &parking);
        assert_eq!(
            (record.topic.as_str(), record.partition),
            ("acme.subscriptions.unprocessable", None)
        );
        assert_eq!(
            (record.key.as_slice(), record.value.as_deref()),
            (&b"shop/cus_1"[..], Some(&b"{"[..]))
        );
        assert_eq!(record.headers[0], Header::text("ce_id", "evt_1"));
        let parked = ParkedHeaders::from_headers(&record.headers).unwrap();
        assert_eq!(
            (parked.reason.as_str(), parked.partition, parked.offset),
            ("unreadable", 3, 77)
        );
        assert_eq!(parked.group, "acme.transform");
    }

    #[test]
    fn a_parked_record_without_a_key_gets_one() {
        let received = Received {
            topic: "raw".into(),
            partition: 0,
            offset: 0,
            timestamp: Timestamp::from_millis(0),
            key: None,
            value: None,
            headers: Vec::new(),
        };
        let parking = Parking::new(ParkReason::MissingKey, "the record has no key");
        assert_eq!(outgoing().parked(received, &parking).key, b"unknown");
    }

    #[test]
    fn the_partition_record_survives_the_wire_under_its_reserved_key() {
        let record = PartitionRecord {
            incarnation: "i".to_owned(),
            next_raw_offset: 8,
            format: 1,
            partitions: 12,
        };
        let change = outgoing().partition_record(&record).unwrap();
        assert_eq!(change.key, PARTITION_KEY);
        let value = change.value.unwrap();
        assert_eq!(value[..2], [0xC3, 0x01], "it needs no registry");
        let read = Codec::<PartitionRecord>::new(Framing::SingleObject).unwrap().decode(&value);
        assert_eq!(read.unwrap(), record);
    }

    #[test]
    fn a_tick_is_recognised_as_one() {
        let tick = outgoing().tick(5);
        assert_eq!((tick.partition, tick.topic.as_str()), (Some(5), "acme.subscriptions.raw"));
        assert!(is_tick(&tick.headers));
    }
}
