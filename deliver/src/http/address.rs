//! Addresses that somebody else wrote.

/// A web address without a user in it, as whoever opens connections reads it.
pub(crate) struct Address {
    /// `http` or `https`.
    pub(crate) scheme: String,
    /// In lower case, with the port where it is not the scheme's own.
    pub(crate) host: String,
    /// Path and query.
    pub(crate) path: String,
}

impl Address {
    /// Reads it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let url = reqwest::Url::parse(text).ok()?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        if has_user || !["http", "https"].contains(&url.scheme()) {
            return None;
        }
        let host = match (url.host_str()?, url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Some(Self { scheme: url.scheme().to_owned(), host, path })
    }
}
