//! A query that an operation will ask soon. A database server answers several of them in one message; a file needs none of this.
use rusqlite::types::{ToSql, ToSqlOutput, Value};

use super::error::{EngineError, Result};

/// A query with its values.
#[derive(Debug)]
pub(in crate::store) struct ExpectedQuery {
    pub(in crate::store) sql: String,
    /// In their order, or with their names.
    pub(in crate::store) values: Vec<(Option<String>, Value)>,
}

/// Returns a value that is sent to a server.
pub(super) fn owned_value(value: &dyn ToSql) -> Result<Value> {
    match value.to_sql()? {
        ToSqlOutput::Borrowed(value) => value.try_into().map_err(EngineError::from),
        ToSqlOutput::Owned(value) => Ok(value),
        other => {
            let problem = format!("a value cannot be sent: {other:?}");
            Err(rusqlite::Error::ToSqlConversionFailure(problem.into()).into())
        }
    }
}
