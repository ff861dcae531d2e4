//! Reads the options of one section.
//!
//! An option is declared exactly once, where it is read: its key, kind, default and one sentence on
//! what it is for. The same call reads the value, makes the key known (any other is an error), and
//! writes the line of the reference page. Nothing returns early: a mistake is collected, `None`
//! stands in for the value, and reading goes on, so that all mistakes are found in one run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Vocabulary;
use super::document::{Entry, Node, Scalar, Value};
use super::kinds::Kind;
use super::problems::{Place, Problems};
use super::reference::Declaration;
use crate::Binary;
use crate::clock::Clock;

/// What all sections read with.
pub(super) struct Reader<'a> {
    pub(super) binary: Binary,
    pub(super) vocabulary: Vocabulary<'a>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) problems: RefCell<Problems>,
    /// Collects declarations when the reference page is written; reads values otherwise.
    pub(super) declarations: Option<RefCell<Vec<Declaration>>>,
}

impl Reader<'_> {
    fn declare(&self, declaration: impl FnOnce() -> Declaration) {
        if let Some(declarations) = &self.declarations {
            declarations.borrow_mut().push(declaration());
        }
    }

    pub(super) fn describes(&self) -> bool {
        self.declarations.is_some()
    }
}

/// Who made up the names of a section of sections.
#[derive(Clone, Copy)]
pub(super) enum Names {
    /// The operator, within what fits into a topic's name and a path.
    Chosen,
    /// We did; the section that reads them judges them.
    Ours,
}

/// One section while it is being read.
pub(super) struct Fields<'a> {
    pub(super) reader: &'a Reader<'a>,
    place: Place,
    entries: &'a [Entry],
    known: Vec<String>,
    /// Set when it cannot be said which keys belong here.
    accepts_any: bool,
}

impl<'a> Fields<'a> {
    pub(super) fn of_document(reader: &'a Reader<'a>, root: &'a Node) -> Self {
        let place = Place::new(root.origin.clone(), "");
        let mut fields =
            Self { reader, place, entries: &[], known: Vec::new(), accepts_any: false };
        fields.entries = fields.entries_of(root, &fields.place.clone());
        fields
    }

