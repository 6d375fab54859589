//! The columns of a table and of its indexes, in the order in which a file stores the values of a row.
use rusqlite::types::Value;

use super::btree_page::StoredRow;
use super::source_file::SchemaEntry;
use crate::store::engine;
use crate::store::transaction::Tx;

/// A column.
#[derive(Debug)]
struct Column {
    name: String,
    /// Its position in the primary key, from 1; 0 if it is not in it.
    key_position: i64,
    is_integer: bool,
}

/// A table.
#[derive(Debug)]
pub(super) struct TableShape {
    pub(super) name: String,
    pub(super) has_rowid: bool,
    columns: Vec<Column>,
}

/// An index: its columns by name, `None` for the rowid.
#[derive(Debug)]
pub(super) struct IndexShape {
    pub(super) name: String,
    columns: Vec<Option<String>>,
}

/// What identifies a row.
pub(super) type RowKey = String;

/// Returns the tables and indexes of an undamaged file.
pub(super) fn schema_entries(tx: &Tx) -> engine::Result<Vec<SchemaEntry>> {
    let sql = "SELECT type, name, tbl_name, rootpage, coalesce(sql, '') AS sql FROM sqlite_schema WHERE rootpage > 0";
    let mut statement = tx.sql.prepare_cached(sql)?;
    let entries = statement.query_map([], |row| {
        let (kind, sql): (String, String) = (row.get("type")?, row.get("sql")?);
        Ok(SchemaEntry::new(
            kind == "index",
            (row.get("name")?, row.get("tbl_name")?),
            (row.get("rootpage")?, &sql),
        ))
    })?;
    entries.collect()
}

impl TableShape {
    pub(super) fn of(tx: &Tx, name: &str, has_rowid: bool) -> engine::Result<Self> {
        let mut statement = tx
            .sql
            .prepare_cached("SELECT name, type, pk FROM pragma_table_info(?1) ORDER BY cid")?;
        let columns = statement.query_map([name], |row| {
            let kind: String = row.get("type")?;
            Ok(Column {
                name: row.get("name")?,
                key_position: row.get("pk")?,
                is_integer: kind == "INTEGER",
            })
        })?;
        let mut columns: Vec<Column> = columns.collect::<engine::Result<_>>()?;
        if !has_rowid {
            // The key comes first.
            columns.sort_by_key(|column| match column.key_position {
                0 => i64::MAX,
                position => position,
            });
        }
        Ok(Self {
            name: name.to_owned(),
            has_rowid,
            columns,
        })
    }

    /// Returns the position of the column that is another name of the rowid.
    fn rowid_column(&self) -> Option<usize> {
        let keys = self.columns.iter().filter(|column| column.key_position > 0);
        let is_alone = self.has_rowid && keys.count() == 1;
        self.columns
            .iter()
            .position(|column| is_alone && column.key_position == 1 && column.is_integer)
    }

    /// Returns the names and values with which a row is inserted. A row of an older schema has fewer values, and those that are
    /// missing get their default.
    pub(super) fn assignments(&self, row: &StoredRow) -> Option<(Vec<&str>, Vec<Value>)> {
        if row.values.is_empty() || row.values.len() > self.columns.len() {
            return None;
        }
        let mut values = row.values.clone();
        let names = self.columns[..values.len()].iter();
        let mut names: Vec<&str> = names.map(|column| column.name.as_str()).collect();
        match (self.rowid_column(), row.rowid) {
            (Some(position), Some(rowid)) => *values.get_mut(position)? = Value::Integer(rowid),
            (None, Some(rowid)) => {
                names.push("rowid");
                values.push(Value::Integer(rowid));
            }
            _ => {}
        }
        Some((names, values))
    }

    /// Returns what identifies a row of this table.
    pub(super) fn key(&self, row: &StoredRow) -> RowKey {
        match row.rowid {
            Some(rowid) => rowid_key(rowid),
            None => values_key(row.values.iter().take(self.key_columns().count())),
        }
    }

    fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.key_position > 0)
    }
}

impl IndexShape {
    pub(super) fn of(tx: &Tx, name: &str) -> engine::Result<Self> {
        let mut statement = tx
            .sql
            .prepare_cached("SELECT name FROM pragma_index_xinfo(?1) ORDER BY seqno")?;
        let columns = statement.query_map([name], |row| row.get("name"))?;
        Ok(Self {
            name: name.to_owned(),
            columns: columns.collect::<engine::Result<_>>()?,
        })
    }

    /// Returns what identifies the row of the table for which an entry is.
    pub(super) fn key(&self, table: &TableShape, entry: &StoredRow) -> Option<RowKey> {
        if table.has_rowid {
            // The index of an older schema may have other columns, but the last is always the rowid.
            return match entry.values.last()? {
                Value::Integer(rowid) => Some(rowid_key(*rowid)),
                _ => None,
            };
        }
        let values: Option<Vec<&Value>> = table
            .key_columns()
            .map(|column| self.value(entry, &column.name))
            .collect();
        values.map(values_key)
    }

    /// Returns the value of a column, if the index has it.
    pub(super) fn value<'a>(&self, entry: &'a StoredRow, column: &str) -> Option<&'a Value> {
        let position = self
            .columns
            .iter()
            .position(|name| name.as_deref() == Some(column))?;
        entry
            .values
            .get(position)
            .filter(|_| entry.values.len() == self.columns.len())
    }
}

fn rowid_key(rowid: i64) -> RowKey {
    rowid.to_string()
}

fn values_key<'a>(values: impl IntoIterator<Item = &'a Value>) -> RowKey {
    format!("{:?}", values.into_iter().collect::<Vec<_>>())
}
