//! `docs/schema.md` names every field and symbol of the event's schema, in its order and with its type, and
//! says of those that may be null when they are.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

const SCHEMA: &str = include_str!("../lifecycle_event.avsc");
const PAGE: &str = include_str!("../../docs/schema.md");

/// Every record and enum a schema defines, by name.
fn definitions(schema: &Value, found: &mut BTreeMap<String, Value>) {
    if let Some(variants) = schema.as_array() {
        for variant in variants {
            definitions(variant, found);
        }
        return;
    }
    for inner in ["type", "items", "values"] {
        if schema[inner].is_object() || schema[inner].is_array() {
            definitions(&schema[inner], found);
        }
    }
    for field in schema["fields"].as_array().into_iter().flatten() {
        definitions(&field["type"], found);
    }
    if let (Some("record" | "enum"), Some(name)) =
        (schema["type"].as_str(), schema["name"].as_str())
    {
        found.insert(name.to_owned(), schema.clone());
    }
}

fn is_nullable(field_type: &Value) -> bool {
    field_type.as_array().is_some_and(|variants| variants.contains(&Value::from("null")))
}

/// The type as the page writes it: what may be null besides, then primitive or named.
fn written(field_type: &Value) -> String {
    if let Some(variants) = field_type.as_array() {
        let others = variants.iter().filter(|variant| **variant != "null");
        return others.map(written).collect::<Vec<_>>().join(" or ");
    }
    if let Some(name) = field_type.as_str() {
        let is_named = name.chars().next().is_some_and(char::is_uppercase);
        return if is_named { format!("`{name}`") } else { name.to_owned() };
    }
    match field_type["type"].as_str().unwrap() {
        "array" => format!("array of {}", written(&field_type["items"])),
        "map" => format!("map of {}", written(&field_type["values"])),
        "record" | "enum" => format!("`{}`", field_type["name"].as_str().unwrap()),
        primitive => field_type["logicalType"].as_str().unwrap_or(primitive).to_owned(),
    }
}

/// The cells of the table below a heading, without its two header lines.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let (_, section) = PAGE.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn schema() -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    definitions(&serde_json::from_str(SCHEMA).unwrap(), &mut found);
    found
}

#[test]
fn the_page_names_every_field_with_its_type_and_says_when_it_is_null() {
    let found = schema();
    let records = found.iter().filter(|(_, schema)| schema["type"] == "record");
    let mut described = 0;
    for (record, schema) in records {
        let fields = schema["fields"].as_array().unwrap();
        let rows = rows(&format!("`{record}`"));
        let mut expected = String::new();
        let mut told = String::new();
        for field in fields {
            let (name, kind) = (field["name"].as_str().unwrap(), written(&field["type"]));
            let null = if is_nullable(&field["type"]) { "may be null" } else { "is never null" };
            writeln!(expected, "{record}.{name}: {kind}, {null}").unwrap();
        }
        for row in rows {
            let [name, kind, meaning, when] = row[..] else { panic!("{record}: {row:?}") };
            let null = if when.is_empty() { "is never null" } else { "may be null" };
            assert!(!meaning.is_empty(), "{record}.{name} has a meaning");
            writeln!(told, "{record}.{}: {kind}, {null}", name.trim_matches('`')).unwrap();
            described += 1;
        }
        assert_eq!(told, expected);
    }
    assert!(described > 50, "only {described} rows were found");
}

#[test]
fn the_page_lists_every_symbol_of_every_enum() {
    let found = schema();
    let enums = found.iter().filter(|(_, schema)| schema["type"] == "enum");
    let expected: BTreeMap<String, String> = enums
        .map(|(name, schema)| {
            let symbols = schema["symbols"].as_array().unwrap();
            let symbols = symbols.iter().map(|symbol| format!("`{}`", symbol.as_str().unwrap()));
            (format!("`{name}`"), symbols.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let told = rows("Enums").into_iter().map(|row| (row[0].to_owned(), row[1].to_owned()));
    assert_eq!(told.collect::<BTreeMap<_, _>>(), expected);
    assert!(expected.len() >= 7);
}
