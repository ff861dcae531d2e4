//! Signed messages, by the specification of Standard Webhooks (version 1, standardwebhooks.com, read
//! 2026-11): HMAC-SHA256 over `id.timestamp.body`, in base64, behind `v1,`.
//!
//! While a secret is being rotated each of the configured ones signs, so that the receiver may know the
//! old or the new one. The time is that of sending, not of the event: a repetition is signed anew, under
//! the same id.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::destinations::Request;

/// By what a repetition is recognised.
pub(super) const ID: &str = "webhook-id";
/// When the message was sent, in Unix seconds.
pub(super) const TIMESTAMP: &str = "webhook-timestamp";
/// One signature or several, separated by spaces.
pub(super) const SIGNATURE: &str = "webhook-signature";

/// What a secret begins with; the key follows in base64.
const PREFIX: &str = "whsec_";

/// The value of the signature's header. A secret that is none signs nothing: the receiver then refuses
/// the message, which says what is wrong.
pub(super) fn signatures(secrets: &[SecretString], request: &Request, wall_seconds: i64) -> String {
    let id = request.message_id.as_deref().unwrap_or_default();
    let body = request.body.as_deref().unwrap_or_default();
    let signed = secrets.iter().filter_map(|secret| signature(secret, id, wall_seconds, body));
    signed.collect::<Vec<_>>().join(" ")
}

fn signature(secret: &SecretString, id: &str, wall_seconds: i64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&key(secret)?).ok()?;
    mac.update(format!("{id}.{wall_seconds}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// The key in a secret; `None` for what is no secret of this form.
fn key(secret: &SecretString) -> Option<Vec<u8>> {
    let secret = secret.expose_secret().trim();
    let key = STANDARD.decode(secret.strip_prefix(PREFIX).unwrap_or(secret)).ok()?;
    (!key.is_empty()).then_some(key)
}

/// Whether messages can be signed with it.
pub fn is_secret(secret: &SecretString) -> bool {
    key(secret).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destinations::Method;

    /// The example of the specification's reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const EXAMPLE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn message() -> Request {
        let body = r#"{"test": 2432232314}"#.to_owned();
        Request::with_body(Method::Post, "", body).identified("msg_p5jXN8AQM9LWM0D4loKWxJek")
    }

    fn signed(secrets: &[&str]) -> String {
        let secrets: Vec<_> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        signatures(&secrets, &message(), 1_614_265_330)
    }

    #[test]
    fn signs_as_the_reference_libraries_do() {
        assert_eq!(signed(&[SECRET]), EXAMPLE);
        assert_eq!(signed(&["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]), EXAMPLE, "without the prefix");
    }

    #[test]
    fn each_secret_signs_while_one_is_rotated_and_what_is_no_secret_signs_nothing() {
        let both = signed(&[SECRET, "whsec_AAAA", "whsec_", "whsec_not base64", ""]);
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(first, EXAMPLE);
        assert!(second.starts_with("v1,") && !second.contains(' '));
        assert_ne!(second, EXAMPLE);
    }
}
