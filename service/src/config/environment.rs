//! What the environment contributes: `${VAR}` inside values, and overrides of whole options.
//!
//! `TRIBUTARY__KAFKA__BROKERS=...` sets `kafka.brokers`: two underscores separate keys, letters are
//! compared without case, and `_` stands for `-` or `.` where a key has one. A value that begins
//! with `[` or `{` is read as YAML; any other is taken as it is. Nothing that comes from the
//! environment is ever quoted in a message.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::document::{Entry, Node, Scalar, Style, Value, parse};
use super::problems::{Origin, Place, Problems};

const PREFIX: &str = "TRIBUTARY__";

/// The environment variables of the process, or those a test makes up.
#[derive(Clone, Default)]
pub struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Those of this process. A variable that is not UTF-8 counts as unset.
    pub fn of_process() -> Self {
        let readable = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self(readable.collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<Name: Into<String>, Text: Into<String>> FromIterator<(Name, Text)> for Variables {
    fn from_iter<Pairs: IntoIterator<Item = (Name, Text)>>(pairs: Pairs) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// Replaces every `${VAR}` in every value of the tree.
pub(super) fn interpolate(
    node: &mut Node,
    place: &Place,
    variables: &Variables,
    problems: &mut Problems,
) {
    match &mut node.value {
        Value::Scalar(scalar) => {
            if !scalar.text.contains("${") {
                return;
            }
            match expand(&scalar.text, variables) {
                Ok(expanded) => {
                    scalar.text = expanded.text;
                    if expanded.variables > 0 {
                        scalar.style = Style::FromEnvironment;
                    }
                }
                Err(message) => {
                    problems.push(place, message);
                    // Read on as an ordinary value, so that no second complaint hides the first.
                    scalar.style = Style::FromEnvironment;
                }
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                let place = place.item(index, &item.origin);
                interpolate(item, &place, variables, problems);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let place = place.child(&entry.key, &entry.origin);
                interpolate(&mut entry.node, &place, variables, problems);
            }
        }
    }
}

struct Expanded {
    text: String,
    variables: usize,
}

/// `${NAME}` becomes the variable's value, `$${` a literal `${`; what a variable holds is not
/// expanded again.
fn expand(text: &str, variables: &Variables) -> Result<Expanded, String> {
    let mut expanded = Expanded { text: String::with_capacity(text.len()), variables: 0 };
    let mut unset = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from_dollar) = rest.split_at(at);
        if let Some(escaped) = before.strip_suffix('$') {
            expanded.text.push_str(escaped);
            expanded.text.push_str("${");
            rest = &from_dollar[2..];
            continue;
        }
        expanded.text.push_str(before);
        let Some((name, after)) = from_dollar[2..].split_once('}') else {
            return Err("`${` without a closing `}`; write `$${` for a literal one".to_owned());
        };
        if !is_variable_name(name) {
            return Err("`${...}` must hold the name of an environment variable: letters, digits \
                        and underscores; write `$${` for a literal `${`"
                .to_owned());
        }
        match variables.get(name) {
            Some(value) => expanded.text.push_str(value),
            None => unset.push(format!("`{name}`")),
        }
        expanded.variables += 1;
        rest = after;
    }
    expanded.text.push_str(rest);
    match unset.as_slice() {
        [] => Ok(expanded),
        [name] => Err(format!("the environment variable {name} is not set")),
        names => Err(format!("the environment variables {} are not set", names.join(" and "))),
    }
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// Writes every `TRIBUTARY__...` variable into the tree, as if it stood in the file.
pub(super) fn override_with(root: &mut Node, variables: &Variables, problems: &mut Problems) {
    for (name, value) in &variables.0 {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        let origin = Origin::Variable(Arc::from(name.as_str()));
        let keys: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        if keys.iter().any(String::is_empty) {
            let message = "names no option: expected keys separated by two underscores, as in \
                           TRIBUTARY__KAFKA__BROKERS";
            problems.push(&Place::new(origin, ""), message);
            continue;
        }
        set(root, &keys, value_node(&origin, value), problems);
    }
}

fn value_node(origin: &Origin, value: &str) -> Node {
    if value.starts_with(['[', '{']) {
        let mut ignored = Problems::new();
        let parsed = parse(&Arc::from("environment"), value, &mut ignored);
        if let Some(mut node) = parsed.filter(|_| ignored.is_empty()) {
            attribute(&mut node, origin);
            return node;
        }
    }
    let scalar = Scalar { text: value.to_owned(), style: Style::FromEnvironment };
    Node { origin: origin.clone(), value: Value::Scalar(scalar) }
}

/// Says of a whole tree that it came from the environment.
fn attribute(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.value {
        Value::Scalar(scalar) => {
            if !scalar.is_null() {
                scalar.style = Style::FromEnvironment;
            }
        }
        Value::List(items) => items.iter_mut().for_each(|item| attribute(item, origin)),
        Value::Map(entries) => {
            for entry in entries {
                entry.origin = origin.clone();
                attribute(&mut entry.node, origin);
            }
        }
    }
}

fn set(node: &mut Node, keys: &[String], value: Node, problems: &mut Problems) {
    let Some((key, deeper)) = keys.split_first() else {
        *node = value;
        return;
    };
    if node.is_null() {
        node.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut node.value else {
        let message = format!("`{key}` lies inside {}, which has no keys", node.kind());
        problems.push(&Place::new(value.origin, ""), message);
        return;
    };
    let origin = value.origin.clone();
    let known = entries.iter().position(|entry| folded(&entry.key) == *key);
    let index = known.unwrap_or_else(|| {
        let node = Node { origin: origin.clone(), value: Value::Map(Vec::new()) };
        entries.push(Entry { key: key.clone(), origin: origin.clone(), node });
        entries.len() - 1
    });
    let Some(entry) = entries.get_mut(index) else { return };
    if deeper.is_empty() {
        entry.origin = origin;
    }
    set(&mut entry.node, deeper, value, problems);
}

/// A key as an environment variable can spell it.
fn folded(key: &str) -> String {
    key.to_ascii_lowercase().replace(['-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, String> {
        let variables: Variables = [("HOME", "here"), ("TRICK", "${HOME}")].into_iter().collect();
        expand(text, &variables).map(|expanded| expanded.text)
    }

    #[test]
    fn expands_each_variable_once() {
        assert_eq!(expanded("a ${HOME} b ${HOME}").as_deref(), Ok("a here b here"));
        assert_eq!(expanded("${TRICK}").as_deref(), Ok("${HOME}"));
    }

    #[test]
    fn a_doubled_dollar_escapes() {
        assert_eq!(expanded("$${HOME} and ${HOME}").as_deref(), Ok("${HOME} and here"));
    }

    #[test]
    fn names_every_unset_variable_of_a_value() {
        let message = expanded("${ONE}${TWO}").expect_err("both are unset");
        assert_eq!(message, "the environment variables `ONE` and `TWO` are not set");
    }

    #[test]
    fn an_open_brace_and_a_strange_name_are_refused() {
        assert!(expanded("${HOME").is_err());
        assert!(expanded("${HO ME}").is_err());
        assert!(expanded("${}").is_err());
    }

    #[test]
    fn debug_shows_names_only() {
        let variables: Variables = [("KEY", "hush")].into_iter().collect();
        assert_eq!(format!("{variables:?}"), r#"{"KEY"}"#);
    }
}
