//! What the grid is made of: troubles and manners.

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
