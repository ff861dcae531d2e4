//! One target under libFuzzer: `cargo xtask fuzz` builds and starts it.

#![no_main]

use std::sync::OnceLock;

use fuzz::mutate::{Drawn, mutated};
use fuzz::{Target, target};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

/// Names the target; the engine's own arguments are the command line.
const VARIABLE: &str = "TRIBUTARY_FUZZ_TARGET";

static CHOSEN: OnceLock<&'static Target> = OnceLock::new();

#[expect(clippy::print_stderr, reason = "the program of a command for developers")]
fn chosen() -> &'static Target {
    CHOSEN.get_or_init(|| {
        let name = std::env::var(VARIABLE).unwrap_or_default();
        target(&name).unwrap_or_else(|| {
            eprintln!("{VARIABLE} names no target");
            std::process::exit(64)
        })
    })
}

/// Says where a promise was broken, and which: sentences of the source and nothing of the input. Where the code under
/// test panics, what it says may hold some.
#[expect(clippy::print_stderr, reason = "the program of a command for developers")]
fn hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let promise = panic.payload_as_str().filter(|_| place.starts_with("fuzz/"));
        eprintln!("broken at {place}: {}", promise.unwrap_or("a panic"));
        std::process::abort();
    }));
}

fuzz_target!(init: hook(), |input: &[u8]| {
    fuzz::run(chosen(), input);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut drawn = Drawn::from(u64::from(seed));
    if drawn.below(3) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let input = data[..size].to_vec();
    let changed = mutated(&input, &input, chosen().shape, max_size.min(data.len()), &mut drawn);
    data[..changed.len()].copy_from_slice(&changed);
    changed.len()
});
