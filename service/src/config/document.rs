//! The file as a tree in which every node knows its line.
//!
//! Built from parser events and not from a ready-made YAML value, because three things must not be
//! lost on the way: the line of every key, a key that is written twice, and whether a value was
//! quoted. Anchors and aliases are refused: a configuration needs none, and without them a small
//! file cannot expand into a huge one. Nesting is bounded for the same reason.

use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::problems::{Origin, Place, Problems};

/// Far deeper than any option lies, far shallower than the stack.
const MAX_DEPTH: usize = 32;

/// A value with its origin. Deliberately without `Debug`: it may hold secrets.
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

pub(super) struct Scalar {
    pub(super) text: String,
    pub(super) style: Style,
}

/// How a scalar came to be, which decides whether it can be null and whether it may be quoted in a
/// message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Quoted,
    /// Contains, or is, the value of an environment variable: never shown.
    FromEnvironment,
}

pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key stands, which for a long value is not where the value begins.
    pub(super) origin: Origin,
    pub(super) node: Node,
}

impl Scalar {
    pub(super) fn is_null(&self) -> bool {
        self.style == Style::Plain
            && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// The value as it may appear in a message.
    pub(super) fn shown(&self) -> String {
        match self.style {
            Style::FromEnvironment => "a value from the environment".to_owned(),
            Style::Plain | Style::Quoted => {
                let short: String = self.text.chars().take(60).collect();
                format!("`{short}`")
            }
        }
    }
}

impl Node {
    /// A document in which nothing is set.
    pub(super) fn empty(file: &Arc<str>) -> Self {
        Self { origin: Origin::Line(Arc::clone(file), 1), value: Value::Map(Vec::new()) }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// What the value is, for messages such as "expected a list, found a section".
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a section",
        }
    }
}

/// Reads YAML text. Mistakes in it are added to `problems`; a syntax error ends the reading and
/// leaves what was read before it.
pub(super) fn parse(file: &Arc<str>, text: &str, problems: &mut Problems) -> Option<Node> {
    let mut builder = Builder { file, problems, open: Vec::new(), root: None, documents: 0 };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => builder.accept(event, span.start.line())?,
            Err(error) => {
                let line = error.marker().line();
                builder.complain(line, format!("this is not YAML: {}", error.info()));
                return None;
            }
        }
    }
    let root = builder.root.take();
    Some(root.filter(|node| !node.is_null()).unwrap_or_else(|| Node::empty(file)))
}

struct Builder<'a> {
    file: &'a Arc<str>,
    problems: &'a mut Problems,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
}

/// A list or section whose end has not come yet.
enum Open {
    List { line: usize, items: Vec<Node> },
    Map { line: usize, entries: Vec<Entry>, key: Option<(String, usize)> },
}

impl Builder<'_> {
    /// Takes one parser event; `None` when reading must end, for a reason already given.
    fn accept(&mut self, event: Event<'_>, line: usize) -> Option<()> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.complain(line, "a second document begins here; one file holds one");
                    return None;
                }
            }
            Event::Alias(_) => {
                self.complain(line, "aliases are not supported; write the value out");
                return None;
            }
            Event::Scalar(text, style, anchor, _) => {
                self.refuse_anchor(anchor, line)?;
                let style = if style == ScalarStyle::Plain { Style::Plain } else { Style::Quoted };
                self.scalar(text.into_owned(), style, line);
            }
            Event::SequenceStart(anchor, _) => {
                self.refuse_anchor(anchor, line)?;
                self.begin(Open::List { line, items: Vec::new() }, line)?;
            }
            Event::MappingStart(anchor, _) => {
                self.refuse_anchor(anchor, line)?;
                self.begin(Open::Map { line, entries: Vec::new(), key: None }, line)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.open.pop()? {
                    Open::List { line, items } => self.node(line, Value::List(items)),
                    Open::Map { line, entries, .. } => self.node(line, Value::Map(entries)),
                };
                self.attach(node, line);
            }
        }
        Some(())
    }

    fn begin(&mut self, open: Open, line: usize) -> Option<()> {
        if self.open.len() >= MAX_DEPTH {
            self.complain(line, format!("nested more than {MAX_DEPTH} deep"));
            return None;
        }
        if let Some(Open::Map { key: None, .. }) = self.open.last() {
            self.complain(line, "a key must be plain text, not a list or a section");
            return None;
        }
        self.open.push(open);
        Some(())
    }

    fn scalar(&mut self, text: String, style: Style, line: usize) {
        if let Some(Open::Map { key: key @ None, .. }) = self.open.last_mut() {
            *key = Some((text, line));
            return;
        }
        let node = self.node(line, Value::Scalar(Scalar { text, style }));
        self.attach(node, line);
    }

    fn attach(&mut self, node: Node, line: usize) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, key, .. }) => {
                let (key, key_line) = key.take().unwrap_or_else(|| (String::new(), line));
                if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                    let message = format!("`{key}` is written twice; first at {}", first.origin);
                    self.complain(key_line, message);
                    return;
                }
                let origin = Origin::Line(Arc::clone(self.file), key_line);
                entries.push(Entry { key, origin, node });
            }
        }
    }

    fn refuse_anchor(&mut self, anchor: usize, line: usize) -> Option<()> {
        if anchor == 0 {
            return Some(());
        }
        self.complain(line, "anchors are not supported; write the value out where it is used");
        None
    }

    fn node(&self, line: usize, value: Value) -> Node {
        Node { origin: Origin::Line(Arc::clone(self.file), line), value }
    }

    fn complain(&mut self, line: usize, message: impl Into<String>) {
        let origin = Origin::Line(Arc::clone(self.file), line.max(1));
        self.problems.push(&Place::new(origin, ""), message);
    }
}
