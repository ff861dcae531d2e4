//! `subscription.*`: the type says what happened, the data how things are.

use schemas::EventType;
use schemas::event::Subscription;
use schemas::state::{Facts, SubscriptionFacts, SubscriptionState};
use schemas::vocabulary::PeriodType;

use super::super::super::answer::{ALREADY_ENDED, NO_CHANGE, of_type, told};
use super::super::super::price::{Period, Plan, Rate, change};
use super::super::super::{Decision, Draft, Known, overlay};
use super::super::{detail, status};

/// Facts that this version does not understand, left by a later one.
const NOT_UNDERSTOOD: &str = "not_understood";
/// The subscription's start was told, or something that presupposes it.
const STARTED: &str = "started";
const RUNNING: &str = "running";
/// Two events that tell one fact are at most this far apart, in milliseconds.
const SAME_MOMENT: u64 = 60_000;

/// A subscription event, with what is known.
struct Happening<'a> {
    facts: &'a Facts,
    shown: &'a SubscriptionFacts,
    /// What is known; `None` for an unknown subscription, and for a late event.
    known: Option<&'a SubscriptionState>,
    /// What is stored, also for a late event.
    stored: Option<&'a SubscriptionState>,
    ranking: &'a [String],
}

pub(super) fn decide(facts: &Facts, known: &Known<'_>) -> Decision {
    let Some(shown) = &facts.subscription else {
        return Decision::ignored(NOT_UNDERSTOOD, None);
    };
    let stored = overlay::stored(known, facts.environment, &shown.shown.id);
    let ranking = &known.settings.plans;
    Happening { facts, shown, known: known.subscription, stored, ranking }.decide()
}

