//! The custom attributes of contacts: declared before use, and typed.

use serde_json::{Map, Value, json};

use super::events::UNIX_SECONDS;
use super::refusals::Refusal;
use crate::exchange::Reply;
use crate::violations::Rule;

const CURRENCY_SIGNS: &str = "$€£¥₹₩₽¢";

/// The declared attributes, in order of declaration.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    declared: Vec<Attribute>,
}

#[derive(Debug)]
struct Attribute {
    name: String,
    model: String,
    data_type: String,
    options: Vec<String>,
    description: Option<String>,
    created_at: u64,
}

impl Attributes {
    /// `POST /data_attributes`.
    pub(super) fn declare(
        &mut self,
        body: &Map<String, Value>,
        unix_seconds: u64,
    ) -> Result<Reply, Refusal> {
        check_declaration(body)?;
        let text = |field: &str| body.get(field).and_then(Value::as_str);
        let model = text("model").filter(|model| ["contact", "company"].contains(model));
        let model = model.ok_or_else(|| invalid("model", "must be either contact or company"))?;
        let name = text("name").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Refusal::missing("name"))?;
        if !name.chars().all(is_allowed) {
            return Err(invalid("name", "may have letters, digits, currency signs and hyphens"));
        }
        let data_type = text("data_type").filter(|data_type| {
            ["string", "integer", "float", "boolean", "datetime", "date", "options"]
                .contains(data_type)
        });
        let data_type = data_type.ok_or_else(|| invalid("data_type", "is no option"))?;
        let options: Vec<String> = body
            .get("options")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|option| option.get("value").and_then(Value::as_str))
            .map(str::to_owned)
            .collect();
        if data_type == "options" && options.len() < 2 {
            return Err(invalid("options", "must be at least two"));
        }
        if self.declared.iter().any(|attribute| attribute.name.eq_ignore_ascii_case(name)) {
            let message = "You already have an attribute of this name; use a different one.";
            return Err(Refusal::expected(400, "parameter_invalid", message));
        }
        self.declared.push(Attribute {
            name: name.to_owned(),
            model: model.to_owned(),
            data_type: data_type.to_owned(),
            options,
            description: text("description").map(str::to_owned),
            created_at: unix_seconds,
        });
        let place = self.declared.len() - 1;
        Ok(Reply::json(200, self.declared[place].to_json(place)))
    }

    /// `GET /data_attributes`.
    pub(super) fn list(&self, model: Option<&str>) -> Result<Reply, Refusal> {
        if !matches!(model, None | Some("contact" | "company")) {
            let message = "model must be contact or company";
            let rule = Rule::InvalidField;
            return Err(Refusal::fault(422, "parameter_invalid", message, rule, "model"));
        }
        let standard = ["name", "email", "phone", "external_id"].map(|name| {
            json!({"type": "data_attribute", "name": name, "full_name": name, "label": name,
                "data_type": "string", "api_writable": true, "custom": false, "archived": false,
                "model": "contact"})
        });
        let custom =
            self.declared.iter().enumerate().map(|(place, attribute)| attribute.to_json(place));
        let data: Vec<Value> = standard
            .into_iter()
            .chain(custom)
            .filter(|attribute| model.is_none_or(|model| attribute["model"] == model))
            .collect();
        Ok(Reply::json(200, json!({"type": "list", "data": data})))
    }

    /// Refuses custom attributes that are not declared, or whose value is of another type.
    pub(super) fn check(&self, custom: &Map<String, Value>) -> Result<(), Refusal> {
        for (name, value) in custom {
            let declared = self
                .declared
                .iter()
                .find(|attribute| attribute.model == "contact" && attribute.name == *name);
            let field = format!("custom_attributes.{name}");
            let Some(attribute) = declared else {
                return Err(Refusal::invalid(Rule::UndeclaredAttribute, &field, "does not exist"));
            };
            if !attribute.takes(value) {
                let message = format!("is no {}", attribute.data_type);
                return Err(Refusal::invalid(Rule::AttributeTypeMismatch, &field, &message));
            }
        }
        Ok(())
    }
}

impl Attribute {
    fn takes(&self, value: &Value) -> bool {
        if value.is_null() {
            return true;
        }
        match self.data_type.as_str() {
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "float" => value.is_number(),
            "boolean" => value.is_boolean(),
            "options" => {
                value.as_str().is_some_and(|text| self.options.iter().any(|one| one == text))
            }
            _ => value.as_u64().is_some_and(|seconds| UNIX_SECONDS.contains(&seconds)),
        }
    }

    fn to_json(&self, place: usize) -> Value {
        json!({
            "id": place + 1,
            "type": "data_attribute",
            "name": self.name,
            "full_name": format!("custom_attributes.{}", self.name),
            "label": self.name,
            "description": self.description,
            "data_type": self.data_type,
            "options": self.options,
            "api_writable": true,
            "ui_writable": false,
            "messenger_writable": false,
            "custom": true,
            "archived": false,
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "model": self.model,
        })
    }
}

/// The fields of a declaration that are optional, and no others.
fn check_declaration(body: &Map<String, Value>) -> Result<(), Refusal> {
    for (field, value) in body {
        let is_valid = match field.as_str() {
            "name" | "model" | "data_type" => continue,
            "description" => value.is_string(),
            "messenger_writable" => value.is_boolean(),
            "options" => value.as_array().is_some_and(|options| {
                options.iter().all(|option| option.get("value").is_some_and(Value::is_string))
            }),
            _ => return Err(Refusal::invalid(Rule::UnknownField, field, "is not known")),
        };
        if !is_valid {
            return Err(invalid(field, "has the wrong type"));
        }
    }
    Ok(())
}

fn is_allowed(letter: char) -> bool {
    letter.is_alphanumeric() || "-_ ".contains(letter) || CURRENCY_SIGNS.contains(letter)
}

fn invalid(field: &str, message: &str) -> Refusal {
    Refusal::invalid(Rule::InvalidField, field, message)
}
