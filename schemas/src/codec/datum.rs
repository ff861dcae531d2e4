//! Writes and reads a value in Avro's binary encoding (Avro specification 1.12, "Binary Encoding") without its schema at
//! hand.
//!
//! An encoding is the fields of a record in the order of the schema, one after the other, without names, types or lengths of
//! their own. Where a type of ours has the fields and the symbols of its schema in the same order, and a union is always
//! `["null", T]`, what serde says of a type is all that is needed to write and to read it. That this holds of every type
//! with a schema is shown by tests, which compare with the library byte for byte; that one looks each field up in the
//! schema, and took a sixth of all that `transform` does to write alone.

mod read;

use serde::Serialize;
use serde::ser::{self, Impossible};

pub(super) use self::read::read;

/// The value is of a kind that no schema of ours has.
#[derive(Debug, thiserror::Error)]
#[error("no schema describes such a value")]
pub(super) struct Undescribed;

impl ser::Error for Undescribed {
    // What is said might quote the value.
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Appends the encoding of `value`.
pub(super) fn write<T: Serialize>(value: &T, bytes: &mut Vec<u8>) -> Result<(), Undescribed> {
    value.serialize(Writer { bytes })
}

struct Writer<'a> {
    bytes: &'a mut Vec<u8>,
}

impl Writer<'_> {
    /// A whole number: zig-zag, then seven bits a byte, the lowest first.
    fn long(&mut self, number: i64) {
        let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
        while rest >= 0x80 {
            self.bytes.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        self.bytes.push(rest.to_le_bytes()[0]);
    }

    fn length(&mut self, length: usize) -> Result<(), Undescribed> {
        self.long(i64::try_from(length).map_err(|_| Undescribed)?);
        Ok(())
    }
}

/// A list or a map: one block with all of it, if there is any, and the empty block that ends it.
struct Block<'a> {
    writer: Writer<'a>,
    announced: usize,
    written: usize,
}

impl<'a> Block<'a> {
    fn begin(mut writer: Writer<'a>, announced: Option<usize>) -> Result<Self, Undescribed> {
        let announced = announced.ok_or(Undescribed)?;
        if announced > 0 {
            writer.length(announced)?;
        }
        Ok(Self { writer, announced, written: 0 })
    }

    fn end(mut self) -> Result<(), Undescribed> {
        if self.written != self.announced {
            return Err(Undescribed);
        }
        self.writer.long(0);
        Ok(())
    }
}

impl ser::SerializeSeq for Block<'_> {
    type Ok = ();
    type Error = Undescribed;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Undescribed> {
        self.written += 1;
        value.serialize(Writer { bytes: self.writer.bytes })
    }

    fn end(self) -> Result<(), Undescribed> {
        Self::end(self)
    }
}

impl ser::SerializeMap for Block<'_> {
    type Ok = ();
    type Error = Undescribed;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Undescribed> {
        self.written += 1;
        key.serialize(Writer { bytes: self.writer.bytes })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Undescribed> {
        value.serialize(Writer { bytes: self.writer.bytes })
    }

    fn end(self) -> Result<(), Undescribed> {
        Self::end(self)
    }
}

/// A record: its fields and nothing else.
impl ser::SerializeStruct for Writer<'_> {
    type Ok = ();
    type Error = Undescribed;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Undescribed> {
        value.serialize(Writer { bytes: self.bytes })
    }

    // It would be missing in what follows.
    fn skip_field(&mut self, _: &'static str) -> Result<(), Undescribed> {
        Err(Undescribed)
    }

    fn end(self) -> Result<(), Undescribed> {
        Ok(())
    }
}

/// Kinds of values that no schema of ours has.
macro_rules! undescribed {
    ($($kind:ident: $type:ty),*) => {
        $(fn $kind(self, _: $type) -> Result<(), Undescribed> { Err(Undescribed) })*
    };
}

/// Numbers that are written as a whole number.
macro_rules! whole {
    ($($kind:ident: $type:ty),*) => {
        $(fn $kind(mut self, number: $type) -> Result<(), Undescribed> {
            self.long(i64::try_from(number).map_err(|_| Undescribed)?);
            Ok(())
        })*
    };
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Undescribed;
    type SerializeSeq = Block<'a>;
    type SerializeTuple = Impossible<(), Undescribed>;
    type SerializeTupleStruct = Impossible<(), Undescribed>;
    type SerializeTupleVariant = Impossible<(), Undescribed>;
    type SerializeMap = Block<'a>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Impossible<(), Undescribed>;

    whole!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64);
    whole!(serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);
    undescribed!(serialize_f32: f32, serialize_f64: f64, serialize_char: char);
    undescribed!(serialize_unit_struct: &'static str);

    fn serialize_bool(self, flag: bool) -> Result<(), Undescribed> {
        self.bytes.push(flag.into());
        Ok(())
    }

    fn serialize_str(self, text: &str) -> Result<(), Undescribed> {
        self.serialize_bytes(text.as_bytes())
    }

    fn serialize_bytes(mut self, bytes: &[u8]) -> Result<(), Undescribed> {
        self.length(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn serialize_none(mut self) -> Result<(), Undescribed> {
        self.long(0);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(mut self, value: &T) -> Result<(), Undescribed> {
        self.long(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Undescribed> {
        Err(Undescribed)
    }

    fn serialize_unit_variant(
        mut self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> Result<(), Undescribed> {
        self.long(index.into());
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Undescribed> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Undescribed> {
        Err(Undescribed)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Block<'a>, Undescribed> {
        Block::begin(self, length)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Undescribed> {
        Err(Undescribed)
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Undescribed> {
        Err(Undescribed)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Undescribed> {
        Err(Undescribed)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Block<'a>, Undescribed> {
        Block::begin(self, length)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Undescribed> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Undescribed> {
        Err(Undescribed)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
