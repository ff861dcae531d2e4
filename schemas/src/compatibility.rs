//! The gate a changed schema must pass: every old reader reads what the new writer writes, every new
//! reader reads what an old writer wrote.

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};

/// Why a schema may not follow another.
#[derive(Debug, thiserror::Error)]
pub enum Incompatible {
    /// One of the two is no schema.
    #[error("the {which} schema cannot be parsed")]
    Malformed {
        /// `old` or `new`.
        which: &'static str,
        /// What the parser says.
        #[source]
        cause: Box<apache_avro::Error>,
    },
    /// Resolving the one by the other fails.
    #[error("the schemas do not resolve: {0}")]
    Unresolvable(String),
    /// Resolving may fail for some values: a union or an enum is not covered in both directions.
    #[error("some values of one schema cannot be read by the other")]
    Partial,
    /// An enum that cannot grow: its old readers would fail on the first new symbol.
    #[error("the enum {0} has no default symbol")]
    EnumWithoutDefault(String),
}

/// Checks that `new` may replace `old`, and that `new` can itself be replaced later.
pub fn gate(old: &str, new: &str) -> Result<(), Incompatible> {
    let old = parse("old", old)?;
    let new_schema = parse("new", new)?;
    every_enum_has_a_default(&new_schema)?;
    match SchemaCompatibility::mutual_read(&old, &new_schema) {
        Ok(Compatibility::Full) => Ok(()),
        Ok(Compatibility::Partial) => Err(Incompatible::Partial),
        Err(error) => Err(Incompatible::Unresolvable(error.to_string())),
    }
}

fn parse(which: &'static str, text: &str) -> Result<Schema, Incompatible> {
    Schema::parse_str(text)
        .map_err(|cause| Incompatible::Malformed { which, cause: Box::new(cause) })
}

/// Walks the schema once; a reference to a named type was checked where the type is defined.
fn every_enum_has_a_default(schema: &Schema) -> Result<(), Incompatible> {
    if let Schema::Enum(symbols) = schema {
        return match symbols.default {
            Some(_) => Ok(()),
            None => Err(Incompatible::EnumWithoutDefault(symbols.name.to_string())),
        };
    }
    if let Schema::Record(record) = schema {
        return record.fields.iter().try_for_each(|field| every_enum_has_a_default(&field.schema));
    }
    if let Schema::Array(array) = schema {
        return every_enum_has_a_default(&array.items);
    }
    if let Schema::Map(map) = schema {
        return every_enum_has_a_default(&map.types);
    }
    if let Schema::Union(union) = schema {
        return union.variants().iter().try_for_each(every_enum_has_a_default);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Described;
    use crate::event::LifecycleEvent;
    use crate::state::{Moved, PartitionRecord, SubscriberState};

    const EVENT: &str = include_str!("../lifecycle_event.avsc");

    fn changed(from: &str, to: &str) -> String {
        assert!(EVENT.contains(from), "the schema no longer contains {from}");
        EVENT.replacen(from, to, 1)
    }

    #[test]
    fn every_released_version_can_follow_and_precede_every_other() {
        for versions in [
            LifecycleEvent::VERSIONS,
            SubscriberState::VERSIONS,
            PartitionRecord::VERSIONS,
            Moved::VERSIONS,
        ] {
            for old in versions {
                for new in versions {
                    gate(old, new).unwrap();
                }
            }
        }
    }

    #[test]
    fn lets_a_new_symbol_and_a_new_optional_field_through() {
        let symbol =
            changed("\"subscription_started\",", "\"subscription_started\", \"invented\",");
        gate(EVENT, &symbol).unwrap();
        let field = changed(
            "\"fields\": [",
            "\"fields\": [{\"name\": \"added\", \"type\": [\"null\", \"string\"], \"default\": null},",
        );
        gate(EVENT, &field).unwrap();
    }

    #[test]
    fn refuses_an_enum_without_a_default() {
        let mut schema: serde_json::Value = serde_json::from_str(EVENT).unwrap();
        let event_type = &mut schema["fields"][2]["type"];
        event_type.as_object_mut().unwrap().remove("default").unwrap();
        let error = gate(EVENT, &schema.to_string()).unwrap_err();
        assert!(matches!(error, Incompatible::EnumWithoutDefault(_)), "{error}");
    }

    #[test]
    fn refuses_a_changed_type_and_a_field_without_a_default() {
        let retyped = changed("\"name\": \"sequence\",", "\"name\": \"sequence\", \"was\": 1,");
        gate(EVENT, &retyped).unwrap();
        let mut schema: serde_json::Value = serde_json::from_str(EVENT).unwrap();
        schema["fields"][5]["type"] = "string".into();
        assert!(matches!(gate(EVENT, &schema.to_string()), Err(Incompatible::Unresolvable(_))));
        let bare =
            changed("\"fields\": [", "\"fields\": [{\"name\": \"added\", \"type\": \"string\"},");
        assert!(gate(EVENT, &bare).is_err());
    }
}
