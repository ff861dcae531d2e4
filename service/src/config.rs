//! The one configuration of all three binaries.
//!
//! One YAML file, read whole by each binary, so that a mistake in any part is found by whichever
//! starts first and no two of them can disagree. Reading never stops at a mistake: [`Loader::load`]
//! gives either a [`Config`] in which every value is valid, or all [`Problems`] with their lines.
//!
//! Values come, in rising order of precedence, from the defaults declared beside each option, the
//! file (with `${VAR}` replaced), and `TRIBUTARY__...` variables of the environment.
//!
//! A module here is one section of the file; [`reference()`] writes the page that documents them all
//! from the very declarations that read them.

mod account;
mod credentials;
mod destination;
mod document;
mod environment;
mod fields;
mod kafka;
mod kinds;
mod problems;
mod reference;
mod source;
mod steps;
mod transformation;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

pub use self::account::{Account, Customerio, CustomerioRegion, Intercom, IntercomRegion, Webhook};
pub use self::destination::{
    Anonymous, Destination, Entry, Identity, Mode, Naming, OnCustomerDeleted, Retry,
};
use self::document::Node;
pub use self::environment::Variables;
pub use self::fields::unknown;
use self::fields::{Fields, Names, Reader};
pub use self::kafka::{Kafka, Properties, SchemaRegistry};
pub use self::kinds::{Rate, RateError, Start, read_duration};
pub use self::problems::{Origin, Place, Problem, Problems};
pub use self::reference::reference;
pub use self::source::{Environment, Provider, Source};
pub use self::steps::{Deliver, Ingest, LogFormat, Telemetry, Transform};
pub use self::transformation::Transformation;
use crate::Binary;
use crate::clock::Clock;

/// Everything an operator can say. Every value has been checked; `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the topics are.
    pub kafka: Kafka,
    /// Where schemas are registered, if anywhere.
    pub schema_registry: SchemaRegistry,
    /// Who sends webhooks, by name.
    pub sources: BTreeMap<String, Source>,
    /// The edge.
    pub ingest: Ingest,
    /// The middle.
    pub transform: Transform,
    /// The far end.
    pub deliver: Deliver,
    /// Who is told, by name.
    pub destinations: BTreeMap<String, Destination>,
    /// What is logged.
    pub telemetry: Telemetry,
}

/// Words that this crate does not know but the configuration may contain. An empty list leaves the
/// keys of its section unjudged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Vocabulary<'a> {
    /// Keys allowed below `destinations.<name>.events` under `naming: unified`.
    pub events: &'a [&'a str],
    /// Keys allowed below `destinations.<name>.attributes` under `naming: unified`.
    pub attributes: &'a [&'a str],
}

/// What a configuration is read with.
#[derive(Debug)]
pub struct Loader<'a> {
    /// Who reads. Files with credentials that only another binary uses are not opened.
    pub binary: Binary,
    /// Where `${VAR}` and overrides come from.
    pub variables: &'a Variables,
    /// Names of events and attributes.
    pub vocabulary: Vocabulary<'a>,
    /// Tells when a file with credentials is due for another look.
    pub clock: Arc<dyn Clock>,
}

impl Loader<'_> {
    /// Reads the file. The error holds everything that is wrong, sorted by line.
    pub fn load(&self, path: &Path) -> Result<Config, Problems> {
        let file: Arc<str> = Arc::from(path.display().to_string());
        let unreadable = |message: String| {
            let mut problems = Problems::new();
            problems.push(&Place::new(Origin::File(Arc::clone(&file)), ""), message);
            problems
        };
        let bytes =
            std::fs::read(path).map_err(|error| unreadable(format!("cannot be read: {error}")))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| unreadable("cannot be read: it is not UTF-8".to_owned()))?;
        self.read(&file, &text)
    }

    /// Reads a configuration that is already in memory; `file` is the name problems are shown with.
    pub fn read(&self, file: &str, text: &str) -> Result<Config, Problems> {
        let file = Arc::from(file);
        let mut problems = Problems::new();
        let Some(mut root) = document::parse(&file, text, &mut problems) else {
            problems.into_result()?;
            return Err(Problems::new());
        };
        let top = Place::new(root.origin.clone(), "");
        environment::interpolate(&mut root, &top, self.variables, &mut problems);
        environment::override_with(&mut root, self.variables, &mut problems);
        let reader = Reader {
            binary: self.binary,
            vocabulary: self.vocabulary,
            clock: Arc::clone(&self.clock),
            problems: RefCell::new(problems),
            declarations: None,
        };
        let config = Config::read(&mut Fields::of_document(&reader, &root));
        let problems = reader.problems.into_inner();
        match config {
            Some(config) => problems.into_result().map(|()| config),
            None => Err(problems.into_result().err().unwrap_or_default()),
        }
    }
}

impl Config {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let kafka = fields.section("kafka", "Where the topics are.", Kafka::read);
        let schema_registry = fields.section(
            "schema_registry",
            "A Confluent-compatible schema registry, if there is one.",
            SchemaRegistry::read,
        );
        let sources = fields.named(
            "sources",
            Names::Chosen,
            "<source>",
            "Who sends webhooks. The name is part of the path, `POST /webhooks/<source>`, and of \
             every subscriber's key: choose it once.",
            |_, fields| Source::read(fields),
        );
        let ingest = fields.section("ingest", "The binary that receives webhooks.", Ingest::read);
        let transform = fields.section(
            "transform",
            "The binary that turns webhooks into lifecycle events.",
            Transform::read,
        );
        let deliver =
            fields.section("deliver", "The binary that calls destinations.", Deliver::read);
        let destinations = fields.named(
            "destinations",
            Names::Chosen,
            "<destination>",
            "Who is told. The name is part of the names of its topics and consumer group: choose it \
             once.",
            |_, fields| Destination::read(fields),
        );
        let telemetry = fields.section("telemetry", "What is logged.", Telemetry::read);
        fields.refuse_unknown_keys();
        Some(Self {
            kafka: kafka?,
            schema_registry: schema_registry?,
            sources: sources?,
            ingest: ingest?,
            transform: transform?,
            deliver: deliver?,
            destinations: destinations?,
            telemetry: telemetry?,
        })
    }
}
