//! Defines why a file of Claude Code cannot be read, planned or written, with the hint for the user.
use std::io;
use std::path::{Path, PathBuf};

use super::parse_error::ParseError;

/// Why a file cannot be planned or written. The file is as it was.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The file is not strict JSON, or has a value of another type where an entry belongs. Line and column start at 1.
    #[error("{} line {line}, column {column}: {reason}", .path.display())]
    Malformed {
        path: PathBuf,
        line: usize,
        column: usize,
        reason: String,
    },
    /// The file system failed; `action` is what was tried, as a verb.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        path: PathBuf,
        action: &'static str,
        source: io::Error,
    },
    /// The path cannot be used at all: it is not a project, not text, or a device.
    #[error("cannot use {}: {reason}", .path.display())]
    Unusable { path: PathBuf, reason: String },
    /// Another program rewrote the file each time it was about to be replaced.
    #[error("{} changes faster than it can be edited", .path.display())]
    KeepsChanging { path: PathBuf },
}

impl InstallError {
    /// Returns what a user can do now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "the file was left untouched; fix it there, then try again",
            Self::Io { .. } => {
                "the file was left untouched; check its folder, permissions and free space"
            }
            Self::Unusable { .. } => "the file was left untouched; name another path",
            Self::KeepsChanging { .. } => {
                "the file was left untouched; close Claude Code, then try again"
            }
        }
    }

    pub(crate) fn malformed(path: &Path, parse_error: ParseError) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            line: parse_error.line,
            column: parse_error.column,
            reason: parse_error.reason,
        }
    }

    /// Returns a function that adds the action and the path to an I/O error.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            path: path.to_owned(),
            action,
            source,
        }
    }

    pub(crate) fn unusable(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
