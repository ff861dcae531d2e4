//! `deliver test-transform` as a pipeline of one's own calls it: the program itself, without a configuration, by what it
//! says and how it exits. Handlers run in a process of their own here, as they do in production.

use std::path::PathBuf;
use std::process::{Command, Output};

/// An empty folder with a handler in it.
struct Folder(PathBuf);

impl Folder {
    fn with(name: &str, code: &str) -> std::io::Result<Self> {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("handler.js"), code)?;
        Ok(Self(folder))
    }

    fn try_out(&self, further: &[&str]) -> std::io::Result<(Option<i32>, String)> {
        let arguments = ["test-transform", "handler.js"].iter().chain(further);
        let program = env!("CARGO_BIN_EXE_deliver");
        let Output { status, stdout, stderr } =
            Command::new(program).args(arguments).current_dir(&self.0).env_clear().output()?;
        let said = [stdout, stderr].concat();
        Ok((status.code(), String::from_utf8_lossy(&said).into_owned()))
    }
}

const AS_IT_IS: &str = "function handler(webhook) { return webhook; }";

#[test]
fn a_handler_that_fails_for_nothing_exits_with_zero() {
    let (code, said) = Folder::with("as-it-is", AS_IT_IS).unwrap().try_out(&[]).unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("customerio: as_mapped") && said.contains(", 0 failed,"), "{said}");
}

#[test]
fn one_that_throws_or_takes_too_much_exits_with_one_and_says_where() {
    for (name, statement, message) in [
        ("throws", "console.log('so far'); webhook.payload.nothing.there;", "handler.js:2:"),
        ("loops", "for (const n = 7n ** 300000n; ;) n.toString(10);", "it does not end"),
        ("allocates", "const all = []; for (;;) all.push(new ArrayBuffer(1 << 20));", "32 MiB"),
    ] {
        let code = format!(
            "function handler(webhook) {{\n  if (webhook.eventType === 'payment.succeeded') {{ {statement} }}\n  return webhook;\n}}"
        );
        let folder = Folder::with(name, &code).unwrap();
        let (code, said) = folder.try_out(&["--source", "dodo"]).unwrap();
        assert_eq!(code, Some(1), "{name}: {said}");
        assert!(said.contains(message), "{name}: {said}");
        assert_eq!(said.contains("console: so far"), name == "throws", "{said}");
    }
    let (code, said) = Folder::with("syntax", "function handler( {").unwrap().try_out(&[]).unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("handler.js:1:"), "{said}");
}

#[test]
fn a_payload_that_is_none_fails_as_it_would_be_parked() {
    let folder = Folder::with("payload", AS_IT_IS).unwrap();
    std::fs::write(folder.0.join("broken.json"), r#"{"type": "#).unwrap();
    let (code, said) = folder.try_out(&["--source", "dodo", "broken.json"]).unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 of 1 would be parked"), "{said}");
}

#[test]
fn what_is_not_there_is_a_mistake_of_the_command_line() {
    let folder = Folder::with("usage", AS_IT_IS).unwrap();
    for further in [
        ["--source", "nobody"].as_slice(),
        &["--destination", "nobody"],
        &["payload.json"],
        &["--source", "dodo", "missing.json"],
    ] {
        let (code, said) = folder.try_out(further).unwrap();
        assert_eq!(code, Some(64), "{further:?}: {said}");
    }
}
