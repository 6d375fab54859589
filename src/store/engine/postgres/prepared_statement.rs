//! A statement that the server has prepared.
use std::sync::Arc;

use tokio_postgres::Statement;

/// A statement that the server has prepared.
#[derive(Debug)]
pub(super) struct PreparedStatement {
    pub(super) statement: Statement,
    pub(super) columns: Arc<[String]>,
    /// The names of its values by their numbers.
    pub(super) names: Vec<String>,
    /// Whether it only reads.
    pub(super) is_query: bool,
}
