//! The id of a lifecycle event: the same whenever, wherever and by whichever version it is made from
//! the same provider event.

use schemas::EventType;
use sha2::{Digest, Sha256};

/// Half of a SHA-256: 128 bits, as 32 hexadecimal characters.
const BYTES: usize = 16;

/// Hashes the parts, each behind its length, so that no two lists of parts run together into the same
/// bytes. Nothing else may go in: an event keeps its id when its content is corrected.
pub(super) fn event_id(
    source: &str,
    provider_event_id: &str,
    event_type: EventType,
    key: &str,
) -> String {
    let mut hash = Sha256::new();
    for part in [source, provider_event_id, event_type.name(), key] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    hex::encode(digest.get(..BYTES).unwrap_or(&digest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_fixed_for_all_time() {
        let id = event_id("shop", "evt_1", EventType::TrialStarted, "shop/cus_1");
        assert_eq!(id, "d12f2f0741cb431825a82cfbe88cf2af");
    }

    #[test]
    fn differs_when_any_part_differs() {
        let id = |source, event, event_type, key| event_id(source, event, event_type, key);
        let ids = [
            id("s", "e", EventType::TrialStarted, "s/k"),
            id("t", "e", EventType::TrialStarted, "s/k"),
            id("s", "f", EventType::TrialStarted, "s/k"),
            id("s", "e", EventType::TrialEnding, "s/k"),
            id("s", "e", EventType::TrialStarted, "s/l"),
            id("se", "", EventType::TrialStarted, "s/k"),
        ];
        let different: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(different.len(), ids.len());
    }
}
