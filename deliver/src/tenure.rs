//! What an owner tells its successor beside the done marks: who it was, whether its calls are over, and how
//! long the destination was out of service.
//!
//! It stands behind the marks in the metadata of the offset committed for the event topic, as fields of
//! their own: `;clean`, `;owner=<hex>`, `;outages=<milliseconds>`. A field that is not known is skipped.

use std::time::Duration;

use crate::marks::{Marks, MarksError};

const CLEAN: &str = "clean";
const OWNER: &str = "owner=";
const OUTAGES: &str = "outages=";

/// One process, among all that ever own a partition of its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(pub u64);

/// How an owner's time with a partition stands, as of its last commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tenure {
    /// Whose it is; none where somebody else has written the metadata.
    pub owner: Option<Owner>,
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
        Self { owner: None, ending: Ending::Clean, outages: Duration::ZERO }
    }

    /// The metadata with `marks`.
    pub fn beside(&self, marks: &Marks) -> String {
        let ending = match self.ending {
            Ending::Open => None,
            Ending::Clean => Some(CLEAN.to_owned()),
        };
        let owner = self.owner.map(|Owner(number)| format!("{OWNER}{number:x}"));
        let millis = self.outages.as_millis();
        let outages = (millis > 0).then(|| format!("{OUTAGES}{millis}"));
        let mut text = marks.encode();
        for field in [ending, owner, outages].into_iter().flatten() {
            if text.is_empty() {
                text.push_str("1;r:");
            }
            text.push(';');
            text.push_str(&field);
        }
        text
    }

    /// Reads what [`Self::beside`] wrote.
    pub fn read(metadata: &str) -> Result<Self, MarksError> {
        let mut tenure = Self::default();
        for field in metadata.split(';').skip(2) {
            if field == CLEAN {
                tenure.ending = Ending::Clean;
            } else if let Some(number) = field.strip_prefix(OWNER) {
                let number = u64::from_str_radix(number, 16).map_err(|_| MarksError::Damaged)?;
                tenure.owner = Some(Owner(number));
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
                let rest =
                    [(None, Duration::ZERO), (Some(Owner(u64::MAX)), Duration::from_millis(1_234))];
                for (owner, outages) in rest {
                    let tenure = Tenure { owner, ending, outages };
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
        for text in ["1;r:;outages=x", "1;r:;owner=x", "1;r:;owner="] {
            assert_eq!(Tenure::read(text), Err(MarksError::Damaged), "{text}");
        }
    }
}
