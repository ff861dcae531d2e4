//! `deliver trace` tells the truth, and soon.
//!
//! [`fates`] plants ten fates in a running pipeline and asks what became of each; [`speed`] asks for one subscriber
//! among very many records.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, what cannot be had fails it"
)]

mod fates;
mod speed;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use end_to_end::processes::{self, Binary};
use serde_json::Value;

/// `deliver trace`, with these arguments.
fn trace(configuration: &Path, environment: &[(String, String)], arguments: &[&str]) -> Output {
    let mut command = Command::new(processes::path(Binary::Deliver));
    command.arg("trace").args(arguments).arg("--config").arg(configuration);
    command.envs(environment.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.output().unwrap()
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn object(output: &Output) -> Value {
    assert!(output.stdout.starts_with(b"{"), "{}", told(output));
    serde_json::from_slice(&output.stdout).unwrap()
}
