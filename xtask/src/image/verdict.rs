//! What an image must be, and what is wrong with one that is not.

use std::collections::BTreeMap;

/// One target of the recipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Ingest,
    Transform,
    Deliver,
    Emulators,
}

/// What a binary may ask the loader for: libc (which brings libm and the loader) and libgcc.
pub(super) const LIBRARIES: [&str; 6] = [
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
    // No file: the kernel's own.
    "linux-vdso.so.1",
];

const LABELS: [&str; 5] = ["title", "description", "licenses", "version", "revision"];

impl Target {
    pub(super) const ALL: [Self; 4] =
        [Self::Ingest, Self::Transform, Self::Deliver, Self::Emulators];

    /// Of the target, the binary and the file in the image alike.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Transform => "transform",
            Self::Deliver => "deliver",
            Self::Emulators => "emulators",
        }
    }

    /// What it is called here once it is built.
    pub(super) fn image(self) -> &'static str {
        match self {
            Self::Ingest => "localhost/tributary-ingest",
            Self::Transform => "localhost/tributary-transform",
            Self::Deliver => "localhost/tributary-deliver",
            Self::Emulators => "localhost/tributary-emulators",
        }
    }

    /// Megabytes that it may put on the base, in the profile of the tests: somewhat more than it did when this was written
    /// (22.7, 28.4, 31.5 and 4.4; as they are shipped 18.9, 23.5, 25.7 and 3.3). With its line tables each would be
    /// several times that.
    fn budget(self) -> u64 {
        match self {
            Self::Ingest => 25,
            Self::Transform | Self::Deliver => 33,
            Self::Emulators => 5,
        }
    }
}

/// What was found out about an image.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) user: String,
    pub(super) entrypoint: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
    /// What it adds to its base.
    pub(super) bytes: u64,
    /// What the loader is asked for, by `ldd`.
    pub(super) libraries: Vec<String>,
}

/// Everything that is wrong with the image of a target.
pub(super) fn faults(target: Target, facts: &Facts) -> Vec<String> {
    let mut faults = Vec::new();
    if facts.user != "65532:65532" {
        faults.push(format!("it runs as `{}`, not as 65532:65532", facts.user));
    }
    let entrypoint = format!("/{}", target.name());
    if facts.entrypoint != [entrypoint.as_str()] {
        faults.push(format!("it starts {:?}, not {entrypoint}", facts.entrypoint));
    }
    let megabytes = facts.bytes / 1_000_000;
    if megabytes >= target.budget() {
        faults.push(format!("it weighs {megabytes} MB, of at most {}", target.budget()));
    }
    if facts.libraries.is_empty() {
        faults.push("what it links is not known".to_owned());
    }
    let foreign = facts.libraries.iter().filter(|name| !LIBRARIES.contains(&name.as_str()));
    faults.extend(foreign.map(|name| format!("it links {name}, which the base does not hold")));
    for label in LABELS.map(|name| format!("org.opencontainers.image.{name}")) {
        if facts.labels.get(&label).is_none_or(String::is_empty) {
            faults.push(format!("it has no label {label}"));
        }
    }
    let version = facts.labels.get("org.opencontainers.image.version");
    if version.is_some_and(|version| version != env!("CARGO_PKG_VERSION")) {
        faults.push("its label of the version is not the workspace's".to_owned());
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Facts {
        let label = |name| (format!("org.opencontainers.image.{name}"), "said".to_owned());
        let mut labels: BTreeMap<_, _> = LABELS.map(label).into();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        labels.insert("org.opencontainers.image.version".to_owned(), version);
        Facts {
            user: "65532:65532".to_owned(),
            entrypoint: vec!["/ingest".to_owned()],
            labels,
            bytes: 20_700_000,
            libraries: vec!["libc.so.6".to_owned(), "libgcc_s.so.1".to_owned()],
        }
    }

    fn wrong(change: impl FnOnce(&mut Facts)) -> Vec<String> {
        let mut facts = sound();
        change(&mut facts);
        faults(Target::Ingest, &facts)
    }

    #[test]
    fn nothing_is_wrong_with_a_sound_image() {
        assert_eq!(faults(Target::Ingest, &sound()), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_is_wrong_is_named() {
        assert_eq!(wrong(|facts| facts.user.clear()), ["it runs as ``, not as 65532:65532"]);
        let shell = ["/bin/sh", "-c", "/ingest"].map(str::to_owned).to_vec();
        assert!(wrong(|facts| facts.entrypoint = shell)[0].starts_with("it starts"));
        assert_eq!(wrong(|facts| facts.bytes *= 6), ["it weighs 124 MB, of at most 25"]);
        let foreign = wrong(|facts| facts.libraries.push("libssl.so.3".to_owned()));
        assert_eq!(foreign, ["it links libssl.so.3, which the base does not hold"]);
        assert_eq!(wrong(|facts| facts.libraries.clear()), ["what it links is not known"]);
        assert_eq!(wrong(|facts| facts.labels.clear()).len(), LABELS.len());
        let old = "0.0.1".to_owned();
        let version = "org.opencontainers.image.version".to_owned();
        assert_eq!(wrong(|facts| drop(facts.labels.insert(version, old))).len(), 1);
    }
}
