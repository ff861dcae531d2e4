//! The same for Java: Apache Avro's own tools know the schema by the fingerprint that the codec writes, and read
//! every field.

use std::process::Output;

use end_to_end::avro_tools;
use serde_json::{Map, Value, json};

use super::*;

fn tool(folder: &Path, words: &[&str]) -> Output {
    let mut command = avro_tools::command(&|_| ()).unwrap();
    let output = command.args(words).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Without what Avro's JSON says beside a value: the branch of a union, and bytes as text.
fn plain(schema: &Value, value: &Value, named: &mut Map<String, Value>) -> Value {
    match schema {
        Value::Array(branches) => {
            let some = branches.iter().find(|branch| **branch != "null").unwrap();
            match value.as_object().and_then(|object| object.values().next()) {
                Some(inner) => plain(some, inner, named),
                None => Value::Null,
            }
        }
        Value::String(name) if named.contains_key(name) => {
            plain(&named[name].clone(), value, named)
        }
        Value::String(name) if name == "bytes" => {
            value.as_str().unwrap().chars().map(u32::from).collect()
        }
        Value::Object(described) => match described["type"].as_str() {
            Some("record") => {
                named.insert(described["name"].as_str().unwrap().to_owned(), schema.clone());
                let fields = described["fields"].as_array().unwrap();
                let each = fields.iter().map(|field| {
                    let name = field["name"].as_str().unwrap();
                    (name.to_owned(), plain(&field["type"], &value[name], named))
                });
                Value::Object(each.collect())
            }
            Some("map") => {
                let entries = value.as_object().unwrap().iter();
                let entries = entries
                    .map(|(key, value)| (key.clone(), plain(&described["values"], value, named)));
                Value::Object(entries.collect())
            }
            Some("array") => {
                let items = value.as_array().unwrap().iter();
                items.map(|item| plain(&described["items"], item, named)).collect()
            }
            Some("enum") => {
                named.insert(described["name"].as_str().unwrap().to_owned(), json!("string"));
                value.clone()
            }
            _ => value.clone(),
        },
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

#[test]
fn java_knows_the_schema_by_the_fingerprint_in_front_of_a_value_and_reads_every_field() {
    let folder =
        workspace::fresh_run_folder(&format!("consumer-java-{}", std::process::id())).unwrap();
    write(&folder, "newest.avsc", newest());
    let told = tool(&folder, &["fingerprint", "--fingerprint", "CRC-64-AVRO", "newest.avsc"]);
    let told = String::from_utf8(told.stdout).unwrap();
    let fingerprint = told.split_whitespace().next().unwrap();
    let schema: Value = serde_json::from_str(newest()).unwrap();
    for (name, event) in
        [("full", full_event()), ("bare", bare_event()), ("extreme", extreme_event())]
    {
        let mut bytes = Vec::new();
        Codec::new(Framing::SingleObject).unwrap().encode(&event, &mut bytes).unwrap();
        // The marker of a single object, the fingerprint (lowest byte first, as the tool prints it), the value.
        let (head, datum) = bytes.split_at(10);
        assert_eq!(hex::encode(&head[2..]), fingerprint);
        write(&folder, "value.bin", datum);
        let read = tool(&folder, &["fragtojson", "--schema-file", "newest.avsc", "value.bin"]);
        let read: Value = serde_json::from_slice(&read.stdout).unwrap();
        let seen = plain(&schema, &read, &mut Map::new());
        assert_eq!(seen, serde_json::to_value(&event).unwrap(), "{name}");
    }
}
