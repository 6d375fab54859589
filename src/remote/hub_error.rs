//! Why a hub cannot be used, and what to do about it.
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::StatusCode;
use hyper::header::HeaderValue;
use serde_json::{Value, json};
use thiserror::Error;
use tokio_rustls::rustls;

use crate::mesh::HUB_ENDING;
use crate::platform::text;
use crate::remote::refused_certificate::RefusedCertificate;
use crate::remote::resolver::UnresolvedName;
use crate::tools::OUTCOME_UNKNOWN;

/// What a system call or a library said.
type Cause = Arc<dyn Error + Send + Sync>;

/// The most characters of a text of the hub that an error repeats.
const TEXT_CHARS_MAX: usize = 300;

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
    /// The pinned certificate, or those of the system, cannot be used.
    #[error("the certificate for the hub cannot be used: {0}")]
    UnusableCertificate(String),
    /// No address belongs to the name in the URL.
    #[error("{url} cannot be reached: no address is known for the name {:?}", .source.name)]
    UnknownHost {
        /// The hub.
        url: String,
        /// What the system said.
        source: UnresolvedName,
    },
    /// No connection can be made.
    #[error("{url} cannot be reached: {problem}")]
    Unreachable {
        /// The hub.
        url: String,
        /// Why.
        problem: String,
        /// What the system said.
        source: Option<Cause>,
    },
    /// Its certificate is not accepted.
    #[error("the certificate of {url} is not accepted: {problem}")]
    Certificate {
        /// The hub.
        url: String,
        /// Why, and what the certificate says of itself.
        problem: String,
    },
    /// It does not speak TLS, or not one that this program speaks.
    #[error("{url} does not speak TLS: {source}")]
    NoTls {
        /// The hub.
        url: String,
        /// What came instead.
        source: rustls::Error,
    },
    /// The connection broke after the request was sent: it is not known whether it was carried out.
    #[error("the connection to {url} broke: {problem}")]
    Broken {
        /// The hub.
        url: String,
        /// Why.
        problem: String,
        /// What the system or the library said.
        source: Option<Cause>,
    },
    /// Another program answers there.
    #[error("{url} does not answer as a hub of claude-mesh: {problem}")]
    NotAHub {
        /// Where.
        url: String,
        /// What it does instead.
        problem: String,
    },
    /// The key is wrong, expired or revoked.
    #[error("{url} refuses the key of this machine: {refusal}")]
    KeyRefused {
        /// The hub.
        url: String,
        /// What the hub said.
        refusal: Box<HubRefusal>,
    },
    /// This program and the hub are of versions that do not work together.
    #[error("{url} does not work with claude-mesh {} here: {problem}", env!("CARGO_PKG_VERSION"))]
    OtherRevision {
        /// The hub.
        url: String,
        /// Which side is to be updated.
        problem: String,
    },
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

impl HubRefusal {
    /// Reads the error object of a response; `None` if it has none.
    fn read(status: StatusCode, body: &[u8]) -> Option<Self> {
        let body = serde_json::from_slice::<Value>(body).ok()?;
        let text = |key: &str| {
            let text = body["error"][key].as_str();
            text.map(|text| text::cut_chars(text, TEXT_CHARS_MAX).to_owned())
        };
        Some(Self {
            status,
            code: text("code")?,
            message: text("message")?,
            hint: text("hint").unwrap_or_default(),
            body,
        })
    }
}

impl HubError {
    /// Returns what the error of a client says about the connection.
    pub(super) fn of_connection(url: &str, error: hyper_util::client::legacy::Error) -> Self {
        let url = url.to_owned();
        let mut system = None;
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(current) = cause {
            if let Some(unresolved) = current.downcast_ref::<UnresolvedName>() {
                let source = unresolved.clone();
                return Self::UnknownHost { url, source };
            }
            if let Some(error) = current.downcast_ref::<hyper::Error>()
                && error.is_parse()
            {
                let problem = "it does not speak HTTP, or it speaks https".into();
                return Self::NotAHub { url, problem };
            }
            if let Some(error) = current.downcast_ref::<io::Error>() {
                if let Some(error) = tls_error(error) {
                    return Self::of_tls(url, error);
                }
                system = Some(problem_of(error));
            }
            cause = current.source();
        }
        let is_connect = error.is_connect();
        let problem = system.unwrap_or_else(|| innermost(&error));
        let source: Option<Cause> = Some(Arc::new(error));
        if is_connect {
            Self::Unreachable {
                url,
                problem,
                source,
            }
        } else {
            Self::Broken {
                url,
                problem,
                source,
            }
        }
    }

    fn of_tls(url: String, error: &rustls::Error) -> Self {
        if let rustls::Error::InvalidCertificate(problem) = error {
            let refused = match problem {
                rustls::CertificateError::Other(other) => {
                    other.0.downcast_ref::<RefusedCertificate>()
                }
                _ => None,
            };
            let problem = refused.map_or_else(|| problem.to_string(), ToString::to_string);
            return Self::Certificate { url, problem };
        }
        let source = error.clone();
        Self::NoTls { url, source }
    }

    /// Returns what a response says that is no success.
    pub(super) fn of_response(
        url: &str,
        status: StatusCode,
        location: Option<&HeaderValue>,
        body: &[u8],
    ) -> Self {
        if status.is_redirection() {
            let to = location.and_then(|to| to.to_str().ok()).unwrap_or("?");
            let to = text::cut_chars(to, TEXT_CHARS_MAX);
            return Self::not_a_hub(
                url,
                &format!("it redirects to {to:?}, which is not followed"),
            );
        }
        let Some(refusal) = HubRefusal::read(status, body) else {
            return Self::of_other_program(url, status);
        };
        let refusal = Box::new(refusal);
        match (status, refusal.code.as_str()) {
            (StatusCode::UNAUTHORIZED, _) => Self::KeyRefused {
                url: url.to_owned(),
                refusal,
            },
            (StatusCode::CONFLICT, "revision") => Self::OtherRevision {
                url: url.to_owned(),
                problem: refusal.message,
            },
            _ => Self::Refused(refusal),
        }
    }

