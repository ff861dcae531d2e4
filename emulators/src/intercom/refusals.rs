//! Intercom's error envelope.

use serde_json::{Value, json};

use crate::exchange::Reply;
use crate::violations::{Findings, Rule};

/// Why a request is refused, and which rule it broke.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
    /// Where to look instead.
    link: Option<String>,
    /// Nothing, where a correct client meets the refusal as well.
    broken: Option<(Rule, String)>,
}

impl Refusal {
    /// A refusal that a well-behaved client would not have met; the detail names a place only.
    pub(super) fn fault(
        status: u16,
        code: &'static str,
        message: &str,
        rule: Rule,
        detail: &str,
    ) -> Self {
        Self::expected(status, code, message).because(rule, detail)
    }

    /// A refusal that a correct client meets as well.
    pub(super) fn expected(status: u16, code: &'static str, message: &str) -> Self {
        Self { status, code, message: message.to_owned(), link: None, broken: None }
    }

    /// Makes it one that a well-behaved client would not have met.
    #[must_use]
    pub(super) fn because(mut self, rule: Rule, detail: &str) -> Self {
        self.broken = Some((rule, detail.to_owned()));
        self
    }

    /// Notes what was broken, and gives the answer.
    pub(super) fn answer(self, findings: &mut Findings) -> Reply {
        if let Some((rule, detail)) = self.broken {
            findings.note(rule, detail);
        }
        let mut reply = error(self.status, self.code, &self.message);
        if let Some(body) = &mut reply.body {
            let number = findings.request();
            body["request_id"] = json!(format!("00000000-0000-4000-8000-{number:012x}"));
        }
        match self.link {
            Some(link) => reply.with_header("link", link),
            None => reply,
        }
    }

    pub(super) fn invalid(rule: Rule, field: &str, message: &str) -> Self {
        let text = format!("{field} {message}");
        Self::fault(400, "parameter_invalid", &text, rule, &text)
    }

    pub(super) fn missing(field: &str) -> Self {
        let text = format!("{field} is required");
        Self::fault(400, "parameter_not_found", &text, Rule::MissingField, &text)
    }

    pub(super) fn not_found() -> Self {
        Self::expected(404, "not_found", "User Not Found")
    }

    /// The contact lives on under another id.
    pub(super) fn merged_into(contact_id: &str) -> Self {
        let mut refusal = Self::expected(
            410,
            "contact_merged",
            "This contact was merged; the Link header names the one to use.",
        );
        refusal.link = Some(format!("</contacts/{contact_id}>; rel=\"canonical\""));
        refusal
    }
}

/// An `error.list` with one error.
fn error(status: u16, code: &str, message: &str) -> Reply {
    let error: Value = json!({
        "type": "error.list",
        "request_id": Value::Null,
        "errors": [{"code": code, "message": message}],
    });
    Reply::json(status, error)
}

/// The error for a status whose cause is not in the request.
pub(super) fn failure(status: u16) -> Reply {
    let (code, message) = match status {
        401 => ("unauthorized", "Access Token Invalid"),
        403 => ("forbidden", "Forbidden"),
        404 => ("not_found", "Resource Not Found"),
        408 => ("request_timeout", "Request timed out"),
        409 => ("conflict", "Conflict"),
        422 => ("unprocessable_entity", "Unprocessable"),
        429 => ("rate_limit_exceeded", "Exceeded rate limit of 1667 in 10_seconds"),
        503 => ("service_unavailable", "Service Unavailable"),
        500.. => ("server_error", "Server Error"),
        _ => ("client_error", "Bad Request"),
    };
    error(status, code, message)
}
