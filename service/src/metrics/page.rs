//! The declared metrics as a table for people.

use super::{Declared, Label, Values};

/// The table of one binary's metrics, in Markdown.
pub fn page(declared: &[Declared]) -> String {
    let mut lines = vec![
        "| metric | kind | labels | what it tells |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    lines.extend(declared.iter().map(|metric| {
        let Declared { name, kind, help, labels, buckets } = metric;
        let labels: Vec<_> = labels.iter().map(told).collect();
        let bounds: Vec<_> = buckets.iter().map(ToString::to_string).collect();
        let bounds = match bounds.as_slice() {
            [] => String::new(),
            bounds => format!(" Upper bounds: {}.", bounds.join(", ")),
        };
        format!("| `{name}` | {kind} | {} | {help}{bounds} |", labels.join("; "))
    }));
    lines.join("\n") + "\n"
}

fn told(label: &Label) -> String {
    let values = match label.values {
        Values::Sources => "each source".to_owned(),
        Values::SourcesOrNone => "each source, `none`".to_owned(),
        Values::Destinations => "each destination".to_owned(),
        Values::Partitions => "each partition owned".to_owned(),
        Values::Words(words) => {
            let words: Vec<_> = words().into_iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        Values::Build => "of the build".to_owned(),
        Values::Documented(page) => format!("see {page}"),
    };
    format!("`{}`: {values}", label.name)
}
