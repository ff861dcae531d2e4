//! Which service a destination is, with the options only that service has.

use std::fmt;

use strum::{Display, EnumString, VariantNames};

use super::fields::Fields;
use super::kinds::{endpoint, one_of};
use crate::secrets::Secrets;

/// Which service a destination is.
#[derive(Clone, Debug)]
pub enum Account {
    /// A Customer.io workspace.
    Customerio(Customerio),
    /// An Intercom workspace.
    Intercom(Intercom),
    /// A receiver of signed webhooks.
    Webhook(Webhook),
}

/// A Customer.io workspace.
#[derive(Clone, Debug)]
pub struct Customerio {
    /// Where the account lies.
    pub region: CustomerioRegion,
    /// User of the Track API.
    pub site_id: Secrets,
    /// Password of the Track API.
    pub api_key: Secrets,
}

/// Where a Customer.io account lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum CustomerioRegion {
    /// United States.
    Us,
    /// European Union.
    Eu,
}

/// An Intercom workspace.
#[derive(Clone, Debug)]
pub struct Intercom {
    /// Where the workspace lies.
    pub region: IntercomRegion,
    /// Token of the REST API.
    pub access_token: Secrets,
}

/// Where an Intercom workspace lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum IntercomRegion {
    /// United States.
    Us,
    /// European Union.
    Eu,
    /// Australia.
    Au,
}

/// A receiver of webhooks signed as Standard Webhooks describes.
#[derive(Clone)]
pub struct Webhook {
    /// Where messages are posted to, with path and query. The query may hold a token.
    pub url: String,
    /// What messages are signed with; never empty. Each signs, so that one can be rotated.
    pub secrets: Secrets,
}

impl fmt::Debug for Webhook {
    /// Without the query.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Webhook")
            .field("url", &self.shown_url())
            .field("secrets", &self.secrets)
            .finish()
    }
}

#[derive(Clone, Copy, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
enum Type {
    Customerio,
    Intercom,
    Webhook,
}

impl Account {
    pub(super) fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let service = fields.required("type", &one_of::<Type>(), "Which service this is.");
        match service {
            Some(Type::Customerio) => Customerio::read(fields).map(Self::Customerio),
            Some(Type::Intercom) => Intercom::read(fields).map(Self::Intercom),
            Some(Type::Webhook) => Webhook::read(fields).map(Self::Webhook),
            None => {
                fields.describe(Customerio::read);
                fields.describe(Intercom::read);
                fields.describe(Webhook::read);
                fields.accept_any();
                None
            }
        }
    }
}

impl Customerio {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let region = fields.required(
            "region",
            &one_of::<CustomerioRegion>(),
            "Only for `customerio`: where the account lies.",
        );
        let site_id = fields.secret("site_id", "Only for `customerio`: user of the Track API.");
        let api_key = fields.secret("api_key", "Only for `customerio`: password of the Track API.");
        Some(Self { region: region?, site_id: site_id?, api_key: api_key? })
    }
}

impl Intercom {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let region = fields.required(
            "region",
            &one_of::<IntercomRegion>(),
            "Only for `intercom`: where the workspace lies.",
        );
        let access_token =
            fields.secret("access_token", "Only for `intercom`: token of the REST API.");
        Some(Self { region: region?, access_token: access_token? })
    }
}

impl Webhook {
    /// The URL without what may be a credential in it.
    fn shown_url(&self) -> &str {
        self.url.split_once('?').map_or(self.url.as_str(), |(shown, _)| shown)
    }

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let url = fields.required(
            "url",
            &endpoint(),
            "Only for `webhook`: where messages are posted to. `base_url` replaces what stands before \
             the path. The path is shown by `deliver preview`, the query is not.",
        );
        let secrets = fields.secrets(
            "secrets",
            "Only for `webhook`: what messages are signed with, `whsec_` and a key in base64. Each of \
             them signs, so that one can be rotated.",
        )?;
        if !secrets.are_configured() && !fields.reader.describes() {
            fields.problem_here("`secrets` or `secrets_file` is required");
            return None;
        }
        Some(Self { url: url?, secrets })
    }
}
