//! Buildah and podman, with a store of their own, so that nothing here meets the machine's other containers.
//!
//! runc, because it also runs where cgroups of both versions are mounted, and lower limits than the usual ones,
//! because raising them is not allowed everywhere. No network of their own: the broker is on the loopback.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use end_to_end::supervise::{Program, Supervised};
use end_to_end::{preflight, workspace};
use serde_json::Value;
use tempfile::TempDir;

use super::base;
use super::verdict::{Facts, Target};
use crate::display::say;

/// How a cluster with restricted pods runs a container, and what this machine needs besides.
const RESTRICTED: [&str; 13] = [
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--network=host",
    // No /dev/shm, which would be a place to write, and a mount to be left behind.
    "--ipc=none",
    "--ulimit=nofile=1000:1000",
    "--ulimit=nproc=1000:1000",
    "--log-driver=none",
    "--pull=never",
    "--rm",
    "--replace",
    "--stop-timeout=5",
];

/// What a container gets beside its command.
#[derive(Debug, Clone, Default)]
pub(super) struct Errand {
    /// Mounted where it is looked for.
    pub(super) configuration: Option<PathBuf>,
    /// Where to keep state: a volume, or nothing that could be written.
    pub(super) state: State,
}

/// Whether a container gets its volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    /// As it takes over the owner of the folder in the image.
    Volume,
    #[default]
    Nowhere,
}

/// Images and containers in a folder of their own, gone with this.
#[derive(Debug)]
pub(super) struct Containers {
    folder: TempDir,
}

/// Whether the tools are there, or can be had.
pub(super) fn installed() -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Err("containers run on Linux only".to_owned());
    }
    preflight::ensure(preflight::CONTAINERS, &|news| say(news)).map_err(|error| error.to_string())
}

impl Containers {
    /// None yet. Podman wants a path of at most fifty letters, so they do not lie in the workspace.
    pub(super) fn none() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("tributary-images-").tempdir();
        Ok(Self { folder: folder.context("making a folder for images")? })
    }

    /// For whatever else is needed only as long as the containers are.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Whether this machine runs a container at all, the loader of the base, which says its version, and lets an
    /// image be looked into, which is root's.
    pub(super) fn work(&self) -> Result<(), String> {
        let mut run = self.run("tributary-probe", &Errand::default());
        run.args(["--entrypoint", base::loader(), base::IMAGE, "--version"]);
        let ran = succeed(&mut run, "a first container");
        let looked = ran.and_then(|_| self.libraries(base::IMAGE, base::loader()));
        looked.map(drop).map_err(|error| format!("{error:#}"))
    }

    /// Builds a target of the recipe with these binaries.
    pub(super) fn build(&self, target: Target, binaries: &Path) -> Result<()> {
        let root = workspace::root();
        let mut build = self.buildah();
        build
            .args(["--target", target.name(), "--tag", target.image()])
            .arg(format!("--build-arg=RUNTIME_IMAGE={}", base::IMAGE))
            .arg(format!("--build-context=binaries={}", binaries.display()))
            .arg("--file")
            .arg(root.join("deploy/Dockerfile"))
            // The runtime stages take nothing from the context; the sources would only be walked through.
            .arg(root.join("deploy"));
        succeed(&mut build, &format!("building the image of {}", target.name())).map(drop)
    }

    /// Builds whatever another recipe says.
    pub(super) fn build_from(&self, image: &str, recipe: &Path, context: &Path) -> Result<()> {
        let mut build = self.buildah();
        build.args(["--tag", image, "--file"]).arg(recipe).arg(context);
        succeed(&mut build, &format!("building {image}")).map(drop)
    }

    /// What there is to know about an image that is to be one of `target`.
    pub(super) fn facts(&self, image: &str, target: Target) -> Result<Facts> {
        let [inspected, base] = [self.inspect(image)?, self.inspect(base::IMAGE)?];
        let size = |it: &Value| it["Size"].as_u64().context("reading the size of an image");
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let labels = inspected["Labels"].as_object().into_iter().flatten();
        Ok(Facts {
            user: text(&inspected["Config"]["User"]),
            entrypoint: inspected["Config"]["Entrypoint"]
                .as_array()
                .map(|words| words.iter().map(text).collect())
                .unwrap_or_default(),
            labels: labels.map(|(name, value)| (name.clone(), text(value))).collect(),
            bytes: size(&inspected)?.saturating_sub(size(&base)?),
            libraries: self.libraries(image, &format!("/{}", target.name()))?,
        })
    }

    /// The names of what a program in an image links.
    fn libraries(&self, image: &str, program: &str) -> Result<Vec<String>> {
        let mounted = succeed(self.podman().args(["image", "mount", image]), "mounting an image")?;
        let linked = libraries(Path::new(&format!("{}{program}", mounted.trim())));
        succeed(self.podman().args(["image", "unmount", image]), "unmounting an image")?;
        Ok(linked?.into_iter().map(|(name, _)| name).collect())
    }

    /// Runs a command of a target that ends by itself, and with 0.
    pub(super) fn finishes(
        &self,
        target: Target,
        errand: &Errand,
        arguments: &[&str],
    ) -> Result<()> {
        let mut run = self.run(&format!("tributary-{}-errand", target.name()), errand);
        run.arg(target.image()).args(arguments);
        let doing = format!("{} {} in a container", target.name(), arguments.join(" "));
        succeed(&mut run, &doing).map(drop)
    }

    /// Starts a target. It is gone with this process.
    pub(super) fn start(
        &self,
        target: Target,
        errand: &Errand,
        arguments: &[&str],
        log: &Path,
    ) -> Result<Supervised> {
        let name = name(target);
        let mut run = self.run(&name, errand);
        run.arg(target.image()).args(arguments);
        let mut remove = self.podman();
        remove.args(["rm", "--force", &name]);
        Program::new(run.get_program(), log)
            .arguments(run.get_args())
            .farewell(shell(&remove))
            .start()
            .with_context(|| format!("starting a container of {}", target.name()))
    }

    /// Asks a target that runs, from inside its container, whether it is well.
    pub(super) fn healthy(&self, target: Target, arguments: &[&str]) -> Result<()> {
        let mut asking = self.podman();
        asking.args(["exec", &name(target), &format!("/{}", target.name())]).args(arguments);
        succeed(&mut asking, &format!("asking {} whether it is healthy", target.name())).map(drop)
    }

    fn inspect(&self, image: &str) -> Result<Value> {
        let text = succeed(self.podman().args(["image", "inspect", image]), "inspecting an image")?;
        let mut all: Vec<Value> = serde_json::from_str(&text).context("reading about an image")?;
        all.pop().with_context(|| format!("there is no image {image}"))
    }

    fn run(&self, name: &str, errand: &Errand) -> Command {
        let mut run = self.podman();
        run.args(["run", "--name", name]).args(RESTRICTED);
        if let Some(file) = &errand.configuration {
            run.arg(format!("--volume={}:/tributary.yaml:ro", file.display()));
        }
        match errand.state {
            State::Volume => {
                run.arg("--volume=tributary-state:/state");
            }
            State::Nowhere => {}
        }
        run
    }

    fn podman(&self) -> Command {
        let mut podman = self.tool("podman");
        podman.args(["--cgroup-manager=cgroupfs", "--runtime=runc"]);
        podman
    }

    fn buildah(&self) -> Command {
        let mut buildah = self.tool("buildah");
        buildah.args(["bud", "--isolation=chroot", "--quiet"]);
        buildah
    }

    /// Whole layers as folders: no file system of the kernel's is asked for.
    fn tool(&self, program: &str) -> Command {
        let mut tool = Command::new(program);
        tool.arg("--root").arg(self.folder.path().join("storage"));
        tool.arg("--runroot").arg(self.folder.path().join("run"));
        tool.arg("--storage-driver=vfs");
        tool
    }
}

