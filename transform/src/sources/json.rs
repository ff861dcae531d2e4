//! Reading fields out of a provider's payload.
//!
//! A payload is somebody else's: any field may be absent, null, of another type or absurd. Reading one
//! either gives a value of the type asked for or an [`Unreadable`] that names the place and never the
//! value. Absent, null and empty text are the same (`Ok(None)`); whoever cannot do without asks
//! [`Fields::require`].
//! Numbers keep their digits as received, so that money never passes through a float.

mod value;

use std::ops::RangeInclusive;

use schemas::{Money, Timestamp};

pub(crate) use self::value::{Json, Object};
use super::{Reading, Unreadable};

/// Longest id or enum word that is believed.
pub(crate) const LONGEST_WORD: usize = 500;
/// Longest code of a currency: those that are no ISO 4217 codes have names of their own (`usdc`).
const LONGEST_CURRENCY: usize = 12;
/// Largest amount that is believed, in minor units.
pub(crate) const LARGEST_AMOUNT: i64 = 1_000_000_000_000_000;
/// The end of the year 9999: later moments are absurd.
pub(crate) const LAST_MILLISECOND: i64 = 253_402_300_799_999;

/// What a reader gives: the value, nothing (absent or null), or why the record is parked.
pub(crate) type Read<T> = Result<Option<T>, Unreadable>;

/// An object (or any value) inside a payload, with the way to it.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    value: &'a Json<'a>,
    base: String,
}

/// Parses a body; anything but one JSON object is unreadable.
pub(crate) fn parse(body: &[u8]) -> Result<Json<'_>, Unreadable> {
    match serde_json::from_slice(body) {
        Ok(value @ Json::Object(_)) => Ok(value),
        Ok(_) => Err(unreadable(String::new(), "not an object")),
        Err(_) => Err(unreadable(String::new(), "not JSON")),
    }
}

/// What is not known to mean anything. The type of a damaged body cannot be told, and a damaged body may have meant
/// something.
pub(crate) fn of_unknown_type(body: &[u8]) -> Reading {
    match parse(body) {
        Ok(_) => Reading::Ignored("unknown_event_type"),
        Err(unreadable) => Reading::Parked(unreadable),
    }
}

impl<'a> Fields<'a> {
    /// The payload itself.
    pub(crate) fn of(value: &'a Json<'a>) -> Self {
        Self { value, base: String::new() }
    }

    /// The object at `pointer`; `None` when absent, null or no object.
    pub(crate) fn object(&self, pointer: &str) -> Option<Self> {
        let value = self.value(pointer)?;
        value.as_object().map(|_| Self { value, base: self.path(pointer) })
    }

    /// The elements of the list at `pointer`; none when absent, and unreadable when there are more
    /// than `most`.
    pub(crate) fn list(&self, pointer: &str, most: usize) -> Result<Vec<Self>, Unreadable> {
        let elements = match self.value(pointer) {
            None => return Ok(Vec::new()),
            Some(Json::Array(elements)) => elements,
            Some(_) => return Err(self.problem(pointer, "not a list")),
        };
        if elements.len() > most {
            return Err(self.problem(pointer, "an absurdly long list"));
        }
        let base = self.path(pointer);
        let element = |(index, value)| Self { value, base: format!("{base}/{index}") };
        Ok(elements.iter().enumerate().map(element).collect())
    }

    /// Whether the field is there at all, be it null.
    pub(crate) fn has(&self, pointer: &str) -> bool {
        walk(self.value, pointer).is_some()
    }

    /// Whatever is at `pointer` and not null.
    pub(crate) fn value(&self, pointer: &str) -> Option<&'a Json<'a>> {
        walk(self.value, pointer).filter(|value| !matches!(value, Json::Null))
    }

