//! The trace that a record belongs to, in the W3C form (`00-<trace>-<parent>-<flags>`).
//!
//! A sender's trace is continued with a parent id of our own; where there is none, or what was sent
//! is not of the form, a new trace begins. Randomness is passed in.

/// What a request contributes to its `traceparent`: enough random bytes for a new trace.
pub type Randomness = [u8; 24];

/// The header for the raw record.
///
/// Form and rules: <https://www.w3.org/TR/trace-context/#traceparent-header>. A later version than
/// `00` is read by its first four fields, as that text asks for, and written as `00`.
pub fn continued(received: Option<&str>, randomness: Randomness) -> String {
    let (trace, parent) = randomness.split_at(16);
    let parent = hex::encode(parent);
    match received.and_then(parse) {
        Some((trace, flags)) => format!("00-{trace}-{parent}-{flags}"),
        None => format!("00-{}-{parent}-01", hex::encode(trace)),
    }
}

/// Trace id and flags of a valid header.
fn parse(header: &str) -> Option<(&str, &str)> {
    let mut fields = header.split('-');
    let (version, trace, parent, flags) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let well_formed = is_hex(version, 2)
        && version != "ff"
        && (version != "00" || fields.next().is_none())
        && is_hex(trace, 32)
        && is_hex(parent, 16)
        && is_hex(flags, 2);
    let empty = |id: &str| id.bytes().all(|digit| digit == b'0');
    (well_formed && !empty(trace) && !empty(parent)).then_some((trace, flags))
}

fn is_hex(field: &str, length: usize) -> bool {
    field.len() == length && field.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOMNESS: Randomness = [0xab; 24];
    const RECEIVED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_valid_trace_is_continued_with_our_own_parent() {
        assert_eq!(
            continued(Some(RECEIVED), RANDOMNESS),
            "00-0af7651916cd43dd8448eb211c80319c-abababababababab-01"
        );
    }

    #[test]
    fn a_later_version_is_read_by_its_first_four_fields() {
        let later = format!("01{}-more", &RECEIVED[2..]);
        assert_eq!(
            continued(Some(&later), RANDOMNESS),
            "00-0af7651916cd43dd8448eb211c80319c-abababababababab-01"
        );
    }

    #[test]
    fn anything_else_begins_a_new_trace() {
        let new = "00-abababababababababababababababab-abababababababab-01";
        let malformed = [
            None,
            Some(""),
            Some("00"),
            Some("00-00000000000000000000000000000000-b7ad6b7169203331-01"),
            Some("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"),
            Some("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"),
            Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"),
            Some("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            Some("00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01"),
        ];
        for received in malformed {
            assert_eq!(continued(received, RANDOMNESS), new, "{received:?}");
        }
    }
}
