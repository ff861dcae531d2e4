//! What an owner tells its successor beside the done marks: whether its calls are over, and how long the
//! destination was out of service.
//!
//! It stands behind the marks in the metadata of the offset committed for the event topic, as fields of
//! their own: `;clean`, `;outages=<milliseconds>`. A field that is not known is skipped.

use std::time::Duration;

use crate::marks::{Marks, MarksError};

const CLEAN: &str = "clean";
const OUTAGES: &str = "outages=";

/// How an owner's time with a partition stands, as of its last commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tenure {
    /// Whether calls may be under way.
    pub ending: Ending,
    /// How long the destination was out of service while anybody had this partition: time that does not
    /// count towards an event's horizon.
    pub outages: Duration,
}

/// Whether calls may be under way after a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// They may, or somebody else has written the metadata.
    #[default]
    Open,
    /// None is, and none can take effect any more.
    Clean,
}

impl Tenure {
    /// Before the first owner.
    pub fn none() -> Self {
        Self { ending: Ending::Clean, outages: Duration::ZERO }
    }

    /// The metadata with `marks`.
    pub fn beside(&self, marks: &Marks) -> String {
        let mut text = marks.encode();
        if *self == Self::default() {
            return text;
        }
        if text.is_empty() {
            text.push_str("1;r:");
        }
        match self.ending {
            Ending::Open => {}
            Ending::Clean => {
                text.push(';');
                text.push_str(CLEAN);
            }
        }
        if !self.outages.is_zero() {
            text.push(';');
            text.push_str(OUTAGES);
            text.push_str(&self.outages.as_millis().to_string());
        }
        text
    }

    /// Reads what [`Self::beside`] wrote.
    pub fn read(metadata: &str) -> Result<Self, MarksError> {
        let mut tenure = Self::default();
        for field in metadata.split(';').skip(2) {
            if field == CLEAN {
                tenure.ending = Ending::Clean;
            } else if let Some(millis) = field.strip_prefix(OUTAGES) {
                let millis = millis.parse().map_err(|_| MarksError::Damaged)?;
                tenure.outages = Duration::from_millis(millis);
            }
        }
        Ok(tenure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenure_and_marks_stand_side_by_side() {
        let marks = [Marks::up_to(7), Marks::of(20, [7, 12], &Marks::up_to(7))];
        for marks in marks {
            for ending in [Ending::Open, Ending::Clean] {
                for outages in [Duration::ZERO, Duration::from_millis(1_234)] {
                    let tenure = Tenure { ending, outages };
                    let text = tenure.beside(&marks);
                    assert_eq!(Tenure::read(&text), Ok(tenure), "{text}");
                    assert_eq!(Marks::decode(marks.next(), &text), Ok(marks.clone()), "{text}");
                }
            }
        }
    }

    #[test]
    fn metadata_of_an_earlier_version_or_of_an_operator_is_no_clean_end() {
        for text in ["", "1;r:AQE", "1;b:Ag;later=1"] {
            assert_eq!(Tenure::read(text), Ok(Tenure::default()), "{text}");
        }
        assert_eq!(Tenure::read("1;r:;outages=x"), Err(MarksError::Damaged));
    }
}