    /// Where this section stands.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn vocabulary(&self) -> Vocabulary<'a> {
        self.reader.vocabulary
    }

    /// An option that must be set.
    pub(super) fn required<T>(&mut self, key: &str, kind: &Kind<T>, doc: &str) -> Option<T> {
        self.declare(key, &kind.says, "required", doc);
        match self.take(key) {
            Some(entry) => self.scalar(entry, kind),
            None => self.missing(key),
        }
    }

    /// An option with a default, written here as it would be written in the file.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        kind: &Kind<T>,
        default: &str,
        doc: &str,
    ) -> Option<T> {
        self.declare(key, &kind.says, default_shown(default).as_str(), doc);
        if let Some(entry) = self.take(key) {
            return self.scalar(entry, kind);
        }
        let value = (kind.read)(default);
        if value.is_none() {
            self.problem(key, format!("the built-in default `{default}` is not {}", kind.says));
        }
        value
    }

    /// An option that means something when it is left out.
    #[expect(clippy::option_option, reason = "outside: was it readable; inside: is it set")]
    pub(super) fn unset<T>(&mut self, key: &str, kind: &Kind<T>, doc: &str) -> Option<Option<T>> {
        self.declare(key, &kind.says, "unset", doc);
        match self.take(key) {
            Some(entry) => self.scalar(entry, kind).map(Some),
            None => Some(None),
        }
    }

    /// A list of values of one kind.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        kind: &Kind<T>,
        default: &[&str],
        doc: &str,
    ) -> Option<Vec<T>> {
        let says = format!("a list, each item {}", kind.says);
        self.declare(key, &says, &format!("`[{}]`", default.join(", ")), doc);
        let Some(entry) = self.take(key) else {
            return default.iter().map(|text| (kind.read)(text)).collect();
        };
        let items = self.items(entry)?;
        // Not `collect` straight away: it would stop at the first mistake.
        let read: Vec<Option<T>> =
            items.into_iter().map(|(place, node)| self.scalar_at(&place, node, kind)).collect();
        read.into_iter().collect()
    }

    /// A section of its own. It is read also when it is absent: all its options have defaults then,
    /// or say that they are required.
    pub(super) fn section<T>(
        &mut self,
        key: &str,
        doc: &str,
        read: impl FnOnce(&mut Fields<'a>) -> Option<T>,
    ) -> Option<T> {
        let inner = match self.take(key) {
            Some(entry) => self.inside(entry, key),
            None => self.at(self.place.child(key, &self.place.origin), &[]),
        };
        inner.read_all(doc, read)
    }

    /// A section of sections, each under a name. `placeholder` stands for the name in the reference
    /// page.
    pub(super) fn named<T>(
        &mut self,
        key: &str,
        names: Names,
        placeholder: &'static str,
        doc: &str,
        read: impl Fn(&str, &mut Fields<'a>) -> Option<T>,
    ) -> Option<BTreeMap<String, T>> {
        let taken = self.take(key);
        if self.reader.describes() {
            let place = self.place.child(&format!("{key}.{placeholder}"), &self.place.origin);
            self.at(place, &[]).read_all(doc, |fields| read(placeholder, fields));
            return None;
        }
        let Some(entry) = taken else { return Some(BTreeMap::new()) };
        let outer = self.inside(entry, key);
        let mut all = Some(BTreeMap::new());
        for entry in outer.entries {
            let name = match names {
                Names::Chosen => outer.name_of(entry),
                Names::Ours => entry.key.clone(),
            };
            let value = outer.inside(entry, &name).read_all(doc, |fields| read(&name, fields));
            all = all.zip(value).map(|(mut all, value)| {
                all.insert(name, value);
                all
            });
        }
        all
    }

    /// Free keys with plain values, with the place of each. One that cannot be read is left out, so
    /// that the others can still be judged.
    pub(super) fn pairs(&mut self, key: &str, doc: &str) -> Vec<(String, String, Place)> {
        self.declare(key, "a section of free keys", "`{}`", doc);
        let Some(entry) = self.take(key) else { return Vec::new() };
        let outer = self.inside(entry, key);
        let kind = Kind { says: "a single value".to_owned(), read: |text| Some(text.to_owned()) };
        let read = outer.entries.iter().filter_map(|entry| {
            let place = outer.place.child(&entry.key, &entry.origin);
            let value = self.scalar_at(&place, &entry.node, &kind)?;
            Some((entry.key.clone(), value, place))
        });
        read.collect()
    }

    /// Reads the options of a variant that is not the chosen one, so that the reference page has
    /// them. Returns at once when a configuration is being read.
    pub(super) fn describe<T>(&mut self, read: impl FnOnce(&mut Fields<'a>) -> Option<T>) {
        if self.reader.describes() {
            read(self);
        }
    }

    /// Whether the key is written here with a value; an empty list is none.
    pub(super) fn has(&self, key: &str) -> bool {
        let empty = |node: &Node| matches!(&node.value, Value::List(items) if items.is_empty());
        let found = self.entries.iter().find(|entry| entry.key == key);
        found.is_some_and(|entry| !entry.node.is_null() && !empty(&entry.node))
    }

    /// Stops complaints about unknown keys, because what decides which are known is itself wrong.
    pub(super) fn accept_any(&mut self) {
        self.accepts_any = true;
    }

    /// Adds a complaint about the value of a key.
    pub(super) fn problem(&self, key: &str, message: impl Into<String>) {
        if self.reader.describes() {
            return;
        }
        let place = match self.entries.iter().find(|entry| entry.key == key) {
            Some(entry) => self.place.child(key, &entry.origin),
            None => self.place.child(key, &self.place.origin),
        };
        self.complain(&place, message);
    }

    /// Adds a complaint about the section as a whole.
    pub(super) fn problem_here(&self, message: impl Into<String>) {
        self.complain(&self.place, message);
    }

    pub(super) fn complain(&self, place: &Place, message: impl Into<String>) {
        if !self.reader.describes() {
            self.reader.problems.borrow_mut().push(place, message);
        }
    }

    fn read_all<T>(
        mut self,
        doc: &str,
        read: impl FnOnce(&mut Fields<'a>) -> Option<T>,
    ) -> Option<T> {
        let path = self.place.path.clone();
        self.reader.declare(|| Declaration::Section { path, doc: doc.to_owned() });
        let value = read(&mut self);
        self.refuse_unknown_keys();
        value
    }

    pub(super) fn refuse_unknown_keys(&self) {
        if self.accepts_any {
            return;
        }
        for entry in self.entries {
            if self.known.contains(&entry.key) {
                continue;
            }
            let place = self.place.child(&entry.key, &entry.origin);
            let known = self.known.iter().map(String::as_str);
            self.complain(&place, unknown("key", &entry.key, known));
        }
    }

    fn at(&self, place: Place, entries: &'a [Entry]) -> Fields<'a> {
        Fields { reader: self.reader, place, entries, known: Vec::new(), accepts_any: false }
    }

    fn inside(&self, entry: &'a Entry, name: &str) -> Fields<'a> {
        let place = self.place.child(name, &entry.origin);
        let entries = self.entries_of(&entry.node, &place);
        self.at(place, entries)
    }

    fn entries_of(&self, node: &'a Node, place: &Place) -> &'a [Entry] {
        match &node.value {
            Value::Map(entries) => entries,
            Value::Scalar(scalar) if scalar.is_null() => &[],
            Value::Scalar(_) | Value::List(_) => {
                self.complain(place, format!("expected a section of keys, found {}", node.kind()));
                &[]
            }
        }
    }

    /// The entry of a key, which is known from now on. A null counts as not written.
    pub(super) fn take(&mut self, key: &str) -> Option<&'a Entry> {
        self.known.push(key.to_owned());
        let entries = self.entries;
        entries.iter().find(|entry| entry.key == key).filter(|entry| !entry.node.is_null())
    }

    pub(super) fn scalar<T>(&self, entry: &Entry, kind: &Kind<T>) -> Option<T> {
        let place = self.place.child(&entry.key, &entry.origin);
        self.scalar_at(&place, &entry.node, kind)
    }

    pub(super) fn scalar_at<T>(&self, place: &Place, node: &Node, kind: &Kind<T>) -> Option<T> {
        let complaint = match &node.value {
            Value::Scalar(scalar) => match (kind.read)(&scalar.text) {
                Some(value) => return Some(value),
                None => self.found_wrong(place, scalar),
            },
            Value::List(_) | Value::Map(_) => node.kind().to_owned(),
        };
        self.complain(place, format!("expected {}, found {complaint}", kind.says));
        None
    }

    /// What stands there instead. A credential that is misread is still a credential.
    fn found_wrong(&self, place: &Place, scalar: &Scalar) -> String {
        if scalar.text.is_empty() {
            return "nothing".to_owned();
        }
        let key = place.path.strip_prefix(&self.place.path).unwrap_or(&place.path);
        let secret = ["secret", "authorization", "api_key", "site_id", "access_token", "password"];
        // With an `@` it may be a URL that contains a password, with a `?` one that contains a token.
        if scalar.text.contains(['@', '?']) || secret.iter().any(|word| key.contains(word)) {
            return "another value".to_owned();
        }
        scalar.shown()
    }

    /// The items of a list. In the environment a single value stands for a list of one.
    pub(super) fn items(&self, entry: &'a Entry) -> Option<Vec<(Place, &'a Node)>> {
        let place = self.place.child(&entry.key, &entry.origin);
        match &entry.node.value {
            Value::List(items) => {
                let placed = items.iter().enumerate();
                Some(placed.map(|(at, node)| (place.item(at, &node.origin), node)).collect())
            }
            Value::Scalar(_) if matches!(entry.node.origin, super::Origin::Variable(_)) => {
                Some(vec![(place, &entry.node)])
            }
            Value::Scalar(_) | Value::Map(_) => {
                self.complain(&place, format!("expected a list, found {}", entry.node.kind()));
                None
            }
        }
    }

    fn name_of(&self, entry: &Entry) -> String {
        let name = match entry.origin {
            super::Origin::Variable(_) => entry.key.replace('_', "-"),
            super::Origin::File(_) | super::Origin::Line(..) => entry.key.clone(),
        };
        if !is_name(&name) {
            let message = "not a valid name: expected at most 63 lower-case letters, digits and \
                           `-`, beginning with a letter or digit";
            self.complain(&self.place.child(&name, &entry.origin), message);
        }
        name
    }

    pub(super) fn missing<T>(&self, key: &str) -> Option<T> {
        self.complain(&self.place, format!("`{key}` is required"));
        None
    }

    pub(super) fn declare(&self, key: &str, says: &str, default: &str, doc: &str) {
        self.reader.declare(|| Declaration::Option {
            section: self.place.path.clone(),
            key: key.to_owned(),
            says: says.to_owned(),
            default: default.to_owned(),
            doc: doc.to_owned(),
        });
    }
}

/// Says that a word is unknown, of what kind it is, and which known one is nearest.
pub fn unknown<'k>(what: &str, word: &str, known: impl Iterator<Item = &'k str>) -> String {
    let nearest = known
        .map(|known| (strsim::osa_distance(&word.to_lowercase(), &known.to_lowercase()), known))
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((_, known)) => format!("unknown {what}; the nearest known one is `{known}`"),
        None => format!("unknown {what}; none is known here"),
    }
}

fn is_name(name: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.starts_with(letter)
        && name.chars().all(|each| letter(each) || each == '-')
}

fn default_shown(default: &str) -> String {
    if default.is_empty() { "empty".to_owned() } else { format!("`{default}`") }
}
