//! The kinds of value an option can have: how each is written, and how it is read.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use strum::VariantNames;

use crate::telemetry;

/// One kind of value.
#[derive(Clone)]
pub(super) struct Kind<T> {
    /// Completes "expected ..." and stands in the reference page.
    pub(super) says: String,
    /// Reads the text; `None` when it is not of this kind.
    pub(super) read: fn(&str) -> Option<T>,
}

impl<T> Kind<T> {
    fn new(says: &str, read: fn(&str) -> Option<T>) -> Self {
        Self { says: says.to_owned(), read }
    }
}

/// So many in a period of time, for example 100 a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many, at least 1.
    pub count: u32,
    /// In how long: a second, a minute or an hour.
    pub period: Duration,
}

impl Rate {
    /// The same rate as a number a second.
    pub fn per_second(self) -> f64 {
        f64::from(self.count) / self.period.as_secs_f64()
    }
}

/// A text that is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a rate such as `100/s` or `100/min`")]
pub struct RateError;

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (count, period) = text.split_once('/').ok_or(RateError)?;
        let seconds = match period {
            "s" => 1,
            "min" => 60,
            "h" => 3600,
            _ => return Err(RateError),
        };
        let count = whole(count).and_then(|count| u32::try_from(count).ok());
        let count = count.filter(|count| *count > 0).ok_or(RateError)?;
        Ok(Self { count, period: Duration::from_secs(seconds) })
    }
}

/// From when on a destination is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A group that never committed begins at the oldest event kept.
    Earliest,
    /// A group that never committed begins at the next event.
    Latest,
    /// What happened at or after this time, whatever was committed.
    At(Timestamp),
}

pub(super) fn text() -> Kind<String> {
    Kind::new("text", |text| (!text.is_empty()).then(|| text.to_owned()))
}

/// A name that may be left blank, which means the default one.
pub(super) fn name() -> Kind<Option<String>> {
    Kind::new("a name; blank for the default one", |text| {
        let name = text.trim();
        Some((!name.is_empty()).then(|| name.to_owned()))
    })
}

pub(super) fn path() -> Kind<PathBuf> {
    Kind::new("a path", |text| (!text.is_empty()).then(|| PathBuf::from(text)))
}

pub(super) fn boolean() -> Kind<bool> {
    Kind::new("`true` or `false`", |text| text.parse().ok())
}

/// A number of threads, calls or partitions.
pub(super) fn count() -> Kind<u32> {
    Kind::new("a whole number of at least 1", |text| {
        text.parse().ok().filter(|count| (1..=1_000_000).contains(count))
    })
}

/// One of the names of an enum.
pub(super) fn one_of<T: FromStr + VariantNames>() -> Kind<T> {
    let names: Vec<String> = T::VARIANTS.iter().map(|name| format!("`{name}`")).collect();
    let says = match names.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        names => names.join(", "),
    };
    Kind { says, read: |text| text.parse().ok() }
}

pub(super) fn duration() -> Kind<Duration> {
    Kind::new("a duration such as `250ms`, `2s` or `35d`", read_duration)
}

/// A duration that cannot be switched off.
pub(super) fn positive_duration() -> Kind<Duration> {
    Kind::new("a duration above zero such as `250ms`, `2s` or `35d`", |text| {
        read_duration(text).filter(|duration| !duration.is_zero())
    })
}

pub(super) fn size() -> Kind<usize> {
    Kind::new("a size such as `64KiB` or `1MiB`", read_size)
}

/// The size of a body. Twice the most of it is what a codec believes a value to hold.
pub(super) fn body_size() -> Kind<usize> {
    Kind::new("a size such as `64KiB` or `1MiB`, at most `32MiB`", |text| {
        read_size(text).filter(|bytes| *bytes <= 32 << 20)
    })
}

fn read_size(text: &str) -> Option<usize> {
    let (number, unit) = number_and_unit(text)?;
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    let bytes = number.checked_mul(factor).filter(|bytes| *bytes > 0)?;
    usize::try_from(bytes).ok()
}

