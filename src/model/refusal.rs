//! Defines why an operation was refused, as data. Each entry point adds the next step for its reader; the message is the
//! same everywhere. Failures of the machine are `platform::Fault` instead.
use std::fmt;

use super::state_entry::StateEntry;
use crate::platform::Fault;

/// Why an operation was refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A parameter is missing, unknown or has an invalid value.
    #[error("{problem}")]
    InvalidArgument {
        /// What is wrong, naming the parameter.
        problem: String,
    },
    /// No peer of this mesh has that name.
    #[error(
        "no peer called {name:?} in this mesh{}",
        suggestions(nearest, present)
    )]
    UnknownPeer {
        /// The name as given.
        name: String,
        /// The nearest names, at most three.
        nearest: Vec<String>,
        /// The peers that are present now.
        present: Vec<String>,
    },
    /// A prefix or given name matches several peers.
    #[error("{name:?} matches several peers: {}", matching.join(", "))]
    AmbiguousPeer {
        /// The name as given.
        name: String,
        /// The peers it matches.
        matching: Vec<String>,
    },
    /// No question of this mesh has that id.
    #[error("no question {id:?} in this mesh")]
    UnknownQuestion {
        /// The id as given.
        id: String,
    },
    /// No message of this mesh has that id.
    #[error("no message {id:?} in this mesh")]
    UnknownMessage {
        /// The id as given.
        id: String,
    },
    /// No task of this mesh has that id.
    #[error("no task {id:?} in this mesh")]
    UnknownTask {
        /// The id as given.
        id: String,
    },
    /// The state of the task forbids this change.
    #[error("{problem}")]
    TaskConflict {
        /// The state, and what it forbids.
        problem: String,
    },
    /// The question, claim or task belongs to another peer.
    #[error("{problem}")]
    NotYours {
        /// Whose it is and what was tried.
        problem: String,
    },
    /// A text exceeds the size limit.
    #[error("{parameter} has {bytes} bytes; the limit is {bytes_max}")]
    TooLarge {
        /// The parameter, quoted.
        parameter: String,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// A text looks like a secret.
    #[error("{parameter} contains what looks like {secret_kind}; nothing was stored")]
    Secret {
        /// The parameter, quoted.
        parameter: String,
        /// The kind of secret it looks like, with its article.
        secret_kind: &'static str,
    },
    /// The question has another answer, and the reply is not marked as a correction.
    #[error("this question has another answer already; give corrects: true to replace it")]
    AlreadyAnswered,
    /// The caller repeats what was carried out.
    #[error("this was carried out before")]
    CarriedOutBefore,
    /// The current state of the mesh forbids this change.
    #[error("{problem}")]
    Conflict {
        /// The state, and what it forbids.
        problem: String,
    },
    /// An entry of the shared state has another version than the caller expected.
    #[error("{}; nothing was changed", version_mismatch(*expected, current))]
    VersionMismatch {
        /// The version that the caller expected.
        expected: i64,
        /// The entry as it is now; it need not exist.
        current: Box<StateEntry>,
    },
    /// A rate limit or a maximum number was reached.
    #[error("{problem}")]
    RateLimited {
        /// Which limit was reached.
        problem: String,
    },
    /// This session, client or file cannot do it.
    #[error("{problem}")]
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

    /// Returns a refusal because of the current state of the mesh.
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
            Self::AlreadyAnswered
            | Self::CarriedOutBefore
            | Self::Conflict { .. }
            | Self::VersionMismatch { .. }
            | Self::TaskConflict { .. } => "conflict",
            Self::RateLimited { .. } => "rate_limited",
            Self::Unsupported { .. } => "unsupported",
        }
    }
}

fn suggestions(nearest: &[String], present: &[String]) -> impl fmt::Display {
    let nearest = match nearest {
        [] => String::new(),
        names => format!("; nearest: {}", names.join(", ")),
    };
    match present {
        [] => format!("{nearest}; no other peer is here now"),
        names => format!("{nearest}; here now: {}", names.join(", ")),
    }
}

fn version_mismatch(expected: i64, current: &StateEntry) -> impl fmt::Display {
    let StateEntry { key, namespace, .. } = current;
    if current.exists() {
        let version = current.version;
        format!("{key:?} in {namespace:?} has version {version}, not {expected}")
    } else {
        format!("{key:?} does not exist in {namespace:?} (expected version {expected})")
    }
}

/// What an operation returns instead of its outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The operation was refused; the caller can do something else.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The machine failed; the source is that of the fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The result of an operation.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    #[test]
    fn error_passes_on_the_source_of_its_fault() {
        let denied: std::io::Error = std::io::ErrorKind::PermissionDenied.into();
        let error = Error::from(Fault::io("read", "/a".as_ref(), denied));
        assert!(
            error
                .source()
                .is_some_and(<dyn std::error::Error>::is::<std::io::Error>)
        );
        assert!(Error::from(Refusal::argument("no")).source().is_none());
    }

    #[test]
    fn unknown_peer_names_the_nearest_and_the_present_peers() {
        let names = |names: &[&str]| names.iter().map(|&name| name.into()).collect();
        let text = |nearest, present| {
            let name = "bob".into();
            Refusal::UnknownPeer {
                name,
                nearest,
                present,
            }
            .to_string()
        };
        assert_eq!(
            text(names(&["bo"]), names(&["ada", "bo"])),
            r#"no peer called "bob" in this mesh; nearest: bo; here now: ada, bo"#
        );
        assert_eq!(
            text(names(&[]), names(&[])),
            r#"no peer called "bob" in this mesh; no other peer is here now"#
        );
    }
}
