//! Random handlers with random payloads: whatever they do, they are answered, no engine breaks down, what they give is
//! JSON and the same again. `PROPTEST_CASES` says how many.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;
use script::{Ambient, Fault, Kind, Limits, Output, Unread, Worker};

const AMBIENT: Ambient = Ambient { now_millis: 1_780_000_000_000, seed: 7 };

static LEAVES: [&str; 34] = [
    "webhook",
    "webhook.payload",
    "webhook.event",
    "handler",
    "arguments",
    "this",
    "null",
    "undefined",
    "NaN",
    "-0",
    "1",
    "0.1",
    "1e308",
    "2 ** 53",
    "4294967295",
    "10n",
    "(1n << 4000n)",
    "''",
    "'text'",
    "'\\ud800'",
    "'é'.repeat(9)",
    "[]",
    "[1, , 3]",
    "{}",
    "/(a+)+b/g",
    "Symbol.iterator",
    "new Date()",
    "Math.random()",
    "new Error('x')",
    "new Map([[1, 2]])",
    "new Uint8Array(8)",
    "globalThis",
    "(() => {})",
    "Promise.resolve(1)",
];

static CALLS: [&str; 40] = [
    "String($)",
    "Number($)",
    "JSON.stringify($)",
    "JSON.parse($)",
    "Object.keys($)",
    "Object.assign({}, $)",
    "Object.freeze($)",
    "Object.create($)",
    "Object.setPrototypeOf({}, $)",
    "Reflect.ownKeys($)",
    "Array.from($)",
    "new Array($)",
    "[...$]",
    "({ ...$ })",
    "[$].flat(9)",
    "[3, 1, 2].sort($)",
    "[1, 2].map($)",
    "[1].reduce($)",
    "new Proxy($, {})",
    "new Proxy({}, $)",
    "new Set($)",
    "new ArrayBuffer($)",
    "'abc'.replace(/b/, $)",
    "'a'.repeat($)",
    "'a'.padEnd($, 'xyz')",
    "$.toString()",
    "$.length",
    "$[0]",
    "$.a.b",
    "$()",
    "new $()",
    "typeof $",
    "await_($)",
    "($ instanceof Object)",
    "eval($)",
    "Function($)",
    "new Date($)",
    "$.toFixed(2)",
    "Symbol($)",
    "structured($)",
];

static STATEMENTS: [&str; 26] = [
    "webhook.payload = $;",
    "webhook.url = $;",
    "webhook.cancel = $;",
    "webhook[$] = $;",
    "return $;",
    "return [webhook, $];",
    "return { toJSON() { return $; } };",
    "return { get url() { return $; } };",
    "throw $;",
    "try { $; } catch (error) { webhook.error = error.stack; }",
    "try { throw $; } finally { $; }",
    "for (let i = 0; i < 50; i++) { $; }",
    "for (const one of $) { $; }",
    "for (const key in $) { webhook[key] = $; }",
    "for (;;) { $; }",
    "let all = []; while (all.push($) < 1e5);",
    "let text = 'x'; for (let i = 0; i < 22; i++) text += text; webhook.text = text.length;",
    "function again(n) { return n > 0 ? again(n - 1) : $; } again(1e6);",
    "class A extends Array { #p = $; get p() { return this.#p; } } webhook.a = new A().p;",
    "function* g() { yield* $; } webhook.g = [...g()];",
    "Object.prototype.toJSON = $;",
    "Array.prototype[Symbol.iterator] = $;",
    "Object.defineProperty(webhook, 'payload', { get() { return $; } });",
    "const { a, ...rest } = $; webhook.rest = rest;",
    "label: for (;;) { $; break label; }",
    "async function later() { await $; } webhook.later = later();",
];

/// A template whose holes are filled.
fn filled(
    templates: &'static [&'static str],
    hole: BoxedStrategy<String>,
) -> BoxedStrategy<String> {
    let template = prop::sample::select(templates);
    (template, prop::collection::vec(hole, 3))
        .prop_map(|(template, fillings)| {
            let mut parts = template.split('$');
            let first = parts.next().unwrap_or_default().to_owned();
            let rest = parts.zip(fillings.iter().cycle());
            rest.fold(first, |text, (part, filling)| format!("{text}({filling}){part}"))
        })
        .boxed()
}

fn expression() -> BoxedStrategy<String> {
    let leaf = prop::sample::select(&LEAVES[..]).prop_map(str::to_owned).boxed();
    leaf.prop_recursive(4, 24, 2, |inner| filled(&CALLS, inner)).boxed()
}

fn handler() -> BoxedStrategy<String> {
    let statement = filled(&STATEMENTS, expression());
    (prop::collection::vec(statement, 1..6), expression())
        .prop_map(|(statements, begun)| {
            let body = statements.join("\n  ");
            format!("var begun; try {{ begun = {begun}; }} catch {{}}\nfunction handler(webhook) {{\n  {body}\n  return webhook;\n}}")
        })
        .boxed()
}

fn payload() -> BoxedStrategy<serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        let key = prop_oneof![
            "[a-c]",
            Just("__proto__".to_owned()),
            Just("constructor".to_owned()),
            Just("toJSON".to_owned()),
            Just("length".to_owned()),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((key, inner), 0..5)
                .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
        ]
    })
    .boxed()
}

/// Reads and calls it in a process of its own, twice.
fn called(text: &str, input: &str, limits: Limits) -> [Result<Output, Fault>; 2] {
    let script = Unread { name: "a.js", text, limits };
    let read = Worker::read(env!("CARGO_BIN_EXE_script-worker").into(), [], script);
    match read {
        Ok(mut worker) => [worker.call(input, AMBIENT), worker.call(input, AMBIENT)],
        Err(fault) => [Err(fault.clone()), Err(fault)],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_handler_is_answered_whatever_it_does(text in handler(), payload in payload(), megabytes in 1_usize..9) {
        let time = Duration::from_millis(10);
        let limits = Limits { time, memory: megabytes << 20, stack: 128 << 10, output: 64 << 10 };
        let input = serde_json::json!({ "payload": payload, "url": "u", "method": "POST" }).to_string();
        let [first, again] = called(&text, &input, limits);
        if let Ok(output) = &first {
            prop_assert!(output.json.len() <= limits.output);
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&output.json).is_ok(), "{}", output.json);
        }
        for fault in [&first, &again].into_iter().filter_map(|one| one.as_ref().err()) {
            prop_assert!(fault.kind != Kind::Lost && !fault.message.contains("broke down"), "{fault}");
        }
        // How long something takes is never the same twice.
        let ran_out = |fault: &Fault| [Kind::TimedOut, Kind::Ended].contains(&fault.kind);
        let was_late = [&first, &again].into_iter().any(|one| one.as_ref().is_err_and(ran_out));
        prop_assert!(was_late || first == again, "{first:?} and {again:?}");
    }
}
