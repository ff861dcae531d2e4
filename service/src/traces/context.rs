//! Which trace a message belongs to, in the W3C form.

use std::fmt;
use std::str::FromStr;

/// A `traceparent`: `00-<trace>-<span>-<flags>` (<https://www.w3.org/TR/trace-context/#traceparent-header>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; not all zero.
    pub trace: [u8; 16],
    /// The span that whoever reads this is below; not all zero.
    pub span: [u8; 8],
    /// The lowest bit says that the trace is recorded.
    pub flags: u8,
}

/// It is not of the form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct NotATraceparent;

impl FromStr for TraceContext {
    type Err = NotATraceparent;

    /// A later version than `00` is read by its first four fields, as the specification asks for.
    fn from_str(header: &str) -> Result<Self, NotATraceparent> {
        let mut fields = header.split('-');
        let mut field = || fields.next().ok_or(NotATraceparent);
        let [version] = hexadecimal(field()?)?;
        let context = Self {
            trace: hexadecimal(field()?)?,
            span: hexadecimal(field()?)?,
            flags: hexadecimal::<1>(field()?)?[0],
        };
        let has_more = fields.next().is_some();
        let is_readable = version != 0xff && (version != 0 || !has_more);
        let names_something = context.trace != [0; 16] && context.span != [0; 8];
        if is_readable && names_something { Ok(context) } else { Err(NotATraceparent) }
    }
}

/// Lower case only, as the form demands.
fn hexadecimal<const BYTES: usize>(field: &str) -> Result<[u8; BYTES], NotATraceparent> {
    if field.bytes().any(|digit| digit.is_ascii_uppercase()) {
        return Err(NotATraceparent);
    }
    let mut bytes = [0; BYTES];
    hex::decode_to_slice(field, &mut bytes).map_err(|_| NotATraceparent)?;
    Ok(bytes)
}

/// As the header has it.
impl fmt::Display for TraceContext {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (hex::encode(self.trace), hex::encode(self.span));
        write!(formatter, "00-{trace}-{span}-{:02x}", self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_of_the_form_is_read_and_written_as_it_was() {
        let context: TraceContext = RECEIVED.parse().unwrap();
        assert_eq!((context.trace[0], context.span[0], context.flags), (0x0a, 0xb7, 1));
        assert_eq!(context.to_string(), RECEIVED);
    }

    #[test]
    fn a_later_version_is_read_by_its_first_four_fields() {
        let later = format!("01{}-more", &RECEIVED[2..]);
        assert_eq!(
            later.parse::<TraceContext>().map(|context| context.to_string()).as_deref(),
            Ok(RECEIVED)
        );
    }

    #[test]
    fn nothing_else_is_read() {
        for malformed in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(malformed.parse::<TraceContext>(), Err(NotATraceparent), "{malformed}");
        }
    }
}
