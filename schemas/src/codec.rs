//! The wire formats.
//!
//! Values are written in Avro, in one of two framings, and read in either:
//!
//! * *single object* (Avro specification, "Single-object encoding"): `C3 01`, the schema's CRC-64-AVRO
//!   fingerprint as 8 little-endian bytes, the datum. Needs no registry;
//! * *Confluent*: `00`, the registry's id of the schema as 4 big-endian bytes, the datum.
//!
//! A record is decoded with the schema it was written with. Fields that this version does not know are
//! skipped, fields the writer did not know take their defaults, unknown enum symbols read as `unknown`.
//! Neither framing has a checksum: what is not ours may decode to nonsense and must be judged by its
//! content.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::LifecycleEvent;
use crate::state::{Moved, PartitionRecord, SubscriberState};

const SINGLE_OBJECT: [u8; 2] = [0xC3, 0x01];
const CONFLUENT: u8 = 0x00;

/// Why a value cannot be written or read. Never carries the value.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// A schema that should be valid is not.
    #[error("the schema {0} cannot be used")]
    Schema(&'static str, #[source] Box<apache_avro::Error>),
    /// The value does not fit its schema.
    #[error("a {0} does not fit its schema")]
    Encode(&'static str),
    /// The bytes do not begin with a framing we know.
    #[error("the value is framed neither as an Avro single object nor by a schema registry")]
    Framing,
    /// The single-object fingerprint belongs to no version of the schema.
    #[error("the value was written with an unknown schema (fingerprint {0:016x})")]
    UnknownFingerprint(u64),
    /// The registry id is not (yet) known.
    #[error("the value was written with schema {0} of the registry, which is not known here")]
    UnknownSchemaId(u32),
    /// The bytes are no such value.
    #[error("the value is no valid {0}")]
    Decode(&'static str),
}

/// A value with a schema of its own in `schemas/`.
pub trait Described: Serialize + DeserializeOwned {
    /// The record's name in the schema.
    const NAME: &'static str;

    /// Every released version of its schema, newest last; the last is written.
    const VERSIONS: &'static [&'static str];
}

impl Described for LifecycleEvent {
    const NAME: &'static str = "lifecycle event";
    const VERSIONS: &'static [&'static str] = &[include_str!("../released/lifecycle_event.1.avsc")];
}

impl Described for SubscriberState {
    const NAME: &'static str = "subscriber state";
    const VERSIONS: &'static [&'static str] = &[
        include_str!("../released/subscriber_state.1.avsc"),
        include_str!("../released/subscriber_state.2.avsc"),
    ];
}

impl Described for Moved {
    const NAME: &'static str = "list of moved subscriptions";
    const VERSIONS: &'static [&'static str] = &[include_str!("../released/moved.1.avsc")];
}

impl Described for PartitionRecord {
    const NAME: &'static str = "partition record";
    const VERSIONS: &'static [&'static str] =
        &[include_str!("../released/partition_record.1.avsc")];
}

/// How values are framed when written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Avro single object.
    SingleObject,
    /// Confluent, with the registry's id of the newest schema.
    Registry(u32),
}

/// Writes and reads values of one kind.
///
/// Schemas are parsed once, when the codec is made, and live as long as the process: make one per
/// kind and thread, not one per value.
pub struct Codec<T> {
    framing: Framing,
    writer: GenericDatumWriter<'static>,
    fingerprint: [u8; 8],
    by_fingerprint: HashMap<[u8; 8], GenericDatumReader<'static>>,
    by_id: HashMap<u32, GenericDatumReader<'static>>,
    kind: std::marker::PhantomData<fn() -> T>,
}

impl<T> std::fmt::Debug for Codec<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Codec").field("framing", &self.framing).finish_non_exhaustive()
    }
}

