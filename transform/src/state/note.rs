//! What a worker notes beside the offset it commits: for how many partitions keys were spread.
//!
//! The partition record says it too, but only of partitions that have one. A partition that was added to
//! a running installation has none, and whoever took it over would begin anew with subscribers whose
//! states lie elsewhere. The notes of the others tell.

use super::restore::Disagreement;

const PARTITIONS: &str = "partitions=";

/// The text to commit beside an offset.
pub fn note(partitions: i32) -> String {
    format!("{PARTITIONS}{partitions}")
}

/// Whether the topics have the partitions that every note speaks of. What is no note says nothing.
pub fn judge_notes<'a>(
    notes: impl IntoIterator<Item = &'a str>,
    found: i32,
) -> Result<(), Disagreement> {
    let counts = notes.into_iter().filter_map(|text| text.strip_prefix(PARTITIONS)?.parse().ok());
    match counts.filter(|count: &i32| *count != found).max() {
        Some(recorded) => Err(Disagreement::PartitionsChanged { recorded, found }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_note_of_another_count_is_enough_and_other_texts_say_nothing() {
        let (six, twelve) = (note(6), note(12));
        assert_eq!(judge_notes([twelve.as_str(), "", "by hand", "partitions=x"], 12), Ok(()));
        let changed = Disagreement::PartitionsChanged { recorded: 6, found: 12 };
        assert_eq!(judge_notes([twelve.as_str(), six.as_str()], 12), Err(changed));
    }
}
