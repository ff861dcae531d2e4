//! Customer.io's complaint about one item.

use serde_json::{Value, json};

use crate::violations::Rule;

/// Why an item is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) rule: Rule,
    reason: &'static str,
    field: String,
    message: String,
}

impl Refusal {
    fn new(rule: Rule, reason: &'static str, field: &str, message: &str) -> Self {
        Self { rule, reason, field: field.to_owned(), message: message.to_owned() }
    }

    pub(super) fn required(field: &str) -> Self {
        Self::new(Rule::MissingField, "required", field, "is required")
    }

    pub(super) fn invalid(rule: Rule, field: &str, message: &str) -> Self {
        Self::new(rule, "invalid", field, message)
    }

    pub(super) fn malformed(message: &str) -> Self {
        Self::new(Rule::MalformedBody, "malformed", "", message)
    }

    pub(super) fn too_large(bytes: usize) -> Self {
        let (rule, message) = if bytes > super::BATCH_LIMIT {
            (Rule::BodyTooLarge, "the batch must be smaller than 500 kB")
        } else {
            (Rule::ItemTooLarge, "the item must be 32 kB or smaller")
        };
        Self::new(rule, "too_large", "", message)
    }

    /// The field and the complaint, without values.
    pub(super) fn place(&self) -> String {
        format!("{} {}", self.field, self.message).trim_start().to_owned()
    }

    pub(super) fn to_json(&self) -> Value {
        json!({"reason": self.reason, "field": self.field, "message": self.message})
    }
}