impl<T: Described> Codec<T> {
    /// A codec that writes in `framing` with the newest schema and reads every released version.
    pub fn new(framing: Framing) -> Result<Self, CodecError> {
        let mut by_fingerprint = HashMap::new();
        let mut newest = None;
        for text in T::VERSIONS {
            let schema = Self::parse(text)?;
            let reader = Self::reader(schema)?;
            by_fingerprint.insert(fingerprint::<T>(schema)?, reader);
            newest = Some(schema);
        }
        let schema = newest.ok_or(CodecError::Encode(T::NAME))?;
        let writer = GenericDatumWriter::builder(schema)
            .human_readable(false)
            .build()
            .map_err(|error| CodecError::Schema(T::NAME, Box::new(error)))?;
        let mut codec = Self {
            framing,
            writer,
            fingerprint: fingerprint::<T>(schema)?,
            by_fingerprint,
            by_id: HashMap::new(),
            kind: std::marker::PhantomData,
        };
        if let Framing::Registry(id) = framing {
            codec.by_id.insert(id, Self::reader(schema)?);
        }
        Ok(codec)
    }

    /// Teaches the codec a schema of the registry, under its id there.
    pub fn learn(&mut self, id: u32, schema: &str) -> Result<(), CodecError> {
        let reader = Self::reader(Self::parse(schema)?)?;
        self.by_id.insert(id, reader);
        Ok(())
    }

    /// The registry's id that a value is framed with, if its schema has still to be learned.
    pub fn unlearned(&self, bytes: &[u8]) -> Option<u32> {
        match self.unframe(bytes) {
            Err(CodecError::UnknownSchemaId(id)) => Some(id),
            Ok(_) | Err(_) => None,
        }
    }

    /// Replaces `bytes` by the framed value. Leaves an unspecified content on error.
    pub fn encode(&self, value: &T, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        bytes.clear();
        match self.framing {
            Framing::SingleObject => {
                bytes.extend_from_slice(&SINGLE_OBJECT);
                bytes.extend_from_slice(&self.fingerprint);
            }
            Framing::Registry(id) => {
                bytes.push(CONFLUENT);
                bytes.extend_from_slice(&id.to_be_bytes());
            }
        }
        // The library's message would quote the value.
        self.writer.write_ser(bytes, value).map_err(|_| CodecError::Encode(T::NAME))?;
        Ok(())
    }

    /// Reads a value in either framing.
    pub fn decode(&self, bytes: &[u8]) -> Result<T, CodecError> {
        let (reader, mut datum) = self.unframe(bytes)?;
        let value = reader.read_deser(&mut datum).map_err(|_| CodecError::Decode(T::NAME))?;
        if datum.is_empty() { Ok(value) } else { Err(CodecError::Decode(T::NAME)) }
    }

    fn unframe<'b>(
        &self,
        bytes: &'b [u8],
    ) -> Result<(&GenericDatumReader<'static>, &'b [u8]), CodecError> {
        if let Some(rest) = bytes.strip_prefix(&SINGLE_OBJECT) {
            let (print, datum) = rest.split_first_chunk::<8>().ok_or(CodecError::Framing)?;
            let reader = self
                .by_fingerprint
                .get(print)
                .ok_or_else(|| CodecError::UnknownFingerprint(u64::from_le_bytes(*print)))?;
            return Ok((reader, datum));
        }
        if let Some(rest) = bytes.strip_prefix(&[CONFLUENT]) {
            let (id, datum) = rest.split_first_chunk::<4>().ok_or(CodecError::Framing)?;
            let id = u32::from_be_bytes(*id);
            let reader = self.by_id.get(&id).ok_or(CodecError::UnknownSchemaId(id))?;
            return Ok((reader, datum));
        }
        Err(CodecError::Framing)
    }

    /// Parses a schema for the life of the process: readers and writers borrow it.
    fn parse(text: &str) -> Result<&'static Schema, CodecError> {
        let schema = Schema::parse_str(text)
            .map_err(|error| CodecError::Schema(T::NAME, Box::new(error)))?;
        Ok(Box::leak(Box::new(schema)))
    }

    fn reader(schema: &'static Schema) -> Result<GenericDatumReader<'static>, CodecError> {
        GenericDatumReader::builder(schema)
            .human_readable(false)
            .build()
            .map_err(|error| CodecError::Schema(T::NAME, Box::new(error)))
    }
}

