//! Changing JSON into other JSON: most bytes that differ from valid JSON are no JSON, and are refused at the first look.

use serde_json::{Map, Number, Value};

use super::Drawn;
use crate::dictionary::{NUMBERS, TEXTS};

/// The JSON with one thing in it changed; none where it is none.
pub(super) fn mutated(body: &[u8], other: &[u8], drawn: &mut Drawn) -> Option<Vec<u8>> {
    let mut root: Value = serde_json::from_slice(body).ok()?;
    let (own_places, mut other_places) = (places(&root), Vec::new());
    let other: Value = serde_json::from_slice(other).unwrap_or_default();
    other_places.extend(places(&other));
    let place = drawn.one_of(&own_places)?.clone();
    match drawn.below(8) {
        0 => drop(remove(&mut root, &place)),
        1 => {
            // What stands elsewhere, of the same body or of another.
            let (from, places) =
                if drawn.below(2) == 0 { (&other, &other_places) } else { (&root, &own_places) };
            let value = from.pointer(drawn.one_of(places)?)?.clone();
            *root.pointer_mut(&place)? = value;
        }
        2 => {
            let (holder, name) = place.rsplit_once('/')?;
            let (holder, name) = (holder.to_owned(), name.to_owned());
            let value = remove(&mut root, &place)?;
            let Value::Object(holder) = root.pointer_mut(&holder)? else { return None };
            let other_name = drawn.one_of(&own_places)?.rsplit('/').next().unwrap_or(&name);
            holder.insert(other_name.to_owned(), value);
        }
        3 => several(root.pointer_mut(&place)?, drawn),
        _ => *root.pointer_mut(&place)? = value(drawn),
    }
    serde_json::to_vec(&root).ok()
}

/// Another value of any kind.
fn value(drawn: &mut Drawn) -> Value {
    match drawn.below(8) {
        0 => Value::Null,
        1 => Value::Bool(drawn.below(2) == 0),
        2 => Value::Array(Vec::new()),
        3 => Value::Object(Map::new()),
        4 | 5 => {
            let number = drawn.one_of(&NUMBERS).and_then(|number| number.parse::<Number>().ok());
            number.map_or(Value::Null, Value::Number)
        }
        6 => Value::from("x".repeat(1 << drawn.below(12))),
        _ => Value::from(drawn.one_of(&TEXTS).copied().unwrap_or_default()),
    }
}

/// A list of what stands there, or more of a list.
fn several(place: &mut Value, drawn: &mut Drawn) {
    let times = 1 + drawn.below(3);
    if let Value::Array(members) = place {
        let more = members.first().cloned().unwrap_or_default();
        members.extend(std::iter::repeat_n(more, times));
    } else {
        *place = Value::Array(vec![place.take(); times]);
    }
}

fn remove(root: &mut Value, place: &str) -> Option<Value> {
    let (holder, name) = place.rsplit_once('/')?;
    match root.pointer_mut(holder)? {
        Value::Object(members) => members.remove(&name.replace("~1", "/").replace("~0", "~")),
        Value::Array(members) => {
            let index = name.parse().ok().filter(|index| *index < members.len())?;
            Some(members.remove(index))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// A pointer to each place in it, the root aside.
fn places(root: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), root)];
    while let Some((base, value)) = open.pop() {
        let members: Vec<(String, &Value)> = match value {
            Value::Object(members) => members
                .iter()
                .map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value))
                .collect(),
            Value::Array(members) => members
                .iter()
                .enumerate()
                .map(|(index, value)| (index.to_string(), value))
                .collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => continue,
        };
        for (name, value) in members {
            let place = format!("{base}/{name}");
            found.push(place.clone());
            open.push((place, value));
        }
    }
    found
}
