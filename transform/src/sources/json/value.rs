//! JSON that borrows from the text it was read from.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Under this name `serde_json`, which keeps the digits of numbers (`arbitrary_precision`), gives those that are no
/// `u64` or `i64` to whoever takes any value. The name is its own affair; `reads_each_kind_of_field` fails when it is
/// another.
const NUMBER: &str = "$serde_json::private::Number";

/// Any JSON value.
#[cfg_attr(test, derive(PartialEq))]
#[derive(Clone, Debug)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// A number of digits alone, perhaps with a minus before them.
    Whole(i128),
    /// Any other number as received, but that an exponent has its sign; also one of more digits than fit.
    Decimal(Cow<'a, str>),
    String(Cow<'a, str>),
    Array(Vec<Self>),
    Object(Object<'a>),
}

/// The members of an object as they came, also those whose name comes twice.
#[cfg_attr(test, derive(PartialEq))]
#[derive(Clone, Debug)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// The member of this name; of several the last, as nearly everybody reads it.
    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Each name once, with the value that [`Self::get`] gives.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        let places = self.0.iter().enumerate().map(|(at, (name, _))| (name.as_ref(), at));
        let last: HashMap<&str, usize> = places.collect();
        self.0.iter().enumerate().filter_map(move |(at, (name, value))| {
            (last.get(name.as_ref()) == Some(&at)).then_some((name.as_ref(), value))
        })
    }
}

impl<'a> Json<'a> {
    /// An object's members.
    pub(crate) fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            Self::Null
            | Self::Bool(_)
            | Self::Whole(_)
            | Self::Decimal(_)
            | Self::String(_)
            | Self::Array(_) => None,
        }
    }

    /// A whole number that fits.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Whole(number) => i64::try_from(*number).ok(),
            // `-0` is one of these.
            Self::Decimal(digits) => digits.parse().ok(),
            Self::Null | Self::Bool(_) | Self::String(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Whole(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(Json::Whole(number.into()))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Json<'de>, E> {
        Ok(Json::String(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json<'de>, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element()? {
            array.push(element);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json<'de>, A::Error> {
        let mut object = Vec::new();
        while let Some(Text(name)) = members.next_key()? {
            if object.is_empty() && name == NUMBER {
                let Text(digits) = members.next_value()?;
                return Ok(Json::Decimal(digits));
            }
            object.push((name, members.next_value()?));
        }
        Ok(Json::Object(Object(object)))
    }
}

/// A text that borrows where it can.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(Reader)? {
            Json::String(text) => Ok(Self(text)),
            Json::Null
            | Json::Bool(_)
            | Json::Whole(_)
            | Json::Decimal(_)
            | Json::Array(_)
            | Json::Object(_) => Err(Error::custom("not a text")),
        }
    }
}
