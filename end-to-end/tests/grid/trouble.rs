//! What the grid is made of: troubles, manners and destinations.

/// What is wrong with a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// To compare with.
    Nothing,
    OnePercentFails,
    OnePersonFails,
    OnePersonIsRefused,
    IsDown,
    SaysWait,
    TimesOutAfterTheEffect,
    Resets,
    IsSlow,
    RefusesCredentials,
}

pub(crate) const TROUBLES: [Trouble; 9] = [
    Trouble::OnePercentFails,
    Trouble::OnePersonFails,
    Trouble::OnePersonIsRefused,
    Trouble::IsDown,
    Trouble::SaysWait,
    Trouble::TimesOutAfterTheEffect,
    Trouble::Resets,
    Trouble::IsSlow,
    Trouble::RefusesCredentials,
];

/// What happens to `deliver` meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Steady,
    Killed,
    Joined,
}

pub(crate) const MANNERS: [Manner; 3] = [Manner::Steady, Manner::Killed, Manner::Joined];

/// The destination that is in trouble; the other must not notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    Customerio,
    Intercom,
}

pub(crate) const PLACES: [Where; 2] = [Where::Customerio, Where::Intercom];

impl Where {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Customerio => Self::Intercom,
            Self::Intercom => Self::Customerio,
        }
    }

    /// As it is called in the configuration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Customerio => "customerio",
            Self::Intercom => "intercom",
        }
    }
}
