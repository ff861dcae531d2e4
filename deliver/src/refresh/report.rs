//! What is told at the end.

use std::collections::BTreeMap;

/// Whether anything was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    DryRun,
    /// The running `deliver` sends it.
    HandedOver,
}

/// How many went where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Refreshed anywhere.
    pub(super) subscribers: usize,
    /// Whose states cannot be read.
    pub(super) unreadable: usize,
    pub(super) destinations: BTreeMap<String, AtDestination>,
}

/// How many went to one destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AtDestination {
    pub(super) refreshed: usize,
    /// By reason, who is not shown there.
    pub(super) left_out: BTreeMap<&'static str, usize>,
}

/// For people.
pub(super) fn lines(tally: &Tally, done: Done) -> Vec<String> {
    let (told, there) = match done {
        Done::DryRun => ("would be refreshed", "would be handed over"),
        Done::HandedOver => ("refreshed", "handed over to `deliver run`"),
    };
    let mut lines = vec![format!("subscribers: {} {told}", tally.subscribers)];
    for (name, at) in &tally.destinations {
        lines.push(format!("{name}: {} {there}", at.refreshed));
        let left_out = at.left_out.iter();
        lines.extend(left_out.map(|(reason, count)| format!("{name}: {count} left out: {reason}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_destination_says_how_many_and_why_others_not() {
        let at = AtDestination {
            refreshed: 7,
            left_out: [("the subscriber is anonymous", 2)].into_iter().collect(),
        };
        let tally = Tally {
            subscribers: 9,
            unreadable: 0,
            destinations: [("crm".to_owned(), at)].into_iter().collect(),
        };
        assert_eq!(
            lines(&tally, Done::DryRun),
            [
                "subscribers: 9 would be refreshed",
                "crm: 7 would be handed over",
                "crm: 2 left out: the subscriber is anonymous",
            ]
        );
    }
}