pub(super) fn rate() -> Kind<Rate> {
    Kind::new("a rate such as `100/s` or `100/min`", |text| text.parse().ok())
}

pub(super) fn start() -> Kind<Start> {
    let says = "`earliest`, `latest` or a time such as `2026-12-01T00:00:00Z`";
    Kind::new(says, |text| match text {
        "earliest" => Some(Start::Earliest),
        "latest" => Some(Start::Latest),
        time => time.parse().ok().map(Start::At),
    })
}

/// A place to listen, by IP address or name.
pub(super) fn address() -> Kind<String> {
    Kind::new("an address such as `0.0.0.0:8080`", |text| {
        let (host, port) = text.rsplit_once(':')?;
        let valid = !host.is_empty() && !host.contains(char::is_whitespace);
        (valid && port.parse::<u16>().is_ok()).then(|| text.to_owned())
    })
}

/// Kafka's own notation: hosts with ports, joined by commas.
pub(super) fn brokers() -> Kind<String> {
    Kind::new("brokers such as `kafka-1:9092,kafka-2:9092`", |text| {
        let each = text.split(',').map(str::trim);
        let valid = |broker: &str| !broker.is_empty() && !broker.contains(char::is_whitespace);
        each.clone().all(valid).then(|| {
            let brokers: Vec<&str> = each.collect();
            brokers.join(",")
        })
    })
}

/// What Kafka allows in a topic's name, and short enough to leave room for ours.
pub(super) fn topic_prefix() -> Kind<String> {
    let says = "at most 100 letters, digits, `.`, `_` or `-`";
    Kind::new(says, |text| {
        let allowed =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
        (text.len() <= 100 && text.chars().all(allowed)).then(|| text.to_owned())
    })
}

/// A URL without credentials, because URLs end up in logs.
pub(super) fn url() -> Kind<String> {
    let says = "a URL such as `https://example.com`, without a user or password in it";
    Kind::new(says, |text| {
        let authority = authority(text)?;
        let valid = !authority.is_empty() && !authority.contains('@');
        valid.then(|| text.trim_end_matches('/').to_owned())
    })
}

/// A URL that is called as it is written.
pub(super) fn endpoint() -> Kind<String> {
    let says = "a URL such as `https://example.com/hooks`, without a user or password in it";
    Kind::new(says, |text| {
        let authority = authority(text)?;
        let valid = !authority.is_empty() && !authority.contains('@') && !text.contains('#');
        valid.then(|| text.to_owned())
    })
}

/// A host as it stands in a URL.
pub(super) fn host() -> Kind<String> {
    Kind::new("a host such as `hooks.example.com`, with its port if it has one", |text| {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-.:".contains(letter);
        let valid = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        (valid && text.chars().all(is_plain)).then(|| text.to_ascii_lowercase())
    })
}

/// A URL that may hold a user and a password, and is a secret for that reason.
pub(super) fn url_with_user() -> Kind<SecretString> {
    let says = "a URL such as `https://example.com` or `https://user:password@example.com`";
    Kind::new(says, |text| {
        let authority = authority(text)?;
        let host = match authority.split_once('@') {
            Some((user, host)) if !user.is_empty() && !host.contains('@') => host,
            Some(_) => return None,
            None => authority,
        };
        (!host.is_empty()).then(|| SecretString::from(text.trim_end_matches('/')))
    })
}

/// What stands between the scheme of a web address and its path.
fn authority(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let blank = url.contains(char::is_whitespace);
    rest.split(['/', '?', '#']).next().filter(|_| !blank)
}

/// RFC 6901.
pub(super) fn json_pointer() -> Kind<String> {
    Kind::new("a JSON pointer such as `/data/object/metadata/user_id`", |text| {
        let escapes_are_whole = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
        (text.starts_with('/') && escapes_are_whole).then(|| text.to_owned())
    })
}

