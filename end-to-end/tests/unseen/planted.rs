//! What is planted, and the search for it.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use end_to_end::sign::Secrets;

/// In every address that a run invents, and in every value that is planted in a body.
pub(crate) const ADDRESS: &str = "@example.com";
/// In no body but as a value that is not what it should be.
pub(crate) const VALUE: &str = "planted-value";

/// Every secret of the run, each unmistakable.
pub(crate) struct Planted {
    pub(crate) sources: Secrets,
    pub(crate) api_key: &'static str,
    pub(crate) access_token: &'static str,
    pub(crate) hooks: String,
    pub(crate) kafka: &'static str,
    pub(crate) private_key: &'static str,
    pub(crate) registry: &'static str,
    pub(crate) collector: &'static str,
}

impl Planted {
    pub(crate) fn new() -> Self {
        let secret = |name: &str| format!("planted-secret-{name}");
        let encoded = |name: &str| format!("whsec_{}", STANDARD.encode(secret(name)));
        let sources = Secrets {
            stripe: format!("whsec_{}", secret("stripe")),
            dodo: encoded("dodo"),
            revenuecat_authorization: format!("Bearer {}", secret("authorization")),
            revenuecat: secret("revenuecat"),
            purchasely: secret("purchasely"),
        };
        Self {
            sources,
            api_key: "planted-secret-api-key",
            access_token: "planted-secret-access-token",
            hooks: encoded("hooks"),
            kafka: "planted-secret-kafka",
            private_key: "planted-secret-private-key",
            registry: "planted-secret-registry",
            collector: "planted-secret-collector",
        }
    }

    /// All that must be nowhere, in the forms in which it travels too.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let basic = |user: &str, password: &str| STANDARD.encode(format!("{user}:{password}"));
        vec![
            "planted-secret".to_owned(),
            self.sources.dodo.trim_start_matches("whsec_").to_owned(),
            self.hooks.trim_start_matches("whsec_").to_owned(),
            basic("emulator-site", self.api_key),
            basic("planted-user", self.registry),
        ]
    }
}

/// What must not be in a place, and where it was found.
pub(crate) struct Search {
    words: Vec<String>,
    pub(crate) found: Vec<String>,
    /// How much was looked through.
    pub(crate) bytes: usize,
}

impl Search {
    pub(crate) fn of(words: impl IntoIterator<Item = String>) -> Self {
        Self { words: words.into_iter().collect(), found: Vec::new(), bytes: 0 }
    }

    pub(crate) fn look(&mut self, place: &str, content: &[u8]) {
        self.bytes += content.len();
        for word in &self.words {
            let at = content.windows(word.len()).position(|window| window == word.as_bytes());
            if let Some(at) = at {
                let around = &content[at.saturating_sub(160)..(at + word.len()).min(content.len())];
                self.found.push(format!("{place}: …{}", String::from_utf8_lossy(around)));
            }
        }
    }

    /// Every file below a folder that `is_meant`.
    pub(crate) fn look_through(&mut self, folder: &Path, is_meant: &dyn Fn(&Path) -> bool) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.look_through(&path, is_meant);
            } else if is_meant(&path) {
                self.look(&path.display().to_string(), &std::fs::read(&path).unwrap());
            }
        }
    }

    pub(crate) fn assert_nothing(&self) {
        assert!(self.bytes > 0, "nothing was looked through");
        let mut places = self.found.clone();
        places.dedup();
        assert!(places.is_empty(), "{} leaks:\n{}", places.len(), places.join("\n"));
    }
}

#[test]
fn what_is_planted_is_found_in_every_form_in_which_it_travels() {
    let planted = Planted::new();
    for place in [
        "authorization: Bearer planted-secret-access-token".to_owned(),
        format!("basic {}", STANDARD.encode("emulator-site:planted-secret-api-key")),
        format!("key {}", planted.hooks),
        format!("key {}", planted.sources.dodo),
    ] {
        let mut search = Search::of(planted.secrets());
        search.look("here", place.as_bytes());
        assert!(!search.found.is_empty(), "{place}");
        search.found.clear();
        search.look("there", b"nothing of the kind");
        search.assert_nothing();
    }
}
