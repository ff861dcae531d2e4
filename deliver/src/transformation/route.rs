//! Where a handler's calls may go.

use crate::failure::{Failure, Reason};
use crate::http::Address;

/// What a handler may have called.
#[derive(Clone)]
pub struct Reach {
    /// The URL that a webhook is given with: a call of it is one of the destination.
    pub url: String,
    /// Path and query that a call of this very URL goes to.
    pub path: String,
    /// Hosts of the destination.
    pub own: Vec<String>,
    /// Other hosts that are allowed.
    pub allowed: Vec<String>,
}

impl std::fmt::Debug for Reach {
    /// Without the path: its query may hold a token.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Reach")
            .field("own", &self.own)
            .field("allowed", &self.allowed)
            .finish_non_exhaustive()
    }
}

/// Where a call goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To the destination: path and query.
    Own(String),
    /// To a host that is allowed: origin, path and query.
    Elsewhere(String, String),
}

impl Reach {
    pub(super) fn route(&self, url: &str) -> Result<Route, Failure> {
        if url == self.url {
            return Ok(Route::Own(self.path.clone()));
        }
        let refused = |message: String| Failure::new(Reason::TransformationFailed, message);
        let Some(Address { scheme, host, path }) = Address::read(url) else {
            return Err(refused("the handler's `url` is none, or has a user in it".to_owned()));
        };
        if self.own.contains(&host) {
            return Ok(Route::Own(path));
        }
        if !self.allowed.contains(&host) {
            let message = format!(
                "the handler calls {host}, which is not the destination: `transform_hosts` has to list it"
            );
            return Err(refused(message));
        }
        let is_here = ["localhost", "127.0.0.1"].contains(&host.split(':').next().unwrap_or(""));
        if scheme != "https" && !is_here {
            return Err(refused(format!("the handler calls {host} without TLS")));
        }
        Ok(Route::Elsewhere(format!("{scheme}://{host}"), path))
    }
}
