//! Values in Avro's binary encoding, as we write and read it and as the library does.

use strum::IntoEnumIterator;

use super::super::datum::{self, Undescribed};
use super::*;
use crate::event::{Offer, Subscription};
use crate::vocabulary::{EventType, OfferKind, PeriodType, Provider, Status, Store};

/// Moreover the library, which looks each field up in the schema, writes the same bytes, and reads the same from them.
fn survives_as_the_schema_says<T: Described + PartialEq + std::fmt::Debug>(value: &T) {
    survives(value);
    let schema = Schema::parse_str(T::VERSIONS.last().unwrap()).unwrap();
    let by_the_library = GenericDatumWriter::builder(&schema).human_readable(false).build();
    let (mut expected, mut written) = (Vec::new(), Vec::new());
    by_the_library.unwrap().write_ser(&mut expected, value).unwrap();
    datum::write(value, &mut written).unwrap();
    assert_eq!(written, expected, "{}", T::NAME);
    assert_eq!(read_by_the_library::<T>(&schema, &written).as_ref(), Some(value));
}

/// The whole of `bytes` as the library reads it.
fn read_by_the_library<T: Described>(schema: &Schema, mut bytes: &[u8]) -> Option<T> {
    let reader = GenericDatumReader::builder(schema).human_readable(false).build().unwrap();
    reader.read_deser(&mut bytes).ok().filter(|_| bytes.is_empty())
}

fn read_here<T: DeserializeOwned>(mut bytes: &[u8]) -> Option<T> {
    datum::read(&mut bytes).ok().filter(|_| bytes.is_empty())
}

#[test]
fn every_kind_of_value_survives_both_framings() {
    survives_as_the_schema_says(&full_event());
    survives_as_the_schema_says(&bare_event());
    survives_as_the_schema_says(&full_state());
    survives_as_the_schema_says(&SubscriberState::default());
    survives_as_the_schema_says(&Moved {
        effective_at: Timestamp::from_millis(7),
        subscriptions: full_state().subscriptions,
    });
    survives_as_the_schema_says(&PartitionRecord {
        incarnation: "i".to_owned(),
        next_raw_offset: 4,
        format: 1,
        partitions: 12,
    });
}

#[test]
fn every_word_of_the_vocabulary_stands_in_the_schema_where_it_stands_here() {
    let event = full_event();
    let subscription = event.subscription.clone().unwrap();
    for event_type in EventType::iter() {
        survives_as_the_schema_says(&LifecycleEvent { event_type, ..event.clone() });
    }
    for provider in Provider::iter() {
        survives_as_the_schema_says(&LifecycleEvent { provider, ..event.clone() });
    }
    for environment in Environment::iter() {
        survives_as_the_schema_says(&LifecycleEvent { environment, ..event.clone() });
    }
    let of_subscription = |subscription| LifecycleEvent { subscription, ..event.clone() };
    for status in Status::iter() {
        let subscription = Subscription { status: Some(status), ..subscription.clone() };
        survives_as_the_schema_says(&of_subscription(Some(subscription)));
    }
    for store in Store::iter() {
        let subscription = Subscription { store: Some(store), ..subscription.clone() };
        survives_as_the_schema_says(&of_subscription(Some(subscription)));
    }
    for period_type in PeriodType::iter() {
        let subscription = Subscription { period_type: Some(period_type), ..subscription.clone() };
        survives_as_the_schema_says(&of_subscription(Some(subscription)));
    }
    for kind in OfferKind::iter() {
        let offer = event.offer.clone().map(|offer| Offer { kind, ..offer });
        survives_as_the_schema_says(&LifecycleEvent { offer, ..event.clone() });
    }
    let mut state = full_state();
    for role in [Role::Own, Role::Sender, Role::Receiver, Role::Forward] {
        let facts = &mut state.held.first_mut().unwrap().facts;
        facts.hand_over.as_mut().unwrap().role = role;
        survives_as_the_schema_says(&state);
    }
}

#[test]
fn whole_numbers_of_every_length_are_those_of_the_library() {
    let edges = (0..63).flat_map(|bits| [1_i64 << bits, (1 << bits) - 1, -(1 << bits)]);
    for number in edges.chain([i64::MAX, i64::MIN, i64::MIN + 1]) {
        let (incarnation, format, partitions) = (String::new(), 0, 0);
        survives_as_the_schema_says(&PartitionRecord {
            incarnation,
            next_raw_offset: number,
            format,
            partitions,
        });
    }
}

#[test]
fn what_no_schema_describes_is_refused() {
    let refused = |written: Result<(), Undescribed>| assert!(written.is_err());
    refused(datum::write(&0.5, &mut Vec::new()));
    refused(datum::write(&u64::MAX, &mut Vec::new()));
    refused(datum::write(&'a', &mut Vec::new()));
    refused(datum::write(&(), &mut Vec::new()));
    refused(datum::write(&(1, 2), &mut Vec::new()));
    refused(datum::write(&Ok::<i32, i32>(1), &mut Vec::new()));
}

#[test]
fn lists_in_several_blocks_are_read_and_what_breaks_off_or_never_ends_is_not() {
    // Two blocks, the second with its length in bytes; then the end.
    let blocks: &[u8] = &[2, 14, 1, 2, 16, 0];
    assert_eq!(read_here::<Vec<i64>>(blocks), Some(vec![7, 8]));
    for length in 0..blocks.len() {
        assert_eq!(read_here::<Vec<i64>>(&blocks[..length]), None, "{length}");
    }
    // As many as there can be, and not one of them.
    let many = [&[0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01][..], &[0]].concat();
    assert_eq!(read_here::<Vec<i64>>(&many), None);
    assert_eq!(read_here::<String>(&many), None);
    // Eleven bytes, and ten of which the last does not fit.
    assert_eq!(read_here::<i64>(&[[0x80; 10].as_slice(), &[0]].concat()), None);
    assert_eq!(read_here::<i64>(&[[0x80; 9].as_slice(), &[2]].concat()), None);
    assert_eq!(read_here::<i32>(&[0x80, 0x80, 0x80, 0x80, 0x10]), None, "too large");
    assert_eq!(read_here::<bool>(&[2]), None);
    assert_eq!(read_here::<Option<i64>>(&[4, 0]), None);
    assert_eq!(read_here::<String>(&[2, 0xFF]), None, "no UTF-8");
    assert_eq!(read_here::<Role>(&[8]), None, "no such symbol");
    assert_eq!(read_here::<f64>(&[0; 8]), None, "what no schema describes");
}

proptest! {
    #[test]
    fn damaged_values_are_what_the_library_reads_them_as(
        at: prop::sample::Index,
        flip in 1_u8..,
        state: bool,
    ) {
        fn agree<T: Described + PartialEq + std::fmt::Debug>(
            value: &T,
            at: prop::sample::Index,
            flip: u8,
        ) {
            let schema = Schema::parse_str(T::VERSIONS.last().unwrap()).unwrap();
            let mut bytes = Vec::new();
            datum::write(value, &mut bytes).unwrap();
            let position = at.index(bytes.len());
            bytes[position] ^= flip;
            assert_eq!(read_here::<T>(&bytes), read_by_the_library(&schema, &bytes));
        }
        if state { agree(&full_state(), at, flip) } else { agree(&full_event(), at, flip) }
    }
}
