//! The process in which scripts run, for the tests here: `deliver` is the same to itself.
//!
//! With the argument `gone` it ends when it has read the script; with a file, once, and takes the file away.

use std::io::{BufRead, stdin, stdout};

fn main() -> std::io::Result<()> {
    let argument = std::env::args_os().nth(1);
    let is_gone = argument.is_some_and(|one| one == "gone" || std::fs::remove_file(one).is_ok());
    if is_gone {
        let mut first = String::new();
        stdin().lock().read_line(&mut first)?;
        return script::serve(first.as_bytes(), stdout().lock());
    }
    script::serve(stdin().lock(), stdout().lock())
}
