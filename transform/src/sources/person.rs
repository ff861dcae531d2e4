//! What a payload says about the person, bounded: an identity is kept for ever and travels in every
//! event, so no payload may make it large.

use std::collections::BTreeMap;

use schemas::state::Identity;

use super::json::{Fields, Json};
use super::{RawView, SourceSettings};

/// Most attributes one payload may teach.
const MOST_ATTRIBUTES: usize = 32;
/// Longest name of an attribute, in bytes; a longer one is left out.
const LONGEST_NAME: usize = 64;
/// Longest value of an attribute, in bytes; what is beyond is cut off.
const LONGEST_VALUE: usize = 256;
/// Longest user id or e-mail address that is believed, in bytes.
const LONGEST_ID: usize = 256;

/// Starts what is learned: the subscriber's id, and the user id where the source says it is.
pub(crate) fn learn(
    raw: &RawView<'_>,
    payload: &Fields<'_>,
    settings: &SourceSettings,
) -> Identity {
    let user_id = settings.user_id.iter().find_map(|pointer| {
        let id = plain(payload.value(pointer)?)?;
        (!id.is_empty() && id.len() <= LONGEST_ID).then_some(id)
    });
    Identity { id: raw.subscriber_id.to_owned(), user_id, ..Identity::default() }
}

/// The e-mail address at the first of `pointers` that has one.
pub(crate) fn email(fields: &Fields<'_>, pointers: &[&str]) -> Option<String> {
    pointers
        .iter()
        .find_map(|pointer| fields.text(pointer))
        .filter(|address| may_be_email(address))
        .map(str::to_owned)
}

/// Whether this may be an e-mail address.
pub(crate) fn may_be_email(text: &str) -> bool {
    text.len() <= LONGEST_ID && text.contains('@')
}

/// Adds one attribute, unless its name is already taken, too long, or there are enough.
pub(crate) fn attribute(into: &mut BTreeMap<String, String>, name: &str, value: Option<&Json<'_>>) {
    let fits = !name.is_empty() && name.len() <= LONGEST_NAME && into.len() < MOST_ATTRIBUTES;
    if !fits || into.contains_key(name) {
        return;
    }
    if let Some(mut text) = value.and_then(plain) {
        text.truncate(text.floor_char_boundary(LONGEST_VALUE));
        into.insert(name.to_owned(), text);
    }
}

/// Adds every plain member of the object at `pointer`.
pub(crate) fn attributes(into: &mut BTreeMap<String, String>, fields: &Fields<'_>, pointer: &str) {
    let Some(object) = fields.value(pointer).and_then(Json::as_object) else { return };
    for (name, value) in object.members() {
        attribute(into, name, Some(value));
    }
}

/// Text, number or flag as text; nothing for null, lists and objects.
fn plain(value: &Json<'_>) -> Option<String> {
    match value {
        Json::String(text) => Some(text.to_string()),
        Json::Whole(number) => Some(number.to_string()),
        Json::Decimal(digits) => Some(digits.to_string()),
        Json::Bool(flag) => Some(flag.to_string()),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::parse;
    use super::*;
    use schemas::Timestamp;
    use schemas::state::Role;
    use serde_json::json;

    fn raw() -> RawView<'static> {
        RawView {
            body: b"",
            event_id: "evt_1",
            event_type: "x",
            subscriber_id: "cus_1",
            received_at: Timestamp::from_millis(0),
            traceparent: None,
            role: Role::Sender,
        }
    }

    #[test]
    fn takes_the_user_id_from_the_first_pointer_that_has_one() {
        let settings = SourceSettings {
            user_id: vec!["/metadata/uid".to_owned(), "/metadata/user_id".to_owned()],
            ..SourceSettings::default()
        };
        let payload = parse(br#"{"metadata": {"user_id": 42, "uid": null}}"#).unwrap();
        let identity = learn(&raw(), &Fields::of(&payload), &settings);
        assert_eq!((identity.id.as_str(), identity.user_id.as_deref()), ("cus_1", Some("42")));
    }

    #[test]
    fn what_is_learned_is_bounded_in_number_and_size() {
        let mut members = serde_json::Map::new();
        for index in 0..1000 {
            members.insert(format!("key_{index}"), json!("é".repeat(1000)));
        }
        members.insert("n".repeat(1000), json!("x"));
        let body = json!({"metadata": members}).to_string();
        let payload = parse(body.as_bytes()).unwrap();
        let mut learned = BTreeMap::new();
        attributes(&mut learned, &Fields::of(&payload), "/metadata");
        assert_eq!(learned.len(), MOST_ATTRIBUTES);
        assert!(learned.iter().all(|(name, value)| name.len() <= 64 && value.len() <= 256));
    }

    #[test]
    fn an_attribute_already_learned_is_kept() {
        let mut learned = BTreeMap::from([("name".to_owned(), "Ada".to_owned())]);
        attribute(&mut learned, "name", Some(&Json::String("Other".into())));
        attribute(&mut learned, "nested", Some(&parse(br#"{"a": 1}"#).unwrap()));
        assert_eq!(learned.into_iter().collect::<Vec<_>>(), [("name".into(), "Ada".into())]);
    }

    #[test]
    fn an_email_is_taken_only_when_it_may_be_one() {
        let payload = parse(br#"{"a": null, "b": "ada@example.com", "c": "nobody"}"#).unwrap();
        let fields = Fields::of(&payload);
        assert_eq!(email(&fields, &["/a", "/b"]).as_deref(), Some("ada@example.com"));
        assert_eq!(email(&fields, &["/c"]), None);
    }
}
