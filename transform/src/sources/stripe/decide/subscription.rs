//! The subscription object: each change it shows, told once.
//!
//! What was before is read from the update itself, so that it stands alone, and from the state where
//! the update does not say. Two Stripe events may tell the same change, and events of one second come
//! in the order of their ids; so what was *told* is kept apart from what was last *shown*: a change is
//! told unless the state was both told and shown it already.

use schemas::event::Subscription;
use schemas::state::{Facts, SubscriptionFacts, SubscriptionState};
use schemas::{EventType, Timestamp};

use super::super::super::answer::{ALREADY_ENDED, NO_CHANGE, of_type, told};
use super::super::super::price::{Plan, Rate, change};
use super::super::super::{Decision, Draft, Known, overlay};
use super::super::{detail, status};
use super::invoice::TRIAL_OVER;
use super::{NOT_UNDERSTOOD, cancel};

/// The word whose change was last told.
const WORD: &str = "word";
/// The subscription's start was told.
const STARTED: &str = "started";
/// The end of the trial that was announced, or moved to.
const TRIAL_ENDING: &str = "trial_ending";
const TRIAL_EXTENDED: &str = "trial_extended";
/// When a pause and a resumption were told.
const PAUSED: &str = "paused_at";
const RESUMED: &str = "resumed_at";
/// Two events that tell one pause are at most this far apart, in milliseconds.
const SAME_MOMENT: i64 = 60_000;

/// A subscription event, with what was before it.
pub(super) struct Change<'a> {
    pub(super) facts: &'a Facts,
    pub(super) told: &'a SubscriptionFacts,
    /// What is known; `None` for an unknown subscription, and for a late event.
    pub(super) known: Option<&'a SubscriptionState>,
    /// What is stored, also for a late event.
    stored: Option<&'a SubscriptionState>,
    ranking: &'a [String],
    /// The status word after the event.
    pub(super) word: &'a str,
    /// The status word before it.
    pub(super) before: Option<&'a str>,
    /// Whether the trial was open before it.
    pub(super) trial_open: bool,
}

pub(super) fn decide(facts: &Facts, known: &Known<'_>) -> Decision {
    let Some(shown) = &facts.subscription else {
        return Decision::ignored(NOT_UNDERSTOOD, None);
    };
    let word = shown.provider_status.as_deref().unwrap_or_default();
    let before = before(facts, known.subscription, word);
    let change = Change {
        facts,
        told: shown,
        known: known.subscription,
        stored: overlay::stored(known, facts.environment, &shown.shown.id),
        ranking: &known.settings.plans,
        word,
        before,
        trial_open: before == Some("trialing")
            || known.subscription.is_some_and(|state| state.trial_open),
    };
    change.decide()
}

/// The status word before the event. An update that does not mention it did not change it.
fn before<'a>(
    facts: &'a Facts,
    known: Option<&'a SubscriptionState>,
    word: &'a str,
) -> Option<&'a str> {
    let previous = facts.before.as_ref();
    if let Some(before) = previous.and_then(|before| before.provider_status.as_deref()) {
        return Some(before);
    }
    let shown = known.and_then(|state| state.provider_status.as_deref());
    let was_told = known.and_then(|state| state.told.get(WORD)).map(String::as_str);
    match (facts.provider_event_type.as_str(), was_told) {
        ("customer.subscription.paused" | "customer.subscription.resumed", Some(word)) => {
            Some(word)
        }
        // Whatever it was: unknown, it has just stopped being paused.
        ("customer.subscription.resumed", None) => Some("paused"),
        ("customer.subscription.updated", _)
            if previous.is_some() && !status::is_terminal(word) =>
        {
            Some(word)
        }
        _ => shown,
    }
}

