//! A transaction on either engine.
use super::error::Result;
use super::params::Params;
use super::row::Row;
use super::served::ServedTransaction;
use super::statement::Statement;

/// A transaction. It is rolled back when it is dropped without a commit.
#[derive(Debug)]
pub(in crate::store) enum Transaction<'a> {
    File(rusqlite::Transaction<'a>),
    Served(Box<dyn ServedTransaction + 'a>),
}

impl<'t> Transaction<'t> {
    /// Returns a statement, compiled at its first use on this connection.
    #[inline]
    pub(in crate::store) fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        match self {
            Self::File(transaction) => Ok(Statement::File(transaction.prepare_cached(sql)?)),
            Self::Served(transaction) => Ok(Statement::Served {
                transaction: &**transaction,
                sql: sql.to_owned(),
            }),
        }
    }

    /// Runs a statement. Returns the number of rows that it changed.
    #[inline]
    pub(in crate::store) fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        match self {
            Self::File(transaction) => Ok(transaction.execute(sql, params)?),
            Self::Served(transaction) => params.list(|values| transaction.execute(sql, values)),
        }
    }

    /// Runs a statement whose outcome is not read. On a database server it may be sent later, and fail then.
    #[inline]
    pub(in crate::store) fn run(&self, sql: &str, params: impl Params) -> Result<()> {
        match self {
            Self::File(transaction) => Ok(transaction.execute(sql, params).map(drop)?),
            Self::Served(transaction) => params.list(|values| transaction.run(sql, values)),
        }
    }

    /// Runs a statement and returns what `map` makes of its first row.
    #[inline]
    pub(in crate::store) fn query_row<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row) -> Result<T>,
    ) -> Result<T> {
        self.prepare_cached(sql)?.query_row(params, map)
    }

    /// Inserts a row whose `column` gets a number from the database, and returns that number.
    pub(in crate::store) fn insert_numbered(
        &self,
        sql: &str,
        column: &str,
        params: impl Params,
    ) -> Result<i64> {
        match self {
            Self::File(transaction) => {
                transaction.prepare_cached(sql)?.execute(params)?;
                Ok(transaction.last_insert_rowid())
            }
            Self::Served(_) => {
                self.query_row(&format!("{sql} RETURNING {column}"), params, |row| {
                    row.get(0)
                })
            }
        }
    }

    /// Runs statements without values.
    #[inline]
    pub(in crate::store) fn execute_batch(&self, sql: &str) -> Result<()> {
        match self {
            Self::File(transaction) => Ok(transaction.execute_batch(sql)?),
            Self::Served(transaction) => transaction.execute_batch(sql),
        }
    }

    /// Commits. A database server wakes these sessions as a part of that; beside a file the caller does it after the commit.
    pub(in crate::store) fn commit(self, wake: &[String]) -> Result<()> {
        match self {
            Self::File(transaction) => Ok(transaction.commit()?),
            Self::Served(transaction) => transaction.commit(wake),
        }
    }

    /// Returns the transaction of SQLite, for what only a file has.
    pub(in crate::store) fn file(&self) -> Option<&rusqlite::Transaction<'t>> {
        match self {
            Self::File(transaction) => Some(transaction),
            Self::Served(_) => None,
        }
    }
}
