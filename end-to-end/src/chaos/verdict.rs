//! The verdict on a run, and the tables that go with it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::diary::{Diary, Pages};
use super::ground::Ground;
use super::programme::{Fault, Kind};
use super::recovery::{Telling, recovery};
use super::{Chaos, ChaosError, Refused};
use crate::destinations::{Destinations, Where};
use crate::journeys::Journey;
use crate::judge::{Finding, Parked};
use crate::latency::{Arrival, Clocks, Latencies};
use crate::processes::{Binary, ProcessError, Setting};
use crate::sender::Tally;

/// What came of everything that was sent.
#[derive(Debug)]
pub struct Sent {
    pub genuine: Tally,
    pub forged: Tally,
    pub refused: Vec<Refused>,
}

/// What a run came to.
#[derive(Debug)]
pub struct Verdict {
    /// What must not be, in words.
    pub wrong: Vec<String>,
    pub findings: [Finding; 2],
    figures: Vec<(&'static str, String)>,
    recoveries: BTreeMap<Kind, Latencies>,
    /// The same measure where nothing had gone wrong.
    undisturbed: Option<Duration>,
    left_out: Vec<(Kind, &'static str)>,
}

impl Verdict {
    /// Whether everything holds that must.
    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty() && self.findings.iter().all(Finding::is_flawless)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |formatter: &mut fmt::Formatter<'_>, what: &str, cells: [String; 3]| {
            let [times, p50, most] = cells;
            writeln!(formatter, "{what:<46} {times:>5} {p50:>9} {most:>9}")
        };
        let heading = ["times", "p50", "max"].map(str::to_owned);
        line(formatter, "what went wrong; recovered after", heading)?;
        if let Some(taken) = self.undisturbed {
            let taken = seconds(taken);
            line(formatter, "(nothing, to compare)", ["-".to_owned(), taken.clone(), taken])?;
        }
        for (kind, recoveries) in &self.recoveries {
            let [p50, most] = [50, 100].map(|percent| seconds(recoveries.percentile(percent)));
            line(formatter, &kind.to_string(), [recoveries.count().to_string(), p50, most])?;
        }
        for (kind, why) in &self.left_out {
            writeln!(formatter, "not possible here: {kind} ({why})")?;
        }
        writeln!(formatter)?;
        for (name, value) in &self.figures {
            writeln!(formatter, "{name:<20} {value}")?;
        }
        for finding in &self.findings {
            writeln!(formatter, "{finding}")?;
        }
        for wrong in &self.wrong {
            writeln!(formatter, "WRONG: {wrong}")?;
        }
        Ok(())
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Compares what is there with what was sent.
pub(super) fn reach(
    chaos: Chaos,
    ground: &mut Ground,
    journeys: &[Journey],
    sent: &Sent,
    (clocks, began): (Clocks, Instant),
    diary: &Diary,
) -> Result<Verdict, ChaosError> {
    for process in ground.pipeline.processes() {
        if let Some(status) = process.ended()? {
            diary.wrong(format!("{} ended by itself: {status}", process.binary().name()));
        }
    }
    let destinations = &ground.pipeline.destinations;
    let letters = Letters::read(&ground.pipeline.setting)?;
    let findings = Where::BOTH.map(|at| destinations.finding(at, journeys, &letters.at(at)));
    let Pages { happened, mut wrong, .. } = diary.read();
    wrong.extend(sent.wrong());
    wrong.extend(letters.wrong(&sent.refused));
    wrong.extend(violated(destinations));

    let arrivals = Where::BOTH.map(|at| {
        let mut arrivals = clocks.arrivals(destinations, at, journeys);
        // A story in which something is missing does not tell what is whose.
        let is_whole = |journey: usize| {
            let subscriber = journeys.get(journey).map(|journey| &journey.subscriber);
            subscriber.is_some_and(|subscriber| !letters.at(at).contains_key(subscriber))
        };
        arrivals.retain(|arrival| is_whole(arrival.place.0));
        arrivals
    });
    let told = Told::new(&sent.genuine, &arrivals);
    let mut recoveries: BTreeMap<Kind, Vec<Duration>> = BTreeMap::new();
    for one in happened {
        let taken = told.recovery(one.fault, one.ended);
        recoveries.entry(one.fault.kind()).or_default().extend(taken);
    }
    let recoveries =
        recoveries.into_iter().map(|(kind, all)| (kind, all.into_iter().collect())).collect();
    let latencies = arrivals.each_ref().map(|arrivals| Latencies::between(&sent.genuine, arrivals));
    Ok(Verdict {
        figures: figures(chaos, journeys, sent, &letters, &latencies),
        undisturbed: recovery(began + UNDISTURBED, &told.both),
        left_out: ground.impossible.clone(),
        wrong,
        findings,
        recoveries,
    })
}

/// A moment before the first fault.
const UNDISTURBED: Duration = Duration::from_secs(3);

fn figures(
    chaos: Chaos,
    journeys: &[Journey],
    sent: &Sent,
    letters: &Letters,
    latencies: &[Latencies; 2],
) -> Vec<(&'static str, String)> {
    let Sent { genuine, forged, .. } = sent;
    let webhooks: usize = journeys.iter().map(|journey| journey.webhooks.len()).sum();
    let all = || journeys.iter().flat_map(|journey| &journey.webhooks);
    let ignored = all().filter(|webhook| webhook.expects.is_empty()).count();
    let rate = whole(genuine.all_accepted()) / chaos.length.as_secs().max(1);
    let duplicates = genuine.answered() - webhooks;
    let [customerio, intercom] = latencies;
    vec![
        (
            "webhooks",
            format!(
                "{webhooks} of {} people, {duplicates} of them twice, {ignored} that mean nothing to a subscriber",
                journeys.len()
            ),
        ),
        (
            "answered 200",
            format!(
                "{} ({rate}/s on average), after {} attempts that had to be repeated (by status, 0 without an answer: {:?})",
                genuine.all_accepted(),
                genuine.all_repeated(),
                genuine.repeated
            ),
        ),
        ("forged", format!("{} refused, {} taken", forged.all_refused(), forged.all_accepted())),
        ("parked", letters.to_string()),
        ("p50 / p99 / max", format!("customerio {customerio}, intercom {intercom}")),
    ]
}

fn whole(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

impl Sent {
    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.genuine.all_refused() > 0 {
            let by_status = &self.genuine.refused;
            wrong.push(format!(
                "genuine webhooks were refused, by status (0: given up): {by_status:?}"
            ));
        }
        if self.forged.all_accepted() > 0 {
            wrong.push(format!("{} forged webhooks were taken", self.forged.all_accepted()));
        }
        if self.forged.refused.keys().any(|status| *status != 401) {
            let by_status = &self.forged.refused;
            wrong.push(format!("forged webhooks were not refused with 401: {by_status:?}"));
        }
        wrong
    }
}

/// What was wrong with requests, by rule.
fn violated(destinations: &Destinations) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for at in Where::BOTH {
        for violation in destinations.violations(at) {
            let what = format!("{:?} at {}", violation.rule, at.name());
            *counts.entry(what).or_default() += 1;
        }
    }
    counts.into_iter().map(|(what, count)| format!("{what}: {count} times")).collect()
}

/// When everything was sent and shown, at both destinations and at each.
struct Told {
    both: Vec<Telling>,
    each: [Vec<Telling>; 2],
}

impl Told {
    fn new(tally: &Tally, arrivals: &[Vec<Arrival>; 2]) -> Self {
        let each = arrivals.each_ref().map(|arrivals| last_of_each(arrivals));
        let telling = |(place, shown): (&(usize, usize), Instant)| {
            let sent = tally.sent_at.get(place)?.into_std();
            Some(Telling { sent, shown })
        };
        let [customerio, intercom] = &each;
        let both = customerio.iter().filter_map(|(place, shown)| {
            let shown = intercom.get(place)?.max(shown);
            telling((place, *shown))
        });
        Self {
            both: both.collect(),
            each: each.each_ref().map(|shown| {
                shown.iter().filter_map(|(place, shown)| telling((place, *shown))).collect()
            }),
        }
    }