/// The fingerprint by which every language knows a schema: that of its Parsing Canonical Form.
///
/// The library (apache-avro 0.22) leaves `{"type":"long"}` there where a logical type is stripped off; the
/// specification, Java and fastavro have `"long"`. Parsed once more, nothing is left to strip.
fn fingerprint<T: Described>(schema: &Schema) -> Result<[u8; 8], CodecError> {
    let stripped = Schema::parse_str(&schema.canonical_form())
        .map_err(|error| CodecError::Schema(T::NAME, Box::new(error)))?;
    let bytes = stripped.fingerprint::<Rabin>().bytes;
    let mut print = [0; 8];
    print.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    Ok(print)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::Header;
    use crate::samples::{bare_event, full_event};
    use crate::state::{
        Facts, HandOver, Held, Identity, KeptRecord, Left, OrderKey, Role, SubscriptionFacts,
        SubscriptionState, Total,
    };
    use crate::{Environment, Timestamp};
    use apache_avro::types::Value;
    use proptest::prelude::*;

    fn full_facts(
        event: &LifecycleEvent,
        person: &Identity,
        shown: SubscriptionFacts,
        record: KeptRecord,
    ) -> Facts {
        Facts {
            provider_event_id: "evt_8".to_owned(),
            provider_event_type: "invoice.paid".to_owned(),
            occurred_at: event.occurred_at,
            received_at: event.received_at,
            rank: 3,
            environment: Environment::Sandbox,
            person: person.clone(),
            subscription: Some(shown.clone()),
            before: Some(shown),
            money: event.money.clone(),
            payment: event.payment.clone(),
            offer: event.offer.clone(),
            transfer: event.transfer.clone(),
            reason: Some("why".to_owned()),
            details: event.subscriber.attributes.clone(),
            traceparent: Some("00-1-2-01".to_owned()),
            hand_over: Some(HandOver { role: Role::Forward, record }),
        }
    }

    fn full_state() -> SubscriberState {
        let event = full_event();
        let subscription = event.subscription.clone().unwrap();
        let identity = Identity {
            id: "cus_1".to_owned(),
            user_id: event.subscriber.user_id.clone(),
            email: event.subscriber.email.clone(),
            aliases: vec!["old".to_owned()],
            anonymous: true,
            attributes: event.subscriber.attributes.clone(),
        };
        let shown = SubscriptionFacts {
            shown: subscription.clone(),
            provider_status: Some("active".to_owned()),
            cancel_scheduled: Some(true),
            collection_paused: Some(false),
        };
        let known = SubscriptionState {
            environment: Environment::Production,
            current: subscription,
            provider_status: Some("active".to_owned()),
            cancel_scheduled: true,
            collection_paused: false,
            trial_open: true,
            intro_open: false,
            in_grace: true,
            in_billing_retry: false,
            paused: true,
            ended: false,
            pending_product: Some("prod_2".to_owned()),
            told: event.subscriber.attributes.clone(),
            facts_at: Timestamp::from_millis(5),
            owned_since: Timestamp::from_millis(4),
        };
        let record = KeptRecord {
            offset: 3,
            appended_at: event.received_at,
            headers: vec![Header::text("ce_id", "evt_8")],
            value: b"{}".to_vec(),
        };
        let facts = full_facts(&event, &identity, shown, record.clone());
        SubscriberState {
            sequence: 9,
            seen: vec![1, 2, 3],
            held: vec![Held { facts, appended_at: event.received_at }],
            emitted_up_to: Some(OrderKey {
                occurred_at: event.occurred_at,
                rank: 1,
                provider_event_id: "evt_7".to_owned(),
            }),
            subscriptions: vec![known],
            identity,
            totals: vec![Total {
                environment: Environment::Production,
                sum: event.money.clone().unwrap(),
            }],
            seconds: vec![1, 2],
            waiting: vec![record],
            left: vec![Left {
                occurred_at: event.occurred_at,
                noted_at: event.received_at,
                environment: Environment::Production,
                to: "app/b".to_owned(),
                subscriptions: vec!["sub_1".to_owned()],
            }],
            told: event.subscriber.attributes.clone(),
            links_announced_at: Some(event.received_at),
        }
    }

    fn survives<T: Described + PartialEq + std::fmt::Debug>(value: &T) {
        for framing in [Framing::SingleObject, Framing::Registry(77)] {
            let codec = Codec::<T>::new(framing).unwrap();
            let mut bytes = vec![9, 9, 9];
            codec.encode(value, &mut bytes).unwrap();
            assert_eq!(&codec.decode(&bytes).unwrap(), value, "{framing:?}");
        }
    }

    #[test]
    fn every_kind_of_value_survives_both_framings() {
        survives(&full_event());
        survives(&bare_event());
        survives(&full_state());
        survives(&SubscriberState::default());
        survives(&Moved {
            effective_at: Timestamp::from_millis(7),
            subscriptions: full_state().subscriptions,
        });
        survives(&PartitionRecord {
            incarnation: "i".to_owned(),
            next_raw_offset: 4,
            format: 1,
            partitions: 12,
        });
    }

    #[test]
    fn a_codec_of_one_framing_reads_the_other() {
        let mut bytes = Vec::new();
        let registry = Codec::<LifecycleEvent>::new(Framing::Registry(5)).unwrap();
        registry.encode(&full_event(), &mut bytes).unwrap();
        assert_eq!(bytes[..5], [0, 0, 0, 0, 5]);

        let mut single = Codec::<LifecycleEvent>::new(Framing::SingleObject).unwrap();
        assert!(matches!(single.decode(&bytes), Err(CodecError::UnknownSchemaId(5))));
        single.learn(5, LifecycleEvent::VERSIONS[0]).unwrap();
        assert_eq!(single.decode(&bytes).unwrap(), full_event());

        single.encode(&full_event(), &mut bytes).unwrap();
        assert_eq!(bytes[..2], [0xC3, 0x01]);
        assert_eq!(registry.decode(&bytes).unwrap(), full_event());
    }

    /// Worked out by hand after the specification, and by fastavro 1.13.
    #[test]
    fn the_fingerprint_of_the_event_is_the_one_that_other_languages_know_it_by() {
        let schema = Schema::parse_str(LifecycleEvent::VERSIONS[0]).unwrap();
        let print = fingerprint::<LifecycleEvent>(&schema).unwrap();
        assert_eq!(print, 0x61d3_b450_217f_d2fb_u64.to_be_bytes());
    }

    #[test]
    fn an_older_reader_survives_a_newer_writer() {
        let newer = LifecycleEvent::VERSIONS[0]
            .replacen(
                "\"fields\": [",
                "\"fields\": [{\"name\": \"added\", \"type\": [\"null\", \"string\"], \"default\": null},",
                1,
            )
            .replacen("\"subscription_renewed\",", "\"subscription_renewed_later\",", 1);
        let schema = Schema::parse_str(&newer).unwrap();
        let mut bytes = Vec::new();
        let present = Codec::<LifecycleEvent>::new(Framing::SingleObject).unwrap();
        present.encode(&full_event(), &mut bytes).unwrap();
        let (reader, mut datum) = present.unframe(&bytes).unwrap();
        let Value::Record(mut fields) = reader.read_value(&mut datum).unwrap() else {
            panic!("an event is a record")
        };
        for (name, value) in &mut fields {
            if let (true, Value::Enum(_, symbol)) = (name == "type", value) {
                "subscription_renewed_later".clone_into(symbol);
            }
        }
        fields.push(("added".to_owned(), Value::Union(0, Box::new(Value::Null))));
        let writer = GenericDatumWriter::builder(&schema).build().unwrap();
        let datum = writer.write_value_to_vec(Value::Record(fields)).unwrap();

        let mut codec = Codec::<LifecycleEvent>::new(Framing::SingleObject).unwrap();
        codec.learn(6, &newer).unwrap();
        let framed = [&[0, 0, 0, 0, 6], datum.as_slice()].concat();
        let read = codec.decode(&framed).unwrap();
        assert_eq!(read.event_type, crate::EventType::Unknown);
        assert_eq!(read.subscriber, full_event().subscriber);
    }

    /// The value as `schema` has it: without the fields it does not know.
    fn as_written_with(schema: &Schema, value: Value) -> Vec<u8> {
        let resolved = value.resolve(schema).unwrap();
        let datum =
            GenericDatumWriter::builder(schema).build().unwrap().write_value_to_vec(resolved);
        [&SINGLE_OBJECT[..], &fingerprint::<SubscriberState>(schema).unwrap(), &datum.unwrap()]
            .concat()
    }

    #[test]
    fn a_state_of_the_first_version_is_read_with_nothing_waiting_and_everything_owned_for_ever() {
        let codec = Codec::<SubscriberState>::new(Framing::SingleObject).unwrap();
        let mut bytes = Vec::new();
        codec.encode(&full_state(), &mut bytes).unwrap();
        let (reader, mut datum) = codec.unframe(&bytes).unwrap();
        let value = reader.read_value(&mut datum).unwrap();
        let first = Schema::parse_str(SubscriberState::VERSIONS[0]).unwrap();
        let read = codec.decode(&as_written_with(&first, value)).unwrap();
        let mut wanted = full_state();
        let facts = &mut wanted.held[0].facts;
        facts.hand_over = None;
        facts.payment = None;
        let told = [&mut facts.subscription, &mut facts.before].into_iter().flatten();
        told.for_each(|told| told.shown.billing_period = None);
        wanted.subscriptions[0].current.billing_period = None;
        wanted.subscriptions[0].owned_since = Timestamp::from_millis(0);
        wanted.waiting.clear();
        wanted.left.clear();
        wanted.told.clear();
        wanted.links_announced_at = None;
        assert_eq!(read, wanted);
        codec.encode(&read, &mut bytes).unwrap();
        assert_eq!(codec.decode(&bytes).unwrap(), wanted, "and is written with the newest");
    }

    #[test]
    fn refuses_what_is_no_value_of_ours() {
        let codec = Codec::<LifecycleEvent>::new(Framing::SingleObject).unwrap();
        assert!(matches!(codec.decode(b""), Err(CodecError::Framing)));
        assert!(matches!(codec.decode(b"{}"), Err(CodecError::Framing)));
        assert!(matches!(codec.decode(&[0xC3, 1, 2]), Err(CodecError::Framing)));
        assert!(matches!(
            codec.decode(&[0xC3, 1, 1, 2, 3, 4, 5, 6, 7, 8]),
            Err(CodecError::UnknownFingerprint(_))
        ));
        let mut bytes = Vec::new();
        codec.encode(&full_event(), &mut bytes).unwrap();
        bytes.push(0);
        assert!(matches!(codec.decode(&bytes), Err(CodecError::Decode(_))), "trailing bytes");
        bytes.truncate(60);
        assert!(matches!(codec.decode(&bytes), Err(CodecError::Decode(_))), "cut short");
    }

    proptest! {
        #[test]
        fn damaged_values_never_panic(at: prop::sample::Index, flip in 1_u8.., cut: prop::sample::Index) {
            let codec = Codec::<LifecycleEvent>::new(Framing::SingleObject).unwrap();
            let mut bytes = Vec::new();
            codec.encode(&full_event(), &mut bytes).unwrap();
            let position = at.index(bytes.len());
            bytes[position] ^= flip;
            drop(codec.decode(&bytes));
            bytes.truncate(cut.index(bytes.len()));
            prop_assert!(codec.decode(&bytes).is_err());
        }
    }
}
