//! What a replay is asked for.

use std::str::FromStr;

use schemas::Timestamp;

/// Options of `transform replay`.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct Arguments {
    /// From where in the raw topic: `beginning`, or a moment such as 2026-12-01T00:00:00Z.
    #[arg(long, value_name = "MOMENT")]
    pub from: From,
    /// Prefix of the topic that gets the events; it must be empty or missing.
    #[arg(long, value_name = "PREFIX")]
    pub into: String,
}

/// From where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The first record the raw topic holds.
    Beginning,
    /// The first record appended at or after this moment.
    Time(Timestamp),
}

impl FromStr for From {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "beginning" {
            return Ok(Self::Beginning);
        }
        let moment = Timestamp::from_rfc3339(text);
        moment
            .map(Self::Time)
            .ok_or("neither `beginning` nor a moment such as 2026-12-01T00:00:00Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_the_beginning_and_moments_and_nothing_else() {
        assert_eq!("beginning".parse(), Ok(From::Beginning));
        let moment = Timestamp::from_rfc3339("2026-12-01T00:00:00Z").unwrap();
        assert_eq!("2026-12-01T00:00:00Z".parse(), Ok(From::Time(moment)));
        assert!("yesterday".parse::<From>().is_err());
    }
}