    fn recovery(&self, fault: Fault, ended: Instant) -> Option<Duration> {
        let [customerio, intercom] = &self.each;
        let told = match fault {
            Fault::At(Where::Customerio, _) => customerio,
            Fault::At(Where::Intercom, _) => intercom,
            Fault::Kill(_)
            | Fault::Broker(_)
            | Fault::Cut(_)
            | Fault::Delay(..)
            | Fault::Skew(_)
            | Fault::Join(..)
            | Fault::FillDisk
            | Fault::Rotate => &self.both,
        };
        recovery(ended, told)
    }
}

/// When all events of a webhook were there.
fn last_of_each(arrivals: &[Arrival]) -> BTreeMap<(usize, usize), Instant> {
    let mut last = BTreeMap::new();
    for arrival in arrivals {
        let latest = last.entry(arrival.place).or_insert(arrival.at);
        *latest = arrival.at.max(*latest);
    }
    last
}

/// A dead letter, as `dead list --json` shows it.
#[derive(Debug, Clone, Deserialize)]
struct Letter {
    reason: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    subscriber: String,
}

/// All dead letters.
struct Letters {
    of_transform: Vec<Letter>,
    of_deliver: [Vec<Letter>; 2],
}

impl Letters {
    fn read(setting: &Setting) -> Result<Self, ChaosError> {
        let [customerio, intercom] = Where::BOTH.map(|at| {
            letters(setting.told(
                Binary::Deliver,
                "dead",
                &["list", "--json", "--destination", at.name()],
            ))
        });
        Ok(Self {
            of_transform: letters(setting.told(Binary::Transform, "dead", &["list", "--json"]))?,
            of_deliver: [customerio?, intercom?],
        })
    }

