//! How inputs are written: messages one after the other, with a line `%%` between two. A message has a head of lines
//! `name: value`, an empty line, and a body of any bytes; one that begins with `{` has no head. A line of the head whose
//! name begins with `!` says something to the target and is no header. A value that begins with `hex:` is given in hex.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// What stands between two messages.
pub const SEPARATOR: &[u8] = b"\n%%\n";

/// One message.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    head: Vec<(&'a str, &'a [u8])>,
    /// What follows the head.
    pub body: &'a [u8],
}

/// The messages of an input, the first `most` of them.
pub fn messages(input: &[u8], most: usize) -> Vec<Message<'_>> {
    pieces(input).take(most).map(Message::read).collect()
}

/// The bytes of each message.
pub fn pieces(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let (piece, behind) = split_once(rest?, SEPARATOR);
        rest = behind;
        Some(piece)
    })
}

fn split_once<'a>(bytes: &'a [u8], by: &[u8]) -> (&'a [u8], Option<&'a [u8]>) {
    match bytes.windows(by.len()).position(|window| window == by) {
        Some(at) => (&bytes[..at], Some(&bytes[at + by.len()..])),
        None => (bytes, None),
    }
}

/// Where the body of a message begins.
pub fn body_offset(piece: &[u8]) -> usize {
    if piece.first() == Some(&b'{') {
        return 0;
    }
    if piece.first() == Some(&b'\n') {
        return 1;
    }
    match piece.windows(2).position(|window| window == b"\n\n") {
        Some(at) => at + 2,
        None => piece.len(),
    }
}

impl<'a> Message<'a> {
    fn read(piece: &'a [u8]) -> Self {
        let (head, body) = piece.split_at(body_offset(piece));
        let lines = head.split(|byte| *byte == b'\n').filter_map(|line| {
            let (name, value) = split_once(line, b": ");
            Some((std::str::from_utf8(name).ok()?, value?))
        });
        Self { head: lines.collect(), body }
    }

    /// What the head says to the target under this name, without the `!`.
    pub fn said(&self, name: &str) -> Option<&'a str> {
        let said = |(known, _): &&(&str, &[u8])| known.strip_prefix('!') == Some(name);
        std::str::from_utf8(self.head.iter().find(said)?.1).ok()
    }

    /// The same as a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.said(name)?.parse().ok()
    }

    /// The headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Vec<u8>)> {
        let headers = self.head.iter().filter(|(name, _)| !name.starts_with('!'));
        headers.map(|(name, value)| (*name, plain(value)))
    }

    /// Those that can be headers of HTTP.
    pub fn header_map(&self) -> HeaderMap {
        let readable = self.headers().filter_map(|(name, value)| {
            let name: HeaderName = name.parse().ok()?;
            Some((name, HeaderValue::from_bytes(&value).ok()?))
        });
        let mut map = HeaderMap::new();
        for (name, value) in readable {
            map.append(name, value);
        }
        map
    }
}

fn plain(value: &[u8]) -> Vec<u8> {
    let digits = value.strip_prefix(b"hex:").and_then(|digits| hex::decode(digits).ok());
    digits.unwrap_or_else(|| value.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_messages_with_heads_and_bodies() {
        let input = b"!at: 5\nA: b\nbin: hex:ff0a\n\nbody\n\nmore\n%%\n{\"a\": 1}\n%%\n\nplain";
        let read = messages(input, 9);
        assert_eq!(read.len(), 3);
        assert_eq!((read[0].number("at"), read[0].body), (Some(5), &b"body\n\nmore"[..]));
        let headers: Vec<_> = read[0].headers().collect();
        assert_eq!(headers, [("A", b"b".to_vec()), ("bin", vec![0xff, b'\n'])]);
        assert_eq!((read[1].body, read[2].body), (&b"{\"a\": 1}"[..], &b"plain"[..]));
        assert_eq!(messages(input, 1).len(), 1);
    }
}
