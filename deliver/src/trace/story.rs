//! From what was read to one person's story.

use std::time::Duration;

use schemas::{EventType, LifecycleEvent};

use super::deliveries::{Delivery, deliveries};
use super::material::{Event, Material};
use super::webhooks::{Webhook, webhooks};

/// For how long records wait in `transform`, as configured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) reorder_window: Duration,
    pub(super) link_timeout: Duration,
}

/// One person's story: what was received, what it became, and what became of that at each destination.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) material: Material,
    pub(super) webhooks: Vec<Webhook>,
    /// In order of their sequence.
    pub(super) chapters: Vec<Chapter>,
}

/// An event, and what became of it at each destination in the order of the configuration.
#[derive(Clone, Debug)]
pub(super) struct Chapter {
    pub(super) told: Event,
    pub(super) deliveries: Vec<Delivery>,
}

impl Story {
    /// Concludes from what was read.
    pub(super) fn of(material: Material, times: Times) -> Self {
        let webhooks = webhooks(&material, times);
        let chapter = |told: &Event| Chapter { told: told.clone(), deliveries: Vec::new() };
        let mut chapters: Vec<Chapter> = material.events.iter().map(chapter).collect();
        for at in &material.destinations {
            for (chapter, delivery) in chapters.iter_mut().zip(deliveries(at, &material.events)) {
                chapter.deliveries.push(delivery);
            }
        }
        Self { material, webhooks, chapters }
    }

    /// Whether nothing at all is known of the key.
    pub(super) fn is_empty(&self) -> bool {
        self.webhooks.is_empty()
            && self.chapters.is_empty()
            && self.material.state.is_none()
            && self.material.letters.is_empty()
            && self.material.linked_to.is_none()
    }

    /// Keys that are the same person by what was read here: whom a link names, and who was merged. The other
    /// side of a transfer is somebody else.
    pub(super) fn same_person(&self) -> Vec<String> {
        let merged = self.material.events.iter().map(|told| &told.event);
        let merged = merged.filter(|event| event.event_type == EventType::CustomerMerged);
        let aliases = merged.flat_map(|event| {
            event.subscriber.aliases.iter().map(|alias| format!("{}/{alias}", event.source))
        });
        let mut keys: Vec<_> = self.material.linked_to.iter().cloned().chain(aliases).collect();
        keys.retain(|key| *key != self.material.key);
        keys.sort();
        keys.dedup();
        keys
    }

    /// The events themselves.
    pub(super) fn events(&self) -> impl Iterator<Item = &LifecycleEvent> {
        self.chapters.iter().map(|chapter| &chapter.told.event)
    }
}