    /// Returns what a response says that is not of a hub: a proxy before it says that it does not reach it, or that the
    /// connection to it broke.
    fn of_other_program(url: &str, status: StatusCode) -> Self {
        let problem = format!("another program answers there with the status {status}");
        let url = url.to_owned();
        match status {
            StatusCode::SERVICE_UNAVAILABLE => Self::Unreachable {
                url,
                problem,
                source: None,
            },
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => Self::Broken {
                url,
                problem,
                source: None,
            },
            _ => Self::NotAHub { url, problem },
        }
    }

    pub(super) fn not_a_hub(url: &str, problem: &str) -> Self {
        Self::NotAHub {
            url: url.to_owned(),
            problem: problem.to_owned(),
        }
    }

    /// Returns the error of a request whose answer did not come in time.
    pub(super) fn no_answer(url: &str, seconds: u64) -> Self {
        Self::Broken {
            url: url.to_owned(),
            problem: format!("no answer within {seconds} s"),
            source: None,
        }
    }

    /// Returns the error of a request to a route that every hub has which serves sessions of other hosts.
    pub(super) fn of_missing_route(self, url: &str) -> Self {
        match self {
            Self::Refused(refusal) if refusal.status == StatusCode::NOT_FOUND => {
                Self::OtherRevision {
                    url: url.to_owned(),
                    problem:
                        "this hub is older and serves no sessions of other hosts; update the hub"
                            .into(),
                }
            }
            other => other,
        }
    }

    /// Returns whether the hub or the network is away, which may end without anybody changing a setting.
    pub fn is_out_of_reach(&self) -> bool {
        matches!(
            self,
            Self::UnknownHost { .. } | Self::Unreachable { .. } | Self::Broken { .. }
        )
    }

    /// Returns whether a repetition may succeed without anybody changing something.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Refused(refusal) => matches!(
                refusal.status,
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS
            ),
            _ => self.is_out_of_reach(),
        }
    }

    /// Returns whether the request may have been carried out all the same.
    pub(super) fn may_be_carried_out(&self) -> bool {
        match self {
            Self::Broken { .. } => true,
            Self::Refused(refusal) if refusal.body["error"]["outcome"] == OUTCOME_UNKNOWN => true,
            _ => self.is_hub_ending(),
        }
    }

    /// Returns whether the hub ends: it has given up a call that waits, which another one continues.
    pub(super) fn is_hub_ending(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == HUB_ENDING)
    }

    /// Returns whether the session is to be registered again.
    pub(super) fn is_session_ended(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == StatusCode::CONFLICT && refusal.code == "session_ended")
    }

    /// Returns the code of the error object: that of the hub, `storage` if it is out of reach, else what is to be changed.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(refusal) | Self::KeyRefused { refusal, .. } => &refusal.code,
            Self::OtherRevision { .. } => "revision",
            Self::UnknownHost { .. } | Self::Unreachable { .. } | Self::Broken { .. } => "storage",
            _ => "unsupported",
        }
    }

    /// Returns the error object for a model; that of the hub if it has one.
    pub(super) fn body(&self) -> Value {
        match self {
            Self::Refused(refusal) => refusal.body.clone(),
            _ => json!({ "error": {
                "code": self.code(), "message": self.to_string(), "hint": self.hint(),
            }}),
        }
    }

    /// Returns what to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::UnusableUrl(_) => "Give a URL such as https://mesh.example:3456.",
            Self::NoKey(_) => "`claude-mesh join URL --key-file F` stores one; `claude-mesh key create --host NAME` makes one at the hub.",
            Self::UnusableKey(_) | Self::KeyRefused { .. } => "Join again with a key that `claude-mesh key create --host NAME` made at the hub: `claude-mesh join URL --key-file F`.",
            Self::UnusableCertificate(_) => "Give the certificate of the hub in PEM: `claude-mesh join URL --certificate F`.",
            Self::UnknownHost { .. } => "Check the name in the URL, and whether the network is there.",
            Self::Unreachable { .. } | Self::Broken { .. } => "Look whether the network is there and `claude-mesh serve` runs at the hub.",
            Self::Certificate { .. } => "If `openssl x509 -noout -fingerprint -sha256 -in F` prints the same for the certificate at the hub, pin that file: `claude-mesh join URL --certificate F`.",
            Self::NoTls { .. } => "`claude-mesh serve` prints its URL; with http it begins with http://.",
            Self::NotAHub { .. } => "Check the URL; `claude-mesh serve` prints it.",
            Self::OtherRevision { .. } => "`claude-mesh --version` prints the version here, GET /health that of the hub.",
            Self::Refused(refusal) => &refusal.hint,
        }
        .to_owned()
    }
}

/// Returns the error of TLS that an error of the connection holds, perhaps inside another one.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?;
    match inner.downcast_ref::<io::Error>() {
        Some(error) => tls_error(error),
        None => inner.downcast_ref(),
    }
}

/// Returns what an error of the system means for a person.
fn problem_of(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "no program listens there".into(),
        io::ErrorKind::TimedOut => "it does not answer".into(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            "the network does not lead there".into()
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the other side has closed it".into()
        }
        _ => error.to_string(),
    }
}

fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