impl Change<'_> {
    fn decide(&self) -> Decision {
        let ended = if status::is_terminal(self.word) { self.stored } else { self.known };
        if ended.is_some_and(|state| state.ended) {
            return Decision::ignored(ALREADY_ENDED, self.known.cloned());
        }
        let mut next = self.shown();
        let mut rows = Vec::new();
        let mut otherwise = NO_CHANGE;
        match self.facts.provider_event_type.as_str() {
            "customer.subscription.trial_will_end" => {
                let end = self.told.shown.trial_ends_at;
                if self.once(&mut next, TRIAL_ENDING, millis(end)) {
                    rows.push(EventType::TrialEnding);
                }
            }
            "customer.subscription.created" if self.word == "incomplete" => {
                otherwise = "awaiting_first_payment";
            }
            "customer.subscription.created" => self.start(&mut next, &mut rows),
            _ => {
                if (self.before, self.word) == (Some("trialing"), "active") {
                    otherwise = "awaiting_first_invoice";
                }
                self.status_rows(&mut next, &mut rows);
                self.renewal_rows(&mut next, &mut rows);
                self.item_rows(&mut next, &mut rows);
                self.collection_rows(&mut next, &mut rows);
                self.trial_rows(&mut next, &mut rows);
            }
        }
        if status::is_terminal(self.word) {
            cancel::end(self, &mut next, &mut rows);
        }
        next.current.status = status::status(&next);
        let mut events: Vec<Draft> = Vec::with_capacity(rows.len());
        for row in rows {
            if events.iter().all(|draft| draft.event_type != row) {
                events.push(Draft { reason: self.reason(row), ..of_type(row) });
            }
        }
        told(events, Some(next), otherwise)
    }

    /// The state as the object shows it; what was told stays as it was.
    fn shown(&self) -> SubscriptionState {
        let mut next = overlay::continued(self.known, self.facts, &self.told.shown.id);
        let status = next.current.status;
        next.current = Subscription { status, ..self.told.shown.clone() };
        next.current.previous_product_id = self
            .facts
            .before
            .as_ref()
            .and_then(|before| before.shown.product_id.clone())
            .filter(|before| next.current.product_id.as_ref().is_some_and(|now| now != before));
        if !self.word.is_empty() {
            next.provider_status = Some(self.word.to_owned());
        }
        let trial_over = next.told.contains_key(TRIAL_OVER);
        next.trial_open = !trial_over && (self.trial_open || self.word == "trialing");
        next.in_grace = self.word == "past_due";
        next.in_billing_retry = self.word == "unpaid";
        next.paused = self.word == "paused";
        if self.known.is_none() {
            next.cancel_scheduled = self.told.cancel_scheduled.unwrap_or(false);
            next.collection_paused = self.told.collection_paused.unwrap_or(false);
            self.keep(&mut next, detail::ITEMS);
            next.told.insert(WORD.to_owned(), self.word.to_owned());
        }
        if let Some(rate) = self.facts.details.get(detail::RATE) {
            next.told.insert(detail::RATE.to_owned(), rate.clone());
        }
        next
    }

    /// A start, once; with its trial.
    fn start(&self, next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
        next.told.insert(WORD.to_owned(), self.word.to_owned());
        if self.once(next, STARTED, String::new()) {
            rows.push(EventType::SubscriptionStarted);
            if self.word == "trialing" {
                rows.push(EventType::TrialStarted);
            }
        }
    }

    fn status_rows(&self, next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
        let was_told = self.known.is_some_and(|state| {
            state.provider_status.as_deref() == Some(self.word)
                && state.told.get(WORD).is_some_and(|word| word == self.word)
        });
        if was_told || self.before == Some(self.word) || status::is_terminal(self.word) {
            return;
        }
        next.told.insert(WORD.to_owned(), self.word.to_owned());
        match (self.before, self.word) {
            (Some("incomplete"), "active" | "trialing") => self.start(next, rows),
            (Some("active"), "trialing") => rows.push(EventType::SubscriptionDeferred),
            (_, "past_due") => rows.push(EventType::GracePeriodStarted),
            (Some("past_due"), "active") => rows.push(EventType::RecoveredFromGracePeriod),
            (Some("past_due"), "unpaid") => {
                rows.extend([EventType::GracePeriodEnded, EventType::BillingRetryStarted]);
            }
            (_, "unpaid") => rows.push(EventType::BillingRetryStarted),
            (Some("unpaid"), "active") => rows.push(EventType::RecoveredFromBillingRetry),
            (_, "paused") => self.pause(next, rows),
            (Some("paused"), "active" | "trialing") if self.once_a_moment(next, RESUMED) => {
                rows.push(EventType::SubscriptionResumed);
            }
            _ => {}
        }
    }

    fn pause(&self, next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
        let trial_passed =
            self.told.shown.trial_ends_at.is_some_and(|end| end <= self.facts.occurred_at);
        if !self.once_a_moment(next, PAUSED) {
            return;
        }
        if next.trial_open && trial_passed {
            close_trial(next);
            rows.push(EventType::TrialNotConverted);
        }
        rows.push(EventType::SubscriptionPaused);
    }

    fn renewal_rows(&self, next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
        // The end itself unsets the flag at times; it is told as the end.
        let Some(after) = self.told.cancel_scheduled.filter(|_| !status::is_terminal(self.word))
        else {
            return;
        };
        let before =
            self.was(|before| before.cancel_scheduled, |state| state.cancel_scheduled, after);
        let was_told = self.known.is_some_and(|state| {
            state.cancel_scheduled == after && state.current.auto_renew == Some(!after)
        });
        if before != after && !was_told {
            next.cancel_scheduled = after;
            rows.push(if after { EventType::RenewalDisabled } else { EventType::RenewalEnabled });
        }
    }

    fn collection_rows(&self, next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
        let Some(after) = self.told.collection_paused else { return };
        let before =
            self.was(|before| before.collection_paused, |state| state.collection_paused, after);
        let was_told = self.known.is_some_and(|state| state.collection_paused == after);
        if before != after && !was_told {
            next.collection_paused = after;
            rows.push(if after {
                EventType::PaymentCollectionPaused
            } else {
                EventType::PaymentCollectionResumed
            });
        }
    }

    fn item_rows(&self, next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
        let detail = |name| self.facts.details.get(name).map(String::as_str);
        let after = detail(detail::ITEMS);
        let state_items = self.known.and_then(|state| state.told.get(detail::ITEMS));
        let before = match &self.facts.before {
            Some(_) => detail(detail::ITEMS_BEFORE),
            None => state_items.map(String::as_str),
        };
        let (Some(before), Some(after)) = (before, after) else { return };
        if before == after || state_items.is_some_and(|told| told == after) {
            return;
        }
        self.keep(next, detail::ITEMS);
        if prices(before) == prices(after) {
            rows.push(EventType::QuantityChanged);
            return;
        }
        next.pending_product = None;
        rows.push(self.plan_change());
    }

    fn plan_change(&self) -> EventType {
        let (before, state) = (self.facts.before.as_ref(), self.known);
        let rate = |text: Option<&String>| text.and_then(|text| text.parse::<Rate>().ok());
        let rate_before = match before {
            Some(_) => rate(self.facts.details.get(detail::RATE_BEFORE)),
            None => rate(state.and_then(|state| state.told.get(detail::RATE))),
        };
        let shown = match before {
            Some(before) => Some(&before.shown),
            None => state.map(|state| &state.current),
        };
        change(
            &Plan {
                plan: shown.and_then(|shown| shown.plan_id.as_deref()),
                product: shown.and_then(|shown| shown.product_id.as_deref()),
                rate: rate_before.as_ref(),
            },
            &Plan {
                plan: self.told.shown.plan_id.as_deref(),
                product: self.told.shown.product_id.as_deref(),
                rate: rate(self.facts.details.get(detail::RATE)).as_ref(),
            },
            self.ranking,
        )
    }

    fn trial_rows(&self, next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
        let end = self.told.shown.trial_ends_at;
        let before = match &self.facts.before {
            Some(before) => before.shown.trial_ends_at,
            None => self.known.and_then(|state| state.current.trial_ends_at),
        };
        let still_trialing = self.word == "trialing" && self.before == Some("trialing");
        let later = before.is_some() && end > before;
        if still_trialing && later && self.once(next, TRIAL_EXTENDED, millis(end)) {
            rows.push(EventType::TrialExtended);
        }
    }

    /// What a flag was before: by the update, else by the state, else as it is.
    fn was<T>(
        &self,
        update: impl Fn(&SubscriptionFacts) -> Option<T>,
        state: impl Fn(&SubscriptionState) -> T,
        now: T,
    ) -> T {
        match &self.facts.before {
            Some(before) => update(before).unwrap_or(now),
            None => self.known.map_or(now, state),
        }
    }

    /// Whether `what` has not been told with this value yet; from now on it has.
    fn once(&self, next: &mut SubscriptionState, what: &str, value: String) -> bool {
        let is_news = self.stored.and_then(|state| state.told.get(what)) != Some(&value);
        next.told.insert(what.to_owned(), value);
        is_news
    }

    /// Whether `what` has not been told of about this moment yet; from now on it has.
    fn once_a_moment(&self, next: &mut SubscriptionState, what: &str) -> bool {
        let now = self.facts.occurred_at.millis();
        let told = self.stored.and_then(|state| state.told.get(what)?.parse::<i64>().ok());
        next.told.insert(what.to_owned(), now.to_string());
        // In its turn the state decides; a late twin can only be known by its time.
        self.known.is_some()
            || told.is_none_or(|told| told.abs_diff(now) > SAME_MOMENT.unsigned_abs())
    }

    fn keep(&self, next: &mut SubscriptionState, name: &str) {
        if let Some(value) = self.facts.details.get(name) {
            next.told.insert(name.to_owned(), value.clone());
        }
    }

    fn reason(&self, row: EventType) -> Option<String> {
        let needs_one = matches!(
            row,
            EventType::SubscriptionExpired
                | EventType::RenewalDisabled
                | EventType::CancelledDuringGracePeriod
        );
        self.facts.reason.clone().filter(|_| needs_one)
    }
}

/// What Stripe's events would have left of a subscription that an import tells: the status word, and that it
/// and the start were told.
pub(in super::super) fn imported(state: &mut SubscriptionState) {
    let word = status::word(state);
    let word = state.provider_status.get_or_insert_with(|| word.to_owned());
    state.told.insert(WORD.to_owned(), word.clone());
    state.told.insert(STARTED.to_owned(), String::new());
}

/// The trial is over and does not open again.
pub(super) fn close_trial(next: &mut SubscriptionState) {
    next.trial_open = false;
    next.told.insert(TRIAL_OVER.to_owned(), String::new());
}

fn millis(moment: Option<Timestamp>) -> String {
    moment.map_or_else(String::new, |moment| moment.millis().to_string())
}

/// The prices of listed items, without how many of each.
fn prices(items: &str) -> Vec<&str> {
    items.split(',').map(|item| item.rsplit_once('*').map_or(item, |(price, _)| price)).collect()
}
