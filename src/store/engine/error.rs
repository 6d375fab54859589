//! Why a statement failed, on either engine.
use std::sync::Arc;

use rusqlite::types::FromSqlError;

use crate::platform::{Fault, FaultKind};

/// The result of a statement.
pub(in crate::store) type Result<T> = std::result::Result<T, EngineError>;

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// SQLite reports it.
    #[error(transparent)]
    File(rusqlite::Error),
    /// A database server, or the connection to it, reports it.
    #[error(transparent)]
    Served(Arc<ServedError>),
}

/// An error of a database server.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct ServedError {
    pub(crate) kind: FaultKind,
    /// What failed, without any credentials.
    pub(crate) problem: String,
    /// What can be done about it; may be empty.
    pub(crate) hint: &'static str,
    #[source]
    pub(crate) source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl From<rusqlite::Error> for EngineError {
    fn from(error: rusqlite::Error) -> Self {
        Self::File(error)
    }
}

impl From<FromSqlError> for EngineError {
    fn from(error: FromSqlError) -> Self {
        Self::File(error.into())
    }
}

impl EngineError {
    /// Returns the error of a query that has no row.
    pub(super) fn no_row() -> Self {
        Self::File(rusqlite::Error::QueryReturnedNoRows)
    }

    /// Returns the fault of an error of a database server, whose message names the server.
    pub(in crate::store) fn into_fault(self) -> Fault {
        match self {
            Self::File(error) => {
                Fault::new(FaultKind::Other, error.to_string(), "").with_source(error)
            }
            Self::Served(error) => Fault {
                kind: error.kind,
                message: error.problem.clone(),
                hint: error.hint.to_owned(),
                source: Some(error),
            },
        }
    }
}

/// Makes a row that may be missing an `Option`.
pub(in crate::store) trait OptionalExtension<T> {
    /// Returns `None` for the error of a query that has no row.
    fn optional(self) -> Result<Option<T>>;
}

impl<T> OptionalExtension<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(found) => Ok(Some(found)),
            Err(EngineError::File(rusqlite::Error::QueryReturnedNoRows)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