    fn of(&self, at: Where) -> &[Letter] {
        let [customerio, intercom] = &self.of_deliver;
        match at {
            Where::Customerio => customerio,
            Where::Intercom => intercom,
        }
    }

    fn at(&self, at: Where) -> Parked {
        let mut parked = Parked::new();
        for Letter { event_type, subscriber, .. } in self.of(at) {
            let types = parked.entry(subscriber.clone()).or_default();
            types.extend(event_type.clone());
        }
        parked
    }

    /// Nothing may be parked but for the reason that was given.
    fn wrong(&self, refused: &[Refused]) -> Vec<String> {
        let without_reason = |letter: &Letter, of: &str| {
            let Letter { reason, event_type, subscriber } = letter;
            let reason = reason.as_deref().unwrap_or("no reason");
            let event_type = event_type.as_deref().unwrap_or("nothing");
            format!("{event_type} of {subscriber} was parked by {of}: {reason}")
        };
        let by_transform = self.of_transform.iter().map(|it| without_reason(it, "transform"));
        let by_deliver = Where::BOTH.into_iter().flat_map(|at| {
            let was_refused = move |letter: &&Letter| {
                let Letter { reason, subscriber, .. } = letter;
                let named = Refused { at, subscriber: subscriber.clone() };
                reason.as_deref() == Some("refused") && refused.contains(&named)
            };
            let letters = self.of(at).iter().filter(move |letter| !was_refused(letter));
            letters.map(move |letter| without_reason(letter, at.name()))
        });
        by_transform.chain(by_deliver).collect()
    }
}

impl fmt::Display for Letters {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "transform {}", self.of_transform.len())?;
        for at in Where::BOTH {
            let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
            for letter in self.of(at) {
                *reasons.entry(letter.reason.as_deref().unwrap_or("no reason")).or_default() += 1;
            }
            let reasons: Vec<String> =
                reasons.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
            let reasons =
                if reasons.is_empty() { "nothing".to_owned() } else { reasons.join(", ") };
            write!(formatter, ", {} {reasons}", at.name())?;
        }
        Ok(())
    }
}

fn letters(told: Result<String, ProcessError>) -> Result<Vec<Letter>, ChaosError> {
    let text = told?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
