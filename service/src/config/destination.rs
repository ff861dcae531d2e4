//! `destinations`: who is told, as whom, about what, and how hard to try.

use std::collections::BTreeMap;
use std::time::Duration;

use strum::{Display, EnumString, VariantNames};

use super::account::Account;
use super::fields::{Fields, Names, unknown};
use super::kinds::{
    Rate, Start, boolean, duration, name, one_of, positive_duration, rate, start, url,
};
use super::problems::Place;
use super::source::Environment;
use super::steps::PARK_LIMIT;
use super::transformation::Transformation;

/// One configured receiver: its account, and what all receivers have in common.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Which service, with the options only it has.
    pub account: Account,
    /// Replaces the service's own address, for tests and proxies.
    pub base_url: Option<String>,
    /// By what a person is identified, the first that is known; never empty.
    pub identify_by: Vec<Identity>,
    /// What becomes of the events of anonymous subscribers.
    pub anonymous: Anonymous,
    /// What a customer's deletion at the provider does here, beside its event.
    pub on_customer_deleted: OnCustomerDeleted,
    /// Events of which environments are sent; never empty.
    pub environments: Vec<Environment>,
    /// Whose names events and attributes have by default.
    pub naming: Naming,
    /// Changes to single events, by their default name; under [`Naming::Provider`] not yet judged.
    pub events: BTreeMap<String, Entry>,
    /// Changes to single attributes, by their default name; under [`Naming::Provider`] not yet judged.
    pub attributes: BTreeMap<String, Entry>,
    /// A ceiling for the calls of all instances together.
    pub rate_limit: Rate,
    /// Whether calls are made at all.
    pub mode: Mode,
    /// Where to begin when nothing was ever committed.
    pub start: Start,
    /// How long one call may take.
    pub timeout: Duration,
    /// More parked than this stops the line.
    pub park_limit: Rate,
    /// When a failed call is made again.
    pub retry: Retry,
    /// Code of the operator's that says what is sent.
    pub transformation: Transformation,
    /// Where the destination stands in the configuration.
    pub place: Place,
}

/// By what a person can be identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Identity {
    /// The application's own id.
    UserId,
    /// The e-mail address.
    Email,
    /// The billing provider's id, for people known by nothing else.
    ProviderId,
}

/// What becomes of the events of anonymous subscribers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Anonymous {
    /// They are not sent.
    Skip,
    /// They are sent, and create a person.
    Send,
}

/// What a customer's deletion at the provider does at the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum OnCustomerDeleted {
    /// The person stays; only the event is sent.
    Keep,
    /// The person is suppressed (Customer.io) or archived (Intercom) as well.
    Suppress,
}

/// Whose names events and attributes have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Naming {
    /// Ours, the same for every provider.
    Unified,
    /// Those of the provider's own integration with this destination.
    Provider,
}

/// Whether calls are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Mode {
    /// They are.
    Live,
    /// Calls are planned, counted and noted, but nobody is called.
    Shadow,
}

/// What is changed about one event or attribute.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name at the destination; `None` for the default one.
    pub name: Option<String>,
    /// Whether it is sent.
    pub enabled: bool,
    /// Where this stands in the configuration.
    pub place: Place,
}

/// When a failed call is made again.
#[derive(Clone, Debug)]
pub struct Retry {
    /// Short waits on the spot, before the event is set aside.
    pub in_place: Vec<Duration>,
    /// Waits of an event that was set aside; ascending, never empty, the last one repeats.
    pub delays: Vec<Duration>,
    /// How long after the first failure the event is parked.
    pub horizon: Duration,
    /// How long a call without an answer may still take effect.
    pub quarantine: Duration,
}

impl Destination {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let account = Account::read(fields);
        let base_url = fields.unset(
            "base_url",
            &url(),
            "Replaces the service's own address, for tests and proxies.",
        );
        let identify_by = fields.list(
            "identify_by",
            &one_of::<Identity>(),
            &["user_id", "email"],
            "By what a person is identified here: the first that is known. `provider_id` reaches \
             people known by nothing else.",
        );
        let anonymous = fields.optional(
            "anonymous",
            &one_of::<Anonymous>(),
            "skip",
            "Whether anonymous subscribers become people here.",
        );
        let on_customer_deleted = fields.optional(
            "on_customer_deleted",
            &one_of::<OnCustomerDeleted>(),
            "keep",
            "Whether a customer's deletion at the provider also suppresses (Customer.io) or \
             archives (Intercom) the person, told of it or not.",
        );
        let environments = fields.list(
            "environments",
            &one_of::<Environment>(),
            &["production"],
            "Which purchases are sent; add `sandbox` for test purchases.",
        );
        let naming = fields.optional(
            "naming",
            &one_of::<Naming>(),
            "unified",
            "Our names, the same for every provider, or those of the provider's own integration.",
        );
        let events = read_entries(fields, "events", "event", naming);
        let attributes = read_entries(fields, "attributes", "attribute", naming);
        let pacing = Pacing::read(fields);
        let retry = fields.section("retry", "When a failed call is made again.", Retry::read);
        let transformation = Transformation::read(fields);
        refuse_empty(fields, "identify_by", identify_by.as_deref());
        refuse_empty(fields, "environments", environments.as_deref());
        let place = fields.place().clone();
        let pacing = pacing?;
        Some(Self {
            account: account?,
            base_url: base_url?,
            identify_by: identify_by?,
            anonymous: anonymous?,
            on_customer_deleted: on_customer_deleted?,
            environments: environments?,
            naming: naming?,
            events: events?,
            attributes: attributes?,
            rate_limit: pacing.rate_limit,
            mode: pacing.mode,
            start: pacing.start,
            timeout: pacing.timeout,
            park_limit: pacing.park_limit,
            retry: retry?,
            transformation: transformation?,
            place,
        })
    }
}

