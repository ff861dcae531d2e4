//! Nothing a payload holds makes the mapping panic, and every answer is one.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::catalogue::TREATMENTS;
use super::*;

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|flag| json!(flag)),
        any::<i64>().prop_map(|number| json!(number)),
        any::<f64>().prop_map(|number| json!(number)),
        "[ -~é]{0,12}".prop_map(|text| json!(text)),
        prop::sample::select(vec!["cancelled", "active", "past_due", "paused", "EUR", "Month"])
            .prop_map(|word| json!(word)),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::vec(("(id|status|data|price|created)", inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Every pointer into a value.
fn pointers(value: &Value, base: &str, into: &mut Vec<String>) {
    let members: Vec<(String, &Value)> = match value {
        Value::Object(object) => object.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(array) => {
            array.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    for (name, value) in members {
        let pointer = format!("{base}/{name}");
        pointers(value, &pointer, into);
        into.push(pointer);
    }
}

proptest! {
    #[test]
    fn any_sequence_of_mutated_events_is_answered(
        events in prop::collection::vec(
            (0..FIXTURES.len(), 0_usize..24, any::<prop::sample::Index>(), anything(), any::<bool>()),
            1..6,
        )
    ) {
        let mut story = story();
        for (fixture, event_type, place, value, late) in events {
            let mut body: Value = serde_json::from_str(FIXTURES[fixture]).unwrap();
            let mut places: Vec<String> = Vec::new();
            pointers(&body, "", &mut places);
            let pointer: &String = place.get(&places);
            *body.pointer_mut(pointer).unwrap() = value;
            let event_type = TREATMENTS[event_type].0;
            // The story itself checks that events are missing exactly when a reason is given.
            let answer = if late { story.tell_late(event_type, &body) } else { story.tell(event_type, &body) };
            prop_assert!(!answer.is_empty());
        }
    }

    #[test]
    fn any_body_is_answered(body in anything(), event_type in 0..TREATMENTS.len()) {
        prop_assert!(!story().tell(TREATMENTS[event_type].0, &body).is_empty());
    }
}
