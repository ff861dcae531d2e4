//! What is wrong on purpose, and must be found: a root user, a foreign library, line tables, a need to write.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::containers::{Containers, Errand, State, succeed};
use super::verdict::{Target, faults};

const IMAGE: &str = "localhost/tributary-planted";

/// Everything that is planted is found. The configuration is one that `transform` can run with.
pub(super) fn check(containers: &Containers, configuration: PathBuf) -> Result<()> {
    let context = containers.folder().join("planted");
    std::fs::create_dir_all(&context).context("making a folder for planted faults")?;
    found(containers, &context, "USER 0", "it runs as")?;
    foreign(&context)?;
    found(containers, &context, "COPY ingest /ingest", "it links libforeign.so")?;
    let own = std::env::current_exe().context("finding this program")?;
    std::fs::copy(own.with_file_name("ingest"), context.join("ingest"))
        .context("copying a binary with its line tables")?;
    found(containers, &context, "COPY ingest /ingest", "it weighs")?;
    // The same that was ready with a volume: without one there is no place to write.
    let errand = Errand { configuration: Some(configuration), state: State::Nowhere };
    let error = containers.finishes(Target::Transform, &errand, &["run"]).err();
    let error = error.context("transform ran without a place to write")?;
    ensure!(format!("{error:#}").contains("Read-only file system"), "{error:#}");
    Ok(())
}

/// An image of `ingest` with one more instruction has this wrong with it.
fn found(containers: &Containers, context: &Path, instruction: &str, fault: &str) -> Result<()> {
    let recipe = context.join("Dockerfile");
    let text = format!("FROM {}\n{instruction}\n", Target::Ingest.image());
    std::fs::write(&recipe, text).context("writing a planted fault")?;
    containers.build_from(IMAGE, &recipe, context)?;
    let faults = faults(Target::Ingest, &containers.facts(IMAGE, Target::Ingest)?);
    ensure!(
        faults.iter().any(|it| it.starts_with(fault)),
        "after `{instruction}` nothing says `{fault}`: {faults:?}"
    );
    Ok(())
}

/// A binary `ingest` that links what no base holds.
fn foreign(context: &Path) -> Result<()> {
    let [library, program] = ["foreign.c", "ingest.c"].map(|name| context.join(name));
    std::fs::write(&library, "int foreign(void) { return 0; }\n").context("writing a library")?;
    std::fs::write(&program, "int foreign(void); int main(void) { return foreign(); }\n")
        .context("writing a program")?;
    let mut cc = Command::new("cc");
    cc.current_dir(context).args(["-shared", "-o", "libforeign.so", "foreign.c"]);
    succeed(&mut cc, "compiling a library")?;
    let mut cc = Command::new("cc");
    cc.current_dir(context).args(["-o", "ingest", "ingest.c", "-L.", "-lforeign"]);
    succeed(&mut cc, "compiling a program that links it").map(drop)
}
