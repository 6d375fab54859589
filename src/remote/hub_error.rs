//! Why a hub cannot be used, and what to do about it.
use std::error::Error as _;
use std::path::PathBuf;

use hyper::StatusCode;
use serde_json::Value;
use thiserror::Error;

/// Why a request to a hub failed. No message has the key in it.
#[derive(Debug, Clone, Error)]
pub enum HubError {
    /// The URL cannot be used.
    #[error("the URL of the hub cannot be used: {0}")]
    UnusableUrl(String),
    /// There is no key.
    #[error("there is no key for the hub: {} does not exist", .0.display())]
    NoKey(PathBuf),
    /// The key cannot be used.
    #[error("the key for the hub cannot be used: {0}")]
    UnusableKey(String),
    /// The certificate file cannot be used.
    #[error("the certificate for the hub cannot be used: {0}")]
    UnusableCertificate(String),
    /// No connection can be made.
    #[error("{url} cannot be reached: {problem}")]
    Unreachable {
        /// The hub.
        url: String,
        /// Why.
        problem: String,
    },
    /// Its certificate is not accepted.
    #[error("the certificate of {url} is not accepted: {problem}")]
    Certificate {
        /// The hub.
        url: String,
        /// Why.
        problem: String,
    },
    /// The connection broke after the request was sent: it is not known whether it was carried out.
    #[error("the connection to {url} broke: {problem}")]
    Broken {
        /// The hub.
        url: String,
        /// Why.
        problem: String,
    },
    /// Another program answers there.
    #[error("{0} does not answer as a hub of claude-mesh")]
    NotAHub(String),
    /// The hub refuses the request.
    #[error("{0}")]
    Refused(Box<HubRefusal>),
}

/// The refusal of a request by a hub.
#[derive(Debug, Clone, Error)]
#[error("{message}")]
pub struct HubRefusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// The code of the error object.
    pub code: String,
    /// Its message.
    pub message: String,
    /// Its hint.
    pub hint: String,
    /// The whole error object.
    pub body: Value,
}

impl HubError {
    /// Returns what the error of a client says about the connection.
    pub(super) fn of_connection(url: &str, error: &hyper_util::client::legacy::Error) -> Self {
        let mut problem = error.to_string();
        let mut source = error.source();
        let mut is_certificate = false;
        while let Some(cause) = source {
            problem = cause.to_string();
            is_certificate |= problem.contains("certificate");
            source = cause.source();
        }
        let url = url.to_owned();
        if is_certificate {
            Self::Certificate { url, problem }
        } else if error.is_connect() {
            Self::Unreachable { url, problem }
        } else {
            Self::Broken { url, problem }
        }
    }

    /// Returns what a response says that is no success.
    pub(super) fn of_response(url: &str, status: StatusCode, body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Self::NotAHub(url.to_owned());
        };
        let text = |key: &str| body["error"][key].as_str().map(str::to_owned);
        match (text("code"), text("message")) {
            (Some(code), Some(message)) => Self::Refused(Box::new(HubRefusal {
                status,
                code,
                message,
                hint: text("hint").unwrap_or_default(),
                body,
            })),
            _ => Self::NotAHub(url.to_owned()),
        }
    }

    /// Returns whether a repetition may succeed without anybody changing something.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Refused(refusal) => {
                refusal.status.is_server_error() || refusal.status == StatusCode::TOO_MANY_REQUESTS
            }
            _ => false,
        }
    }

    /// Returns what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::UnusableUrl(_) => "Give a URL such as https://mesh.example:3456.".into(),
            Self::NoKey(_) => "`claude-mesh join URL --key-file F` stores one; `claude-mesh key create --host NAME` makes one at the hub.".into(),
            Self::UnusableKey(_) => "Join again with a key that `claude-mesh key create --host NAME` made at the hub.".into(),
            Self::UnusableCertificate(_) => "Give the certificate of the hub in PEM.".into(),
            Self::Unreachable { .. } | Self::Broken { .. } => "Look whether the network is there and `claude-mesh serve` runs at the hub.".into(),
            Self::Certificate { .. } => "Join again with `--certificate F`, the certificate of the hub in PEM, or give the hub one that this machine trusts.".into(),
            Self::NotAHub(_) => "Check the URL; `claude-mesh serve` prints it.".into(),
            Self::Refused(refusal) => refusal.hint.clone(),
        }
    }

    /// Returns whether the session is to be registered again.
    pub(super) fn is_session_ended(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == StatusCode::CONFLICT && refusal.code == "session_ended")
    }
}
