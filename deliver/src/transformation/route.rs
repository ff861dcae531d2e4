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
        if scheme != "https" && !is_this_machine(&host) {
            return Err(refused(format!("the handler calls {host} without TLS")));
        }
        Ok(Route::Elsewhere(format!("{scheme}://{host}"), path))
    }
}

/// Whether what is called does not leave this machine, so that it needs no TLS. `host` may have a port.
pub(crate) fn is_this_machine(host: &str) -> bool {
    ["localhost", "127.0.0.1"].contains(&host.split(':').next().unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(url: &str) -> Result<Route, Failure> {
        let reach = Reach {
            url: "https://hooks.example.com/in".to_owned(),
            path: "/in?token=t".to_owned(),
            own: vec!["hooks.example.com".to_owned()],
            allowed: vec!["api.example.org".to_owned(), "localhost:9".to_owned()],
        };
        reach.route(url)
    }

    #[test]
    fn the_destination_and_what_is_allowed_are_within_reach() {
        let own = |path: &str| Ok(Route::Own(path.to_owned()));
        assert_eq!(route("https://hooks.example.com/in"), own("/in?token=t"));
        assert_eq!(route("https://HOOKS.example.com/other?a=1"), own("/other?a=1"));
        let elsewhere = Route::Elsewhere("https://api.example.org".into(), "/a?b=c".into());
        assert_eq!(route("https://api.example.org/a?b=c"), Ok(elsewhere));
        assert!(matches!(route("http://localhost:9/"), Ok(Route::Elsewhere(..))));
    }

    #[test]
    fn nothing_else_is() {
        for url in [
            "https://evil.example.com/",
            "https://api.example.org:8443/",
            "http://api.example.org/",
            "https://api.example.org@evil.example.com/",
            "https://api.example.org.evil.example.com/",
            "https://evil.example.com/#https://api.example.org/",
            "https://evil.example.com\\@api.example.org/",
            "file:///etc/passwd",
            "//api.example.org/",
            "/api/v2/entity",
            "",
        ] {
            let failure = route(url).unwrap_err();
            assert_eq!(failure.reason, Reason::TransformationFailed, "{url}");
        }
    }
}
