//! What a verb refuses, as data. Each door words the next step for its reader; the message itself is the same everywhere.
use std::fmt;

use super::state::Entry;
use crate::platform::Fault;

/// Why a verb was not done. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A parameter is missing, unknown or of the wrong form.
    InvalidArgument {
        /// What is wrong, naming the parameter.
        problem: String,
    },
    /// Nobody in this mesh has that name.
    UnknownPeer {
        /// The name as it was given.
        name: String,
        /// The nearest names, at most three.
        nearest: Vec<String>,
        /// Who is here now.
        present: Vec<String>,
    },
    /// A prefix or given name fits several peers.
    AmbiguousPeer {
        /// The name as it was given.
        name: String,
        /// Whom it fits.
        matching: Vec<String>,
    },
    /// There is no question of that id in this mesh.
    UnknownQuestion {
        /// The id as it was given.
        id: String,
    },
    /// There is no message of that id in this mesh.
    UnknownMessage {
        /// The id as it was given.
        id: String,
    },
    /// There is no task of that id in this mesh.
    UnknownTask {
        /// The id as it was given.
        id: String,
    },
    /// It contradicts how it stands with a task.
    Task {
        /// What is so.
        problem: String,
    },
    /// The question belongs to somebody else.
    NotYours {
        /// Whose it is and what was tried.
        problem: String,
    },
    /// A text is larger than the mesh carries.
    TooLarge {
        /// The parameter.
        parameter: String,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// A text looks like a secret.
    Secret {
        /// The parameter.
        parameter: String,
        /// What it looks like.
        secret_kind: &'static str,
    },
    /// It contradicts what is already so.
    Conflict {
        /// What is so.
        problem: String,
    },
    /// An entry of the shared state has another version than the caller thought.
    VersionMismatch {
        /// The version it was to have.
        expected: i64,
        /// The entry as it is.
        current: Box<Entry>,
    },
    /// Too much of it.
    RateLimited {
        /// Which limit was reached.
        problem: String,
    },
    /// This session, client or file cannot do it.
    Unsupported {
        /// What cannot be done, and why.
        problem: String,
    },
}

impl Refusal {
    /// Returns a refusal of a parameter.
    pub fn argument(problem: impl Into<String>) -> Self {
        Self::InvalidArgument {
            problem: problem.into(),
        }
    }

    /// Returns a refusal because of what is already so.
    pub fn conflict(problem: impl Into<String>) -> Self {
        Self::Conflict {
            problem: problem.into(),
        }
    }

    /// Returns the code that programs read.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidArgument { .. } => "invalid_argument",
            Self::UnknownPeer { .. } => "unknown_peer",
            Self::AmbiguousPeer { .. } => "ambiguous_peer",
            Self::UnknownQuestion { .. }
            | Self::UnknownMessage { .. }
            | Self::UnknownTask { .. } => "not_found",
            Self::NotYours { .. } => "not_yours",
            Self::TooLarge { .. } => "too_large",
            Self::Secret { .. } => "secret",
            Self::Conflict { .. } | Self::VersionMismatch { .. } | Self::Task { .. } => "conflict",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unsupported { .. } => "unsupported",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidArgument { problem }
            | Self::NotYours { problem }
            | Self::Conflict { problem }
            | Self::Task { problem }
            | Self::RateLimited { problem }
            | Self::Unsupported { problem } => f.write_str(problem),
            Self::UnknownPeer {
                name,
                nearest,
                present,
            } => {
                write!(f, "no peer called {name:?} in this mesh")?;
                if !nearest.is_empty() {
                    write!(f, "; nearest: {}", nearest.join(", "))?;
                }
                match present.len() {
                    0 => f.write_str("; nobody else is here now"),
                    _ => write!(f, "; here now: {}", present.join(", ")),
                }
            }
            Self::AmbiguousPeer { name, matching } => {
                write!(f, "{name:?} fits several peers: {}", matching.join(", "))
            }
            Self::VersionMismatch { expected, current } if current.exists() => write!(
                f,
                "{:?} in {:?} has version {}, not {expected}; nothing was changed",
                current.key, current.namespace, current.version
            ),
            Self::VersionMismatch { expected, current } => write!(
                f,
                "there is no {:?} in {:?}, so it has not version {expected}; nothing was changed",
                current.key, current.namespace
            ),
            Self::UnknownQuestion { id } => write!(f, "no question {id:?} in this mesh"),
            Self::UnknownMessage { id } => write!(f, "no message {id:?} in this mesh"),
            Self::UnknownTask { id } => write!(f, "no task {id:?} in this mesh"),
            Self::TooLarge {
                parameter,
                bytes,
                bytes_max,
            } => {
                write!(
                    f,
                    "{parameter} has {bytes} bytes; the mesh carries at most {bytes_max}"
                )
            }
            Self::Secret {
                parameter,
                secret_kind,
            } => {
                write!(
                    f,
                    "{parameter} contains what looks like {secret_kind}; nothing was stored"
                )
            }
        }
    }
}

/// What a verb returns instead of its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The verb was refused; the caller can do something else.
    Refused(Refusal),
    /// The machine did not let us.
    Fault(Fault),
}

/// The result of a verb.
pub type Result<T> = std::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
