//! Deciding what happens to a request: pure, with the time passed in.
//!
//! Switches come first (outage, then refused credentials), then the faults in the order of their
//! injection; the first that matches decides and is used up by one. Matching is by person, path,
//! time and chance. The chance is drawn from a seed and the fault's own count of matching
//! requests, so that a run repeats when its requests do.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What an injected fault does to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// Answer with this status, without effect. Without a body, the vendor's usual one.
    Respond {
        status: u16,
        #[serde(default)]
        body: Option<Value>,
        #[serde(default)]
        retry_after_seconds: Option<u64>,
    },
    /// Answer 429 with the rest of the fault's time window as `Retry-After` (1 s without one).
    Throttle,
    /// Take effect at once, answer later.
    DelayReply { millis: u64 },
    /// Take effect and answer later, also when the client has gone meanwhile.
    DelayApplying { millis: u64 },
    /// Take effect, then answer nothing until the client gives up.
    HangAfterApplying,
    /// Answer nothing, without effect, until the client gives up.
    HangBeforeApplying,
    /// Reset the connection, without effect.
    ResetBeforeApplying,
    /// Take effect, then reset the connection.
    ResetAfterApplying,
}

impl Effect {
    /// Answer with this status and the vendor's usual body.
    pub fn respond(status: u16) -> Self {
        Self::Respond { status, body: None, retry_after_seconds: None }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Respond { .. } => "respond",
            Self::Throttle => "throttle",
            Self::DelayReply { .. } => "delay_reply",
            Self::DelayApplying { .. } => "delay_applying",
            Self::HangAfterApplying => "hang_after_applying",
            Self::HangBeforeApplying => "hang_before_applying",
            Self::ResetBeforeApplying => "reset_before_applying",
            Self::ResetAfterApplying => "reset_after_applying",
        }
    }
}

/// How likely a fault strikes a request that it matches otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chance {
    /// From 0 to 1.
    pub probability: f64,
    /// The same seed strikes the same requests.
    pub seed: u64,
}

/// A fault and when it strikes. As JSON: `{"effect": {"respond": {"status": 503}}, "times": 2}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What happens.
    pub effect: Effect,
    /// For how many requests; unlimited without.
    #[serde(default)]
    pub times: Option<u64>,
    /// Only requests that concern this person: an id, an address, or a key (`id:u_42`).
    #[serde(default)]
    pub person: Option<String>,
    /// Only requests with this HTTP method.
    #[serde(default)]
    pub method: Option<String>,
    /// Only requests whose path begins with this.
    #[serde(default)]
    pub path: Option<String>,
    /// Only some of them.
    #[serde(default)]
    pub chance: Option<Chance>,
    /// From so long after the injection.
    #[serde(default)]
    pub after_millis: u64,
    /// For so long from then; without an end if absent.
    #[serde(default)]
    pub for_millis: Option<u64>,
}

impl Fault {
    /// Strikes every request.
    pub fn always(effect: Effect) -> Self {
        Self {
            effect,
            times: None,
            person: None,
            method: None,
            path: None,
            chance: None,
            after_millis: 0,
            for_millis: None,
        }
    }

    /// Strikes this many requests.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Strikes requests that concern this person only.
    #[must_use]
    pub fn person(mut self, person: impl Into<String>) -> Self {
        self.person = Some(person.into());
        self
    }

    /// Strikes requests with this method only.
    #[must_use]
    pub fn method(mut self, method: impl Into<String>) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Strikes requests whose path begins with this only.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Strikes by chance.
    #[must_use]
    pub fn chance(mut self, probability: f64, seed: u64) -> Self {
        self.chance = Some(Chance { probability, seed });
        self
    }

    /// Strikes from `after` the injection, for `length`.
    #[must_use]
    pub fn window(mut self, after: Duration, length: Duration) -> Self {
        self.after_millis = millis(after);
        self.for_millis = Some(millis(length));
        self
    }
}

/// Whether the vendor is there at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outage {
    /// It is.
    #[default]
    Off,
    /// Answers 503 to everything.
    Unavailable,
    /// Resets every connection that brings a request.
    Reset,
}

/// Whether the vendor accepts the right credentials.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credentials {
    /// It does.
    #[default]
    Accepted,
    /// Answers 401 to everything, as after a revoked key.
    Refused,
}

/// The body of `POST /__emulator/faults`: what is named changes, the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultOrder {
    /// Faults to add.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// The outage switch.
    #[serde(default)]
    pub outage: Option<Outage>,
    /// The credentials switch.
    #[serde(default)]
    pub credentials: Option<Credentials>,
}

/// A request, as far as faults look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// Keys of the people it concerns.
    pub(crate) people: &'a [String],
}

/// What is done with a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Course {
    /// The fault's name, for the record.
    pub(crate) fault: Option<&'static str>,
    pub(crate) action: Action,
}

/// The driver's orders.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Apply after a while, then answer after another.
    Apply { effect_after: Duration, reply_after: Duration },
    /// Apply, then withhold the answer.
    ApplyThenHang,
    /// Apply, then reset the connection.
    ApplyThenReset,
    /// Answer without applying.
    Answer { status: u16, body: Option<Value>, retry_after_seconds: Option<u64> },
    /// Neither apply nor answer.
    Hang,
    /// Reset the connection without applying.
    Reset,
}

