//! The kube-apiserver, built from the module in `deploy/helm/check/api-server`, which pins the version and everything
//! that goes into it. The binary is kept in the workspace's cache under its version; Go's own caches take some 6 GB.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{ApiServerError, io};
use crate::supervise::Program;
use crate::{Narrate, chart, workspace};

const POLL: Duration = Duration::from_millis(300);
/// News come with every so many packages, of about two thousand.
const NEWS_EVERY: usize = 100;
/// From here on Go fetches a newer Go by itself where it needs one.
const OLDEST_GO: (u32, u32) = (1, 21);

/// What is said of the build in the module.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pinned {
    go: String,
    kubernetes: String,
}

/// The server's binary, built the first time.
pub(super) fn ready(narrate: Narrate<'_>) -> Result<PathBuf, ApiServerError> {
    let module = chart::folder().join("check").join("api-server");
    let file = module.join("go.mod");
    let text = std::fs::read_to_string(&file).map_err(io("reading go.mod"))?;
    let pinned = pinned(&text).ok_or(ApiServerError::NoVersion(file))?;
    let cache = workspace::cache();
    let built = cache.join(format!("kube-apiserver-{}", pinned.kubernetes));
    if built.is_file() {
        return Ok(built);
    }
    check_go(&pinned)?;
    std::fs::create_dir_all(&cache).map_err(io("creating the cache folder"))?;
    let partial = tempfile::Builder::new()
        .prefix("building-")
        .tempdir_in(&cache)
        .map_err(io("creating a folder to build into"))?;
    build(&module, &pinned, partial.path(), narrate)?;
    std::fs::rename(partial.path().join("server"), &built).map_err(io("keeping what was built"))?;
    Ok(built)
}

fn build(
    module: &Path,
    pinned: &Pinned,
    folder: &Path,
    narrate: Narrate<'_>,
) -> Result<(), ApiServerError> {
    let log = folder.join("build.log");
    // What `/version` says; it is in no source.
    let said = format!("-s -w -X k8s.io/component-base/version.gitVersion={}", pinned.kubernetes);
    let mut go = Program::new("go", &log)
        .arguments(["build", "-C"])
        .arguments([module])
        .arguments(["-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", &said, "-o"])
        .arguments([folder.join("server")])
        .arguments(["."])
        .environment([("CGO_ENABLED".to_owned(), "0".to_owned())])
        .start()
        .map_err(io("starting go"))?;
    loop {
        let ended = go.wait(POLL).map_err(io("waiting for go"))?;
        let said_so_far = std::fs::read_to_string(&log).map_err(io("reading the log of go"))?;
        let packages = said_so_far.lines().count();
        let packages = packages - packages % NEWS_EVERY;
        let version = &pinned.kubernetes;
        narrate(&format!(
            "building the kube-apiserver {version}, some minutes the first time: {packages} packages"
        ));
        match ended {
            None => {}
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(ApiServerError::Build { log: go.last_words(15) }),
        }
    }
}

fn check_go(pinned: &Pinned) -> Result<(), ApiServerError> {
    let output = Command::new("go").arg("version").stdin(Stdio::null()).output();
    let found = match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "missing here".to_owned(),
        Err(source) => {
            return Err(ApiServerError::Io { doing: "asking go for its version", source });
        }
    };
    match go_version(&found) {
        Some(version) if version >= OLDEST_GO => Ok(()),
        Some((major, minor)) => {
            let found = format!("{major}.{minor} here");
            Err(ApiServerError::Go { needed: pinned.go.clone(), found })
        }
        None => Err(ApiServerError::Go { needed: pinned.go.clone(), found }),
    }
}

/// `go version go1.26.8 linux/amd64`.
fn go_version(text: &str) -> Option<(u32, u32)> {
    let version = text.strip_prefix("go version go")?;
    let mut numbers = version.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn pinned(module: &str) -> Option<Pinned> {
    let after = |prefix: &str| {
        let mut lines = module.lines().map(str::trim);
        lines.find_map(|line| line.strip_prefix(prefix)).map(str::to_owned)
    };
    Some(Pinned { go: after("go ")?, kubernetes: after("k8s.io/kubernetes ")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_of_the_module() {
        let module = "module m\n\ngo 1.26.0\n\nrequire (\n\tk8s.io/kubernetes v1.36.3\n)\n";
        let expected = Pinned { go: "1.26.0".to_owned(), kubernetes: "v1.36.3".to_owned() };
        assert_eq!(pinned(module), Some(expected));
        assert_eq!(pinned("module m\n\ngo 1.26.0\n"), None);
    }

    #[test]
    fn every_part_of_kubernetes_is_of_the_version_that_is_built() {
        let file = chart::folder().join("check").join("api-server").join("go.mod");
        let text = std::fs::read_to_string(file).unwrap();
        let kubernetes = pinned(&text).unwrap().kubernetes;
        let part = kubernetes.replacen("v1.", "v0.", 1);
        let replaced: Vec<&str> = text.lines().filter(|line| line.contains("=>")).collect();
        assert!(replaced.len() > 20, "{replaced:?}");
        assert!(replaced.iter().all(|line| line.ends_with(&part)), "{part}: {replaced:?}");
    }

    #[test]
    fn reads_the_version_of_go() {
        assert_eq!(go_version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(go_version("go version go1.19 darwin/arm64"), Some((1, 19)));
        assert_eq!(go_version("go: command not found"), None);
    }
}
