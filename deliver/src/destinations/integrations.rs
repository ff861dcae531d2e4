//! The providers' own integrations with the destinations, as tables: for each of the provider's event
//! types the name it has there, what goes with it, and what it leaves on the person.
//!
//! A row of a table is the whole truth about one event: [`row`](Integration::row) takes the first that
//! fits. What an integration is known to send stands in a table; a pair of provider and destination
//! nobody has described sends the provider's own type as the name and says what we would say.
//! `docs/naming.md` shows the same tables, and a test holds it against them.

mod dodo;
mod purchasely;
mod revenuecat;
mod stripe;
mod values;

#[cfg(test)]
mod page;

use schemas::vocabulary::{PeriodType, Store};
use schemas::{EventType, LifecycleEvent, Provider};

use super::{DataType, Recipient, Shown, Standing};

/// A kind of destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Receiver {
    /// Customer.io.
    Customerio,
    /// Intercom.
    Intercom,
    /// A receiver of signed webhooks, with which no provider has an integration of its own.
    Webhook,
}

/// One provider's integration with one kind of destination.
#[derive(Debug)]
pub(super) struct Integration {
    /// The events that are described.
    rows: &'static [Row],
    /// What becomes of the others.
    pub(super) rest: Rest,
}

/// What becomes of events that no row describes.
#[derive(Debug)]
pub(super) enum Rest {
    /// The integration does not send them.
    NotSent,
    /// The provider's type is the name.
    OwnName { facts: Content, attributes: Content, recipient: Recipient },
}

/// One event of an integration.
#[derive(Debug)]
pub(super) struct Row {
    /// The provider's own type.
    event: &'static str,
    /// When that type means this row.
    when: When,
    /// Its default name at the destination.
    pub(super) name: &'static str,
    /// Whether it is sent without being asked for.
    pub(super) standing: Standing,
    /// Stores of whose subscriptions the integration does not send it.
    pub(super) except: &'static [Store],
    /// What goes with it.
    pub(super) facts: Content,
    /// What it leaves on the person.
    pub(super) attributes: Content,
    /// Whom it is told of.
    pub(super) recipient: Recipient,
}

/// When a type of the provider means a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Always.
    Always,
    /// In a free trial.
    InTrial,
    /// When it turned a trial into a paid subscription.
    ConvertsTrial,
}

/// What an event says, or a person shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    /// What it does in our words.
    Ours,
    /// These first, then the same.
    OursAnd(&'static [Field]),
    /// These, and nothing else.
    Only(&'static [Field]),
}

/// One attribute of a person, or one thing an event says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Its default name at the destination.
    pub(super) name: &'static str,
    /// How a destination that wants to know declares it.
    data_type: DataType,
    /// What it is, for the page.
    #[cfg_attr(not(test), expect(dead_code, reason = "the page is held against it by a test"))]
    says: &'static str,
    value: fn(&LifecycleEvent) -> Shown,
    span: Span,
}

/// For how long something that an event leaves on a person can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Span {
    /// As long as it holds.
    Lasting,
    /// With the event alone.
    AtEvent,
}

impl Integration {
    /// The row that describes `event`.
    pub(super) fn row(&self, event: &LifecycleEvent) -> Option<&'static Row> {
        self.rows.iter().find(|row| row.event == event.provider_event_type && row.when.fits(event))
    }

    /// Whom `event` is about.
    pub(super) fn recipient(&self, event: &LifecycleEvent) -> Recipient {
        match (self.row(event), &self.rest) {
            (Some(row), _) => row.recipient,
            (None, Rest::OwnName { recipient, .. }) => *recipient,
            (None, Rest::NotSent) => Recipient::Configured,
        }
    }
}

/// What can be shown once more without an event.
impl Integration {
    /// What the events leave on people and what holds beyond them.
    pub(super) fn lasting(&self) -> impl Iterator<Item = &'static Field> {
        let left = self.left().flat_map(Content::fields);
        left.filter(|field| field.span == Span::Lasting)
    }

    /// Whether an event leaves on people what is ours.
    pub(super) fn shows_ours(&self) -> bool {
        self.left().any(Content::has_ours)
    }

    /// Whom it is about: as with events that nobody described, else as with the first that is.
    pub(super) fn recipient_of_refresh(&self) -> Recipient {
        let first = self.rows.first().map(|row| row.recipient);
        match (&self.rest, first) {
            (Rest::OwnName { recipient, .. }, _) => *recipient,
            (Rest::NotSent, first) => first.unwrap_or(Recipient::Configured),
        }
    }

    fn left(&self) -> impl Iterator<Item = Content> {
        let rest = match &self.rest {
            Rest::NotSent => None,
            Rest::OwnName { attributes, .. } => Some(*attributes),
        };
        self.rows.iter().map(|row| row.attributes).chain(rest)
    }
}

impl When {
    fn fits(self, event: &LifecycleEvent) -> bool {
        let period = event.subscription.as_ref().and_then(|subscription| subscription.period_type);
        match self {
            Self::Always => true,
            Self::InTrial => period == Some(PeriodType::Trial),
            Self::ConvertsTrial => event.event_type == EventType::TrialConverted,
        }
    }
}

