//! The trace that a record belongs to.
//!
//! A sender's trace is continued with a parent id of our own; where there is none, or what was sent
//! is not of the form, a new trace begins. Randomness is passed in.

use service::traces::TraceContext;

/// What a request contributes to its `traceparent`: enough random bytes for a new trace.
pub type Randomness = [u8; 24];

/// The context for the raw record.
pub fn continued(received: Option<TraceContext>, randomness: Randomness) -> TraceContext {
    let (mut trace, mut span) = ([0; 16], [0; 8]);
    trace.copy_from_slice(&randomness[..16]);
    span.copy_from_slice(&randomness[16..]);
    match received {
        Some(received) => TraceContext { span, ..received },
        None => TraceContext { trace, span, flags: 1 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOMNESS: Randomness = [0xab; 24];

    #[test]
    fn a_trace_is_continued_with_our_own_parent() {
        let received = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00".parse().ok();
        assert_eq!(
            continued(received, RANDOMNESS).to_string(),
            "00-0af7651916cd43dd8448eb211c80319c-abababababababab-00"
        );
    }

    #[test]
    fn without_one_a_new_trace_begins() {
        assert_eq!(
            continued(None, RANDOMNESS).to_string(),
            "00-abababababababababababababababab-abababababababab-01"
        );
    }
}
