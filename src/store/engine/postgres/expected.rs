//! Queries that are answered together, before the operation asks each of them.
use std::sync::Arc;

use futures_util::future::join_all;
use tokio_postgres::{Client, Error, Row};

use super::connection::PreparedStatement;
use super::values::{SentValue, references};

/// A query that is ready to be asked.
pub(super) struct PreparedQuery {
    pub(super) statement: Arc<PreparedStatement>,
    pub(super) values: Vec<SentValue>,
}

/// A query with its rows.
pub(super) struct AnsweredQuery {
    query: PreparedQuery,
    rows: Vec<Row>,
}

/// Asks queries in one message. Returns the rows of each.
pub(super) async fn ask_together(
    client: &Client,
    queries: &[PreparedQuery],
) -> Result<Vec<Vec<Row>>, Error> {
    let asked = queries.iter().map(async |query| {
        let values = references(&query.values);
        client.query(&query.statement.statement, &values).await
    });
    join_all(asked).await.into_iter().collect()
}

pub(super) fn answered(queries: Vec<PreparedQuery>, rows: Vec<Vec<Row>>) -> Vec<AnsweredQuery> {
    let queries = queries.into_iter().zip(rows);
    queries
        .map(|(query, rows)| AnsweredQuery { query, rows })
        .collect()
}

/// Returns the rows of a query, if it is answered.
pub(super) fn find_rows<'a>(
    answered: &'a [AnsweredQuery],
    statement: &Arc<PreparedStatement>,
    values: &[SentValue],
) -> Option<&'a [Row]> {
    let is_same = |known: &&AnsweredQuery| {
        Arc::ptr_eq(&known.query.statement, statement) && known.query.values == values
    };
    answered.iter().find(is_same).map(|known| &known.rows[..])
}
