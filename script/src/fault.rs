//! Why a script gave nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// The text is no script.
    Syntax,
    /// It defines no function `handler`.
    NoHandler,
    /// It threw.
    Threw,
    /// It took longer than it may.
    TimedOut,
    /// It needs more memory than it may have.
    OutOfMemory,
    /// It calls itself too deeply.
    TooDeep,
    /// What it returned cannot be used.
    Nonsense,
    /// The process in which it ran was ended, because it did not heed its limits, or was gone twice.
    Ended,
    /// The process in which it ran is gone or could not be begun, which is no fault of the script's.
    Lost,
}

/// Where in a script, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// Why a script gave nothing.
#[derive(Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub struct Fault {
    /// What went wrong.
    pub kind: Kind,
    /// In words. A script may put what it was given into them, and so a person's data.
    pub message: String,
    /// Name of the script.
    pub script: String,
    /// Where, as far as that is known.
    pub at: Option<Position>,
    /// What it wrote to the console before, as far as it is kept.
    pub console: Vec<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.script)?;
        if let Some(Position { line, column }) = self.at {
            write!(formatter, ":{line}:{column}")?;
        }
        write!(formatter, ": {}", self.message)
    }
}

impl fmt::Debug for Fault {
    /// Without the message: it may name a person.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Fault")
            .field("kind", &self.kind)
            .field("script", &self.script)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// The first place in the script that a stack names.
pub(crate) fn position(stack: &str, script: &str) -> Option<Position> {
    let place = |line: &str| {
        let from = line.rfind(script)? + script.len();
        let mut numbers = line[from..].strip_prefix(':')?.split([':', ')']).map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(line)), Some(Ok(column))) => Some(Position { line, column }),
            _ => None,
        }
    };
    stack.lines().find_map(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_the_first_of_the_script_in_the_stack() {
        let stack = "    at parse (native)\n    at inner (a.js:3:15)\n    at handler (a.js:9:2)\n";
        assert_eq!(position(stack, "a.js"), Some(Position { line: 3, column: 15 }));
        assert_eq!(position("    at a.js:2:7\n", "a.js"), Some(Position { line: 2, column: 7 }));
        assert_eq!(position(stack, "b.js"), None);
        assert_eq!(position("    at é (a.js:x:y)", "a.js"), None);
    }

    #[test]
    fn a_fault_names_its_place_and_is_never_printed_with_its_message() {
        let fault = Fault {
            kind: Kind::Threw,
            message: "Error: ada@example.com".to_owned(),
            script: "a.js".to_owned(),
            at: Some(Position { line: 3, column: 15 }),
            console: vec!["ada".to_owned()],
        };
        assert_eq!(fault.to_string(), "a.js:3:15: Error: ada@example.com");
        assert!(!format!("{fault:?}").contains("ada"));
    }
}
