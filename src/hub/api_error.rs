//! The refusal of a request: an HTTP status and the error object of the tools.
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::model::{Error, Refusal};
use crate::platform::FaultKind;
use crate::tools;

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    body: Value,
    /// In seconds.
    retry_after: Option<u64>,
}

impl ApiError {
    /// Returns a refusal that no tool has: of the request itself.
    pub(super) fn new(status: StatusCode, code: &str, message: &str, hint: &str) -> Self {
        Self {
            status,
            body: json!({ "error": { "code": code, "message": message, "hint": hint } }),
            retry_after: None,
        }
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        let hint = "Send `Authorization: Bearer KEY`; `claude-mesh key create` makes a key.";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message, hint)
    }

    /// Refuses the token of a sign-in link.
    pub(super) fn refused_sign_in(message: &str, hint: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message, hint)
    }

    pub(super) fn forbidden(message: &str, hint: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message, hint)
    }

    pub(super) fn not_found(message: &str) -> Self {
        let hint = "See /v1/openapi.json for the routes.";
        Self::new(StatusCode::NOT_FOUND, "not_found", message, hint)
    }

    /// Adds after how many seconds the client may try again.
    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub(super) fn method_not_allowed(method: &Method, path: &str) -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            &format!("the route {path} has no method {method}"),
            "The header Allow lists its methods.",
        )
    }

    pub(super) fn too_many_requests(message: &str, wait: Duration) -> Self {
        let hint = "Try again after the seconds in the header Retry-After.";
        let status = StatusCode::TOO_MANY_REQUESTS;
        let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
        Self::new(status, "rate_limited", message, hint).retry_after(seconds.max(1))
    }

    /// Refuses a request whose handler failed in a way that nobody expects.
    pub(super) fn internal() -> Self {
        let message = "the request failed in the hub";
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "storage",
            message,
            "See hub.log.",
        )
    }

    pub(super) fn body_too_large(bytes_max: usize) -> Self {
        let message = format!("the body of a request has {bytes_max} bytes at most");
        let hint = "Put a long text into a file and name that file.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &message, hint)
    }

    /// Nobody reads it, because the client is gone.
    pub(super) fn body_incomplete() -> Self {
        let hint = "Nothing was changed; send it again.";
        let message = "the body of the request has no end";
        Self::new(StatusCode::BAD_REQUEST, "invalid_argument", message, hint)
    }

    pub(super) fn body_too_slow(timeout: Duration) -> Self {
        let message = format!(
            "the body of the request did not come within {} s",
            timeout.as_secs()
        );
        let hint = "Nothing was changed; send it again.";
        Self::new(StatusCode::REQUEST_TIMEOUT, "timeout", &message, hint)
    }

    /// Returns the refusal of a call that may have been stored, and of which nothing can be read now.
    pub(super) fn of_unknown_outcome(error: Error) -> Self {
        let mut refusal = Self::from(error);
        let error = &mut refusal.body["error"];
        error["outcome"] = tools::OUTCOME_UNKNOWN.into();
        error["hint"] =
            "It is not known whether this was stored; send it again under the same Idempotency-Key."
                .into();
        refusal
    }

    /// Returns the refusal with that status and error object.
    pub(super) fn of_parts(status: StatusCode, body: Value) -> Self {
        Self {
            status,
            body,
            retry_after: None,
        }
    }

    /// Returns the status and the error object.
    pub(super) fn into_parts(self) -> (StatusCode, Value) {
        (self.status, self.body)
    }

    /// Returns the error object.
    pub(super) fn body(&self) -> &Value {
        &self.body
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        Self {
            status: status_of(&error),
            body: tools::error_body(&error),
            retry_after: None,
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Error::from(refusal).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The status of each code, as `docs/http.md` lists them. `storage` is 503 while another program holds the write lock
/// or the database server is away.
const STATUS_OF_CODE: &[(&str, StatusCode)] = &[
    ("invalid_argument", StatusCode::BAD_REQUEST),
    ("unauthorized", StatusCode::UNAUTHORIZED),
    ("forbidden", StatusCode::FORBIDDEN),
    ("not_yours", StatusCode::FORBIDDEN),
    ("not_found", StatusCode::NOT_FOUND),
    ("unknown_peer", StatusCode::NOT_FOUND),
    ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
    ("not_acceptable", StatusCode::NOT_ACCEPTABLE),
    ("timeout", StatusCode::REQUEST_TIMEOUT),
    ("ambiguous_peer", StatusCode::CONFLICT),
    ("conflict", StatusCode::CONFLICT),
    ("outcome_unknown", StatusCode::CONFLICT),
    ("too_large", StatusCode::PAYLOAD_TOO_LARGE),
    ("uri_too_long", StatusCode::URI_TOO_LONG),
    ("unsupported_media_type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ("wrong_host", StatusCode::MISDIRECTED_REQUEST),
    ("secret", StatusCode::UNPROCESSABLE_ENTITY),
    ("rate_limited", StatusCode::TOO_MANY_REQUESTS),
    ("storage", StatusCode::INTERNAL_SERVER_ERROR),
    ("unsupported", StatusCode::NOT_IMPLEMENTED),
];

/// Returns the HTTP status of an error.
fn status_of(error: &Error) -> StatusCode {
    let code = match error {
        Error::Fault(fault)
            if matches!(
                fault.kind,
                FaultKind::Busy | FaultKind::Unreachable | FaultKind::OutcomeUnknown
            ) =>
        {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        Error::Fault(_) => "storage",
        Error::Refused(refusal) => refusal.code(),
    };
    let status = STATUS_OF_CODE.iter().find(|(known, _)| *known == code);
    status.map_or(StatusCode::BAD_REQUEST, |(_, status)| *status)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn documented_codes_are_those_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/http.md");
        let document = std::fs::read_to_string(path).unwrap();
        let section = document.split("\n## Errors\n").nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let documented: BTreeSet<(String, String)> = section
            .lines()
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| `")?.split(" | ");
                let code = cells.next()?.trim_end_matches('`');
                Some((code.to_owned(), cells.next()?.to_owned()))
            })
            .collect();
        let listed = STATUS_OF_CODE.iter();
        let expected =
            listed.map(|(code, status)| ((*code).to_owned(), status.as_str().to_owned()));
        assert_eq!(documented, expected.collect());
        let codes: BTreeSet<_> = STATUS_OF_CODE.iter().map(|(code, _)| code).collect();
        assert_eq!(codes.len(), STATUS_OF_CODE.len(), "a code has one status");
    }
}
