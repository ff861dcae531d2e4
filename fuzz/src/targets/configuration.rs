//! The configuration: the file, and behind a line `%%` the environment, a line `NAME=value` each.

use std::sync::Arc;

use service::Binary;
use service::clock::{Clock, SystemClock};
use service::config::{Loader, Origin, Problems, Variables, Vocabulary};

use crate::MARKER;
use crate::input::pieces;
use crate::promise::{discreet, discreet_in_logs, keep};

const FILE: &str = "it.yaml";

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    events: &["subscription_renewed", "trial_started"],
    attributes: &["subscription_status", "expires_at"],
};

pub(super) fn check(input: &[u8]) {
    let mut pieces = pieces(input);
    let Ok(file) = std::str::from_utf8(pieces.next().unwrap_or_default()) else { return };
    let Ok(environment) = std::str::from_utf8(pieces.next().unwrap_or_default()) else { return };
    let told = environment.lines().filter_map(|line| line.split_once('='));
    // What nobody may see stands in the environment, and only there.
    let variables: Variables = told.chain([("HUSH", MARKER)]).collect();
    let is_secret = !file.contains(MARKER) && !names_marker(environment);
    // A file with credentials is opened where it is said to lie, and no input may choose a file; this binary opens none.
    let names_files = [file, environment].iter().any(|text| text.to_lowercase().contains("_file"));
    let binaries: &[Binary] = if names_files {
        &[Binary::Transform]
    } else {
        &[Binary::Transform, Binary::Ingest, Binary::Deliver]
    };
    let verdicts: Vec<_> = binaries
        .iter()
        .map(|binary| {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
            let loader =
                Loader { binary: *binary, variables: &variables, vocabulary: VOCABULARY, clock };
            let read = loader.read(FILE, file);
            if let Err(problems) = &read {
                explained(file, problems, is_secret);
            }
            read.map(|_| ())
        })
        .collect();
    keep(verdicts.windows(2).all(|pair| pair[0] == pair[1]), "all binaries say the same of a file");
}

/// Whether a name in the environment holds what only values may.
fn names_marker(environment: &str) -> bool {
    environment.lines().any(|line| {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        // Keys of what is read as YAML are names as well.
        name.contains(MARKER) || value.starts_with(['{', '[']) && value.contains(MARKER)
    })
}

/// At least one problem, each with a line that there is or a variable, and nothing of what is secret.
fn explained(file: &str, problems: &Problems, is_secret: bool) {
    // YAML ends a line at a carriage return as well.
    let lines = file.split(['\n', '\r']).count() + 1;
    keep(!problems.is_empty(), "what is refused is explained");
    for problem in problems.iter() {
        let is_there = match &problem.place.origin {
            Origin::Line(name, line) => &**name == FILE && (1..=lines).contains(line),
            Origin::Variable(name) => name.starts_with("TRIBUTARY__"),
            Origin::File(_) => false,
        };
        keep(is_there, "a problem has a place");
    }
    if is_secret {
        discreet(problems);
        discreet_in_logs(problems);
    }
}
