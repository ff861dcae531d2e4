//! What a consumer in another language sees of the events: Python's `fastavro`, with the reader that stands in
//! `docs/schema.md`, gets every field of what the codec writes, in both framings; and what it writes itself is read
//! here, as from a native producer.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

mod java;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use end_to_end::{python, workspace};
use schemas::codec::{Codec, Described, Framing};
use schemas::samples::{bare_event, full_event};
use schemas::{LifecycleEvent, Money, Timestamp};
use serde_json::{Value, json};

const FASTAVRO: &str = "fastavro==1.13.1";
const PAGE: &str = include_str!("../../docs/schema.md");
const DRIVER: &str = include_str!("consumer/decode.py");
/// The id that the reader knows the newest schema by.
const REGISTERED: u32 = 7;

/// What the reader made of a value.
struct Seen {
    record: Value,
    /// The same, as Python writes it.
    again: Vec<u8>,
}

/// Values for Python to read, each by a name of its own.
struct Consumer {
    folder: std::path::PathBuf,
    cases: Vec<Value>,
}

impl Consumer {
    fn new(name: &str) -> Self {
        let folder =
            workspace::fresh_run_folder(&format!("{name}-{}", std::process::id())).unwrap();
        let (_, code) = PAGE.split_once("```python\n").unwrap();
        let (code, _) = code.split_once("```").unwrap();
        write(&folder, "reader.py", code);
        write(&folder, "decode.py", DRIVER);
        write(&folder, "newest.avsc", newest());
        Self { folder, cases: Vec::new() }
    }

    fn schema(&self, name: &str, text: &str) {
        write(&self.folder, &format!("{name}.avsc"), text);
    }

    fn give(&mut self, name: &str, event: &LifecycleEvent, framing: Framing, read_as: &str) {
        let mut value = Vec::new();
        Codec::new(framing).unwrap().encode(event, &mut value).unwrap();
        write(&self.folder, &format!("{name}.bin"), value);
        self.cases.push(json!({"name": name, "read_as": read_as}));
    }

    fn read(self) -> BTreeMap<String, Seen> {
        write(&self.folder, "cases.json", Value::from(self.cases).to_string());
        let environment = python::environment(&[FASTAVRO], &|_| ()).unwrap();
        let output = Command::new(python::interpreter(&environment))
            .arg(self.folder.join("decode.py"))
            .arg(&self.folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let read: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
        let seen = |value: Value| Seen {
            again: hex::decode(value["again"].as_str().unwrap()).unwrap(),
            record: value["record"].clone(),
        };
        read.into_iter().map(|(name, value)| (name, seen(value))).collect()
    }
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) {
    std::fs::write(folder.join(name), content).unwrap();
}

fn newest() -> &'static str {
    LifecycleEvent::VERSIONS.last().unwrap()
}

/// Every field at the ends of what it may hold.
fn extreme_event() -> LifecycleEvent {
    let mut event = full_event();
    event.sequence = i64::MAX;
    event.ordinal = i32::MAX;
    event.late = true;
    event.occurred_at = Timestamp::from_millis(0);
    // The last moment of the year 9999.
    event.received_at = Timestamp::from_millis(253_402_300_799_999);
    event.money = Some(Money { amount: i64::MIN, ..Money::minor(0, "KWD") });
    event.subscriber.email = Some("ünï@bücher.example".to_owned());
    event.subscriber.attributes.insert(String::new(), "🜚 \u{0}".to_owned());
    event.payload = Some((0..=255).collect());
    event
}

#[test]
fn every_field_reaches_a_consumer_in_python_in_both_framings_and_comes_back() {
    let mut consumer = Consumer::new("consumer");
    let events = [("full", full_event()), ("bare", bare_event()), ("extreme", extreme_event())];
    let framings = [("single", Framing::SingleObject), ("registry", Framing::Registry(REGISTERED))];
    for (name, event) in &events {
        for (framed, framing) in framings {
            consumer.give(&format!("{name}-{framed}"), event, framing, "newest");
        }
    }
    let seen = consumer.read();
    let codec = Codec::<LifecycleEvent>::new(Framing::SingleObject).unwrap();
    for (name, event) in &events {
        for (framed, _) in framings {
            let seen = &seen[&format!("{name}-{framed}")];
            assert_eq!(seen.record, serde_json::to_value(event).unwrap(), "{name}, {framed}");
            assert_eq!(codec.decode(&seen.again).unwrap(), *event, "{name}, {framed}");
        }
    }
    assert_eq!(seen.len(), 6);
}

#[test]
fn every_type_is_the_same_word_for_a_consumer_in_python() {
    let schema: Value = serde_json::from_str(newest()).unwrap();
    let types: Vec<&str> = schema["fields"][2]["type"]["symbols"]
        .as_array()
        .unwrap()
        .iter()
        .map(|symbol| symbol.as_str().unwrap())
        .collect();
    let mut consumer = Consumer::new("consumer-types");
    for name in &types {
        let event = LifecycleEvent { event_type: name.parse().unwrap(), ..bare_event() };
        consumer.give(name, &event, Framing::SingleObject, "newest");
    }
    let seen = consumer.read();
    for name in types {
        assert_eq!(seen[name].record["type"], name);
    }
}

/// A consumer that resolves with the schema it was written against keeps running when fields and symbols are added.
#[test]
fn a_consumer_with_an_older_schema_reads_a_new_type_as_unknown_and_does_without_new_fields() {
    let mut older: Value = serde_json::from_str(newest()).unwrap();
    let fields = older["fields"].as_array_mut().unwrap();
    fields.retain(|field| field["name"] != "payment");
    let symbols = fields[2]["type"]["symbols"].as_array_mut().unwrap();
    symbols.retain(|symbol| symbol != "subscription_renewed");

    let mut consumer = Consumer::new("consumer-older");
    consumer.schema("older", &older.to_string());
    consumer.give("renewal", &full_event(), Framing::SingleObject, "older");
    let seen = consumer.read();

    let mut expected = serde_json::to_value(full_event()).unwrap();
    expected["type"] = json!("unknown");
    expected.as_object_mut().unwrap().remove("payment").unwrap();
    assert_eq!(seen["renewal"].record, expected);
}
