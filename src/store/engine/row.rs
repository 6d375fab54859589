//! A row of a result.
use std::sync::Arc;

use rusqlite::types::{FromSql, Value, ValueRef};

use super::error::Result;

/// A row that a database server has sent.
#[derive(Debug)]
pub(in crate::store) struct ServedRow {
    /// The names of all columns.
    pub(in crate::store) columns: Arc<[String]>,
    pub(in crate::store) values: Vec<Value>,
}

/// A row.
pub(in crate::store) enum Row<'a> {
    File(&'a rusqlite::Row<'a>),
    Served(&'a ServedRow),
}

/// How a column is named: by its position or by its name.
pub(in crate::store) trait Column: rusqlite::RowIndex {
    /// Returns the position among these columns.
    fn position_in(self, columns: &[String]) -> Result<usize>;
}

impl Column for usize {
    fn position_in(self, columns: &[String]) -> Result<usize> {
        if self < columns.len() {
            Ok(self)
        } else {
            Err(rusqlite::Error::InvalidColumnIndex(self).into())
        }
    }
}

impl Column for &str {
    fn position_in(self, columns: &[String]) -> Result<usize> {
        columns
            .iter()
            .position(|column| column == self)
            .ok_or_else(|| rusqlite::Error::InvalidColumnName(self.to_owned()).into())
    }
}

impl Row<'_> {
    /// Returns a value of the row.
    #[inline]
    pub(in crate::store) fn get<C: Column, T: FromSql>(&self, column: C) -> Result<T> {
        match self {
            Self::File(row) => Ok(row.get(column)?),
            Self::Served(row) => Ok(T::column_result(row.value(column)?)?),
        }
    }

    /// Returns a value of the row without a copy.
    #[inline]
    pub(in crate::store) fn get_ref<C: Column>(&self, column: C) -> Result<ValueRef<'_>> {
        match self {
            Self::File(row) => Ok(row.get_ref(column)?),
            Self::Served(row) => row.value(column),
        }
    }
}

impl ServedRow {
    fn value(&self, column: impl Column) -> Result<ValueRef<'_>> {
        let position = column.position_in(&self.columns)?;
        Ok((&self.values[position]).into())
    }
}
