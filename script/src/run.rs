//! One call: an engine is made, limited, used and thrown away.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rquickjs::context::EvalOptions;
use rquickjs::context::intrinsic::{
    Date, Eval, Json, MapSet, Promise, Proxy, RegExp, RegExpCompiler, TypedArrays,
};
use rquickjs::{Coerced, Context, Ctx, Error, Exception, Function, Object, Runtime, Value};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::fault::{Fault, Kind, position};
use crate::{Ambient, Script};

/// Evaluated before the script.
const AMBIENT: &str = include_str!("ambient.js");

/// A declaration with `const` or `let` is no property of the global object, but seen by an expression.
const HANDLER: &str = "typeof handler === 'function' ? handler : undefined";

/// Lines of the console that are kept; each is cut where it is written.
const MOST_LINES: u32 = 100;

/// The longest text of a fault, in bytes.
const LONGEST_MESSAGE: usize = 500;

/// Everything of the language but what looks at the machine: no `performance`, and no `WeakRef`, which shows when
/// memory is tidied up.
type Language = (Date, Eval, RegExpCompiler, RegExp, Json, Proxy, MapSet, TypedArrays, Promise);

/// What a call gave.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// What the handler returned, in JSON.
    pub json: String,
    /// What it wrote to the console, as far as it is kept.
    pub console: Vec<String>,
    /// Fields of the input's `event` that it looked at; `*` where it looked at which there are.
    pub looked_at: Vec<String>,
}

impl std::fmt::Debug for Output {
    /// Without its content: it names people.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Output({} bytes)", self.json.len())
    }
}

pub(crate) fn check(script: &Script) -> Result<(), Fault> {
    let engine = Engine::new(script)?;
    engine.context.with(|ctx| {
        let ambient = Ambient { now_millis: 0, seed: 0 };
        engine.prepare(&ctx, ambient).map(drop)
    })
}

pub(crate) fn call(script: &Script, input: &str, ambient: Ambient) -> Result<Output, Fault> {
    let engine = Engine::new(script)?;
    engine.context.with(|ctx| {
        let prepared = engine.prepare(&ctx, ambient)?;
        let called = engine.ask(&ctx, &prepared, input);
        let console = prepared.console();
        match called {
            Ok((json, looked_at)) => Ok(Output { json, console, looked_at }),
            Err(fault) => Err(Fault { console, ..fault }),
        }
    })
}

/// A script in its surroundings.
struct Prepared<'js> {
    handler: Function<'js>,
    /// Lines of the console by their number, which nothing but the surroundings can write.
    said: Object<'js>,
    /// Names of the fields that were looked at.
    seen: Object<'js>,
    /// Has it noted what is looked at.
    watch: Function<'js>,
}

impl Prepared<'_> {
    /// What was written to the console; what there is no memory for any more is left out.
    fn console(&self) -> Vec<String> {
        let line = |number: u32| self.said.get::<_, Option<String>>(number).ok().flatten();
        (0..MOST_LINES).map_while(line).collect()
    }
}

/// An engine for one call.
struct Engine<'a> {
    script: &'a Script,
    /// Whether it was interrupted.
    interrupted: Rc<Cell<bool>>,
    context: Context,
    /// Dropped last.
    _runtime: Runtime,
}

impl<'a> Engine<'a> {
    fn new(script: &'a Script) -> Result<Self, Fault> {
        let none = |error: Error| Fault {
            kind: Kind::OutOfMemory,
            message: format!("no engine can be made: {error}"),
            script: script.name.clone(),
            at: None,
            console: Vec::new(),
        };
        let runtime = Runtime::new().map_err(none)?;
        // A context that is made within the limit may fail half-way, and what is left of it ends the process.
        let context = Context::custom::<Language>(&runtime).map_err(none)?;
        runtime.set_max_stack_size(script.limits.stack);
        runtime.set_memory_limit(script.limits.memory);
        let interrupted = Rc::new(Cell::new(false));
        let (until, seen) = (processor_time() + script.limits.time, interrupted.clone());
        runtime.set_interrupt_handler(Some(Box::new(move || {
            let over = processor_time() >= until;
            if over {
                seen.set(true);
            }
            over
        })));
        Ok(Self { script, interrupted, context, _runtime: runtime })
    }

