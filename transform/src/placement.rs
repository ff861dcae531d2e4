//! Which partition a key belongs to, so that a producer of one's own with another partitioner is noticed.
//!
//! Such a record is not refused. Whether it lies wrong cannot be known for certain: topics may have grown
//! before `transform` first saw them, and what was right among fewer partitions lies anywhere among more.
//! And a producer that always puts a key into the same wrong partition does no harm for as long as nobody
//! else writes about that key. So it is counted, and said once.

/// The partition of `key` among `partitions`, as the Java client's default partitioner and librdkafka's
/// `murmur2_random` choose it for records with a key.
pub fn partition_of(key: &[u8], partitions: i32) -> i32 {
    let positive = i32::try_from(murmur2(key) & 0x7FFF_FFFF).unwrap_or(0);
    positive.checked_rem(partitions).unwrap_or(0)
}

/// MurmurHash2 with 32 bits and Kafka's seed (`Utils.murmur2` in Kafka's Java client, read 2026-11).
fn murmur2(key: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_B28C;
    const MULTIPLIER: u32 = 0x5BD1_E995;
    const SHIFT: u32 = 24;
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let (words, rest) = key.as_chunks::<4>();
    let mut hash = SEED ^ length;
    for word in words {
        let mut mixed = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        mixed ^= mixed >> SHIFT;
        hash = hash.wrapping_mul(MULTIPLIER) ^ mixed.wrapping_mul(MULTIPLIER);
    }
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |all: u32, &byte| (all << 8) | u32::from(byte));
        hash = (hash ^ last).wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own test of its hash (`UtilsTest.testMurmur2`).
    #[test]
    fn hashes_as_the_java_client_does() {
        for (key, expected) in [
            (&b"21"[..], -973_932_308_i32),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key).cast_signed(), expected, "{key:?}");
        }
    }

    #[test]
    fn a_key_has_one_partition_among_those_there_are() {
        assert_eq!(partition_of(b"abc", 12), 479_470_107 % 12);
        assert_eq!(partition_of(b"21", 12), 1_173_551_340 % 12);
        assert_eq!(partition_of(b"abc", 0), 0);
    }
}
