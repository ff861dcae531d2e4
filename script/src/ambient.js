// What a script finds around itself, evaluated before it: the clock and the randomness it is given, and nothing else
// of the machine. Whatever is taken away here cannot be brought back by the script: no reference to it is left.
(function (now, seed) {
  "use strict";

  // A stack as objects would hand out the functions on it, also those hidden below.
  delete Error.prepareStackTrace;
  delete globalThis.Atomics;
  delete globalThis.SharedArrayBuffer;
  // Nothing that is put off is ever done.
  delete globalThis.queueMicrotask;

  // mulberry32: the same numbers for the same seed.
  const { imul } = Math;
  let state = seed >>> 0;
  Math.random = function random() {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };

  // The machine's clock and time zone are in `Machine` alone; local time is UTC.
  const Machine = Date;
  const shared = Machine.prototype;
  const { construct, setPrototypeOf, apply } = Reflect;
  const { UTC, parse: read } = Machine;
  const { getTime, toUTCString } = shared;
  const { test } = RegExp.prototype;
  const zoned = /(?:[zZ]|GMT|UTC?|[A-Z][SD]T|[+-]\d\d:?\d\d)\s*(?:\(.*\))?$/;
  const dated = /^[+-]?\d{4,6}(?:-\d\d){0,2}$/;
  const iso = /^[+-]?\d{4,6}(?:-\d\d){0,2}[T ]\d/;

  const parse = function parse(given) {
    const text = String(given);
    if (apply(test, dated, [text]) || apply(test, zoned, [text])) return read(text);
    return read(text + (apply(test, iso, [text]) ? "Z" : " GMT"));
  };
  const value = function (one) {
    let plain = one;
    if (typeof one === "object" && one !== null) {
      try {
        return apply(getTime, one, []);
      } catch {
        plain = one.valueOf();
        if (typeof plain === "object") plain = String(one);
      }
    }
    return typeof plain === "string" ? parse(plain) : Number(plain);
  };
  // Only numbers reach it, so that no code of the script runs while it does.
  const make = (time) => construct(Machine, [time]);

  const { Date: Given } = {
    Date: function (...parts) {
      if (new.target === undefined) return apply(shared.toString, make(now), []);
      let date;
      if (parts.length === 0) date = make(now);
      else if (parts.length === 1) date = make(value(parts[0]));
      else date = make(apply(UTC, undefined, parts.map(Number)));
      if (new.target !== Given) setPrototypeOf(date, new.target.prototype);
      return date;
    },
  };
  Given.prototype = shared;
  Given.now = function () { return now; };
  Given.parse = parse;
  Given.UTC = function (...parts) { return apply(UTC, undefined, parts.map(Number)); };
  for (const part of ["FullYear", "Month", "Date", "Hours", "Minutes", "Seconds", "Milliseconds", "Day"]) {
    shared["get" + part] = shared["getUTC" + part];
    if (part !== "Day") shared["set" + part] = shared["setUTC" + part];
  }
  shared.getYear = function () { return this.getUTCFullYear() - 1900; };
  delete shared.setYear;
  shared.getTimezoneOffset = function () { return apply(getTime, this, []) * 0; };
  const written = (pick) => function () {
    const text = apply(toUTCString, this, []);
    return text === "Invalid Date" ? text : pick(text);
  };
  const day = (text) => text.slice(0, 3) + " " + text.slice(8, 11) + " " + text.slice(5, 7) + " " + text.slice(12, -13);
  const clock = (text) => text.slice(-12) + "+0000 (Coordinated Universal Time)";
  shared.toString = written((text) => day(text) + " " + clock(text));
  shared.toDateString = written(day);
  shared.toTimeString = written(clock);
  shared.toLocaleString = shared.toString;
  shared.toLocaleDateString = shared.toDateString;
  shared.toLocaleTimeString = shared.toTimeString;
  const hidden = { value: Given, writable: true, enumerable: false, configurable: true };
  Object.defineProperty(shared, "constructor", hidden);
  Object.defineProperty(globalThis, "Date", hidden);

  // What is kept below inherits nothing, so that no setter of the script's is handed it.
  const { create, hasOwn } = Object;
  const text = String;
  const { slice } = String.prototype;
  const short = (word) => apply(slice, word, [0, 1000]);
  const said = create(null);
  let lines = 0;
  const say = function (...words) {
    if (lines >= 100) return;
    let line = "";
    for (let at = 0; at < words.length && line.length < 1000; at += 1) {
      line = short((at ? line + " " : line) + short(text(words[at])));
    }
    if (lines < 100) said[lines++] = line;
  };
  globalThis.console = { log: say, info: say, warn: say, error: say, debug: say };

  // Which fields of the `event` beside a webhook are looked at; "*" for all of them.
  const Watched = Proxy;
  const { get, has, ownKeys, getOwnPropertyDescriptor } = Reflect;
  const seen = create(null);
  let fields = 0;
  const look = (name) => {
    if (typeof name !== "string" || seen[name]) return;
    const is_kept = fields < 64 && name.length <= 64;
    seen[is_kept ? name : "*"] = true;
    fields += 1;
  };
  const looks = {
    __proto__: null,
    get(event, name, receiver) { look(name); return get(event, name, receiver); },
    has(event, name) { look(name); return has(event, name); },
    getOwnPropertyDescriptor(event, name) { look(name); return getOwnPropertyDescriptor(event, name); },
    ownKeys(event) { look("*"); return ownKeys(event); },
  };
  const watch = (given) => {
    if (typeof given !== "object" || given === null || !hasOwn(given, "event")) return;
    if (typeof given.event === "object" && given.event !== null) given.event = new Watched(given.event, looks);
  };
  return { __proto__: null, said, seen, watch };
})
