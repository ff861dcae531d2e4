//! From a lifecycle event that a producer wrote to facts.

use std::cell::RefCell;
use std::collections::BTreeMap;

use schemas::EventType;
use schemas::codec::{Codec, CodecError, Framing};
use schemas::event::{LifecycleEvent, Subscriber};
use schemas::state::{Facts, Identity, SubscriptionFacts};

use super::super::json::Json;
use super::super::{RawView, Reading, SourceSettings, Unreadable, person};
use super::plausible::plausible;
use super::{detail, rank};

/// Most other ids of one person that are kept.
const MOST_ALIASES: usize = 32;

thread_local! {
    /// What the thread reads Avro with: codecs keep what they have learned of schemas.
    static CODEC: RefCell<Result<Codec<LifecycleEvent>, CodecError>> =
        RefCell::new(Codec::new(Framing::SingleObject));
}

/// Whether a value is Avro in one of the two framings; JSON begins with neither.
pub(super) fn is_framed(body: &[u8]) -> bool {
    matches!(body, [0xC3, 0x01, ..] | [0x00, ..])
}

/// The registry's id that a value is framed with, if this thread has still to [`learn`] its schema.
pub fn unlearned(body: &[u8]) -> Option<u32> {
    CODEC.with_borrow(|codec| codec.as_ref().ok()?.unlearned(body))
}

/// From now on this thread reads what was written with the schema that the registry knows as `id`.
pub fn learn(id: u32, schema: &str) -> Result<(), CodecError> {
    CODEC.with_borrow_mut(|codec| match codec {
        Ok(codec) => codec.learn(id, schema),
        Err(_) => Ok(()),
    })
}

/// Decodes an Avro lifecycle event of any released version, or of a schema that was learned.
pub(super) fn decode(body: &[u8]) -> Result<LifecycleEvent, Unreadable> {
    let problem = |problem| Unreadable { path: String::new(), problem };
    CODEC.with_borrow(|codec| match codec {
        Ok(codec) => codec.decode(body).map_err(|error| match error {
            CodecError::UnknownSchemaId(_) => problem("Avro of an unknown registry id"),
            CodecError::UnknownFingerprint(_) => problem("Avro of an unknown schema"),
            CodecError::Schema(..)
            | CodecError::Encode(_)
            | CodecError::Framing
            | CodecError::Decode(_) => problem("not a lifecycle event"),
        }),
        Err(_) => Err(problem("no schema to read Avro with")),
    })
}

/// Takes the facts out of a lifecycle event, however it was written. Its place in the sequence, its
/// ids and its summary of the subscriber are not taken over.
pub fn read_event(event: LifecycleEvent, raw: &RawView<'_>, settings: &SourceSettings) -> Reading {
    if event.subscriber.id != raw.subscriber_id {
        return Reading::KeyMismatch;
    }
    let event = match plausible(event) {
        Ok(event) => event,
        Err(unreadable) => return Reading::Parked(unreadable),
    };
    let own_name = match (event.provider_event_type.is_empty(), event.event_type) {
        (false, _) => event.provider_event_type.clone(),
        (true, event_type) => event_type.name().to_owned(),
    };
    let meaning = if event.event_type == EventType::Unknown {
        let listed = |also: &&String| **also == own_name || also.as_str() == raw.event_type;
        if settings.also.iter().find(listed).is_none() {
            return Reading::Ignored("unknown_event_type");
        }
        EventType::ProviderEvent
    } else {
        event.event_type
    };
    Reading::Facts(Box::new(facts(event, raw, meaning, own_name)))
}

fn facts(event: LifecycleEvent, raw: &RawView<'_>, meaning: EventType, own_name: String) -> Facts {
    let person = who(&event.subscriber);
    let subscription = event.subscription.map(|told| SubscriptionFacts {
        provider_status: told.status.map(|status| status.name().to_owned()),
        shown: schemas::event::Subscription { status: None, ..told },
        ..SubscriptionFacts::default()
    });
    Facts {
        provider_event_type: own_name,
        rank: rank::rank(meaning),
        environment: event.environment,
        person,
        subscription,
        money: event.money,
        payment: event.payment,
        offer: event.offer,
        transfer: event.transfer,
        reason: event.reason,
        details: BTreeMap::from([(detail::TYPE.to_owned(), meaning.name().to_owned())]),
        ..raw.facts(event.occurred_at)
    }
}

/// What is learned of the person.
pub(super) fn who(told: &Subscriber) -> Identity {
    let mut attributes = BTreeMap::new();
    for (name, value) in &told.attributes {
        person::attribute(&mut attributes, name, Some(&Json::String(value.into())));
    }
    Identity {
        id: told.id.clone(),
        user_id: told.user_id.clone(),
        email: told.email.clone(),
        aliases: told.aliases.iter().take(MOST_ALIASES).cloned().collect(),
        anonymous: told.anonymous && told.user_id.is_none(),
        attributes,
    }
}
