//! How many connections the system lets this process have.

use rustix::process::{Resource, getrlimit, setrlimit};

/// File descriptors for everything else: brokers, secrets, the admin port, the log.
const OTHER_FILES: u64 = 128;

/// Fewer are no service.
const FEWEST: usize = 16;

/// How many connections there is room for, at most `most`. Takes as many file descriptors as the system would give for
/// the asking: many systems begin with 1,024, for the sake of programs that cannot do with more.
///
/// A process without descriptors could neither reach a broker nor read a secret, so strangers must not take the last.
pub fn connections(most: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, ..limit };
        // Some systems take no more than a number of their own; what there was stays then.
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = getrlimit(Resource::Nofile);
        }
    }
    let room = limit.current.map_or(most, |files| room(files, most));
    if room < most {
        tracing::warn!(connections = room, "few connections: the limit of open files is low");
    }
    room
}

fn room(files: u64, most: usize) -> usize {
    let left = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(most);
    left.clamp(FEWEST, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_files_are_left_for_everything_else() {
        assert_eq!(room(1024, 1024), 896);
        assert_eq!(room(1_048_576, 1024), 1024);
        assert_eq!(room(64, 1024), FEWEST);
    }
}