/// The options of a destination that say how fast and from when.
struct Pacing {
    rate_limit: Rate,
    mode: Mode,
    start: Start,
    timeout: Duration,
    park_limit: Rate,
}

impl Pacing {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let rate_limit = fields.optional(
            "rate_limit",
            &rate(),
            "100/s",
            "A ceiling for the calls of all instances together; what the service itself asks for \
             is obeyed as well.",
        );
        let mode = fields.optional(
            "mode",
            &one_of::<Mode>(),
            "live",
            "`shadow` plans, counts and notes calls but makes none: [going-live.md](going-live.md).",
        );
        let start = fields.optional(
            "start",
            &start(),
            "earliest",
            "From when a destination is told. A time is a cut: what happened (at the provider) before it \
             is skipped, whatever was committed; it may lie ahead. The words say where a destination \
             begins that never committed a position; one that leaves its shadow needs a time.",
        );
        let timeout = fields.optional(
            "timeout",
            &positive_duration(),
            "10s",
            "How long one call may take in all.",
        );
        let park_limit = fields.optional("park_limit", &rate(), "100/min", PARK_LIMIT);
        Some(Self {
            rate_limit: rate_limit?,
            mode: mode?,
            start: start?,
            timeout: timeout?,
            park_limit: park_limit?,
        })
    }
}

impl Retry {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let in_place = fields.list(
            "in_place",
            &duration(),
            &["200ms", "1s"],
            "Short waits on the spot, before the event is set aside.",
        );
        let delays = fields.list(
            "delays",
            &positive_duration(),
            &["10s", "1m", "10m", "1h", "6h"],
            "Waits of an event that was set aside, ascending; the last one repeats.",
        );
        let horizon = fields.optional(
            "horizon",
            &positive_duration(),
            "48h",
            "How long after the first failure the event is parked. Customer.io starts no campaign \
             for events older than 72 h.",
        );
        let quarantine = fields.optional(
            "quarantine",
            &duration(),
            "10s",
            "How long a call that timed out or broke off may still take effect: so long nothing more \
             of this subscriber is sent. At least the destination's own limit for a call.",
        );
        if let Some(delays) = &delays {
            judge_delays(fields, delays, horizon);
        }
        Some(Self {
            in_place: in_place?,
            delays: delays?,
            horizon: horizon?,
            quarantine: quarantine?,
        })
    }
}

fn judge_delays(fields: &Fields<'_>, delays: &[Duration], horizon: Option<Duration>) {
    if !delays.is_sorted_by(|earlier, later| earlier < later) {
        fields.problem("delays", "must be ascending");
    }
    match (delays.first(), horizon) {
        (None, _) => fields.problem("delays", "must not be empty"),
        (Some(first), Some(horizon)) if *first > horizon => {
            let key = if fields.has("horizon") { "horizon" } else { "delays" };
            fields.problem(key, "the first of `delays` lies beyond `horizon`");
        }
        (Some(_), _) => {}
    }
}

fn read_entries(
    fields: &mut Fields<'_>,
    key: &str,
    what: &str,
    naming: Option<Naming>,
) -> Option<BTreeMap<String, Entry>> {
    let vocabulary = fields.vocabulary();
    let (known, placeholder) = match key {
        "events" => (vocabulary.events, "<event>"),
        _ => (vocabulary.attributes, "<attribute>"),
    };
    // The names of the providers are known where they are sent.
    let known = if naming == Some(Naming::Provider) { &[] } else { known };
    let doc = format!("Changes to single {key}, by their default name.");
    fields.named(key, Names::Ours, placeholder, &doc, |ours, fields| {
        if !known.is_empty() && !known.contains(&ours) {
            fields.problem_here(unknown(what, ours, known.iter().copied()));
        }
        let renamed = fields.optional(
            "name",
            &name(),
            "",
            "Its name at the destination; blank for the default one.",
        );
        let enabled = fields.optional(
            "enabled",
            &boolean(),
            "true",
            &format!("Whether this {what} is sent."),
        );
        let place = fields.place().clone();
        Some(Entry { name: renamed?, enabled: enabled?, place })
    })
}

fn refuse_empty<T>(fields: &Fields<'_>, key: &str, list: Option<&[T]>) {
    if list.is_some_and(<[T]>::is_empty) {
        fields.problem(key, "must not be empty");
    }
}
