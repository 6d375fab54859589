//! A statement that is ready to run, and the rows of its result.
use std::sync::Arc;

use super::error::{EngineError, Result};
use super::params::Params;
use super::row::{Column, Row, ServedRow};
use super::served::{ServedRows, ServedTransaction};

/// A statement that is ready to run.
pub(in crate::store) enum Statement<'a> {
    File(rusqlite::CachedStatement<'a>),
    Served {
        transaction: &'a dyn ServedTransaction,
        sql: String,
    },
}

impl Statement<'_> {
    /// Runs it. Returns the number of rows that it changed.
    #[inline]
    pub(in crate::store) fn execute(&mut self, params: impl Params) -> Result<usize> {
        match self {
            Self::File(statement) => Ok(statement.execute(params)?),
            Self::Served { transaction, sql } => {
                params.list(|values| transaction.execute(sql, values))
            }
        }
    }

    /// Runs it where the outcome is not read. On a database server it may be sent later, and fail then.
    #[inline]
    pub(in crate::store) fn run(&mut self, params: impl Params) -> Result<()> {
        match self {
            Self::File(statement) => Ok(statement.execute(params).map(drop)?),
            Self::Served { transaction, sql } => params.list(|values| transaction.run(sql, values)),
        }
    }

    /// Runs it and returns its rows.
    #[inline]
    pub(in crate::store) fn query(&mut self, params: impl Params) -> Result<Rows<'_>> {
        match self {
            Self::File(statement) => Ok(Rows::File(statement.query(params)?)),
            Self::Served { transaction, sql } => {
                let rows = params.list(|values| transaction.query(sql, values))?;
                Ok(Rows::Served {
                    rows: rows.into_iter(),
                    row: None,
                    more: None,
                })
            }
        }
    }

    /// Runs a query whose rows may be many, of which the caller perhaps reads only the first. A database server sends them in
    /// chunks.
    #[inline]
    pub(in crate::store) fn query_in_chunks(&mut self, params: impl Params) -> Result<Rows<'_>> {
        match self {
            Self::File(statement) => Ok(Rows::File(statement.query(params)?)),
            Self::Served { transaction, sql } => {
                let mut more = params.list(|values| transaction.query_in_chunks(sql, values))?;
                Ok(Rows::Served {
                    rows: more.next_chunk()?.into_iter(),
                    row: None,
                    more: Some(more),
                })
            }
        }
    }

    /// Runs it and returns what `map` makes of its first row. No row is an error, see `OptionalExtension`.
    #[inline]
    pub(in crate::store) fn query_row<T>(
        &mut self,
        params: impl Params,
        map: impl FnOnce(&Row) -> Result<T>,
    ) -> Result<T> {
        let mut rows = self.query(params)?;
        map(&rows.next()?.ok_or_else(EngineError::no_row)?)
    }

    /// Runs it and returns what `map` makes of each row.
    #[inline]
    pub(in crate::store) fn query_map<T, F>(
        &mut self,
        params: impl Params,
        map: F,
    ) -> Result<MappedRows<'_, F>>
    where
        F: FnMut(&Row) -> Result<T>,
    {
        Ok(MappedRows {
            rows: self.query(params)?,
            map,
        })
    }

    /// Returns the position of a column of its result.
    pub(in crate::store) fn column_index(&self, name: &str) -> Result<usize> {
        match self {
            Self::File(statement) => Ok(statement.column_index(name)?),
            Self::Served { transaction, sql } => {
                let columns: Arc<[String]> = transaction.columns(sql)?;
                name.position_in(&columns)
            }
        }
    }
}

/// The rows of a result, one after the other.
pub(in crate::store) enum Rows<'a> {
    File(rusqlite::Rows<'a>),
    Served {
        rows: std::vec::IntoIter<ServedRow>,
        row: Option<ServedRow>,
        /// Where the next rows come from, if these are not all.
        more: Option<Box<dyn ServedRows + 'a>>,
    },
}

impl Rows<'_> {
    /// Returns the next row; `None` after the last.
    #[inline]
    pub(in crate::store) fn next(&mut self) -> Result<Option<Row<'_>>> {
        match self {
            Self::File(rows) => Ok(rows.next()?.map(Row::File)),
            Self::Served { rows, row, more } => {
                *row = rows.next();
                if row.is_none()
                    && let Some(more) = more
                {
                    *rows = more.next_chunk()?.into_iter();
                    *row = rows.next();
                }
                Ok(row.as_ref().map(Row::Served))
            }
        }
    }
}

/// What is made of the rows of a result.
pub(in crate::store) struct MappedRows<'a, F> {
    rows: Rows<'a>,
    map: F,
}

impl<T, F> Iterator for MappedRows<'_, F>
where
    F: FnMut(&Row) -> Result<T>,
{
    type Item = Result<T>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.rows.next() {
            Ok(row) => row.map(|row| (self.map)(&row)),
            Err(error) => Some(Err(error)),
        }
    }
}
