//! Changing an input into one that resembles it: as bytes, as messages, or as the JSON that a message carries.
//!
//! Everything follows from a seed, so that a run can be repeated to the byte.

mod json;

use std::ops::Range;

use crate::dictionary::{HEADERS, NUMBERS, TEXTS};
use crate::input::{SEPARATOR, body_offset, pieces};

/// What an input is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Bytes that are no text.
    Bytes,
    /// Text, or messages whose bodies are text.
    Text,
    /// Messages whose bodies are JSON.
    Json,
}

/// A sequence of numbers that looks drawn (SplitMix64).
#[derive(Clone, Debug)]
pub struct Drawn(u64);

impl Drawn {
    /// The sequence of a seed.
    pub fn from(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where there is none.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.number() % end).unwrap_or(0)
    }

    /// One of several; none of none.
    pub fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    fn range(&mut self, end: usize) -> Range<usize> {
        let from = self.below(end + 1);
        let most = (end - from).min(1 << self.below(7));
        from..from + self.below(most + 1)
    }
}

/// An input like this one, of at most `longest` bytes. `other` is a further input to take parts of.
pub fn mutated(
    input: &[u8],
    other: &[u8],
    shape: Shape,
    longest: usize,
    drawn: &mut Drawn,
) -> Vec<u8> {
    let mut changed = input.to_vec();
    for _ in 0..=drawn.below(4) {
        changed = match (shape, drawn.below(8)) {
            (Shape::Json, 0..=4) => in_a_body(&changed, other, drawn),
            (Shape::Json | Shape::Text, 5) => among_messages(&changed, other, drawn),
            (Shape::Bytes | Shape::Text | Shape::Json, _) => in_bytes(changed, other, shape, drawn),
        };
    }
    changed.truncate(longest);
    changed
}

fn in_bytes(mut input: Vec<u8>, other: &[u8], shape: Shape, drawn: &mut Drawn) -> Vec<u8> {
    let range = drawn.range(input.len());
    match drawn.below(9) {
        0 => drop(input.drain(range)),
        1 => {
            let repeated = input[range.clone()].repeat(1 + drawn.below(8));
            drop(input.splice(range.start..range.start, repeated));
        }
        2 => {
            let from = drawn.range(other.len());
            drop(input.splice(range, other[from].iter().copied()));
        }
        3 | 4 if shape != Shape::Bytes => {
            let words = [&HEADERS[..], &NUMBERS, &TEXTS];
            let word = drawn.one_of(&words).and_then(|words| drawn.one_of(words));
            drop(input.splice(range, word.copied().unwrap_or_default().bytes()));
        }
        5 if shape != Shape::Bytes => in_a_number(&mut input, drawn),
        6 => {
            // Lengths and numbers of other encodings: runs of one byte.
            let value = [0, 1, 0x7f, 0x80, 0xff].get(drawn.below(5)).copied().unwrap_or_default();
            drop(input.splice(range, vec![value; drawn.below(9)]));
        }
        _ => {
            let (at, bit) = (drawn.below(input.len()), drawn.below(8));
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
    }
    input
}

/// Another number where one stands.
fn in_a_number(input: &mut Vec<u8>, drawn: &mut Drawn) {
    let from = drawn.below(input.len());
    let Some(first) = input.iter().skip(from).position(u8::is_ascii_digit) else { return };
    let first = from + first;
    let digits = input.iter().skip(first).take_while(|byte| byte.is_ascii_digit()).count();
    let number = drawn.one_of(&NUMBERS).copied().unwrap_or_default();
    drop(input.splice(first..first + digits, number.bytes()));
}

/// A message goes, comes twice, changes its place or comes from elsewhere.
fn among_messages(input: &[u8], other: &[u8], drawn: &mut Drawn) -> Vec<u8> {
    let mut own: Vec<&[u8]> = pieces(input).collect();
    let others: Vec<&[u8]> = pieces(other).collect();
    let at = drawn.below(own.len());
    match drawn.below(4) {
        0 => drop(own.remove(at)),
        1 => own.insert(at, own[at]),
        2 => {
            let to = drawn.below(own.len());
            own.swap(at, to);
        }
        _ => own.insert(at, drawn.one_of(&others).copied().unwrap_or_default()),
    }
    own.join(SEPARATOR)
}

/// Something in the JSON of one body.
fn in_a_body(input: &[u8], other: &[u8], drawn: &mut Drawn) -> Vec<u8> {
    let mut own: Vec<Vec<u8>> = pieces(input).map(<[u8]>::to_vec).collect();
    let others: Vec<&[u8]> = pieces(other).collect();
    let at = drawn.below(own.len());
    let Some(piece) = own.get_mut(at) else { return input.to_vec() };
    let body = piece.split_off(body_offset(piece));
    let other = drawn.one_of(&others).map(|piece| &piece[body_offset(piece)..]).unwrap_or_default();
    piece.extend(json::mutated(&body, other, drawn).unwrap_or(body));
    own.join(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_input_and_another_seed_another() {
        let input = b"{\"a\": [1, {\"b\": \"c\"}]}\n%%\nx: y\n\n{\"d\": null}";
        let inputs = |seed| -> Vec<_> {
            let mut drawn = Drawn::from(seed);
            (0..50).map(|_| mutated(input, b"{\"e\": 2}", Shape::Json, 200, &mut drawn)).collect()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        assert!(inputs(3).iter().all(|input| input.len() <= 200));
    }

    #[test]
    fn nothing_is_changed_into_something_too() {
        let mut drawn = Drawn::from(7);
        for shape in [Shape::Bytes, Shape::Text, Shape::Json] {
            let something = (0..200).any(|_| !mutated(b"", b"", shape, 9, &mut drawn).is_empty());
            assert!(something, "{shape:?}");
        }
    }
}
