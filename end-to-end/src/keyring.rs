//! Who may sign a webhook at a moment, and the files from which `ingest` knows it.
//!
//! Genuine webhooks are signed with one of the secrets that are valid, in turn. Forged ones look like genuine ones and
//! are wrong in one of the ways in which somebody might try: a secret that never was valid, or is no longer, a body
//! other than the one that was signed, a signature from long ago, none at all.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::journeys::Webhook;
use crate::sign::{Headers, Secrets};

/// Older than any source lets pass: twice what is configured where nothing is said.
const LONG_AGO_SECONDS: i64 = 600;

/// How a sender signs.
#[derive(Debug, Clone, Default)]
pub struct Signing {
    pub keyring: Arc<Keyring>,
    pub honesty: Honesty,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Honesty {
    #[default]
    Genuine,
    Forged,
}

impl Signing {
    /// The headers to send `body` with at second `now`.
    pub fn headers(&self, webhook: &Webhook, body: &[u8], now: i64) -> Headers {
        let now = now + self.keyring.keys().clock;
        match self.honesty {
            Honesty::Genuine => {
                self.keyring.valid().headers(webhook.provider, &webhook.event_id, body, now)
            }
            Honesty::Forged => self.keyring.forged(webhook, body, now),
        }
    }
}

/// The secrets of all sources.
#[derive(Debug)]
pub struct Keyring(Mutex<Keys>);

#[derive(Debug)]
struct Keys {
    valid: Vec<Secrets>,
    retired: Option<Secrets>,
    turn: usize,
    /// By how many seconds the clock is off that they are dated by.
    clock: i64,
}

impl Default for Keyring {
    /// What is valid in demo and tests.
    fn default() -> Self {
        Self(Mutex::new(Keys { valid: vec![Secrets::default()], retired: None, turn: 0, clock: 0 }))
    }
}

impl Keyring {
    /// From now on one signs with these, in turn; none of them is the one that was retired.
    pub fn sign_with(&self, secrets: &[&Secrets]) {
        self.keys().valid = secrets.iter().copied().cloned().collect();
    }

    /// Forgers have got hold of these, which are valid no longer.
    pub fn retire(&self, secrets: &Secrets) {
        self.keys().retired = Some(secrets.clone());
    }

    /// From now on signatures are dated by a clock that is off by so many seconds.
    pub fn set_clock(&self, seconds: i64) {
        self.keys().clock = seconds;
    }

    fn valid(&self) -> Secrets {
        let mut keys = self.keys();
        keys.turn += 1;
        let place = keys.turn % keys.valid.len().max(1);
        keys.valid.get(place).cloned().unwrap_or_default()
    }

    fn forged(&self, webhook: &Webhook, body: &[u8], now: i64) -> Headers {
        let mut keys = self.keys();
        keys.turn += 1;
        let never = Secrets::named("never valid");
        let retired = keys.retired.as_ref().unwrap_or(&never);
        let valid = keys.valid.first().unwrap_or(&never);
        let by = |secrets: &Secrets, body: &[u8], now| {
            secrets.headers(webhook.provider, &webhook.event_id, body, now)
        };
        match keys.turn % 5 {
            0 => by(&never, body, now),
            1 => by(retired, body, now),
            2 => by(valid, b"{}", now),
            3 => by(valid, body, now - LONG_AGO_SECONDS),
            _ => Headers::new(),
        }
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what `ingest` is to know: these secrets of each source, the newest first, in one file a source.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, secrets: &[&Secrets]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let of = |secret: fn(&Secrets) -> &str| {
        let lines: Vec<&str> = secrets.iter().copied().map(secret).collect();
        lines.join("\n")
    };
    let files = [
        ("stripe", of(|secrets| &secrets.stripe)),
        ("dodo", of(|secrets| &secrets.dodo)),
        ("revenuecat-authorization", of(|secrets| &secrets.revenuecat_authorization)),
        ("revenuecat", of(|secrets| &secrets.revenuecat)),
        ("purchasely", of(|secrets| &secrets.purchasely)),
    ];
    for (name, text) in files {
        // In one step, as whoever manages secrets does: nobody reads half of it.
        let new = folder.join(format!("{name}.new"));
        std::fs::write(&new, text)?;
        std::fs::rename(&new, folder.join(name))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::journeys::generate;

    #[test]
    fn genuine_ones_are_signed_with_what_is_valid_in_turn() {
        let keyring = Keyring::default();
        let (old, new) = (Secrets::default(), Secrets::named("new"));
        assert_eq!(keyring.valid(), old);
        keyring.sign_with(&[&new, &old]);
        assert_ne!(keyring.valid(), keyring.valid());
        keyring.sign_with(&[&new]);
        assert_eq!([keyring.valid(), keyring.valid()], [new.clone(), new]);
    }

    #[test]
    fn no_forged_one_is_what_anybody_would_sign_now() {
        let keyring = Keyring::default();
        let (old, new) = (Secrets::default(), Secrets::named("new"));
        keyring.sign_with(&[&new]);
        keyring.retire(&old);
        for journey in generate(1, 1_790_000_000_000, 0).iter().take(4) {
            let webhook = &journey.webhooks[0];
            let genuine = new.headers(webhook.provider, &webhook.event_id, b"body", 5);
            let forged: BTreeSet<Headers> =
                (0..20).map(|_| keyring.forged(webhook, b"body", 5)).collect();
            assert!(!forged.contains(&genuine));
            assert!(forged.len() >= 5, "{}", forged.len());
        }
    }

    #[test]
    fn a_file_holds_one_secret_a_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let (old, new) = (Secrets::default(), Secrets::named("new"));
        write(folder.path(), &[&new, &old]).expect("written");
        let text = std::fs::read_to_string(folder.path().join("dodo")).expect("read");
        assert_eq!(text, format!("{}\n{}", new.dodo, old.dodo));
    }
}
