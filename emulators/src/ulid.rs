//! ULIDs as Customer.io asks for them: 26 characters of Crockford's base 32
//! (<https://github.com/ulid/spec>), upper or lower case, at most 128 bits.

/// The 128 bits of a ULID, or nothing if the text is none.
pub(crate) fn parse(text: &str) -> Option<u128> {
    let bytes = text.as_bytes();
    if bytes.len() != 26 || !matches!(bytes[0], b'0'..=b'7') {
        return None;
    }
    bytes.iter().try_fold(0_u128, |bits, byte| Some(bits << 5 | u128::from(digit(*byte)?)))
}

fn digit(byte: u8) -> Option<u8> {
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let upper = byte.to_ascii_uppercase();
    ALPHABET.iter().position(|letter| *letter == upper).and_then(|at| u8::try_from(at).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_any_case_as_the_same_bits() {
        assert_eq!(parse("00000000000000000000000010"), Some(32));
        assert_eq!(parse("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"), Some(u128::MAX));
        assert_eq!(parse("01arz3ndektsv4rrffq69g5fav"), parse("01ARZ3NDEKTSV4RRFFQ69G5FAV"));
    }

    #[test]
    fn refuses_what_is_no_ulid() {
        for text in [
            "",
            "evt_1",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "01ARZ3NDEKTSV4RRFFQ69G5FA",
            "01ARZ3NDEKTSV4RRFFQ69G5FAI",
            "0189b3a6-7f2e-7a4c-9d3e-00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
