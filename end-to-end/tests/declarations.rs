//! What the three binaries say that they show.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use service::metrics::{Declared, Dimensions, Registry};

/// The declarations of each binary.
pub(crate) fn declared() -> [(&'static str, Vec<Declared>); 3] {
    let registry = || Registry::new(Dimensions::default()).unwrap();
    let mut registries = [registry(), registry(), registry()];
    ingest::metrics::Metrics::register(&mut registries[0]).unwrap();
    transform::metrics::Metrics::register(&mut registries[1]).unwrap();
    deliver::metrics::Metrics::register(&mut registries[2]).unwrap();
    let [ingest, transform, deliver] = registries.map(|registry| registry.declared().to_vec());
    [("ingest", ingest), ("transform", transform), ("deliver", deliver)]
}