impl Happening<'_> {
    fn decide(&self) -> Decision {
        let name = self.facts.provider_event_type.as_str();
        let ends = matches!(name, "subscription.expired" | "subscription.failed")
            || (name == "subscription.cancelled" && !self.cancels_later());
        let ended = if ends { self.stored } else { self.known }.is_some_and(|state| state.ended);
        if ended && !matches!(name, "subscription.active" | "subscription.renewed") {
            return Decision::ignored(ALREADY_ENDED, self.known.cloned());
        }
        let mut next = self.shown();
        let mut rows = Vec::new();
        match name {
            "subscription.active" => self.activate(&mut next, &mut rows),
            "subscription.renewed" => renew(&mut next, &mut rows),
            "subscription.past_due" => past_due(&mut next, &mut rows),
            "subscription.on_hold" => hold(&mut next, &mut rows),
            "subscription.paused" => pause(&mut next, &mut rows),
            "subscription.unpaused" => self.unpause(&mut next, &mut rows),
            "subscription.plan_changed" => self.change_plan(&mut next, &mut rows),
            "subscription.cancelled" if !ends => schedule_cancel(&mut next, &mut rows),
            "subscription.cancelled" | "subscription.expired" => self.end(&mut next, &mut rows),
            "subscription.failed" => {
                next.ended = true;
                rows.push(EventType::SubscriptionStartFailed);
            }
            _ => self.update(&mut next, &mut rows),
        }
        self.finish(next, rows)
    }

    /// Leaves out what was told of this moment already, and remembers the rest.
    fn finish(&self, mut next: SubscriptionState, mut rows: Vec<EventType>) -> Decision {
        let now = self.facts.occurred_at.millis();
        if self.known.is_none() {
            rows.retain(|row| {
                let always_news = matches!(
                    row,
                    EventType::SubscriptionRenewed
                        | EventType::TrialConverted
                        | EventType::IntroOfferConverted
                );
                let told = self.stored.and_then(|state| state.told.get(row.name()));
                let told = told.and_then(|moment| moment.parse::<i64>().ok());
                always_news || told.is_none_or(|moment| moment.abs_diff(now) > SAME_MOMENT)
            });
        }
        for row in &rows {
            next.told.insert(row.name().to_owned(), now.to_string());
        }
        next.current.period_type = Some(match (next.trial_open, next.intro_open) {
            (true, _) => PeriodType::Trial,
            (_, true) => PeriodType::Intro,
            (false, false) => PeriodType::Normal,
        });
        next.current.status = status::status(&next, self.shown, self.facts.occurred_at);
        let events = rows.into_iter().map(|row| Draft { reason: self.reason(row), ..of_type(row) });
        told(events.collect(), Some(next), NO_CHANGE)
    }

    /// The state with the data laid over it: all but the plan, its price and what was told.
    fn shown(&self) -> SubscriptionState {
        let mut next = overlay::continued(self.known, self.facts, &self.shown.shown.id);
        let before = std::mem::take(&mut next.current);
        next.current = Subscription {
            status: before.status,
            entitlements: before.entitlements,
            expiration_reason: before.expiration_reason,
            ..self.shown.shown.clone()
        };
        let plan_known = before.product_id.is_some();
        let starts = self.facts.provider_event_type == "subscription.active" && self.is_first();
        if plan_known && !starts && self.facts.provider_event_type != "subscription.plan_changed" {
            next.current.product_id = before.product_id;
            next.current.price = before.price;
            next.current.billing_period = before.billing_period;
            next.current.quantity = before.quantity;
        } else if let Some(rate) = self.facts.details.get(detail::RATE) {
            next.told.insert(detail::RATE.to_owned(), rate.clone());
        }
        next.provider_status.clone_from(&self.shown.provider_status);
        next
    }

    /// Whether the flag says so and there is a period left. Data that show it living and never
    /// cancelled belong to a cancellation that was scheduled and taken back before this delivery.
    fn cancels_later(&self) -> bool {
        let end = self.shown.shown.period_end;
        if self.shown.cancel_scheduled == Some(true) {
            return end.is_some_and(|end| end > self.facts.occurred_at);
        }
        let living = matches!(
            self.shown.provider_status.as_deref(),
            Some("active" | "past_due" | "on_hold" | "paused")
        );
        living && !self.facts.details.contains_key(detail::CANCELLED)
    }

    /// Whether the start has still to be told.
    fn is_first(&self) -> bool {
        let told = |name| self.stored.is_some_and(|state| state.told.contains_key(name));
        !told(STARTED) && (self.known.is_none() || !told(RUNNING))
    }

    fn activate(&self, next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
        let was = |flag: fn(&SubscriptionState) -> bool| self.known.is_some_and(flag);
        if was(|state| state.ended) {
            rows.push(EventType::SubscriptionReactivated);
        } else if was(|state| state.in_grace) {
            rows.push(EventType::RecoveredFromGracePeriod);
        } else if was(|state| state.in_billing_retry) {
            rows.push(EventType::RecoveredFromBillingRetry);
        } else if was(|state| state.paused) {
            rows.push(EventType::SubscriptionResumed);
        } else if self.is_first() {
            rows.push(EventType::SubscriptionStarted);
            if self.facts.details.contains_key(detail::TRIAL) {
                next.intro_open = self.facts.details.contains_key(detail::PAID_TRIAL);
                next.trial_open = !next.intro_open;
                rows.push(if next.intro_open {
                    EventType::IntroOfferStarted
                } else {
                    EventType::TrialStarted
                });
            }
        }
        if next.ended {
            next.cancel_scheduled = false;
            next.current.expiration_reason = None;
        }
        next.ended = false;
        clear_trouble(next);
        next.told.insert(STARTED.to_owned(), String::new());
    }

    fn unpause(&self, next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
        if self.known.is_none_or(|state| state.paused) {
            rows.push(EventType::SubscriptionResumed);
        }
        next.paused = false;
        runs(next);
    }

    fn change_plan(&self, next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
        next.pending_product = None;
        next.told.remove(detail::SCHEDULED_CHANGE);
        runs(next);
        let before = self.known.map(|state| &state.current);
        let plan =
            |shown: &Subscription| (shown.product_id.clone(), shown.price.clone(), shown.quantity);
        if before.is_some_and(|before| plan(before) == plan(&next.current)) {
            return;
        }
        let rate = |text: Option<&String>| text.and_then(|text| text.parse::<Rate>().ok());
        let rate_before = rate(self.known.and_then(|state| state.told.get(detail::RATE)));
        let rate_after = rate(self.facts.details.get(detail::RATE));
        rows.push(change(
            &Plan {
                plan: None,
                product: before.and_then(|before| before.product_id.as_deref()),
                rate: rate_before.as_ref(),
            },
            &Plan {
                plan: None,
                product: next.current.product_id.as_deref(),
                rate: rate_after.as_ref(),
            },
            self.ranking,
        ));
    }

    fn end(&self, next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
        if next.trial_open {
            rows.push(EventType::TrialNotConverted);
        }
        if next.intro_open {
            rows.push(EventType::IntroOfferNotConverted);
        }
        if next.in_grace {
            rows.push(match self.facts.provider_event_type.as_str() {
                "subscription.cancelled" => EventType::CancelledDuringGracePeriod,
                _ => EventType::GracePeriodEnded,
            });
        }
        rows.push(EventType::SubscriptionExpired);
        clear_trouble(next);
        runs(next);
        next.trial_open = false;
        next.intro_open = false;
        next.pending_product = None;
        next.ended = true;
        next.current.auto_renew = Some(false);
        next.current.expiration_reason = Some(self.expiration_reason());
    }

    fn expiration_reason(&self) -> String {
        let by_type = match self.facts.provider_event_type.as_str() {
            "subscription.cancelled" => "cancelled",
            _ => "expired",
        };
        self.facts.reason.clone().unwrap_or_else(|| by_type.to_owned())
    }

    /// Any field may have changed; only the flag and an announced change of plan are told here.
    fn update(&self, next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
        let flag = self.shown.cancel_scheduled.unwrap_or(false);
        let flag_before = self.stored.is_some_and(|state| state.cancel_scheduled);
        // A late update carries newer data than its moment: it can only tell what they still show.
        let is_news = flag != flag_before && (flag || self.known.is_some());
        if is_news {
            rows.push(if flag { EventType::RenewalDisabled } else { EventType::RenewalEnabled });
        }
        next.cancel_scheduled = flag;
        let announced = self.facts.details.get(detail::SCHEDULED_CHANGE);
        let told = self.stored.and_then(|state| state.told.get(detail::SCHEDULED_CHANGE));
        next.pending_product = self.facts.details.get(detail::NEXT_PRODUCT).cloned();
        match announced {
            Some(change) => {
                if told != Some(change) {
                    rows.push(EventType::PlanChangeScheduled);
                }
                next.told.insert(detail::SCHEDULED_CHANGE.to_owned(), change.clone());
            }
            None => {
                next.told.remove(detail::SCHEDULED_CHANGE);
            }
        }
    }

    fn reason(&self, row: EventType) -> Option<String> {
        if row == EventType::SubscriptionExpired {
            return Some(self.expiration_reason());
        }
        let is_cancellation =
            matches!(row, EventType::RenewalDisabled | EventType::CancelledDuringGracePeriod);
        self.facts.reason.clone().filter(|_| is_cancellation)
    }
}

