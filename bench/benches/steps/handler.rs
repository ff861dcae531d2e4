//! What a call of a handler costs.

use std::hint::black_box;

use anyhow::{Context, Result, ensure};
use criterion::{Criterion, Throughput};
use script::{Ambient, Limits, Script, Unread, Worker};

const AMBIENT: Ambient = Ambient { now_millis: 1_780_000_000_000, seed: 7 };

/// As somebody writes one who wants a payment to be an event of Customer.io's.
const TEXT: &str = include_str!("../../../deliver/tests/conformance/handlers/payments.js");
const PAYMENT: &str = include_str!("../../../transform/src/sources/dodo/fixtures/payment.json");

pub(crate) fn call(criterion: &mut Criterion) -> Result<()> {
    let payload: serde_json::Value =
        serde_json::from_str(PAYMENT).context("the payment is no JSON")?;
    let webhook = serde_json::json!({
        "eventType": "payment.succeeded", "payload": payload, "url": "", "method": "POST",
    });
    let input = webhook.to_string();
    let script = Script::read("payments.js", TEXT, Limits::default())?;
    let program = std::env::current_exe().context("finding this program")?;
    let unread = Unread { name: "payments.js", text: TEXT, limits: Limits::default() };
    let mut worker = Worker::read(program, [deliver::transformation::WORKER.into()], unread)?;
    let (here, there) = (script.call(&input, AMBIENT)?, worker.call(&input, AMBIENT)?);
    ensure!(here == there, "the process answers otherwise than the script");
    ensure!(here.json.contains("Order Paid"), "the payment is not told");
    let mut group = criterion.benchmark_group("handler");
    group.throughput(Throughput::Bytes(super::size(input.as_bytes())));
    group.bench_function("call", |bencher| {
        bencher.iter(|| script.call(black_box(&input), AMBIENT));
    });
    group.bench_function("ask its process", |bencher| {
        bencher.iter(|| worker.call(black_box(&input), AMBIENT));
    });
    group.finish();
    Ok(())
}
