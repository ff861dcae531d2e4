//! How a process ends, as the numbers of BSD's `sysexits.h` where one fits.

use std::error::Error;

use crate::config::Problems;

/// It did what it was asked to.
pub const OK: u8 = 0;
/// It failed in a way that has no number of its own.
pub const FAILED: u8 = 1;
/// The command line or the configuration is wrong (`EX_USAGE`).
pub const CONFIGURATION: u8 = 64;
/// The configuration is right, but what it found does not allow a start (`EX_CONFIG`), for example
/// a topic that is missing.
pub const REFUSED: u8 = 78;

/// Why a process ends before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration is wrong. Shows one line for each problem.
    #[error("{0}")]
    Configuration(#[from] Problems),
    /// The command line asks for something that is not there, or not for enough. Says what may be asked
    /// for.
    #[error("{0}")]
    Usage(String),
    /// It must not start like this. Says what was found and what to do about it.
    #[error("{0}")]
    Refused(String),
    /// Anything else.
    #[error("{0}")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl Failure {
    /// A failure without a number of its own; takes any error, also `anyhow`'s.
    pub fn failed(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(cause.into())
    }

    /// The number the process exits with.
    pub fn code(&self) -> u8 {
        match self {
            Self::Configuration(_) | Self::Usage(_) => CONFIGURATION,
            Self::Refused(_) => REFUSED,
            Self::Failed(_) => FAILED,
        }
    }

    /// What to tell the operator: the failure, and each cause that says more than the one before.
    pub fn report(&self) -> String {
        let mut text = self.to_string();
        let mut cause = match self {
            Self::Configuration(_) | Self::Usage(_) | Self::Refused(_) => None,
            Self::Failed(error) => error.source(),
        };
        while let Some(error) = cause {
            let more = error.to_string();
            if !text.ends_with(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            cause = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_number() {
        assert_eq!(Failure::Configuration(Problems::new()).code(), 64);
        assert_eq!(Failure::Usage("no such destination".to_owned()).code(), 64);
        assert_eq!(Failure::Refused("no topic".to_owned()).code(), 78);
        assert_eq!(Failure::failed("anything").code(), 1);
    }

    #[test]
    fn a_report_names_the_causes_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot start the engine")]
        struct Outer(#[source] std::io::Error);

        let cause = std::io::Error::other("no fuel");
        assert_eq!(Failure::failed(Outer(cause)).report(), "cannot start the engine: no fuel");
    }
}
