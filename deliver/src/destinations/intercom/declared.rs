//! Which custom attributes still go along, after Intercom refused some that are not declared, or are
//! declared with another type.
//!
//! The one that the answer names is left out and the request made again, so that one attribute more in the
//! configuration than in the workspace does not take all others away. That is done a few times; then, and
//! where the answer names none of ours, all are left out.

use serde_json::{Map, Value};

use super::plan::Message;
use crate::failure::Failure;

/// Refusals after which all attributes are left out: where nothing at all is declared, each would take a
/// request.
const MOST_REFUSALS: usize = 3;

/// What before an attribute's name in an answer shows that it is one: a quote, or `custom_attributes.`.
const BEFORE_NAMES: [char; 6] = ['.', '[', '\'', '"', '`', '‘'];

/// The attributes of one message that are left out.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    extent: Extent,
    refusals: usize,
    first: Option<Failure>,
}

#[derive(Debug)]
enum Extent {
    These(Vec<String>),
    All,
}

impl Default for Extent {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl LeftOut {
    /// What still goes along; `None` when nothing does.
    pub(super) fn rest(&self, custom: &Map<String, Value>) -> Option<Map<String, Value>> {
        let Extent::These(left_out) = &self.extent else { return None };
        let rest = custom.iter().filter(|(name, _)| !left_out.contains(name));
        Some(rest.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Why attributes were left out, if any were.
    pub(super) fn why(&self) -> Option<Failure> {
        self.first.clone()
    }

    /// Leaves out what an answer that said so named; the failure again when there is nothing left to
    /// leave out.
    pub(super) fn leave_out(
        &mut self,
        message: &Message,
        failure: Failure,
        said: &[String],
    ) -> Option<Failure> {
        let Extent::These(left_out) = &mut self.extent else { return Some(failure) };
        let named = |name: &&String| said.iter().any(|text| is_named(text, name));
        let open = message.custom.keys().filter(|name| !left_out.contains(name));
        let named: Vec<String> = open.filter(named).cloned().collect();
        self.refusals += 1;
        self.first.get_or_insert(failure);
        // Without the attribute that says how new the others are, they could go back in time.
        let unguarded = named.contains(&message.progress_attribute);
        if named.is_empty() || unguarded || self.refusals > MOST_REFUSALS {
            self.extent = Extent::All;
        } else {
            left_out.extend(named);
        }
        None
    }
}

/// Whether the text names this attribute, and none whose name only contains it.
fn is_named(text: &str, name: &str) -> bool {
    let goes_on = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    text.match_indices(name).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + name.len()..]);
        let begins = before.is_empty() || before.ends_with(BEFORE_NAMES);
        begins && !after.starts_with(goes_on)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_named_in_quotes_or_by_its_path_and_not_by_a_word_or_a_part() {
        for (text, named) in [
            ("custom_attributes.plan does not exist", true),
            ("custom_attributes[plan]", true),
            ("Custom attribute 'plan' does not exist", true),
            ("Custom attribute \"plan\" does not exist", true),
            ("plan", true),
            ("custom_attributes.plan_id does not exist", false),
            ("custom_attributes.old-plan is no string", false),
            ("custom attribute limit of your plan reached", false),
        ] {
            assert_eq!(is_named(text, "plan"), named, "{text}");
        }
    }
}
