//! `transform` of a destination: code of the operator's that says what is sent of an event.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fields::Fields;
use super::kinds::{host, path};
use super::problems::Place;

/// Which events are given to transformation code, and how far that may reach.
#[derive(Clone, Debug)]
pub struct Transformation {
    /// The file for events of every source that has none of its own.
    pub all: Option<PathBuf>,
    /// Files by source, each with where it stands in the configuration.
    pub by_source: BTreeMap<String, (PathBuf, Place)>,
    /// Hosts other than the destination's own that it may have called, as in a URL: with the port, if one stands there.
    pub hosts: Vec<String>,
    /// Where `transform` stands, or would.
    pub place: Place,
}

impl Transformation {
    /// The file for the events of a source.
    pub fn of(&self, source: &str) -> Option<&Path> {
        let own = self.by_source.get(source).map(|(file, _)| file);
        own.or(self.all.as_ref()).map(PathBuf::as_path)
    }

    /// Whether any events are given to it.
    pub fn is_configured(&self) -> bool {
        self.all.is_some() || !self.by_source.is_empty()
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let all = fields.unset(
            "transform",
            &path(),
            "A JavaScript file with a function `handler(webhook)` that says what is sent of each event: \
             [transformations.md](transformations.md).",
        );
        let pairs = fields.pairs(
            "transform_by_source",
            "The same for the events of single sources: `<source>: <file>`.",
        );
        let by_source =
            pairs.into_iter().map(|(source, file, place)| (source, (file.into(), place)));
        let by_source = by_source.collect();
        let hosts = fields.list(
            "transform_hosts",
            &host(),
            &[],
            "Hosts other than the destination's own that transformation code may have called, by HTTPS and without \
             the destination's credentials.",
        );
        let place = fields.place().child("transform", &fields.place().origin);
        Some(Self { all: all?, by_source, hosts: hosts?, place })
    }
}
