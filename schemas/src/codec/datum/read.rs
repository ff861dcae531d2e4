//! Reads what [`super::write`] writes: the value's own type says what comes next, so that no schema is walked.
//!
//! The bytes may be anybody's. A text, a list of bytes and a collection take no more room than the bytes that are there, and
//! whatever is read moves on by a byte at least, so that the work is bounded by the length.

use serde::Deserialize;
use serde::de::value::U32Deserializer;
use serde::de::{
    self, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

/// The bytes are no such value. Never says what they are.
#[derive(Debug, thiserror::Error)]
#[error("the bytes are no such value")]
pub(in crate::codec) struct Damaged;

impl de::Error for Damaged {
    // What is said might quote the value.
    fn custom<T: std::fmt::Display>(_: T) -> Self {
        Self
    }
}

/// Reads one value, and leaves in `bytes` what follows it.
pub(in crate::codec) fn read<'de, T: Deserialize<'de>>(
    bytes: &mut &'de [u8],
) -> Result<T, Damaged> {
    T::deserialize(Reader { rest: bytes })
}

struct Reader<'a, 'de> {
    rest: &'a mut &'de [u8],
}

impl<'de> Reader<'_, 'de> {
    fn again(&mut self) -> Reader<'_, 'de> {
        Reader { rest: self.rest }
    }

    fn byte(&mut self) -> Result<u8, Damaged> {
        let (first, rest) = self.rest.split_first().ok_or(Damaged)?;
        *self.rest = rest;
        Ok(*first)
    }

    /// A whole number: seven bits a byte, the lowest first, of what was made zig-zag.
    fn long(&mut self) -> Result<i64, Damaged> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits {
                return Err(Damaged);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err(Damaged)
    }

    fn bytes(&mut self) -> Result<&'de [u8], Damaged> {
        let length = usize::try_from(self.long()?).map_err(|_| Damaged)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Damaged)?;
        *self.rest = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<&'de str, Damaged> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Damaged)
    }

    /// Which of so many.
    fn index(&mut self, of: usize) -> Result<u32, Damaged> {
        let index = u32::try_from(self.long()?).map_err(|_| Damaged)?;
        if usize::try_from(index).is_ok_and(|index| index < of) { Ok(index) } else { Err(Damaged) }
    }
}

/// A list or a map: blocks of it, each with its length before it, up to an empty one.
struct Blocks<'a, 'de> {
    reader: Reader<'a, 'de>,
    left: u64,
    is_over: bool,
}

impl<'a, 'de> Blocks<'a, 'de> {
    fn new(reader: Reader<'a, 'de>) -> Self {
        Self { reader, left: 0, is_over: false }
    }

    /// The reader, where there is one more.
    fn next(&mut self) -> Result<Option<Reader<'_, 'de>>, Damaged> {
        if self.left == 0 && !self.is_over {
            let count = self.reader.long()?;
            if count < 0 {
                // Of such a block the length in bytes is said as well, for those who skip it.
                self.reader.long()?;
            }
            self.left = count.unsigned_abs();
            self.is_over = count == 0;
        }
        if self.is_over {
            return Ok(None);
        }
        self.left -= 1;
        Ok(Some(self.reader.again()))
    }

    /// What was read, if that was all of it.
    fn whole<T>(&self, read: T) -> Result<T, Damaged> {
        if self.is_over { Ok(read) } else { Err(Damaged) }
    }
}

impl<'de> SeqAccess<'de> for Blocks<'_, 'de> {
    type Error = Damaged;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Damaged> {
        self.next()?.map(|reader| seed.deserialize(reader)).transpose()
    }
}

impl<'de> MapAccess<'de> for Blocks<'_, 'de> {
    type Error = Damaged;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Damaged> {
        self.next()?.map(|reader| seed.deserialize(reader)).transpose()
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Damaged> {
        seed.deserialize(self.reader.again())
    }
}

/// A record: so many fields and nothing else.
struct Record<'a, 'de> {
    reader: Reader<'a, 'de>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Record<'_, 'de> {
    type Error = Damaged;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Damaged> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(self.reader.again()).map(Some)
    }
}

/// A symbol of an enum.
struct Symbol(u32);

impl<'de> EnumAccess<'de> for Symbol {
    type Error = Damaged;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Damaged> {
        let index: U32Deserializer<Damaged> = self.0.into_deserializer();
        Ok((seed.deserialize(index)?, self))
    }
}

impl<'de> VariantAccess<'de> for Symbol {
    type Error = Damaged;

    fn unit_variant(self) -> Result<(), Damaged> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, Damaged> {
        Err(Damaged)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Damaged> {
        Err(Damaged)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Damaged> {
        Err(Damaged)
    }
}

/// Numbers that are read from a whole number.
macro_rules! whole {
    ($($kind:ident: $visit:ident),*) => {
        $(fn $kind<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Damaged> {
            visitor.$visit(self.long()?.try_into().map_err(|_| Damaged)?)
        })*
    };
}

/// Kinds of values that no schema of ours has.
macro_rules! undescribed {
    ($($kind:ident($($of:ty),*);)*) => {
        $(fn $kind<V: Visitor<'de>>(self, $(_: $of,)* _: V) -> Result<V::Value, Damaged> {
            Err(Damaged)
        })*
    };
}

impl<'de> de::Deserializer<'de> for Reader<'_, 'de> {
    type Error = Damaged;

    whole!(deserialize_i8: visit_i8, deserialize_i16: visit_i16, deserialize_i32: visit_i32);
    whole!(deserialize_u8: visit_u8, deserialize_u16: visit_u16, deserialize_u32: visit_u32);
    whole!(deserialize_i64: visit_i64, deserialize_u64: visit_u64);

    undescribed! {
        deserialize_any();
        deserialize_ignored_any();
        deserialize_identifier();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_unit();
        deserialize_unit_struct(&'static str);
        deserialize_tuple(usize);
        deserialize_tuple_struct(&'static str, usize);
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Damaged> {
        match self.byte()? {
            0 => visitor.visit_bool(false),
            1 => visitor.visit_bool(true),
            _ => Err(Damaged),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Damaged> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Damaged> {
        visitor.visit_borrowed_bytes(self.bytes()?)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Damaged> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Damaged> {
        match self.index(2)? {
            0 => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Damaged> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Damaged> {
        let mut blocks = Blocks::new(self);
        let read = visitor.visit_seq(&mut blocks)?;
        blocks.whole(read)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Damaged> {
        let mut blocks = Blocks::new(self);
        let read = visitor.visit_map(&mut blocks)?;
        blocks.whole(read)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Damaged> {
        visitor.visit_seq(Record { reader: self, left: fields.len() })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        symbols: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Damaged> {
        visitor.visit_enum(Symbol(self.index(symbols.len())?))
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