/// A directive of the log filter, judged by the library that will obey it.
pub(super) fn log_filter() -> Kind<String> {
    Kind::new("a level such as `info`, or a filter such as `info,transform=debug`", |text| {
        telemetry::targets(text).map(|_| text.to_owned())
    })
}

/// A duration as the configuration writes it: `250ms`, `2s`, `10m`, `1h`, `35d`. At most a century.
pub fn read_duration(text: &str) -> Option<Duration> {
    let (number, unit) = number_and_unit(text)?;
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    // A century is beyond any use and keeps sums of durations far from overflow.
    let total = number.checked_mul(milliseconds)?;
    (total <= 36_525 * 86_400_000).then(|| Duration::from_millis(total))
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let unit_at = text.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit_at);
    Some((whole(number)?, unit))
}

/// Digits only: `u64::from_str` would take a sign as well.
fn whole(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn durations_have_a_whole_number_and_a_unit() {
        let read = duration().read;
        assert_eq!(read("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(read("2s"), Some(Duration::from_secs(2)));
        assert_eq!(read("5m"), Some(Duration::from_mins(5)));
        assert_eq!(read("48h"), Some(Duration::from_hours(48)));
        assert_eq!(read("35d"), Some(Duration::from_hours(35 * 24)));
        assert_eq!(read("0s"), Some(Duration::ZERO));
        for wrong in ["", "5", "s", "1.5s", "-1s", "+1s", "1 s", "1M", "99999999999999999999d"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn sizes_are_binary_and_above_zero() {
        let read = size().read;
        assert_eq!(read("1MiB"), Some(1 << 20));
        assert_eq!(read("64KiB"), Some(1 << 16));
        for wrong in ["1MB", "0B", "1", "MiB", "99999999999GiB"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_body_may_be_as_long_as_a_message_can_hold() {
        let read = body_size().read;
        assert_eq!(read("32MiB"), Some(32 << 20));
        for wrong in ["33554433B", "17179869183GiB", "0B"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rates_count_in_a_second_minute_or_hour() {
        let read = rate().read;
        let minute = Rate { count: 100, period: Duration::from_mins(1) };
        assert_eq!(read("100/min"), Some(minute));
        assert!((minute.per_second() - 100.0 / 60.0).abs() < f64::EPSILON);
        for wrong in ["100", "0/s", "-1/s", "100/m", "/s", "100/ s"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_start_is_a_word_or_a_time() {
        let read = start().read;
        assert_eq!(read("earliest"), Some(Start::Earliest));
        let time = "2026-12-01T00:00:00Z".parse().expect("a time");
        assert_eq!(read("2026-12-01T00:00:00Z"), Some(Start::At(time)));
        assert_eq!(read("2026-12-01T00:00:00"), None);
        assert_eq!(read("yesterday"), None);
    }

    #[test]
    fn a_url_with_a_password_is_refused() {
        let read = url().read;
        assert_eq!(read("http://localhost:9201/").as_deref(), Some("http://localhost:9201"));
        assert_eq!(read("https://user:hush@example.com"), None);
        assert_eq!(read("localhost:9201"), None);
    }

    #[test]
    fn a_url_with_a_password_is_a_secret_where_one_may_stand() {
        let read = url_with_user().read;
        for (text, kept) in [
            ("http://localhost:8081/", "http://localhost:8081"),
            ("https://user:hush@example.com/apis/v7", "https://user:hush@example.com/apis/v7"),
        ] {
            let url = read(text).expect("a URL");
            assert_eq!(url.expose_secret(), kept);
            assert!(!format!("{url:?}").contains("example"), "{url:?}");
        }
        for wrong in [
            "localhost:8081",
            "ftp://h",
            "http://",
            "http://@h",
            "http://u@",
            "http://u@h@h",
            "http://u:p q@h",
        ] {
            assert!(read(wrong).is_none(), "{wrong}");
        }
    }
}
