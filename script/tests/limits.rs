//! What does not end by itself is ended, and the process stays.

#![expect(clippy::unwrap_used, reason = "in a test, what cannot be had fails it")]

use script::{Ambient, Fault, Kind, Limits, Script};

const AMBIENT: Ambient = Ambient { now_millis: 0, seed: 0 };
const HARMLESS: &str = "function handler(webhook) { return webhook; }";

fn fault(text: &str) -> Fault {
    let script = Script::read("a.js", text, Limits::default());
    script.and_then(|script| script.call("{}", AMBIENT)).unwrap_err()
}

fn body(statements: &str) -> String {
    format!("function handler(webhook) {{\n{statements}\n}}")
}

#[test]
fn what_loops_is_ended() {
    for loops in [
        "for (;;);",
        "for (;;) { try { for (;;); } catch {} }",
        "for (;;) { try { for (;;); } finally { continue; } }",
        "/(a+)+$/.test('a'.repeat(40) + 'b');",
        "[3, 2, 1].sort(() => { for (;;); });",
        "return { toJSON() { for (;;); } };",
        "return new Proxy({}, { ownKeys() { for (;;); } });",
        "throw { toString() { for (;;); } };",
        "const error = new Error(); Object.defineProperty(error, 'message', { get() { for (;;); } }); throw error;",
        "function* g() { for (;;) yield 1; } for (const one of g()); ",
        "new Function('for (;;);')();",
    ] {
        let fault = fault(&body(loops));
        assert_eq!(fault.kind, Kind::TimedOut, "{loops}: {fault}");
    }
    assert_eq!(fault("for (;;);").kind, Kind::TimedOut, "also before it is called");
    assert!(fault(&body("for (;;);")).at.is_some(), "the function is named, if not the line in it");
}

#[test]
fn what_allocates_without_end_is_ended() {
    for allocates in [
        "return new ArrayBuffer(1 << 30);",
        "return 'x'.repeat(1 << 29) + 'y';",
        "const all = []; for (;;) all.push(new Array(1000).fill(0));",
        "let text = 'x'; for (;;) text += text + '!';",
        "const all = []; for (;;) { try { for (;;) all.push({}); } catch {} }",
        "let chain = null; for (;;) chain = { chain };",
        "return new Array(1 << 28).fill(1);",
        "const map = new Map(); for (let i = 0; ; i++) map.set(i, { i });",
        "return JSON.parse('[' + '1,'.repeat(8 << 20) + '1]');",
    ] {
        let fault = fault(&body(allocates));
        let ended = matches!(fault.kind, Kind::OutOfMemory | Kind::TimedOut | Kind::Threw);
        assert!(ended, "{allocates}: {fault}");
    }
    let fault = fault(&body("const all = [];\nfor (;;) all.push(new ArrayBuffer(1 << 20));"));
    assert_eq!(fault.kind, Kind::OutOfMemory, "{fault}");
}

#[test]
fn what_calls_itself_without_end_is_ended() {
    for deep in [
        "return handler(webhook);",
        "const f = () => f(); f();",
        "const a = []; a.toString = () => String(a) + '!'; return String(a);",
        "let deep = []; for (let i = 0; i < 100000; i++) deep = [deep]; return deep;",
        "return JSON.parse('['.repeat(100000) + ']'.repeat(100000));",
        "return eval('('.repeat(100000) + '1' + ')'.repeat(100000));",
        "return new RegExp('('.repeat(100000) + ')'.repeat(100000)).test('');",
        "const p = new Proxy({}, { get: (t, k, r) => r[k] }); return p.x;",
    ] {
        let fault = fault(&body(deep));
        let ended = matches!(fault.kind, Kind::TooDeep | Kind::Threw | Kind::OutOfMemory);
        assert!(ended, "{deep}: {fault}");
    }
    assert_eq!(fault(&body("return handler(webhook);")).kind, Kind::TooDeep);
}

/// Memory runs out at every place where it can: nothing that is left over ends the process.
#[test]
fn the_process_stays_wherever_memory_runs_out() {
    let scripts = [
        HARMLESS.to_owned(),
        body("webhook.a = [1, 2, { b: 'c' }].map((x) => String(x)); return webhook;"),
        body(
            "return new Map([[1, new Date()]]).size + /a(b)/.exec('ab')[1] + [...'xyz'].sort().join();",
        ),
        body(
            "class A { #b = 1; get b() { return this.#b; } } return Object.assign(new A(), { c: new A().b });",
        ),
        body(
            "function* g() { yield* [1, 2]; } const { a, ...b } = { a: 1, c: [...g()] }; return b;",
        ),
        body("try { null.x; } catch (error) { return error.stack + error.message; }"),
        body("return JSON.parse(JSON.stringify({ deep: [[[{}]]], text: 'é'.repeat(100) }));"),
        body("return new Proxy({ a: 1 }, { ownKeys: () => ['a'] });"),
        body("return (1n << 5000n).toString() + new Uint8Array(64).join();"),
        body("async function f() { await 1; } f(); return Promise.all([1, 2]) && {};"),
        body(
            "return 'a-b-c'.replace(/-(.)/g, (_, x) => x.toUpperCase()).split('').entries().toArray();",
        ),
    ];
    let input = r#"{"payload":{"data":{"customer":{"email":"ada@example.com"},"total":1200}}}"#;
    let mut ended = [0_u32; 2];
    for text in &scripts {
        let script = Script::read("a.js", text, Limits::default()).unwrap();
        assert!(script.call(input, AMBIENT).is_ok(), "{text}");
        for memory in (60_000..420_000).step_by(1_999) {
            let limits = Limits { memory, ..Limits::default() };
            let called =
                Script::read("a.js", text, limits).and_then(|script| script.call(input, AMBIENT));
            ended[usize::from(called.is_ok())] += 1;
        }
    }
    assert!(ended.iter().all(|count| *count > 50), "memory ran out and did not: {ended:?}");
}