fn name(target: Target) -> String {
    format!("tributary-{}", target.name())
}

/// What a program asks the loader for, with the file that it gets.
pub(super) fn libraries(program: &Path) -> Result<Vec<(String, Option<PathBuf>)>> {
    let mut ldd = Command::new("ldd");
    Ok(linked(&succeed(ldd.arg(program), "asking what a binary links")?))
}

fn linked(answer: &str) -> Vec<(String, Option<PathBuf>)> {
    let library = |line: &str| {
        let mut words = line.split_whitespace();
        let first = Path::new(words.next()?);
        let file = if first.is_absolute() { Some(first) } else { words.nth(1).map(Path::new) };
        let name = first.file_name()?.to_string_lossy().into_owned();
        Some((name, file.filter(|file| file.is_absolute()).map(Path::to_path_buf)))
    };
    answer.lines().filter_map(library).collect()
}

/// What it printed, if it ended well.
pub(super) fn succeed(command: &mut Command, doing: &str) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("{doing}: starting"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    ensure!(output.status.success(), "{doing}: {}:\n{said}{complained}", output.status);
    Ok(said)
}

/// The command as a line for a shell.
fn shell(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let quoted = words.map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''")));
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_ldd_says() {
        let answer = "\tlinux-vdso.so.1 (0x00007f84)\n\
                      \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f84)\n\
                      \tlibforeign.so => not found\n\
                      \t/lib64/ld-linux-x86-64.so.2 (0x00007f84)\n";
        let file = |path| Some(PathBuf::from(path));
        let expected = [
            ("linux-vdso.so.1", None),
            ("libc.so.6", file("/lib/x86_64-linux-gnu/libc.so.6")),
            ("libforeign.so", None),
            ("ld-linux-x86-64.so.2", file("/lib64/ld-linux-x86-64.so.2")),
        ];
        assert_eq!(linked(answer), expected.map(|(name, path)| (name.to_owned(), path)));
    }

    #[test]
    fn a_line_for_a_shell_keeps_words_together() {
        let mut command = Command::new("podman");
        command.args(["--root", "/a folder/it's"]);
        assert_eq!(shell(&command), r"'podman' '--root' '/a folder/it'\''s'");
    }
}
