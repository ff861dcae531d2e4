//! The four calls of Confluent's API that are needed, and what their answers mean.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Standing;
use crate::error::{Absence, RegistryError};

/// Our largest schema is some 10 kB.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// Characters of an answer that an error quotes.
const QUOTED: usize = 500;

const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// `error_code` of the answers that say "there is none", and nothing worse.
const NO_SUBJECT: u32 = 40_401;
const NO_VERSION: u32 = 40_402;
const NO_SCHEMA: u32 = 40_403;

pub(crate) struct Api {
    client: reqwest::Client,
    /// With the credentials, which the client takes out of the URL and into a header.
    base: Url,
    /// Without.
    address: String,
}

impl fmt::Debug for Api {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Api").field("address", &self.address).finish_non_exhaustive()
    }
}

/// One question, in words for an error and as a request.
struct Question<'a> {
    doing: String,
    method: Method,
    path: &'a [&'a str],
    verbose: Option<&'a str>,
    schema: Option<&'a str>,
}

struct Reply {
    status: StatusCode,
    body: Vec<u8>,
}

#[derive(Deserialize)]
struct Identified {
    id: u32,
}

#[derive(Deserialize)]
struct Described {
    schema: Arc<str>,
    /// Absent means Avro.
    #[serde(rename = "schemaType")]
    language: Option<String>,
}

/// Confluent says why in `messages`, Apicurio in `reason`.
#[derive(Deserialize)]
struct Verdict {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Complaint {
    error_code: u32,
    #[serde(default)]
    message: String,
}

impl Api {
    pub(crate) fn new(url: &SecretString, patience: Duration) -> Result<Self, RegistryError> {
        let base = Url::parse(url.expose_secret()).map_err(|_| RegistryError::Address)?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(RegistryError::Address);
        }
        let client = reqwest::Client::builder()
            // To follow one could carry the credentials elsewhere.
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .timeout(patience)
            .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(RegistryError::Client)?;
        let address = format!("{}{}", base.origin().ascii_serialization(), base.path());
        Ok(Self { client, base, address: address.trim_end_matches('/').to_owned() })
    }

    /// Without credentials: for messages, and to tell one registry from another.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The id of a schema that is registered in the subject.
    pub(crate) async fn look_up(
        &self,
        subject: &str,
        schema: &str,
    ) -> Result<Option<u32>, RegistryError> {
        let question = Question {
            doing: format!("looking up the schema of subject `{subject}`"),
            method: Method::POST,
            path: &["subjects", subject],
            verbose: None,
            schema: Some(schema),
        };
        let reply = self.ask(&question).await?;
        if reply.says_none(&[NO_SUBJECT, NO_VERSION, NO_SCHEMA]) {
            return Ok(None);
        }
        Ok(Some(self.read::<Identified>(&question, &reply)?.id))
    }

    /// Whether a schema may follow the newest of the subject, by the rule that the registry has for it.
    pub(crate) async fn judge(
        &self,
        subject: &str,
        schema: &str,
    ) -> Result<Standing, RegistryError> {
        let question = Question {
            doing: format!("checking the schema of subject `{subject}`"),
            method: Method::POST,
            path: &["compatibility", "subjects", subject, "versions", "latest"],
            verbose: Some("true"),
            schema: Some(schema),
        };
        let reply = self.ask(&question).await?;
        if reply.says_none(&[NO_SUBJECT, NO_VERSION]) {
            return Ok(Standing::First);
        }
        let verdict: Verdict = self.read(&question, &reply)?;
        if verdict.is_compatible {
            return Ok(Standing::Compatible);
        }
        let reason = verdict.reason.unwrap_or_else(|| verdict.messages.join("; "));
        Err(self.incompatible(subject, &reason))
    }

