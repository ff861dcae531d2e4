//! Scripts in a process of their own: what an engine cannot end, the kernel does.

use std::ffi::OsStr;

use script::{Ambient, Fault, Kind, Limits, Script, Unread, Worker};

const AMBIENT: Ambient = Ambient { now_millis: 0, seed: 0 };

fn begun(program: &str, text: &str) -> Result<Worker, Fault> {
    let script = Unread { name: "a.js", text, limits: Limits::default() };
    Worker::read(program.into(), [], script)
}

fn with(argument: &OsStr) -> Result<Worker, Fault> {
    let script = Unread {
        name: "a.js",
        text: "function handler(w) { return w; }",
        limits: Limits::default(),
    };
    Worker::read(env!("CARGO_BIN_EXE_script-worker").into(), [argument.to_owned()], script)
}

fn read(text: &str) -> Result<Worker, Fault> {
    begun(env!("CARGO_BIN_EXE_script-worker"), text)
}

#[test]
fn answers_as_the_script_itself_does() {
    let text = "function handler(w) {\n  if (w === null) throw new Error('a\\nb é');\n  return [w, Math.random()];\n}";
    let script = Script::read("a.js", text, Limits::default()).unwrap();
    let mut worker = read(text).unwrap();
    for input in ["1", "null", r#"{"a":"\n\u0000"}"#, "null", "[]"] {
        assert_eq!(worker.call(input, AMBIENT), script.call(input, AMBIENT), "{input}");
    }
}

#[test]
fn what_no_engine_ends_is_ended_and_the_next_call_answered() {
    for endless in
        ["for (const n = 7n ** 300000n; ;) n.toString(10);", "new Array(2 ** 32 - 1).join('');"]
    {
        let text = format!("function handler(w) {{\n  if (w === 1) {endless}\n  return w;\n}}");
        let mut worker = read(&text).unwrap();
        assert_eq!(worker.call("0", AMBIENT).unwrap().json, "0");
        let fault = worker.call("1", AMBIENT).unwrap_err();
        assert_eq!(fault.kind, Kind::Ended, "{fault}");
        assert_eq!(worker.call("2", AMBIENT).unwrap().json, "2");
    }
}

#[test]
fn what_is_no_script_is_refused_and_never_read_in_the_process_that_asks() {
    for text in ["function handler(w) { return 1 +; }", "function other() {}", "missing();"] {
        let here = Script::read("a.js", text, Limits::default()).unwrap_err();
        assert_eq!(read(text).unwrap_err(), here, "{text}");
    }
    let endless = "for (const n = 7n ** 300000n; ;) n.toString(10);\nfunction handler(w) {}";
    assert_eq!(read(endless).unwrap_err().kind, Kind::Ended);
}

#[test]
fn a_process_that_was_gone_costs_no_call_and_one_that_is_gone_again_is_at_fault() {
    let name = format!("script-worker-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    std::fs::write(&file, "").unwrap();
    let mut worker = with(file.as_os_str()).unwrap();
    assert!(!file.exists());
    assert_eq!(worker.call("1", AMBIENT).unwrap().json, "1");
    let fault = with(OsStr::new("gone")).unwrap().call("1", AMBIENT).unwrap_err();
    assert_eq!(fault.kind, Kind::Ended, "{fault}");
}

#[test]
fn a_program_that_is_none_is_a_fault() {
    let fault = begun("no-such-program", "function handler(w) {}").unwrap_err();
    assert_eq!(fault.kind, Kind::Lost);
    assert!(fault.message.contains("cannot be begun"), "{fault}");
}