    /// Evaluates the script in its surroundings.
    fn prepare<'js>(&self, ctx: &Ctx<'js>, ambient: Ambient) -> Result<Prepared<'js>, Fault> {
        let caught = |error| self.fault(ctx, &error, Kind::Threw);
        let surround: Function<'js> = ctx.eval(AMBIENT).map_err(caught)?;
        #[expect(clippy::cast_precision_loss, reason = "exact for 285,000 years")]
        let now = ambient.now_millis as f64;
        let around: Object<'js> = surround.call((now, ambient.seed)).map_err(caught)?;
        let said: Object<'js> = around.get("said").map_err(caught)?;
        let seen: Object<'js> = around.get("seen").map_err(caught)?;
        let watch: Function<'js> = around.get("watch").map_err(caught)?;
        let as_script = |name: &str| {
            let mut options = EvalOptions::default();
            options.strict = false;
            options.filename = Some(name.to_owned());
            options
        };
        let text = self.script.text.as_str();
        ctx.eval_with_options::<Value<'js>, _>(text, as_script(&self.script.name))
            .map_err(|error| self.fault(ctx, &error, Kind::Syntax))?;
        let handler: Value<'js> =
            ctx.eval_with_options(HANDLER, as_script("handler")).map_err(caught)?;
        let handler = handler.into_function().ok_or_else(|| {
            self.says(Kind::NoHandler, "there is no `function handler(webhook)` in it")
        })?;
        Ok(Prepared { handler, said, seen, watch })
    }

    /// Calls the handler: what it returned, and what it looked at until then.
    fn ask<'js>(
        &self,
        ctx: &Ctx<'js>,
        prepared: &Prepared<'js>,
        input: &str,
    ) -> Result<(String, Vec<String>), Fault> {
        let caught = |error| self.fault(ctx, &error, Kind::Threw);
        let given = ctx.json_parse(input).map_err(caught)?;
        prepared.watch.call::<_, ()>((given.clone(),)).map_err(caught)?;
        let returned: Value<'_> = prepared.handler.call((given,)).map_err(caught)?;
        // Before what is returned is written, which looks at all of it.
        let looked_at: Result<Vec<String>, Error> = prepared.seen.keys().collect();
        let looked_at = looked_at.map_err(caught)?;
        if returned.is_promise() {
            let message = "the handler returned a promise: it has to answer at once";
            return Err(self.says(Kind::Nonsense, message));
        }
        let json = ctx.json_stringify(returned).map_err(caught)?;
        let Some(json) = json else {
            let message = "the handler returned nothing: it has to return the webhook";
            return Err(self.says(Kind::Nonsense, message));
        };
        let json = json.to_string().map_err(caught)?;
        let (is, may) = (json.len(), self.script.limits.output);
        if is > may {
            let message = format!("the handler returned {is} bytes, and {may} are allowed");
            return Err(self.says(Kind::Nonsense, &message));
        }
        Ok((json, looked_at))
    }

    /// Why a step did not succeed. An error of syntax is `at_best` what it says to be.
    fn fault(&self, ctx: &Ctx<'_>, error: &Error, at_best: Kind) -> Fault {
        if error.is_exception() {
            self.thrown(&ctx.catch(), at_best)
        } else if matches!(error, Error::Allocation) {
            self.says(Kind::OutOfMemory, &self.too_much_memory())
        } else {
            self.says(Kind::Nonsense, &format!("it cannot be used: {error}"))
        }
    }

    fn thrown(&self, thrown: &Value<'_>, at_best: Kind) -> Fault {
        let fault = self.described(thrown, at_best);
        // Also one that was interrupted while it was asked what it threw.
        if !self.interrupted.get() {
            return fault;
        }
        let message = format!("it takes longer than {:?}", self.script.limits.time);
        Fault { at: fault.at, ..self.says(Kind::TimedOut, &message) }
    }

    fn described(&self, thrown: &Value<'_>, at_best: Kind) -> Fault {
        let Some(exception) = thrown.clone().into_object().and_then(Exception::from_object) else {
            if thrown.is_null() {
                // Where there is no memory left for an error, nothing is thrown in its place.
                let message = format!("it threw null, as where {}", self.too_much_memory());
                return self.says(Kind::OutOfMemory, &message);
            }
            let text = thrown.get::<Coerced<String>>().map(|text| text.0).unwrap_or_default();
            return self.says(Kind::Threw, &format!("it threw {text}"));
        };
        let stack = exception.stack().unwrap_or_default();
        let at = position(&stack, &self.script.name);
        let name = exception.get::<_, Coerced<String>>("name").map(|text| text.0);
        let name = name.unwrap_or_default();
        let message = exception.message().unwrap_or_default();
        let (kind, message) = match (name.as_str(), message.as_str()) {
            ("InternalError", "out of memory") => (Kind::OutOfMemory, self.too_much_memory()),
            (
                "RangeError" | "InternalError",
                "Maximum call stack size exceeded" | "stack overflow",
            ) => (Kind::TooDeep, "it calls itself too deeply".to_owned()),
            ("SyntaxError", _) => (at_best, format!("{name}: {message}")),
            _ => (Kind::Threw, format!("{name}: {message}")),
        };
        Fault { at, ..self.says(kind, &message) }
    }

    fn too_much_memory(&self) -> String {
        format!("it needs more than {} MiB of memory", self.script.limits.memory >> 20)
    }

    fn says(&self, kind: Kind, message: &str) -> Fault {
        let end = message.floor_char_boundary(LONGEST_MESSAGE);
        let message = message[..end].to_owned();
        let script = self.script.name.clone();
        Fault { kind, message, script, at: None, console: Vec::new() }
    }
}

/// How long this thread was computing.
fn processor_time() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(spent.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(spent.tv_nsec).unwrap_or(0))
}