    /// Registers a schema; one that is there already keeps its id.
    pub(crate) async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let question = Question {
            doing: format!("registering the schema of subject `{subject}`"),
            method: Method::POST,
            path: &["subjects", subject, "versions"],
            verbose: None,
            schema: Some(schema),
        };
        let reply = self.ask(&question).await?;
        // The check asks about the newest version only; a transitive rule is applied here.
        if reply.status == StatusCode::CONFLICT {
            let reason = reply.complaint().map_or_else(String::new, |complaint| complaint.message);
            return Err(self.incompatible(subject, &reason));
        }
        Ok(self.read::<Identified>(&question, &reply)?.id)
    }

    /// The schema of an id.
    pub(crate) async fn schema(&self, id: u32) -> Result<Arc<str>, RegistryError> {
        let question = Question {
            doing: format!("fetching schema {id}"),
            method: Method::GET,
            path: &["schemas", "ids", &id.to_string()],
            verbose: None,
            schema: None,
        };
        let reply = self.ask(&question).await?;
        if reply.says_none(&[NO_SCHEMA]) {
            return Err(RegistryError::UnknownSchema { registry: self.address.clone(), id });
        }
        let described: Described = self.read(&question, &reply)?;
        match described.language.as_deref() {
            None | Some("AVRO") => Ok(described.schema),
            Some(_) => Err(RegistryError::NotAvro { registry: self.address.clone(), id }),
        }
    }

    async fn ask(&self, question: &Question<'_>) -> Result<Reply, RegistryError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| RegistryError::Address)?
            .pop_if_empty()
            .extend(question.path);
        if let Some(verbose) = question.verbose {
            url.query_pairs_mut().append_pair("verbose", verbose);
        }
        let mut call = self.client.request(question.method.clone(), url).header(ACCEPT, MEDIA_TYPE);
        if let Some(schema) = question.schema {
            let body = serde_json::json!({ "schema": schema }).to_string();
            call = call.header(CONTENT_TYPE, MEDIA_TYPE).body(body);
        }
        let lost = |error| self.away(question, absence(error));
        let mut response = call.send().await.map_err(lost)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                let (registry, doing) = self.place(question);
                return Err(RegistryError::TooLarge { registry, doing, limit: LARGEST_ANSWER });
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(self.away(question, Absence::Unwell(status.as_u16())));
        }
        Ok(Reply { status, body })
    }

    /// The content of a success, or why there is none.
    fn read<T: DeserializeOwned>(
        &self,
        question: &Question<'_>,
        reply: &Reply,
    ) -> Result<T, RegistryError> {
        let (registry, doing) = self.place(question);
        let status = reply.status.as_u16();
        // Not quoted: who refuses credentials may repeat them.
        if matches!(status, 401 | 403 | 407) {
            return Err(RegistryError::Denied { registry, doing, status });
        }
        if reply.status.is_success() {
            return serde_json::from_slice(&reply.body)
                .map_err(|_| RegistryError::Unintelligible { registry, doing });
        }
        match reply.complaint() {
            Some(Complaint { message, .. }) => {
                Err(RegistryError::Refused { registry, doing, status, answer: quote(&message) })
            }
            None => Err(RegistryError::Unintelligible { registry, doing }),
        }
    }

    fn incompatible(&self, subject: &str, reason: &str) -> RegistryError {
        RegistryError::Incompatible {
            registry: self.address.clone(),
            subject: subject.to_owned(),
            answer: quote(reason),
        }
    }

    fn away(&self, question: &Question<'_>, absence: Absence) -> RegistryError {
        let (registry, doing) = self.place(question);
        RegistryError::Away { registry, doing, absence }
    }

    fn place(&self, question: &Question<'_>) -> (String, String) {
        (self.address.clone(), question.doing.clone())
    }
}

impl Reply {
    fn complaint(&self) -> Option<Complaint> {
        serde_json::from_slice(&self.body).ok()
    }

    /// A 404 of the API itself; that of a wrong address has no such code.
    fn says_none(&self, codes: &[u32]) -> bool {
        self.status == StatusCode::NOT_FOUND
            && self.complaint().is_some_and(|complaint| codes.contains(&complaint.error_code))
    }
}

fn absence(error: reqwest::Error) -> Absence {
    let error = error.without_url();
    if error.is_timeout() {
        Absence::TimedOut(error)
    } else if error.is_connect() {
        Absence::Unreachable(error)
    } else {
        Absence::Lost(error)
    }
}

/// The beginning of what the registry says, in one line.
fn quote(text: &str) -> String {
    let line = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.chars().take(QUOTED).map(line).collect()
}
