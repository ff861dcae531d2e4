//! The reference page of the configuration, written from the declarations that read it.

use std::cell::RefCell;
use std::sync::Arc;

use super::fields::{Fields, Reader};
use super::problems::Problems;
use super::{Config, Node, Vocabulary};
use crate::Binary;
use crate::clock::SystemClock;

/// What was declared about a section or an option, in the order it is read.
pub(super) enum Declaration {
    Section { path: String, doc: String },
    Option { section: String, key: String, says: String, default: String, doc: String },
}

const HEAD: &str = "\
# Configuration

<!-- Generated from the declarations in service/src/config. Change those, not this page. -->

`ingest`, `transform` and `deliver` read the same file, `tributary.yaml` unless `--config` says
otherwise. `<binary> check` reports everything that is wrong with it at once, with path and line, and
exits 64. A key that is not listed here is an error.

- `${VAR}` inside a value stands for an environment variable; one that is not set is an error.
  `$${` is a literal `${`.
- An environment variable overrides a single option: `TRIBUTARY__KAFKA__BROKERS` is `kafka.brokers`.
  Two underscores separate keys, and `_` also stands for the `-` or `.` of a key. Lists are written
  as YAML, `[a, b]`; a list of one may be written bare.
- Options ending in `_file` name a file with one secret a line; blank lines do not count. It is
  re-read within 20 seconds of a change; while it is missing or empty, the last good secrets stay.
  Only the binary that uses a file needs it: `ingest` those of `sources`, `deliver` those of
  `destinations`.
- Durations are `250ms`, `2s`, `5m`, `1h`, `35d`; sizes `64KiB`, `1MiB`; rates `100/s`, `100/min`,
  `100/h`; times RFC 3339.
";

/// The whole page, in Markdown.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    let declarations = declarations();
    for declaration in &declarations {
        if let Declaration::Section { path, doc } = declaration {
            page.push_str(&section(path, doc, &declarations));
        }
    }
    page
}

/// One section with its own options. Those of sections inside it stand under their own headings.
fn section(path: &str, doc: &str, declarations: &[Declaration]) -> String {
    let mut text = format!(
        "\n## `{path}`\n\n{doc}\n\n| option | value | default | what for |\n|---|---|---|---|\n"
    );
    for declaration in declarations {
        if let Declaration::Option { section, key, says, default, doc } = declaration
            && section == path
        {
            text.push_str(&row(key, says, default, doc));
        }
    }
    text
}

fn row(key: &str, says: &str, default: &str, doc: &str) -> String {
    format!("| `{key}` | {} | {default} | {} |\n", cell(says), cell(doc))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn declarations() -> Vec<Declaration> {
    let reader = Reader {
        binary: Binary::Transform,
        vocabulary: Vocabulary::default(),
        clock: Arc::new(SystemClock::new()),
        problems: RefCell::new(Problems::new()),
        declarations: Some(RefCell::new(Vec::new())),
    };
    let root = Node::empty(&Arc::from("reference"));
    let nothing = Config::read(&mut Fields::of_document(&reader, &root));
    debug_assert!(nothing.is_none(), "required options are missing from an empty document");
    reader.declarations.map(RefCell::into_inner).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_says_what_it_is_for() {
        for declaration in declarations() {
            if let Declaration::Option { section, key, says, doc, .. } = declaration {
                assert!(doc.ends_with('.'), "{section}.{key}: {doc}");
                assert!(!says.is_empty(), "{section}.{key}");
            }
        }
    }
}
