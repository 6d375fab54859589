//! What a client of a database server does for a transaction.
use std::fmt::Debug;
use std::sync::Arc;

use super::error::Result;
use super::params::Values;
use super::row::ServedRow;

/// A transaction on a database server.
pub(in crate::store) trait ServedTransaction: Debug {
    /// Returns the names of the columns that a statement has.
    fn columns(&self, sql: &str) -> Result<Arc<[String]>>;

    /// Runs a statement and returns its rows.
    fn query(&self, sql: &str, values: Values<'_>) -> Result<Vec<ServedRow>>;

    /// Runs a statement and returns the number of rows that it changed.
    fn execute(&self, sql: &str, values: Values<'_>) -> Result<usize>;

    /// Runs statements without values.
    fn execute_batch(&self, sql: &str) -> Result<()>;

    /// Commits.
    fn commit(self: Box<Self>) -> Result<()>;
}
