//! Reads and writes whole rows of any table, in portions.
use std::fmt::Write;

use rusqlite::ToSql;
use rusqlite::types::Value;

use super::super::engine;
use super::super::transaction::Tx;
use super::table::Table;

/// How many rows are read at once.
const PAGE_ROWS: usize = 200;
/// How many rows a statement inserts.
const INSERT_ROWS: usize = 20;

/// The columns of a table, in the order in which a row has its values.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) table: Table,
    pub(super) names: Vec<String>,
}

impl Columns {
    /// Returns the columns that a table has in a file.
    pub(super) fn of(file: &Tx, table: Table) -> engine::Result<Self> {
        let mut statement = file
            .sql
            .prepare_cached("SELECT name FROM pragma_table_info(?1) ORDER BY cid")?;
        let names = statement.query_map([table.name], |row| row.get("name"))?;
        Ok(Self {
            table,
            names: names.collect::<engine::Result<_>>()?,
        })
    }

    fn list(&self) -> String {
        let quoted: Vec<String> = self
            .names
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect();
        quoted.join(", ")
    }

    /// Returns the position of a column.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// Calls `each` with the rows in the order of their keys.
    pub(super) fn for_each_row(
        &self,
        tx: &Tx,
        mut each: impl FnMut(Vec<Value>) -> engine::Result<()>,
    ) -> engine::Result<()> {
        let mut last_key: Option<Vec<Value>> = None;
        loop {
            let page = self.page(tx, last_key.as_deref())?;
            let is_last = page.len() < PAGE_ROWS;
            last_key = page.last().map(|row| self.key_of(row));
            for row in page {
                each(row)?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn key_of(&self, row: &[Value]) -> Vec<Value> {
        let positions = self.table.key.iter().filter_map(|name| self.position(name));
        positions.map(|position| row[position].clone()).collect()
    }

    fn page(&self, tx: &Tx, after: Option<&[Value]>) -> engine::Result<Vec<Vec<Value>>> {
        let (columns, key) = (self.list(), self.table.key.join(", "));
        let mut sql = format!(
            "SELECT {columns} FROM {} WHERE {}",
            self.table.name, self.table.condition
        );
        if let Some(after) = after {
            let _ = write!(sql, " AND ({key}) > ({})", placeholders(1, after.len()));
        }
        let _ = write!(sql, " ORDER BY {key} LIMIT {PAGE_ROWS}");
        let values: Vec<&dyn ToSql> = after.unwrap_or_default().iter().map(as_sql).collect();
        let mut statement = tx.sql.prepare_cached(&sql)?;
        let rows = statement.query_map(&*values, |row| {
            self.names
                .iter()
                .map(|name| row.get(name.as_str()))
                .collect()
        })?;
        rows.collect()
    }

    /// Inserts rows.
    pub(super) fn insert(&self, tx: &Tx, rows: &[Vec<Value>]) -> engine::Result<()> {
        let columns = self.list();
        let (chunks, rest) = rows.as_chunks::<INSERT_ROWS>();
        let rest = rest.iter().map(std::slice::from_ref);
        for rows in chunks.iter().map(<[_; INSERT_ROWS]>::as_slice).chain(rest) {
            let width = self.names.len();
            let tuples: Vec<String> = (0..rows.len())
                .map(|row| format!("({})", placeholders(row * width + 1, width)))
                .collect();
            let sql = format!(
                "INSERT INTO {} ({columns}) VALUES {}",
                self.table.name,
                tuples.join(", ")
            );
            let values: Vec<&dyn ToSql> = rows.iter().flatten().map(as_sql).collect();
            tx.sql.prepare_cached(&sql)?.run(&*values)?;
        }
        Ok(())
    }
}

fn as_sql(value: &Value) -> &dyn ToSql {
    value
}

/// Returns `?3, ?4` for two values from the third.
fn placeholders(first: usize, count: usize) -> String {
    let each: Vec<String> = (first..first + count).map(|at| format!("?{at}")).collect();
    each.join(", ")
}