/// What Dodo's events would have left of a subscription that an import tells: that its start was told, and
/// what it costs.
pub(in super::super) fn imported(state: &mut SubscriptionState) {
    state.told.insert(STARTED.to_owned(), String::new());
    let period = state.current.billing_period.as_deref().and_then(Period::parse);
    if let Some((price, period)) = state.current.price.as_ref().zip(period) {
        state.told.insert(detail::RATE.to_owned(), Rate::of(price, 1, period).to_string());
    }
    runs(state);
}

/// A further period; the first after a trial converts it.
fn renew(next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
    rows.push(if next.trial_open {
        EventType::TrialConverted
    } else if next.intro_open {
        EventType::IntroOfferConverted
    } else {
        EventType::SubscriptionRenewed
    });
    if next.in_grace {
        rows.push(EventType::RecoveredFromGracePeriod);
    } else if next.in_billing_retry {
        rows.push(EventType::RecoveredFromBillingRetry);
    }
    next.trial_open = false;
    next.intro_open = false;
    next.cancel_scheduled = false;
    clear_trouble(next);
    runs(next);
}

/// Payment failed, access is kept.
fn past_due(next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
    if !next.in_grace {
        rows.push(EventType::GracePeriodStarted);
    }
    clear_trouble(next);
    next.in_grace = true;
    runs(next);
}

/// Payment failed, access is lost.
fn hold(next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
    if !next.in_billing_retry {
        if next.in_grace {
            rows.push(EventType::GracePeriodEnded);
        }
        rows.push(EventType::BillingRetryStarted);
    }
    clear_trouble(next);
    next.in_billing_retry = true;
    runs(next);
}

/// Paused on purpose.
fn pause(next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
    if !next.paused {
        rows.push(EventType::SubscriptionPaused);
    }
    next.paused = true;
    runs(next);
}

/// It will not renew.
fn schedule_cancel(next: &mut SubscriptionState, rows: &mut Vec<EventType>) {
    if !next.cancel_scheduled {
        rows.push(EventType::RenewalDisabled);
    }
    next.cancel_scheduled = true;
    runs(next);
}

/// No billing trouble and no pause any more.
fn clear_trouble(next: &mut SubscriptionState) {
    next.in_grace = false;
    next.in_billing_retry = false;
    next.paused = false;
}

/// It has been running before: an activation to come is not its start.
fn runs(next: &mut SubscriptionState) {
    next.told.insert(RUNNING.to_owned(), String::new());
}
