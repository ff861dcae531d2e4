//! What events and attributes are called at a destination, and which are sent at all.
//!
//! Everything has a default name, ours or the provider's own integration's; an operator may give it
//! another one or switch it off under that default name. A blank name is the default one.

use std::collections::HashMap;

/// Whose names are the default ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Naming {
    /// Ours, the same for every provider.
    #[default]
    Unified,
    /// Those of the provider's own integration with the destination.
    Provider,
}

/// The names at one destination.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Whose names are the default ones.
    pub naming: Naming,
    /// What was changed about events.
    pub events: Changes,
    /// What was changed about attributes of people, and about what is told with an event.
    pub attributes: Changes,
}

/// What an operator said about one event or attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is not sent.
    Off,
    /// It is sent under its default name, also where it would not be sent by default.
    On,
    /// It is sent under this name.
    Renamed(String),
}

/// Whether what nobody said anything about is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Sent,
    /// Only when it is asked for.
    Optional,
}

/// Changes by default name.
#[derive(Clone, Debug, Default)]
pub struct Changes(HashMap<String, Change>);

impl Changes {
    /// What `default` is called; `None` when it is not sent.
    pub fn called<'a>(&'a self, default: &'a str, standing: Standing) -> Option<&'a str> {
        match (self.0.get(default), standing) {
            (Some(Change::Off), _) | (None, Standing::Optional) => None,
            (Some(Change::On), _) | (None, Standing::Sent) => Some(default),
            (Some(Change::Renamed(name)), _) => {
                let name = name.trim();
                Some(if name.is_empty() { default } else { name })
            }
        }
    }
}

impl<Name: Into<String>> FromIterator<(Name, Change)> for Changes {
    fn from_iter<All: IntoIterator<Item = (Name, Change)>>(all: All) -> Self {
        Self(all.into_iter().map(|(name, change)| (name.into(), change)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_changed_is_sent_unless_it_is_optional() {
        let changes = Changes::default();
        assert_eq!(changes.called("renewal", Standing::Sent), Some("renewal"));
        assert_eq!(changes.called("renewal", Standing::Optional), None);
    }

    #[test]
    fn what_was_asked_for_is_sent_also_when_it_is_optional_and_a_blank_name_is_the_default_one() {
        let changes: Changes = [
            ("asked", Change::On),
            ("renamed", Change::Renamed(" other ".into())),
            ("blank", Change::Renamed("  ".into())),
            ("off", Change::Off),
        ]
        .into_iter()
        .collect();
        for standing in [Standing::Sent, Standing::Optional] {
            assert_eq!(changes.called("asked", standing), Some("asked"));
            assert_eq!(changes.called("renamed", standing), Some("other"));
            assert_eq!(changes.called("blank", standing), Some("blank"));
            assert_eq!(changes.called("off", standing), None);
        }
    }
}
