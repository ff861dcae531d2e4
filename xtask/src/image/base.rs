//! A stand-in for the base image, which cannot be pulled in a build: the C library and the certificates, nothing else.
//!
//! They are this machine's own, because the binaries were linked here. So what is shown is that the binaries need
//! nothing beyond the list; that the released base holds the list is its maker's word.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::containers::{Containers, libraries};
use super::verdict::{LIBRARIES, Target};

/// The name of the base in the local store.
pub(super) const IMAGE: &str = "localhost/tributary-base";

/// Where Debian and the distroless images alike keep what outgoing TLS trusts.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// Makes the base of the libraries that the binaries link, as far as they may.
pub(super) fn build(containers: &Containers, binaries: &Path) -> Result<()> {
    let context = containers.folder().join("base");
    let mut files = vec![PathBuf::from("/").join(CERTIFICATES)];
    for target in Target::ALL {
        for (name, path) in libraries(&binaries.join(target.name()))? {
            files.extend(path.filter(|_| LIBRARIES.contains(&name.as_str())));
        }
    }
    for file in files {
        let inside = context.join("root").join(file.strip_prefix("/").unwrap_or(&file));
        if let Some(parent) = inside.parent() {
            std::fs::create_dir_all(parent).context("making the folders of the base")?;
        }
        std::fs::copy(&file, &inside)
            .with_context(|| format!("copying {} into the base", file.display()))?;
    }
    let recipe = context.join("Dockerfile");
    std::fs::write(&recipe, "FROM scratch\nCOPY root /\n").context("writing the base's recipe")?;
    containers.build_from(IMAGE, &recipe, &context)
}

/// The loader in the base, for a first program to run.
pub(super) fn loader() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "/lib/ld-linux-aarch64.so.1"
    } else {
        "/lib64/ld-linux-x86-64.so.2"
    }
}
