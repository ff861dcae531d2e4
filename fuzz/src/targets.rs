//! The boundaries, each with what it holds the code to.

mod answers;
mod codecs;
mod configuration;
mod handlers;
mod headers;
mod imports;
mod mappers;
mod pages;
mod records;
mod signatures;
mod texts;

use schemas::Provider;

use crate::mutate::Shape;

/// One boundary.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called; its kept inputs lie in `fuzz/corpus/<name>`.
    pub name: &'static str,
    /// What is read there, and what must hold.
    pub about: &'static str,
    /// Ends with a panic where it does not.
    pub check: fn(&[u8]),
    /// What its inputs are made of.
    pub shape: Shape,
    /// Bytes that it may have in use at once, besides a thousand for each of the input.
    pub memory: usize,
    /// How many mutated inputs are tried in a test run, so that each target takes about as long.
    pub tries: u32,
}

/// The longest input that is tried.
pub const LONGEST: usize = 16 * 1024;

const MIB: usize = 1 << 20;

/// What an Avro value may say that a text in it is long, and a little more: it is made room for before it is read.
const VALUE: usize = 72 * MIB;

const SIGNATURE: &str =
    "a signed request; what is believed was signed with a secret, to the byte and in time";
const MAPPER: &str =
    "webhooks in a row; each gives events that encode, is ignored, or is parked with a reason";

const fn signature(name: &'static str, check: fn(&[u8])) -> Target {
    Target { name, about: SIGNATURE, check, shape: Shape::Text, memory: MIB, tries: 12_000 }
}

const fn mapper(name: &'static str, check: fn(&[u8])) -> Target {
    Target { name, about: MAPPER, check, shape: Shape::Json, memory: VALUE, tries: 700 }
}

/// All of them.
pub const TARGETS: [Target; 21] = [
    signature("signature-stripe", |input| signatures::check(Provider::Stripe, input)),
    signature("signature-dodo", |input| signatures::check(Provider::Dodo, input)),
    signature("signature-revenuecat", |input| signatures::check(Provider::Revenuecat, input)),
    signature("signature-purchasely", |input| signatures::check(Provider::Purchasely, input)),
    mapper("mapper-stripe", |input| mappers::check(Provider::Stripe, input)),
    mapper("mapper-dodo", |input| mappers::check(Provider::Dodo, input)),
    mapper("mapper-revenuecat", |input| mappers::check(Provider::Revenuecat, input)),
    mapper("mapper-purchasely", |input| mappers::check(Provider::Purchasely, input)),
    mapper("mapper-native", |input| mappers::check(Provider::Native, input)),
    Target {
        name: "records",
        about: "records of any producer on the raw topic; as the mappers, whatever key and headers say",
        check: records::check,
        shape: Shape::Json,
        memory: VALUE,
        tries: 700,
    },
    Target {
        name: "codec-event",
        about: "a value of the events topic; what is decoded is encoded to the same, in little memory",
        check: codecs::event,
        shape: Shape::Bytes,
        memory: VALUE,
        tries: 12_000,
    },
    Target {
        name: "codec-state",
        about: "a value of the state topic; what is decoded is encoded to the same, in little memory",
        check: codecs::state,
        shape: Shape::Bytes,
        memory: VALUE,
        tries: 12_000,
    },
    Target {
        name: "codec-small",
        about: "what a transfer moves, and what a partition says of itself; as the other codecs",
        check: codecs::small,
        shape: Shape::Bytes,
        memory: VALUE,
        tries: 12_000,
    },
    Target {
        name: "schema",
        about: "a schema of the registry and a value written with it; decoded or refused",
        check: codecs::schema,
        shape: Shape::Json,
        memory: VALUE,
        tries: 300,
    },
    Target {
        name: "headers",
        about: "headers of a record; what is read is written to the same, other headers stay, errors show no value",
        check: headers::check,
        shape: Shape::Text,
        memory: MIB,
        tries: 12_000,
    },
    Target {
        name: "texts",
        about: "traceparent, amounts, moments, rates, positions and ledgers; what is read is printed to the same",
        check: texts::check,
        shape: Shape::Text,
        memory: MIB,
        tries: 12_000,
    },
    Target {
        name: "pages",
        about: "a provider's list of events, waits and notes; read or refused",
        check: pages::check,
        shape: Shape::Json,
        memory: MIB,
        tries: 6_000,
    },
    Target {
        name: "answers",
        about: "a destination's answers; each delivery gets one verdict, none is called delivered that was not accepted",
        check: answers::check,
        shape: Shape::Json,
        memory: 4 * MIB,
        tries: 3_000,
    },
    Target {
        name: "handler",
        about: "what transformation code returns; sent within the destination's limits, skipped, or parked, and so again",
        check: handlers::check,
        shape: Shape::Json,
        memory: 8 * MIB,
        tries: 1_200,
    },
    Target {
        name: "import",
        about: "a file of subscribers; what is not refused is never parked, and a refusal shows no value",
        check: imports::check,
        shape: Shape::Json,
        memory: 8 * MIB,
        tries: 1_500,
    },
    Target {
        name: "configuration",
        about: "YAML and environment; read, or every problem with its place, and nothing of what is secret",
        check: configuration::check,
        shape: Shape::Text,
        memory: 8 * MIB,
        tries: 1_000,
    },
];

/// The target of this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
