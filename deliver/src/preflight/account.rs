//! What the answer to a probe says about the account and about the time.

use serde_json::Value;
use service::config::Account;

use crate::destinations::Reply;

/// How far the clocks may be apart, in seconds: `webhook-timestamp` is believed within five minutes, and
/// the reset of a rate limit is a moment of the destination's clock.
const CLOCK_TOLERANCE: u64 = 60;

/// Where an account lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Residence {
    /// Where the configuration says.
    Here,
    /// Somewhere else.
    Elsewhere {
        /// In the configuration's words.
        told: &'static str,
        /// What the configuration says.
        configured: String,
    },
    /// The answer does not say, or not in words that are known.
    Unsaid,
    /// Accounts of this kind have no region.
    Nowhere,
}

impl Residence {
    /// In a sentence, for good or bad.
    pub(super) fn told(&self) -> Result<String, String> {
        match self {
            Self::Here => Ok("the region is right".to_owned()),
            Self::Elsewhere { told, configured } => Err(format!(
                "the account lies in region `{told}`, and `region` says `{configured}`"
            )),
            Self::Unsaid => Ok("the region was not told".to_owned()),
            Self::Nowhere => Ok("no region to compare".to_owned()),
        }
    }
}

/// Where the account lies, by the answer to its destination's probe: `GET /api/v1/accounts/region` at
/// Customer.io (Track API specification, read 2026-08-22), `GET /me` at Intercom (API 2.16, read
/// 2026-08-21; the European region is `Europe` there, others have met `EU`).
pub(super) fn residence(account: &Account, reply: &Reply) -> Residence {
    let (pointer, configured) = match account {
        Account::Customerio(account) => ("/region", account.region.to_string()),
        Account::Intercom(account) => ("/app/region", account.region.to_string()),
        Account::Webhook(_) => return Residence::Nowhere,
    };
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let word = body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let told = match word.to_lowercase().as_str() {
        "us" | "united states" => "us",
        "eu" | "europe" => "eu",
        "au" | "australia" => "au",
        _ => return Residence::Unsaid,
    };
    if told == configured { Residence::Here } else { Residence::Elsewhere { told, configured } }
}

/// Whether this machine and the destination mean the same by now. `now` is in Unix seconds.
pub(super) fn clock(reply: &Reply, now: i64) -> Result<String, String> {
    let Some(theirs) = reply.served_at else { return Ok("the time was not told".to_owned()) };
    let apart = theirs.abs_diff(now);
    if apart > CLOCK_TOLERANCE {
        let way = if theirs > now { "behind" } else { "ahead of" };
        Err(format!("this machine's clock is {apart} s {way} the destination's"))
    } else {
        Ok("the clocks agree".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use service::config::{Customerio, CustomerioRegion, Intercom, IntercomRegion};
    use service::secrets::Secrets;

    use super::*;

    fn customerio(region: CustomerioRegion) -> Account {
        let (site_id, api_key) = (Secrets::none(), Secrets::none());
        Account::Customerio(Customerio { region, site_id, api_key })
    }

    fn intercom(region: IntercomRegion) -> Account {
        Account::Intercom(Intercom { region, access_token: Secrets::none() })
    }

    fn found(account: &Account, body: &Value) -> Residence {
        residence(account, &Reply { body: body.to_string().into_bytes(), ..Reply::default() })
    }

    #[test]
    fn the_region_is_compared_in_all_words_that_are_known_for_it() {
        let european = json!({"region": "eu", "environment_id": 1});
        assert_eq!(found(&customerio(CustomerioRegion::Eu), &european), Residence::Here);
        let elsewhere = found(&customerio(CustomerioRegion::Us), &european);
        let told = elsewhere.told().unwrap_err();
        assert_eq!(told, "the account lies in region `eu`, and `region` says `us`");
        for (word, region) in [
            ("US", IntercomRegion::Us),
            ("Europe", IntercomRegion::Eu),
            ("EU", IntercomRegion::Eu),
            ("AU", IntercomRegion::Au),
            ("Australia", IntercomRegion::Au),
        ] {
            let me = json!({"type": "admin", "app": {"region": word}});
            assert_eq!(found(&intercom(region), &me), Residence::Here, "{word}");
        }
        let me = json!({"type": "admin", "app": {"region": "US"}});
        assert!(found(&intercom(IntercomRegion::Au), &me).told().is_err());
    }

    #[test]
    fn a_region_nobody_knows_is_no_reason_to_refuse() {
        for body in [json!({}), json!({"region": "mars"}), json!({"region": 7})] {
            assert_eq!(found(&customerio(CustomerioRegion::Us), &body), Residence::Unsaid);
        }
    }

    #[test]
    fn a_clock_may_be_a_minute_off_and_no_more() {
        let at = |served_at| Reply { served_at, ..Reply::default() };
        assert!(clock(&at(Some(1_060)), 1_000).is_ok());
        assert!(clock(&at(None), 1_000).is_ok());
        let behind = clock(&at(Some(1_061)), 1_000).unwrap_err();
        assert_eq!(behind, "this machine's clock is 61 s behind the destination's");
        assert!(clock(&at(Some(900)), 1_000).unwrap_err().contains("100 s ahead of"));
    }
}
