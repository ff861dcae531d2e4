//! A transfer: everything one person has at the stores goes to another. It is sent once, and names both
//! by lists of their ids.

use schemas::event::Transfer;
use schemas::state::{Facts, Role};

use super::super::Unreadable;
use super::super::json::Fields;
use super::read::{ANONYMOUS, MOST_LISTED};

/// The type of the event.
const TRANSFER: &str = "TRANSFER";
/// Most ids of one person that are read.
const MOST_IDS: usize = 32;

/// The two sides, if the event is a transfer. Without a receiver it cannot be one.
pub(super) fn read(event: &Fields<'_>, event_type: &str) -> Result<Option<Transfer>, Unreadable> {
    if event_type != TRANSFER {
        return Ok(None);
    }
    let ids = |pointer: &str| -> Result<Vec<String>, Unreadable> {
        let listed = event.list(pointer, MOST_LISTED)?;
        let ids = listed.iter().take(MOST_IDS);
        ids.map(|element| element.require("", element.word("")).map(str::to_owned)).collect()
    };
    let (from, to) = (ids("/transferred_from")?, ids("/transferred_to")?);
    if to.is_empty() {
        return Err(event.problem("/transferred_to", "missing or empty"));
    }
    Ok(Some(Transfer { from, to }))
}

/// The ids of the person who meets the transfer in this role.
pub(super) fn side(transfer: &Transfer, role: Role) -> impl Iterator<Item = &str> {
    let ids = match role {
        Role::Own | Role::Sender => &transfer.from,
        Role::Receiver | Role::Forward => &transfer.to,
    };
    ids.iter().map(String::as_str)
}

/// To whom the transfer is addressed: the first id that somebody chose, else the first.
pub(super) fn receiver(facts: &Facts) -> Option<&str> {
    if facts.provider_event_type != TRANSFER {
        return None;
    }
    let to = &facts.transfer.as_ref()?.to;
    let chosen = to.iter().find(|id| !id.starts_with(ANONYMOUS));
    chosen.or_else(|| to.first()).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::facts;

    fn transfer(to: &[&str]) -> Facts {
        let to = to.iter().map(|id| (*id).to_owned()).collect();
        let transfer = Some(Transfer { from: vec!["a".to_owned()], to });
        Facts { provider_event_type: TRANSFER.to_owned(), transfer, ..facts("X", 1) }
    }

    #[test]
    fn goes_to_the_first_id_that_somebody_chose() {
        let made_up = "$RCAnonymousID:1";
        assert_eq!(receiver(&transfer(&[made_up, "b", "c"])), Some("b"));
        assert_eq!(receiver(&transfer(&[made_up])), Some(made_up));
        let other = Facts { provider_event_type: "RENEWAL".to_owned(), ..transfer(&["b"]) };
        assert_eq!(receiver(&other), None);
    }

    #[test]
    fn each_side_is_one_person() {
        let both = transfer(&["b", "c"]).transfer.unwrap();
        assert_eq!(side(&both, Role::Sender).collect::<Vec<_>>(), ["a"]);
        assert_eq!(side(&both, Role::Forward).collect::<Vec<_>>(), ["b", "c"]);
    }
}