    /// An id or a word: a string that is not absurdly long. An empty one says nothing.
    pub(crate) fn word(&self, pointer: &str) -> Read<&'a str> {
        match self.value(pointer) {
            None => Ok(None),
            Some(Json::String(text)) if text.is_empty() => Ok(None),
            Some(Json::String(text)) if text.len() > LONGEST_WORD => {
                Err(self.problem(pointer, "absurdly long"))
            }
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.problem(pointer, "not a string")),
        }
    }

    /// A reference to an object: its id, or the object itself with an `/id`.
    pub(crate) fn reference(&self, pointer: &str) -> Read<&'a str> {
        match self.value(pointer) {
            Some(Json::Object(_)) => self.word(&format!("{pointer}/id")),
            _ => self.word(pointer),
        }
    }

    /// Text that decides nothing (a name, an e-mail address, a comment): what is no usable string is
    /// left out.
    pub(crate) fn text(&self, pointer: &str) -> Option<&'a str> {
        self.word(pointer).ok().flatten()
    }

    /// True or false.
    pub(crate) fn flag(&self, pointer: &str) -> Read<bool> {
        match self.value(pointer) {
            None => Ok(None),
            Some(Json::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.problem(pointer, "not true or false")),
        }
    }

    /// A whole number.
    pub(crate) fn integer(&self, pointer: &str) -> Read<i64> {
        match self.value(pointer) {
            None => Ok(None),
            Some(value) => match value.as_i64() {
                Some(number) => Ok(Some(number)),
                None => Err(self.problem(pointer, "not a whole number")),
            },
        }
    }

    /// How many of something: a whole number within `range`.
    pub(crate) fn count(&self, pointer: &str, range: RangeInclusive<i64>) -> Read<i64> {
        match self.integer(pointer)? {
            Some(number) if !range.contains(&number) => {
                Err(self.problem(pointer, "an absurd number"))
            }
            number => Ok(number),
        }
    }

    /// A moment in seconds since the epoch.
    pub(crate) fn seconds(&self, pointer: &str) -> Read<Timestamp> {
        let moment = self.integer(pointer)?.map(Timestamp::from_seconds);
        self.plausible(pointer, moment)
    }

    /// A moment in milliseconds since the epoch.
    pub(crate) fn millis(&self, pointer: &str) -> Read<Timestamp> {
        let moment = self.integer(pointer)?.map(|millis| Some(Timestamp::from_millis(millis)));
        self.plausible(pointer, moment)
    }

    /// A moment as RFC 3339 text.
    pub(crate) fn rfc3339(&self, pointer: &str) -> Read<Timestamp> {
        let moment = self.word(pointer)?.map(Timestamp::from_rfc3339);
        self.plausible(pointer, moment)
    }

    /// The code of a currency, as it stands there (in any case): three letters by ISO 4217, and more
    /// for what is none of its currencies.
    pub(crate) fn currency(&self, pointer: &str) -> Read<&'a str> {
        match self.word(pointer)? {
            Some(code) if is_currency(code) => Ok(Some(code)),
            Some(_) => Err(self.problem(pointer, "not a currency code")),
            None => Ok(None),
        }
    }

    /// An amount in minor units: a whole number, or a string of one.
    pub(crate) fn minor(&self, pointer: &str, currency: &str) -> Read<Money> {
        let amount = match self.value(pointer) {
            None => return Ok(None),
            Some(Json::String(text)) => text.parse().ok(),
            Some(value) => value.as_i64(),
        };
        match amount {
            Some(amount) => self.believed(pointer, Money::minor(amount, currency)),
            None => Err(self.problem(pointer, "not a whole number of minor units")),
        }
    }

    /// An amount in minor units of which the field's name says which way it moved: never negative.
    pub(crate) fn magnitude(&self, pointer: &str, currency: &str) -> Read<Money> {
        match self.minor(pointer, currency)? {
            Some(money) if money.amount < 0 => Err(self.problem(pointer, "a negative amount")),
            money => Ok(money),
        }
    }

    /// An amount in major units: a decimal number, or a string of one.
    pub(crate) fn major(&self, pointer: &str, currency: &str) -> Read<Money> {
        let money = match self.value(pointer) {
            None => return Ok(None),
            Some(Json::String(text)) => Money::parse_major(text, currency),
            Some(Json::Whole(number)) => Money::parse_major(&number.to_string(), currency),
            Some(Json::Decimal(digits)) => Money::parse_major(digits, currency),
            Some(_) => None,
        };
        match money {
            Some(money) => self.believed(pointer, money),
            None => Err(self.problem(pointer, "not an amount")),
        }
    }

    /// Insists that a period, whose end was read at `pointer`, does not end before it begins.
    pub(crate) fn insist_on_order(
        &self,
        start: Option<Timestamp>,
        end: Option<Timestamp>,
        pointer: &str,
    ) -> Result<(), Unreadable> {
        match start.zip(end) {
            Some((start, end)) if end < start => {
                Err(self.problem(pointer, "the end of a negative period"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Insists on a field that was read: absent becomes unreadable.
    pub(crate) fn require<T>(&self, pointer: &str, read: Read<T>) -> Result<T, Unreadable> {
        read?.ok_or_else(|| self.problem(pointer, "missing"))
    }

    /// What is wrong at `pointer`.
    pub(crate) fn problem(&self, pointer: &str, problem: &'static str) -> Unreadable {
        unreadable(self.path(pointer), problem)
    }

    fn path(&self, pointer: &str) -> String {
        format!("{}{pointer}", self.base)
    }

    #[expect(clippy::option_option, reason = "absent, not a moment, and a moment are three things")]
    fn plausible(&self, pointer: &str, moment: Option<Option<Timestamp>>) -> Read<Timestamp> {
        match moment {
            None => Ok(None),
            Some(Some(moment)) if (0..=LAST_MILLISECOND).contains(&moment.millis()) => {
                Ok(Some(moment))
            }
            Some(Some(_)) => Err(self.problem(pointer, "an absurd time")),
            Some(None) => Err(self.problem(pointer, "not a time")),
        }
    }

    fn believed(&self, pointer: &str, money: Money) -> Read<Money> {
        if (-LARGEST_AMOUNT..=LARGEST_AMOUNT).contains(&money.amount) {
            Ok(Some(money))
        } else {
            Err(self.problem(pointer, "an absurd amount"))
        }
    }
}

/// Whether this can be the code of a currency.
pub(crate) fn is_currency(code: &str) -> bool {
    (3..=LONGEST_CURRENCY).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn unreadable(path: String, problem: &'static str) -> Unreadable {
    Unreadable { path, problem }
}

/// Follows a JSON pointer (RFC 6901) without allocating where no token is escaped.
fn walk<'a>(value: &'a Json<'a>, pointer: &str) -> Option<&'a Json<'a>> {
    let Some(tokens) = pointer.strip_prefix('/') else {
        return pointer.is_empty().then_some(value);
    };
    tokens.split('/').try_fold(value, |value, token| match value {
        Json::Object(object) if token.contains('~') => {
            object.get(&token.replace("~1", "/").replace("~0", "~"))
        }
        Json::Object(object) => object.get(token),
        Json::Array(array) => array.get(token.parse::<usize>().ok()?),
        Json::Null | Json::Bool(_) | Json::Whole(_) | Json::Decimal(_) | Json::String(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_kind_of_field() {
        let body =
            br#"{"a": {"id": "x", "on": true, "at": 1780000000, "iso": "2026-05-28T20:26:40Z",
            "cents": 1999, "text_cents": "400", "price": 9.99, "cur": "usd", "coin": "usdc",
            "list": [{"n": 1}], "nil": null, "empty": ""}}"#;
        let value = parse(body).unwrap();
        let fields = Fields::of(&value).object("/a").unwrap();
        assert_eq!(fields.word("/id"), Ok(Some("x")));
        assert_eq!(fields.flag("/on"), Ok(Some(true)));
        assert_eq!(fields.seconds("/at"), fields.rfc3339("/iso"));
        assert_eq!(fields.minor("/cents", "usd"), Ok(Some(Money::minor(1999, "USD"))));
        assert_eq!(fields.minor("/text_cents", "usd"), Ok(Some(Money::minor(400, "USD"))));
        assert_eq!(fields.major("/price", "usd"), Ok(Some(Money::minor(999, "USD"))));
        assert_eq!(fields.currency("/cur"), Ok(Some("usd")));
        assert_eq!(fields.currency("/coin"), Ok(Some("usdc")));
        assert_eq!(fields.list("/list", 1).unwrap()[0].count("/n", 1..=1), Ok(Some(1)));
        assert!(fields.list("/nil", 1).unwrap().is_empty());
        assert_eq!(fields.word("/nil"), Ok(None));
        assert_eq!(fields.word("/empty"), Ok(None));
        assert!(fields.has("/nil") && !fields.has("/absent"));
    }

    #[test]
    fn names_the_place_of_a_problem_and_never_the_value() {
        let body = br#"{"a": [{"b": "secret"}], "when": -1, "much": 2000000000000000,
            "part": 1.5, "cur": "US dollar", "owed": -1}"#;
        let value = parse(body).unwrap();
        let fields = Fields::of(&value);
        let element = &fields.list("/a", 1).unwrap()[0];
        assert_eq!(element.integer("/b").unwrap_err().to_string(), "/a/0/b: not a whole number");
        assert_eq!(element.flag("/b").unwrap_err().path, "/a/0/b");
        assert_eq!(fields.seconds("/when").unwrap_err().problem, "an absurd time");
        assert_eq!(fields.minor("/much", "USD").unwrap_err().problem, "an absurd amount");
        assert!(fields.minor("/part", "USD").is_err());
        assert!(fields.currency("/cur").is_err());
        assert_eq!(fields.magnitude("/owed", "USD").unwrap_err().problem, "a negative amount");
        assert_eq!(fields.count("/owed", 0..=9).unwrap_err().problem, "an absurd number");
        assert_eq!(fields.list("/a", 0).err().unwrap().problem, "an absurdly long list");
        assert_eq!(fields.list("/cur", 9).err().unwrap().problem, "not a list");
        let (late, early) = (Timestamp::from_millis(2), Timestamp::from_millis(1));
        let negative = fields.insist_on_order(Some(late), Some(early), "/when").unwrap_err();
        assert_eq!(negative.to_string(), "/when: the end of a negative period");
        assert_eq!(fields.require("/none", fields.word("/none")).unwrap_err().problem, "missing");
    }

    #[test]
    fn follows_an_expanded_reference() {
        let body = br#"{"plain": "cus_1", "expanded": {"id": "cus_2"}, "~odd/name": "x"}"#;
        let value = parse(body).unwrap();
        let fields = Fields::of(&value);
        assert_eq!(fields.reference("/plain"), Ok(Some("cus_1")));
        assert_eq!(fields.reference("/expanded"), Ok(Some("cus_2")));
        assert_eq!(fields.word("/~0odd~1name"), Ok(Some("x")));
    }

    #[test]
    fn refuses_a_body_that_is_no_object() {
        assert_eq!(parse(b"[]").unwrap_err().problem, "not an object");
        assert_eq!(parse(b"{").unwrap_err().problem, "not JSON");
        assert_eq!(parse("[".repeat(100_000).as_bytes()).unwrap_err().problem, "not JSON");
    }
}
