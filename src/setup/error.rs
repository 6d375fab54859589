//! What stands in the way of wiring: a broken file, a folder that takes no writes, a file that never rests.
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::plan::AppliedChanges;
use crate::setup::parse_error::ParseError;

/// Why a file cannot be planned or written. Whoever returns it has left the file as it was.
#[derive(Debug)]
pub enum Error {
    /// The file is not strict JSON, or holds something of the wrong kind where our entries belong.
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The file system said no.
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb: "read", "write", "back up".
        action: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// The place cannot be used at all: no project given, a path that is not text, a device.
    Unusable {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Someone rewrote the file each time it was about to be replaced.
    KeepsChanging {
        /// The file.
        path: PathBuf,
    },
}

/// Writing stopped half-way: some files were replaced before one refused.
#[derive(Debug)]
pub struct ApplyError {
    /// What was written before; empty where nothing was changed.
    pub applied: AppliedChanges,
    /// Why the next file could not be.
    pub error: Error,
}

impl Error {
    /// Something that can be done now.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "the file was left untouched; mend it there, then try again",
            Self::Io { .. } => {
                "the file was left untouched; check its folder, rights and free space"
            }
            Self::Unusable { .. } => "the file was left untouched; name another place",
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed {
                path,
                line,
                column,
                reason,
            } => write!(
                f,
                "{} line {line}, column {column}: {reason}",
                path.display()
            ),
            Self::Io {
                path,
                action,
                source,
            } => write!(f, "cannot {action} {}: {source}", path.display()),
            Self::Unusable { path, reason } => {
                write!(f, "cannot use {}: {reason}", path.display())
            }
            Self::KeepsChanging { path } => {
                write!(f, "{} changes faster than it can be edited", path.display())
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for ApplyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
