//! Every target over the inputs that are kept for it, and over inputs that resemble them, drawn from a fixed seed: the
//! same on every machine, so that what fails here fails anywhere.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use fuzz::mutate::{Drawn, mutated};
use fuzz::{LONGEST, TARGETS, Target, run};

/// Longer than any input takes on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_mins(1);

/// How much longer the long tests try.
const LONG: u32 = 50;

/// Most bytes of all kept inputs.
const MOST_KEPT: usize = 1 << 20;

thread_local! {
    /// Where the latest panic was, and which promise it broke.
    static BROKEN: RefCell<String> = const { RefCell::new(String::new()) };
}

fn folder(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

/// The kept inputs of a target, by name.
fn kept(of: &str, target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(files) = folder(of).join(target).read_dir() else { return Vec::new() };
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Says where a panic was. What it says may hold a part of the input, unless the target says it.
fn remember_only_where() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let promise = panic.payload_as_str().filter(|_| place.starts_with("fuzz/"));
        let broken = format!("broken at {place}: {}", promise.unwrap_or("a panic"));
        BROKEN.with_borrow_mut(|last| *last = broken);
    }));
}

/// Runs inputs, and keeps the one under way where it is found if the process ends with it.
struct Attempts {
    file: File,
    path: PathBuf,
    begun: Arc<AtomicU64>,
}

impl Attempts {
    fn at(path: PathBuf) -> Self {
        let begun = Arc::new(AtomicU64::new(0));
        Self { file: File::create(&path).unwrap(), path, begun }
    }

    /// Whether the target kept its promises.
    fn passes(&mut self, target: &Target, input: &[u8]) -> bool {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.file.rewind().unwrap();
        self.file.set_len(0).unwrap();
        self.file.write_all(input).unwrap();
        catch_unwind(AssertUnwindSafe(|| run(target, input))).is_ok()
    }

    /// What to do about an input that failed.
    fn told(&self, target: &Target, input: &[u8], name: &str) -> String {
        let path = self.path.with_file_name(format!("{}-{name}", target.name));
        std::fs::write(&path, input).unwrap();
        let broken = BROKEN.with_borrow(String::clone);
        format!(
            "{}: {broken}\n  input: {}\n  again: cargo xtask fuzz --target {} --input {}",
            target.name,
            path.display(),
            target.name,
            path.display()
        )
    }
}

/// Ends the process when an input takes for ever. The returned end stops the watch when it is dropped.
#[expect(clippy::print_stderr, reason = "the process ends without its report")]
fn watch(attempts: &Attempts) -> mpsc::SyncSender<()> {
    let (stop, stopped) = mpsc::sync_channel::<()>(0);
    let (begun, path) = (Arc::clone(&attempts.begun), attempts.path.clone());
    std::thread::spawn(move || {
        let mut seen = 0;
        while stopped.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            let now = begun.load(Ordering::Relaxed);
            if now == seen {
                eprintln!("an input takes for ever: {}", path.display());
                std::process::abort();
            }
            seen = now;
        }
    });
    stop
}

/// The first failure of a target, if there is one.
fn attempt(target: &Target, attempts: &mut Attempts, tries: u32) -> Option<String> {
    let kept: Vec<_> =
        ["regressions", "corpus"].into_iter().flat_map(|of| kept(of, target.name)).collect();
    for (path, input) in &kept {
        if !attempts.passes(target, input) {
            let name = path.file_name().unwrap().to_string_lossy();
            return Some(attempts.told(target, input, &name));
        }
    }
    let seed = std::env::var("TRIBUTARY_FUZZ_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut drawn = Drawn::from(seed);
    for number in 0..tries {
        let (_, input) = drawn.one_of(&kept)?;
        let (_, other) = drawn.one_of(&kept)?;
        let input = mutated(input, other, target.shape, LONGEST, &mut drawn);
        if !attempts.passes(target, &input) {
            return Some(attempts.told(target, &input, &format!("{seed}-{number}")));
        }
    }
    None
}

/// One test, because what an input takes in memory is that of the process.
#[test]
fn every_target_keeps_its_promises() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    std::fs::create_dir_all(&folder).unwrap();
    let mut attempts = Attempts::at(folder.join("under-way"));
    println!("the input under way: {}", attempts.path.display());
    let watch = watch(&attempts);
    remember_only_where();
    let times = if std::env::var_os("TRIBUTARY_LONG_TESTS").is_some() { LONG } else { 1 };
    let failures: Vec<String> = TARGETS
        .iter()
        .filter_map(|target| attempt(target, &mut attempts, target.tries * times))
        .collect();
    drop(watch);
    drop(std::panic::take_hook());
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_target_has_inputs_and_no_inputs_are_without_a_target() {
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    let folders: Vec<String> = folder("corpus")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, folders.iter().map(String::as_str).collect());
    let kept = names.iter().flat_map(|name| kept("corpus", name));
    let bytes: usize = kept.map(|(_, input)| input.len()).sum();
    assert!((1..MOST_KEPT).contains(&bytes), "{bytes}");
    for name in names {
        assert!(!self::kept("corpus", name).is_empty(), "{name}");
    }
}
