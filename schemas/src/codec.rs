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

mod datum;

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::util::max_allocation_bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::LifecycleEvent;
use crate::state::{Moved, PartitionRecord, SubscriberState};

/// What an event or a state usually takes, in bytes.
const USUAL_BYTES: usize = 1024;

const SINGLE_OBJECT: [u8; 2] = [0xC3, 0x01];
const CONFLUENT: u8 = 0x00;

/// Longest text, list of bytes and collection that a value may say it holds, in bytes: twice the longest body that can be
/// configured (`ingest.max_body`), which a state may keep. Without a bound of ours ten bytes could ask for 512 MiB, and a
/// machine that has less would end the process, again and again.
const LONGEST: usize = 64 << 20;

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
    #[error(
        "the value was written with a schema that only a later version knows (fingerprint {0:016x})"
    )]
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
    const VERSIONS: &'static [&'static str] = &[
        include_str!("../released/lifecycle_event.1.avsc"),
        include_str!("../released/lifecycle_event.2.avsc"),
    ];
}

impl Described for SubscriberState {
    const NAME: &'static str = "subscriber state";
    const VERSIONS: &'static [&'static str] = &[
        include_str!("../released/subscriber_state.1.avsc"),
        include_str!("../released/subscriber_state.2.avsc"),
        include_str!("../released/subscriber_state.3.avsc"),
        include_str!("../released/subscriber_state.4.avsc"),
        include_str!("../released/subscriber_state.5.avsc"),
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
    fingerprint: [u8; 8],
    by_fingerprint: HashMap<[u8; 8], Known>,
    by_id: HashMap<u32, Known>,
    kind: std::marker::PhantomData<fn() -> T>,
}

/// A schema that values may have been written with.
struct Known {
    reader: GenericDatumReader<'static>,
    /// It is the newest: what the type itself says is how it is written.
    is_newest: bool,
}

impl<T> std::fmt::Debug for Codec<T> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Codec").field("framing", &self.framing).finish_non_exhaustive()
    }
}

impl<T: Described> Codec<T> {
    /// A codec that writes in `framing` with the newest schema and reads every released version.
    pub fn new(framing: Framing) -> Result<Self, CodecError> {
        let schemas: Result<Vec<_>, _> = T::VERSIONS.iter().map(|text| Self::parse(text)).collect();
        let schemas = schemas?;
        let newest = *schemas.last().ok_or(CodecError::Encode(T::NAME))?;
        let mut codec = Self {
            framing,
            fingerprint: fingerprint::<T>(newest)?,
            by_fingerprint: HashMap::new(),
            by_id: HashMap::new(),
            kind: std::marker::PhantomData,
        };
        for schema in schemas {
            let print = fingerprint::<T>(schema)?;
            codec.by_fingerprint.insert(print, Self::known(schema, print == codec.fingerprint)?);
        }
        if let Framing::Registry(id) = framing {
            codec.by_id.insert(id, Self::known(newest, true)?);
        }
        Ok(codec)
    }

    /// Teaches the codec a schema of the registry, under its id there.
    pub fn learn(&mut self, id: u32, schema: &str) -> Result<(), CodecError> {
        let schema = Self::parse(schema)?;
        let is_newest = fingerprint::<T>(schema)? == self.fingerprint;
        self.by_id.insert(id, Self::known(schema, is_newest)?);
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
        // Most are not larger, and growing there step by step would copy them seven times.
        bytes.reserve(USUAL_BYTES);
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
        datum::write(value, bytes).map_err(|_| CodecError::Encode(T::NAME))
    }

    /// Reads a value in either framing.
    pub fn decode(&self, bytes: &[u8]) -> Result<T, CodecError> {
        let (known, mut datum) = self.unframe(bytes)?;
        let value = if known.is_newest {
            datum::read(&mut datum).ok()
        } else {
            known.reader.read_deser(&mut datum).ok()
        };
        value.filter(|_| datum.is_empty()).ok_or(CodecError::Decode(T::NAME))
    }

    fn unframe<'b>(&self, bytes: &'b [u8]) -> Result<(&Known, &'b [u8]), CodecError> {
        if let Some(rest) = bytes.strip_prefix(&SINGLE_OBJECT) {
            let (print, datum) = rest.split_first_chunk::<8>().ok_or(CodecError::Framing)?;
            let known = self
                .by_fingerprint
                .get(print)
                .ok_or_else(|| CodecError::UnknownFingerprint(u64::from_le_bytes(*print)))?;
            return Ok((known, datum));
        }
        if let Some(rest) = bytes.strip_prefix(&[CONFLUENT]) {
            let (id, datum) = rest.split_first_chunk::<4>().ok_or(CodecError::Framing)?;
            let id = u32::from_be_bytes(*id);
            let known = self.by_id.get(&id).ok_or(CodecError::UnknownSchemaId(id))?;
            return Ok((known, datum));
        }
        Err(CodecError::Framing)
    }

    /// Parses a schema for the life of the process: readers and writers borrow it.
    fn parse(text: &str) -> Result<&'static Schema, CodecError> {
        let schema = Schema::parse_str(text)
            .map_err(|error| CodecError::Schema(T::NAME, Box::new(error)))?;
        Ok(Box::leak(Box::new(schema)))
    }

    fn known(schema: &'static Schema, is_newest: bool) -> Result<Known, CodecError> {
        // The library has one bound for the whole process, and what is said first counts.
        max_allocation_bytes(LONGEST);
        let reader = GenericDatumReader::builder(schema).human_readable(false).build();
        let reader = reader.map_err(|error| CodecError::Schema(T::NAME, Box::new(error)))?;
        Ok(Known { reader, is_newest })
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
mod tests;