#[derive(Debug, Clone)]
struct Injected {
    fault: Fault,
    since: Duration,
    matched: u64,
}

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan {
    injected: Vec<Injected>,
    outage: Outage,
    credentials: Credentials,
}

impl FaultPlan {
    pub(crate) fn inject(&mut self, fault: Fault, now: Duration) {
        self.injected.push(Injected { fault, since: now, matched: 0 });
    }

    pub(crate) fn set_outage(&mut self, outage: Outage) {
        self.outage = outage;
    }

    pub(crate) fn set_credentials(&mut self, credentials: Credentials) {
        self.credentials = credentials;
    }

    pub(crate) fn obey(&mut self, order: FaultOrder, now: Duration) {
        for fault in order.faults {
            self.inject(fault, now);
        }
        if let Some(outage) = order.outage {
            self.set_outage(outage);
        }
        if let Some(credentials) = order.credentials {
            self.set_credentials(credentials);
        }
    }

    /// The faults with what is left of them.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        self.injected.iter().map(|injected| injected.fault.clone()).collect()
    }

    pub(crate) fn switches(&self) -> (Outage, Credentials) {
        (self.outage, self.credentials)
    }

    /// Says what is done with a request, and uses up what strikes it.
    pub(crate) fn decide(&mut self, now: Duration, arrival: &Arrival<'_>) -> Course {
        match self.outage {
            Outage::Off => {}
            Outage::Unavailable => return answer("outage", 503, None),
            Outage::Reset => return Course { fault: Some("outage"), action: Action::Reset },
        }
        if self.credentials == Credentials::Refused {
            return answer("credentials_refused", 401, None);
        }
        let struck = self.injected.iter_mut().position(|injected| {
            injected.matches(now, arrival) && {
                injected.matched += 1;
                injected.strikes()
            }
        });
        let Some(position) = struck else {
            return Course { fault: None, action: apply(0, 0) };
        };
        let injected = &mut self.injected[position];
        let course = Course {
            fault: Some(injected.fault.effect.name()),
            action: action(&injected.fault.effect, injected.rest_of_window(now)),
        };
        if let Some(times) = &mut injected.fault.times {
            *times -= 1;
            if *times == 0 {
                self.injected.remove(position);
            }
        }
        course
    }
}

impl Injected {
    fn matches(&self, now: Duration, arrival: &Arrival<'_>) -> bool {
        let fault = &self.fault;
        let age = millis(now.saturating_sub(self.since));
        let open = age >= fault.after_millis
            && fault.for_millis.is_none_or(|length| age < fault.after_millis + length);
        open && fault.times != Some(0)
            && fault.method.as_ref().is_none_or(|method| method == arrival.method)
            && fault.path.as_ref().is_none_or(|prefix| arrival.path.starts_with(prefix.as_str()))
            && fault.person.as_ref().is_none_or(|person| {
                arrival.people.iter().any(|key| {
                    key == person || key.split_once(':').is_some_and(|(_, value)| value == person)
                })
            })
    }

    #[expect(clippy::cast_precision_loss, reason = "53 random bits are exact in an f64")]
    fn strikes(&self) -> bool {
        self.fault.chance.is_none_or(|chance| {
            let bits = scrambled(chance.seed.wrapping_add(self.matched)) >> 11;
            (bits as f64) / ((1_u64 << 53) as f64) < chance.probability
        })
    }

    fn rest_of_window(&self, now: Duration) -> u64 {
        let age = millis(now.saturating_sub(self.since));
        self.fault.for_millis.map_or(1, |length| {
            (self.fault.after_millis + length).saturating_sub(age).div_ceil(1000).max(1)
        })
    }
}

fn action(effect: &Effect, rest_of_window_seconds: u64) -> Action {
    match effect {
        Effect::Respond { status, body, retry_after_seconds } => Action::Answer {
            status: *status,
            body: body.clone(),
            retry_after_seconds: *retry_after_seconds,
        },
        Effect::Throttle => Action::Answer {
            status: 429,
            body: None,
            retry_after_seconds: Some(rest_of_window_seconds),
        },
        Effect::DelayReply { millis } => apply(0, *millis),
        Effect::DelayApplying { millis } => apply(*millis, 0),
        Effect::HangAfterApplying => Action::ApplyThenHang,
        Effect::HangBeforeApplying => Action::Hang,
        Effect::ResetBeforeApplying => Action::Reset,
        Effect::ResetAfterApplying => Action::ApplyThenReset,
    }
}

fn apply(effect_millis: u64, reply_millis: u64) -> Action {
    Action::Apply {
        effect_after: Duration::from_millis(effect_millis),
        reply_after: Duration::from_millis(reply_millis),
    }
}

fn answer(fault: &'static str, status: u16, retry_after_seconds: Option<u64>) -> Course {
    let action = Action::Answer { status, body: None, retry_after_seconds };
    Course { fault: Some(fault), action }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// SplitMix64's output function: spreads consecutive numbers evenly.
fn scrambled(number: u64) -> u64 {
    let mut word = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
#[path = "faults_tests.rs"]
mod tests;
