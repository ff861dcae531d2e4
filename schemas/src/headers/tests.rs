use super::*;
use proptest::prelude::*;

prop_compose! {
    fn any_moment()(millis in 0_i64..4_000_000_000_000) -> Timestamp {
        Timestamp::from_millis(millis)
    }
}

prop_compose! {
    fn any_parked()(
        texts in proptest::array::uniform6("[a-z_.]{1,12}"),
        partition in 0_i32..100, offset in 0_i64..1_000_000,
        attempts: Option<u32>, http_status: Option<u16>, request_id: Option<String>,
        first_failure in proptest::option::of(any_moment()),
        last_failure in proptest::option::of(any_moment()),
    ) -> ParkedHeaders {
        let [reason, topic, group, stage, class, message] = texts;
        ParkedHeaders {
            reason, topic, partition, offset, group, stage, class, message, attempts,
            first_failure, last_failure, http_status, request_id,
        }
    }
}

proptest! {
    #[test]
    fn raw_headers_survive_the_wire(
        texts in proptest::array::uniform3("[ -~]{1,20}"),
        time in proptest::option::of(any_moment()),
        optional: [Option<String>; 3],
    ) {
        let [id, source, event_type] = texts;
        let [content_type, traceparent, rekeyed] = optional;
        let headers =
            RawHeaders { id, source, event_type, time, content_type, traceparent, rekeyed };
        prop_assert_eq!(RawHeaders::from_headers(&headers.to_headers()), Ok(headers));
    }

    #[test]
    fn origins_survive_the_wire_and_a_second_copy_names_the_first(
        partition in 0_i32..100, offset in 0_i64..1_000_000, moved: Option<Vec<u8>>,
    ) {
        let first = RekeyedHeaders { partition: 0, offset: 1, stage: Stage::Alias, moved: None };
        let second = RekeyedHeaders { partition, offset, stage: Stage::ReceiverAlias, moved };
        let own = vec![Header::text("x-theirs", "kept")];
        let twice = second.onto(&first.onto(&own));
        prop_assert_eq!(RekeyedHeaders::from_headers(&twice), Ok(Some(second)));
        prop_assert_eq!(RekeyedHeaders::from_headers(&own), Ok(None));
        prop_assert!(twice.contains(&own[0]));
    }

    #[test]
    fn dead_letters_survive_the_wire_and_a_second_end_replaces_the_first(
        first in any_parked(), second in any_parked(),
    ) {
        let own = vec![Header::text("x-theirs", "kept")];
        let twice = second.onto(&first.onto(&own));
        prop_assert_eq!(ParkedHeaders::from_headers(&twice), Ok(second));
        prop_assert!(twice.contains(&own[0]));
    }
}

#[test]
fn names_the_header_that_is_missing_or_malformed() {
    assert_eq!(RawHeaders::from_headers(&[]), Err(HeaderError::Missing("ce_id")));
    let broken = [Header { name: "ce_id".to_owned(), value: vec![0xff] }];
    assert_eq!(RawHeaders::from_headers(&broken), Err(HeaderError::Malformed("ce_id")));
}

#[test]
fn an_origin_that_cannot_be_understood_is_never_taken_for_none() {
    let stage = |word: &str| Header::text("tributary-stage", word);
    let read = RekeyedHeaders::from_headers;
    assert_eq!(read(&[stage("later")]), Err(HeaderError::Malformed("tributary-stage")));
    assert_eq!(read(&[stage("alias")]), Err(HeaderError::Missing("tributary-rekeyed")));
    let nowhere = [stage("alias"), Header::text("tributary-rekeyed", "7")];
    assert_eq!(read(&nowhere), Err(HeaderError::Malformed("tributary-rekeyed")));
}

#[test]
fn an_event_id_is_replaced_and_the_rest_is_kept() {
    let own = [Header::text("x-theirs", "kept"), Header::text("ce_id", "X")];
    let headers = with_event_id(&own, "X>b");
    assert_eq!(headers, [own[0].clone(), Header::text("ce_id", "X>b")]);
}

#[test]
fn cuts_a_long_message_between_characters() {
    let long = "ä".repeat(600);
    assert_eq!(cut(&long).len(), 1000);
    assert_eq!(cut(&format!("x{long}")).len(), 999);
}

#[test]
fn a_record_of_any_topic_says_by_what_it_is_found_again() {
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let headers = [Header::text("ce_id", "evt_1"), Header::text("traceparent", traceparent)];
    let found = Correlation::of(&headers);
    assert_eq!((found.event_id, found.traceparent), (Some("evt_1"), Some(traceparent)));
    assert_eq!(found.trace_id(), Some("0af7651916cd43dd8448eb211c80319c"));
    assert_eq!(Correlation::of(&[]), Correlation::default());
    let short = [Header::text("traceparent", "00-12")];
    assert_eq!(Correlation::of(&short).trace_id(), None);
}
