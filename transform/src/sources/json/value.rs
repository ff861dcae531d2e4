//! JSON that borrows from the text it was read from.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Under this name `serde_json`, which keeps the digits of numbers (`arbitrary_precision`), gives those that are no
/// `u64` or `i64` to whoever takes any value. The name is its own affair; `numbers_keep_their_digits` fails when it is
/// another. A body may have the name as well: see [`Member`].
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
            let value = if name == NUMBER {
                match members.next_value()? {
                    Member::Digits(digits) => return Ok(Json::Decimal(digits.into())),
                    Member::Value(value) => value,
                }
            } else {
                members.next_value()?
            };
            object.push((name, value));
        }
        Ok(Json::Object(Object(object)))
    }
}

/// What stands under [`NUMBER`]: the digits of a number, which are handed over, or a value of the body, of which no text
/// is ever handed over. Whoever may name an attribute so must not have the body taken for damaged.
enum Member<'a> {
    Digits(String),
    Value(Json<'a>),
}

impl<'de> Deserialize<'de> for Member<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberReader)
    }
}

struct MemberReader;

impl<'de> Visitor<'de> for MemberReader {
    type Value = Member<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Reader.expecting(formatter)
    }

    fn visit_string<E: Error>(self, digits: String) -> Result<Member<'de>, E> {
        Ok(Member::Digits(digits))
    }

    fn visit_unit<E: Error>(self) -> Result<Member<'de>, E> {
        Reader.visit_unit().map(Member::Value)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Member<'de>, E> {
        Reader.visit_bool(flag).map(Member::Value)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Member<'de>, E> {
        Reader.visit_i64(number).map(Member::Value)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Member<'de>, E> {
        Reader.visit_u64(number).map(Member::Value)
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Member<'de>, E> {
        Reader.visit_borrowed_str(text).map(Member::Value)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Member<'de>, E> {
        Reader.visit_str(text).map(Member::Value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, elements: A) -> Result<Member<'de>, A::Error> {
        Reader.visit_seq(elements).map(Member::Value)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Member<'de>, A::Error> {
        Reader.visit_map(members).map(Member::Value)
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

#[cfg(test)]
mod tests {
    use super::super::{Fields, parse};

    #[test]
    fn numbers_keep_their_digits() {
        let body = br#"{"whole": [-3, 0, 9223372036854775807, 18446744073709551615, -0, 1.0],
            "price": [9.990, 1e2, 12, 0.1000000000000000055511151231257827]}"#;
        let value = parse(body).unwrap();
        let list = |name: &str| Fields::of(&value).list(name, 9).unwrap();
        let whole =
            list("/whole").iter().map(|one| one.integer("").ok().flatten()).collect::<Vec<_>>();
        assert_eq!(whole, [Some(-3), Some(0), Some(i64::MAX), None, Some(0), None]);
        let digits: Vec<_> =
            list("/price").iter().map(|one| format!("{:?}", one.value(""))).collect();
        let said = |word: &str, digits: &str| format!("Some({word}({digits}))");
        let exact = "\"0.1000000000000000055511151231257827\"";
        let expected = [
            said("Decimal", "\"9.990\""),
            said("Decimal", "\"1e+2\""),
            said("Whole", "12"),
            said("Decimal", exact),
        ];
        assert_eq!(digits, expected);
    }

    #[test]
    fn a_name_that_the_reader_of_numbers_has_for_itself_is_a_name_like_any_other() {
        for told in
            [r#""abc""#, r#""a\n""#, "1", "9.5", "-3", "null", "true", "[1.5]", r#"{"a": 0.5}"#]
        {
            let body = format!(
                r#"{{"of": {{"x": 1, "$serde_json::private::Number": {told}}},
                "alone": {{"$serde_json::private::Number": {told}, "x": 1}}}}"#
            );
            let value = parse(body.as_bytes()).unwrap();
            for pointer in ["/of", "/alone"] {
                let fields = Fields::of(&value).object(pointer).unwrap();
                assert_eq!(fields.integer("/x"), Ok(Some(1)), "{told}");
                assert!(fields.has("/$serde_json::private::Number"), "{told}");
            }
        }
    }

    #[test]
    fn of_a_name_that_comes_twice_the_last_counts() {
        let value = parse(br#"{"a": 1, "b": {"x": 1}, "a": 2, "\u0061b": "\n"}"#).unwrap();
        let fields = Fields::of(&value);
        assert_eq!(fields.integer("/a"), Ok(Some(2)));
        assert_eq!(fields.word("/ab"), Ok(Some("\n")));
        let names: Vec<_> = value.as_object().unwrap().members().map(|(name, _)| name).collect();
        assert_eq!(names, ["b", "a", "ab"]);
    }
}
