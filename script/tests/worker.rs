//! Scripts in a process of their own: what an engine cannot end, the kernel does.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use script::{Ambient, Kind, Limits, Script, Worker};

const AMBIENT: Ambient = Ambient { now_millis: 0, seed: 0 };

fn worker(text: &str) -> Worker {
    let script = Script::read("a.js", text, Limits::default()).unwrap();
    Worker::new(env!("CARGO_BIN_EXE_script-worker").into(), [], script)
}

#[test]
fn answers_as_the_script_itself_does() {
    let text = "function handler(w) {\n  if (w === null) throw new Error('a\\nb é');\n  return [w, Math.random()];\n}";
    let script = Script::read("a.js", text, Limits::default()).unwrap();
    let mut worker = worker(text);
    for input in ["1", "null", r#"{"a":"\n\u0000"}"#, "null", "[]"] {
        assert_eq!(worker.call(input, AMBIENT), script.call(input, AMBIENT), "{input}");
    }
}

#[test]
fn what_no_engine_ends_is_ended_and_the_next_call_answered() {
    let text = "function handler(w) {\n  if (w === 1) for (const n = 7n ** 300000n; ;) n.toString(10);\n  return w;\n}";
    let mut worker = worker(text);
    assert_eq!(worker.call("0", AMBIENT).unwrap().json, "0");
    let fault = worker.call("1", AMBIENT).unwrap_err();
    assert_eq!(fault.kind, Kind::Ended, "{fault}");
    assert_eq!(worker.call("2", AMBIENT).unwrap().json, "2");
}

#[test]
fn a_program_that_is_none_is_a_fault() {
    let script = Script::read("a.js", "function handler(w) {}", Limits::default()).unwrap();
    let mut worker = Worker::new("no-such-program".into(), [], script);
    assert_eq!(worker.call("0", AMBIENT).unwrap_err().kind, Kind::Lost);
}
