//! What a handler may do, and that nothing of the machine shows in what it gives.

use script::{Ambient, Fault, Kind, Limits, Script};

const AMBIENT: Ambient = Ambient { now_millis: 1_780_000_000_123, seed: 7 };

fn call(text: &str, input: &str) -> Result<String, Fault> {
    let script = Script::read("a.js", text, Limits::default())?;
    Ok(script.call(input, AMBIENT)?.json)
}

/// What the expression is, in JSON.
fn is(expression: &str) -> String {
    call(&format!("function handler() {{ return [{expression}]; }}"), "null")
        .unwrap_or_else(|fault| fault.to_string())
}

#[test]
fn a_handler_returns_what_it_was_given_and_changed() {
    let text = "function handler(webhook) { webhook.cancel = webhook.n > 1; return webhook; }";
    assert_eq!(call(text, r#"{"n":2}"#).unwrap(), r#"{"n":2,"cancel":true}"#);
    let text = "const handler = (webhook) => ({ ...webhook, seen: true });";
    assert_eq!(call(text, r#"{"n":2}"#).unwrap(), r#"{"n":2,"seen":true}"#);
}

#[test]
fn what_is_wrong_is_named_with_line_and_column() {
    let fault = call("function handler(webhook) {\n  return webhook.a.b;\n}\n", "{}").unwrap_err();
    assert_eq!(fault.kind, Kind::Threw);
    assert_eq!(fault.at.map(|at| at.line), Some(2), "{fault}");
    assert!(fault.message.starts_with("TypeError: "), "{fault}");
    let fault = call("function handler(webhook) {\n  return 1 +;\n}\n", "{}").unwrap_err();
    assert_eq!((fault.kind, fault.at.map(|at| at.line)), (Kind::Syntax, Some(2)), "{fault}");
    let fault = call("function other() {}", "{}").unwrap_err();
    assert_eq!((fault.kind, fault.at), (Kind::NoHandler, None), "{fault}");
    let fault = call("missing();\nfunction handler() {}", "{}").unwrap_err();
    assert_eq!((fault.kind, fault.at.map(|at| at.line)), (Kind::Threw, Some(1)), "{fault}");
    let fault = call("function handler() { throw 'no'; }", "{}").unwrap_err();
    assert_eq!((fault.kind, fault.message.as_str()), (Kind::Threw, "it threw no"));
}

#[test]
fn what_json_cannot_say_is_refused() {
    for (text, kind) in [
        ("function handler() {}", Kind::Nonsense),
        ("function handler() { return handler; }", Kind::Nonsense),
        ("function handler() { return Symbol(); }", Kind::Nonsense),
        ("async function handler(webhook) { return webhook; }", Kind::Nonsense),
        ("function handler() { return 1n; }", Kind::Threw),
        ("function handler(webhook) { webhook.me = webhook; return webhook; }", Kind::Threw),
        ("function handler() { return 'x'.repeat(2 << 20); }", Kind::Nonsense),
    ] {
        assert_eq!(call(text, "{}").unwrap_err().kind, kind, "{text}");
    }
}

#[test]
fn the_clock_and_the_randomness_are_given() {
    assert_eq!(
        is("Date.now(), new Date().getTime(), +new Date()"),
        "[1780000000123,1780000000123,1780000000123]"
    );
    assert_eq!(is("new Date()"), r#"["2026-05-28T20:26:40.123Z"]"#);
    let random = is("Math.random(), Math.random()");
    assert_eq!(random, is("Math.random(), Math.random()"));
    assert_ne!(is("Math.random()"), is("(Math.random(), Math.random())"));
    let script =
        Script::read("a.js", "function handler() { return Math.random(); }", Limits::default());
    let other = script.unwrap().call("null", Ambient { seed: 8, ..AMBIENT }).unwrap().json;
    assert_ne!(format!("[{other}]"), is("Math.random()"));
}

#[test]
fn local_time_is_utc() {
    for (expression, value) in [
        ("new Date('2026-01-15T10:00:00').toISOString()", r#""2026-01-15T10:00:00.000Z""#),
        ("new Date('2026-01-15').toISOString()", r#""2026-01-15T00:00:00.000Z""#),
        ("new Date('2026-01-15T10:00:00+02:00').toISOString()", r#""2026-01-15T08:00:00.000Z""#),
        ("new Date('Jan 15 2026 10:00').toISOString()", r#""2026-01-15T10:00:00.000Z""#),
        ("new Date('Thu, 15 Jan 2026 10:00:00 GMT').getHours()", "10"),
        ("new Date(2026, 0, 15, 10).toISOString()", r#""2026-01-15T10:00:00.000Z""#),
        ("new Date(0).getTimezoneOffset()", "0"),
        (
            "new Date(0).toString()",
            r#""Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)""#,
        ),
        ("new Date('nonsense').toString()", r#""Invalid Date""#),
        ("typeof Date()", r#""string""#),
        ("new Date(new Date(5)).getTime()", "5"),
        ("new Date(0) instanceof Date && new Date(0).constructor === Date", "true"),
        ("new (class extends Date { later() { return this.getTime() + 1; } })(1).later()", "2"),
        ("Date.parse('2026-01-15T10:00:00Z')", "1768471200000"),
    ] {
        assert_eq!(is(expression), format!("[{value}]"), "{expression}");
    }
}

#[test]
fn nothing_of_the_outside_is_within_reach() {
    for name in [
        "require",
        "process",
        "fetch",
        "XMLHttpRequest",
        "WebSocket",
        "setTimeout",
        "setInterval",
        "std",
        "os",
        "module",
        "exports",
        "Deno",
        "performance",
        "WeakRef",
        "FinalizationRegistry",
        "Atomics",
        "print",
        "SharedArrayBuffer",
        "queueMicrotask",
        "navigator",
        "gc",
        "scriptArgs",
        "importScripts",
        "Worker",
    ] {
        assert_eq!(is(&format!("typeof {name}")), r#"["undefined"]"#, "{name}");
    }
    let imports = "import('fs').then(() => { throw 1 }), import('./a.js'), 1";
    assert_eq!(is(&format!("({imports})")), "[1]", "nothing that is put off is done");
    assert!(call("import fs from 'fs';\nfunction handler() {}", "{}").is_err());
}

#[test]
fn the_machines_own_clock_stays_out_of_reach() {
    for way in [
        "new Date().constructor.now()",
        "Object.getPrototypeOf(new Date()).constructor.now()",
        "new (Function('return Date')())().getTime()",
        "(0, eval)('Date').now()",
        "Reflect.construct(Date, []).getTime()",
        "Reflect.construct(Object, [], Date).constructor.now()",
    ] {
        assert_eq!(is(way), "[1780000000123]", "{way}");
    }
    // Whoever gets hold of the functions on the stack gets hold of what is hidden below them.
    let stack = "Error.prepareStackTrace = (error, frames) => frames;\n\
        function handler() {\n\
          const found = [];\n\
          const look = { valueOf() { found.push(new Error().stack); return 1; } };\n\
          new Date(look); Date.UTC(look); new Date(1, look);\n\
          return found.map((stack) => typeof stack);\n\
        }";
    assert_eq!(call(stack, "{}").unwrap(), r#"["string","string","string"]"#);
}

#[test]
fn the_next_call_sees_nothing_of_the_last() {
    let text = "var calls = 0;\n\
        function handler() {\n\
          calls += 1;\n\
          Object.prototype.polluted = (Object.prototype.polluted || 0) + 1;\n\
          return [calls, ({}).polluted];\n\
        }";
    let script = Script::read("a.js", text, Limits::default()).unwrap();
    for _ in 0..3 {
        assert_eq!(script.call("{}", AMBIENT).unwrap().json, "[1,1]");
    }
}

#[test]
fn tampering_with_what_everybody_inherits_harms_the_script_alone() {
    for text in [
        "JSON.stringify = JSON.parse = () => { throw 1 }; function handler(w) { return w; }",
        "Object.prototype.toJSON = function () { return this; }; function handler(w) { return w; }",
        "Array.prototype.map = Array.prototype.push = null; function handler(w) { return w; }",
        "globalThis.Object = globalThis.Reflect = null; function handler(w) { return w; }",
        "delete Function.prototype.call; function handler(w) { Date.now(); return w; }",
        "Object.freeze(globalThis); function handler(w) { return w; }",
        "RegExp.prototype.exec = () => { throw 1 }; function handler(w) { return w; }",
    ] {
        assert_eq!(call(text, r#"{"n":1}"#).unwrap(), r#"{"n":1}"#, "{text}");
    }
    let proto = "function handler(w) { w.__proto__ = { url: 'x' }; return w; }";
    assert_eq!(call(proto, "{}").unwrap(), "{}", "what is inherited is not said");
    let own = r#"{"__proto__":{"url":"x"},"constructor":1}"#;
    assert_eq!(call("function handler(w) { return w; }", own).unwrap(), own);
}

#[test]
fn what_is_written_to_the_console_is_kept_up_to_a_limit() {
    let text =
        "function handler(w) { for (let i = 0; i < 500; i++) console.log('n', i); return w; }";
    let script = Script::read("a.js", text, Limits::default()).unwrap();
    let output = script.call("{}", AMBIENT).unwrap();
    assert_eq!((output.console.len(), output.console[1].as_str()), (100, "n 1"));
    assert!(!format!("{output:?}").contains("n 1"));
}

#[test]
fn nothing_that_a_script_changes_makes_the_console_keep_more_or_give_it_away() {
    let text = "let got = 0;
        Object.defineProperty(Array.prototype, 0, { set(v) { got += 1; } });
        Object.defineProperty(Object.prototype, 0, { set(v) { got += 1; } });
        String.prototype.slice = Array.prototype.join = () => 'x'.repeat(1 << 20);
        Array.prototype.map = function () { return this; };
        function handler(w) {
          for (let i = 0; i < 200; i++) console.log('y'.repeat(1 << 16), i);
          return got;
        }";
    let script = Script::read("a.js", text, Limits::default()).unwrap();
    let output = script.call("{}", AMBIENT).unwrap();
    assert_eq!(output.json, "0");
    assert_eq!(output.console.len(), 100);
    assert!(output.console.iter().all(|line| *line == "y".repeat(1000)));
}

#[test]
fn what_was_written_to_the_console_is_there_also_where_the_handler_fails() {
    let text = "function handler(w) { console.log('so far', w); throw new Error('no'); }";
    let script = Script::read("a.js", text, Limits::default()).unwrap();
    let fault = script.call("1", AMBIENT).unwrap_err();
    assert_eq!(fault.console, ["so far 1"]);
}

#[test]
fn what_of_the_event_is_looked_at_is_noted() {
    let looked_at = |statements: &str| {
        let text = format!("function handler(webhook) {{ {statements}; return webhook; }}");
        let script = Script::read("a.js", &text, Limits::default()).unwrap();
        let input = r#"{"payload":{"type":"a"},"event":{"type":"b","subscriber":{"id":"c"}}}"#;
        script.call(input, AMBIENT).unwrap().looked_at
    };
    assert_eq!(looked_at("webhook.payload.type"), [""; 0]);
    assert_eq!(looked_at("const { event } = webhook; webhook = { ...webhook, event }"), [""; 0]);
    assert_eq!(looked_at("webhook.event.subscriber.id"), ["subscriber"]);
    assert_eq!(looked_at("const { type, gone } = webhook.event"), ["type", "gone"]);
    assert_eq!(looked_at("'money' in webhook.event"), ["money"]);
    assert!(looked_at("Object.keys(webhook.event)").contains(&"*".to_owned()));
    assert!(looked_at("JSON.stringify(webhook)").contains(&"*".to_owned()));
    assert_eq!(looked_at("webhook = null"), [""; 0]);
    let many = looked_at("for (let i = 0; i < 1e4; i++) webhook.event['a' + i]");
    assert_eq!((many.len(), many.last().map(String::as_str)), (65, Some("*")));
}
