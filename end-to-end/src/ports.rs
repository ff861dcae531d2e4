//! Free TCP ports on the loopback interface.
//!
//! They are taken from below the range that the system hands to outgoing connections. A client that keeps dialling
//! a stopped server on a port of that range can be given the very same port as its own and then talks to itself,
//! and a server that restarts can find its port gone; both were seen in fault tests elsewhere and neither can
//! happen here.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// First and one past the last port that is handed out: above the well-known services, below Linux' default
/// `ip_local_port_range` (32768) and macOS' (49152).
const FIRST: u32 = 20_000;
const RANGE: u32 = 12_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port nobody listens on now and that this process was not given before. Processes begin at different places, so
/// that test processes running side by side rarely meet.
///
/// # Errors
/// When twelve thousand ports are all taken.
pub fn free() -> std::io::Result<u16> {
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..RANGE {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let candidate = FIRST + start.wrapping_add(step) % RANGE;
        if let Ok(port) = u16::try_from(candidate)
            && is_free(port)
        {
            return Ok(port);
        }
    }
    Err(std::io::Error::new(
        std::io::ErrorKind::AddrInUse,
        "no free port on the loopback interface",
    ))
}

/// `wanted` when nobody listens there, else any free port.
///
/// # Errors
/// As [`free`].
pub fn free_or(wanted: u16) -> std::io::Result<u16> {
    if is_free(wanted) { Ok(wanted) } else { free() }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_another_port_when_the_wanted_one_is_taken() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let taken = holder.local_addr().expect("an address").port();
        assert_ne!(free_or(taken).expect("another port"), taken);
    }

    #[test]
    fn never_gives_the_same_port_twice() {
        let first = free().expect("a port");
        let second = free().expect("a port");
        assert_ne!(first, second);
    }
}