impl Row {
    const fn new(event: &'static str, name: &'static str) -> Self {
        Self {
            event,
            when: When::Always,
            name,
            standing: Standing::Sent,
            except: &[],
            facts: Content::Ours,
            attributes: Content::Ours,
            recipient: Recipient::Configured,
        }
    }

    const fn when(self, when: When) -> Self {
        Self { when, ..self }
    }

    const fn optional(self) -> Self {
        Self { standing: Standing::Optional, ..self }
    }

    const fn except(self, except: &'static [Store]) -> Self {
        Self { except, ..self }
    }

    const fn saying(self, facts: Content) -> Self {
        Self { facts, ..self }
    }

    const fn leaving(self, attributes: Content) -> Self {
        Self { attributes, ..self }
    }

    const fn to(self, recipient: Recipient) -> Self {
        Self { recipient, ..self }
    }
}

impl Content {
    fn fields(self) -> &'static [Field] {
        match self {
            Self::Ours => &[],
            Self::OursAnd(fields) | Self::Only(fields) => fields,
        }
    }

    fn has_ours(self) -> bool {
        match self {
            Self::Ours | Self::OursAnd(_) => true,
            Self::Only(_) => false,
        }
    }
}

impl Field {
    const fn new(
        name: &'static str,
        says: &'static str,
        value: fn(&LifecycleEvent) -> Shown,
    ) -> Self {
        Self { name, data_type: DataType::Text, says, value, span: Span::Lasting }
    }

    const fn typed(self, data_type: DataType) -> Self {
        Self { data_type, ..self }
    }

    const fn at_event(self) -> Self {
        Self { span: Span::AtEvent, ..self }
    }

    /// What it is for this event.
    pub(super) fn of(&self, event: &LifecycleEvent) -> Shown {
        (self.value)(event)
    }
}

/// Every pair that is described.
const DESCRIBED: [(Provider, Receiver, &Integration); 5] = [
    (Provider::Purchasely, Receiver::Customerio, &purchasely::TO_CUSTOMERIO),
    (Provider::Dodo, Receiver::Customerio, &dodo::TO_CUSTOMERIO),
    (Provider::Stripe, Receiver::Customerio, &stripe::TO_CUSTOMERIO),
    (Provider::Revenuecat, Receiver::Intercom, &revenuecat::TO_INTERCOM),
    (Provider::Revenuecat, Receiver::Customerio, &revenuecat::TO_CUSTOMERIO),
];

/// Any other pair.
const UNDESCRIBED: Integration = Integration {
    rows: &[],
    rest: Rest::OwnName {
        facts: Content::Ours,
        attributes: Content::Ours,
        recipient: Recipient::Configured,
    },
};

/// The integration of a provider with a kind of destination.
pub(super) fn of(provider: Provider, receiver: Receiver) -> &'static Integration {
    let described = DESCRIBED.iter().find(|(of, with, _)| (*of, *with) == (provider, receiver));
    described.map_or(&UNDESCRIBED, |(_, _, integration)| integration)
}

/// The default names of the events that are described for a pair, in the order of the table.
pub fn event_names(provider: Provider, receiver: Receiver) -> Vec<&'static str> {
    let mut names: Vec<_> = of(provider, receiver).rows.iter().map(|row| row.name).collect();
    names.dedup();
    names
}

/// The default names of all events of a pair, where `types` are the provider's types that are told.
pub(super) fn names<'a>(
    provider: Provider,
    receiver: Receiver,
    types: &[&'a str],
) -> Vec<(&'a str, Standing)> {
    let integration = of(provider, receiver);
    let described = integration.rows.iter().filter(|row| types.contains(&row.event));
    let described = described.map(|row| (row.name, row.standing));
    let others = types.iter().filter(|one| match integration.rest {
        Rest::NotSent => false,
        Rest::OwnName { .. } => integration.rows.iter().all(|row| row.event != **one),
    });
    described.chain(others.map(|one| (*one, Standing::Sent))).collect()
}

/// Whether a type of the provider is its own name for this pair.
pub fn is_own_name(provider: Provider, receiver: Receiver, event: &str) -> bool {
    let integration = of(provider, receiver);
    let has_another = integration.rows.iter().any(|row| row.event == event && row.name != event);
    matches!(integration.rest, Rest::OwnName { .. }) && !has_another
}

/// Whether a pair says and shows what we do.
pub fn has_ours(provider: Provider, receiver: Receiver) -> bool {
    contents(of(provider, receiver)).any(Content::has_ours)
}

/// The default names of what the events of a pair say and leave on people, without ours.
pub fn field_names(provider: Provider, receiver: Receiver) -> Vec<&'static str> {
    let fields = contents(of(provider, receiver)).flat_map(Content::fields);
    fields.map(|field| field.name).collect()
}

/// The attributes that a pair leaves on people, without ours, with their types.
pub(super) fn attributes(provider: Provider, receiver: Receiver) -> Vec<(&'static str, DataType)> {
    let integration = of(provider, receiver);
    let left = integration.rows.iter().flat_map(|row| row.attributes.fields());
    left.map(|field| (field.name, field.data_type)).collect()
}

fn contents(integration: &'static Integration) -> impl Iterator<Item = Content> {
    let rest = match &integration.rest {
        Rest::NotSent => None,
        Rest::OwnName { facts, attributes, .. } => Some([*facts, *attributes]),
    };
    integration.rows.iter().map(|row| [row.facts, row.attributes]).chain(rest).flatten()
}
