//! Queries that an operation will ask soon. A database server answers them together in one message; a file needs none of this.
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use rusqlite::types::{ToSql, ToSqlOutput, Value};

use super::error::{EngineError, Result};
use super::params::Values;
use super::row::ServedRow;
use super::served::{ServedRows, ServedTransaction};

/// A query with its values.
#[derive(Debug)]
pub(in crate::store) struct ExpectedQuery {
    pub(in crate::store) sql: String,
    /// In their order, or with their names.
    pub(in crate::store) values: Vec<(Option<String>, Value)>,
}

/// Writes down the queries of an operation instead of asking them. They have no rows.
#[derive(Debug, Default, Clone)]
pub(in crate::store) struct QueryRecorder(Rc<RefCell<Vec<ExpectedQuery>>>);

impl QueryRecorder {
    /// Returns the queries so far.
    pub(in crate::store) fn take(&self) -> Vec<ExpectedQuery> {
        self.0.take()
    }
}

impl ServedTransaction for QueryRecorder {
    fn columns(&self, _: &str) -> Result<Arc<[String]>> {
        Ok(Arc::default())
    }

    fn query(&self, sql: &str, values: Values<'_>) -> Result<Vec<ServedRow>> {
        let values = match values {
            Values::Positional(values) => {
                let owned = values.iter().map(|value| Ok((None, owned_value(*value)?)));
                owned.collect::<Result<_>>()?
            }
            Values::Named(values) => {
                let owned = values
                    .iter()
                    .map(|(name, value)| Ok((Some((*name).to_owned()), owned_value(*value)?)));
                owned.collect::<Result<_>>()?
            }
        };
        let sql = sql.to_owned();
        self.0.borrow_mut().push(ExpectedQuery { sql, values });
        Ok(Vec::new())
    }

    fn query_in_chunks(&self, _: &str, _: Values<'_>) -> Result<Box<dyn ServedRows + '_>> {
        Err(EngineError::no_row())
    }

    fn execute(&self, _: &str, _: Values<'_>) -> Result<usize> {
        Ok(0)
    }

    fn run(&self, _: &str, _: Values<'_>) -> Result<()> {
        Ok(())
    }

    fn execute_batch(&self, _: &str) -> Result<()> {
        Ok(())
    }

    fn expect(&self, _: Vec<ExpectedQuery>) -> Result<()> {
        Ok(())
    }

    fn commit(self: Box<Self>, _: &[String]) -> Result<()> {
        Ok(())
    }
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
