//! Stories and catalogues are in step: what is mapped is shown, and what is shown is known.

use std::collections::{BTreeMap, BTreeSet};

use schemas::EventType;
use strum::IntoEnumIterator;
use transform::sources::{Treatment, mapper_of};

use crate::fixture::{PROVIDERS, stories};
use crate::outcome::tell;

/// Why a type that no catalogue lists is let be.
const UNLISTED: [&str; 3] = ["unknown_event_type", "thin_event", "unsupported_api_version"];

#[test]
fn every_mapped_type_is_told_in_a_story_and_every_type_of_a_story_is_known() {
    for provider in PROVIDERS {
        let mut shown: BTreeSet<String> = BTreeSet::new();
        let treatments: BTreeMap<_, _> =
            mapper_of(provider).unwrap().treatments().iter().copied().collect();
        for story in stories(provider) {
            for group in tell(&story).groups {
                shown.extend(group.events.iter().map(|event| event.provider_event_type.clone()));
                let unlisted = group
                    .deliveries
                    .iter()
                    .filter(|(event_type, _)| !treatments.contains_key(event_type.as_str()));
                let excused =
                    group.ignored.iter().filter(|reason| UNLISTED.contains(reason)).count();
                assert_eq!(unlisted.count(), excused, "{provider}/{}", story.name);
                assert_eq!(group.parked, [""; 0], "{provider}/{}", story.name);
            }
        }
        let mapped = treatments.iter().filter(|(_, treatment)| **treatment == Treatment::Mapped);
        let missing: Vec<_> =
            mapped.map(|(name, _)| *name).filter(|name| !shown.contains(*name)).collect();
        assert_eq!(missing, [""; 0], "{provider} tells of these, and no story shows it");
    }
}

#[test]
fn every_type_of_the_vocabulary_is_caused_by_some_provider() {
    let mut caused: BTreeSet<EventType> = BTreeSet::new();
    for provider in PROVIDERS {
        for story in stories(provider) {
            let groups = tell(&story).groups;
            let events = groups.iter().flat_map(|group| &group.events);
            caused.extend(events.map(|event| event.event_type));
        }
    }
    let missing: Vec<EventType> = EventType::iter()
        .filter(|event_type| *event_type != EventType::Unknown && !caused.contains(event_type))
        .collect();
    assert_eq!(missing, []);
}

#[test]
fn no_trap_is_shown_twice_under_one_name() {
    for provider in PROVIDERS {
        let traps: Vec<String> =
            stories(provider).into_iter().flat_map(|story| story.traps).collect();
        let names: BTreeSet<&String> = traps.iter().collect();
        assert_eq!(names.len(), traps.len(), "{provider}");
    }
}
