//! Reading a few fields out of a body without a model of it.
//!
//! A field is kept as the slice of the body it was found in and looked at only when it is needed.
//! What has another shape than expected is absent, never an error, so that one odd field does not
//! hide the others; what is skipped is not recursed into, so that depth costs nothing.

use serde::Deserialize;
use serde_json::value::RawValue;

/// A field as it stands in the body; `null` and absent are the same.
pub(super) type Field<'a> = Option<&'a RawValue>;

/// Longest id or type that is taken for one, in bytes. Keys and headers share a message's allowance
/// beyond the body: an authenticated body must never become too large for the topic.
pub(super) const LONGEST: usize = 1024;

/// The object in a field, or its default (every field absent) when it is none.
pub(super) fn object<'a, T: Deserialize<'a> + Default>(field: Field<'a>) -> T {
    field.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

/// The object that a whole body is, or its default.
pub(super) fn body<'a, T: Deserialize<'a> + Default>(body: &'a [u8]) -> T {
    serde_json::from_slice(body).unwrap_or_default()
}

/// The text in a field, unescaped; a number counts as its digits. Empty and over-long is absent.
pub(super) fn text(field: Field<'_>) -> Option<String> {
    let raw = field?.get();
    let text = match raw.as_bytes().first()? {
        b'"' => serde_json::from_str::<String>(raw).ok()?,
        b'-' | b'0'..=b'9' => raw.to_owned(),
        _ => return None,
    };
    (!text.is_empty() && text.len() <= LONGEST).then_some(text)
}

/// The id in a field that is either an id or, expanded, an object with an `id`.
pub(super) fn reference(field: Field<'_>) -> Option<String> {
    #[derive(Deserialize, Default)]
    struct Expanded<'a> {
        #[serde(borrow, default)]
        id: Field<'a>,
    }
    text(field).or_else(|| text(object::<Expanded<'_>>(field).id))
}

/// The texts in a field that is a list; what is not text is left out.
pub(super) fn texts(field: Field<'_>) -> Vec<String> {
    let items: Vec<Field<'_>> = object(field);
    items.into_iter().filter_map(text).collect()
}
