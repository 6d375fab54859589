//! A transaction on the server.
//!
//! The commit of a write ends its lock before the server has written it to the disk: the next write of the mesh need not wait
//! for that. Behind the commit the same message has one more transaction, an empty message in the log of the server, whose
//! commit waits for the disk, and for a synchronous standby, as the server is configured. The log is one sequence, so the
//! change before it is durable then, with all changes that it has seen. Only after that the write returns.
use std::cell::{Cell, RefCell};
use std::fmt::{self, Write};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::{join, join_all, join3};
use tokio_postgres::{Error, Row};

use super::super::error::Result;
use super::super::expected_query::ExpectedQuery;
use super::super::params::Values;
use super::super::row::ServedRow;
use super::super::served::{ServedRows, ServedTransaction};
use super::connection::PostgresConnection;
use super::expected::{AnsweredQuery, answered, ask_together, find_rows};
use super::failure::{failure, is_connection_lost, lost_commit};
use super::prepared_statement::PreparedStatement;
use super::values::{ReceivedValue, SentValue, references, sent_values};

/// How many statements wait for the next one that is read. `join_all` polls no more than thirty futures in their order.
const PENDING_MAX: usize = 24;
/// How many rows of a long result are fetched at once.
const CHUNK_ROWS: usize = 500;
/// With more answers than these, a transaction forgets them when it expects further queries: each is searched for.
const ANSWERED_MAX: usize = 256;
const MARK_SQL: &str = "UPDATE commit_mark SET commits = commits + 1, wall_ms = ?1";
/// What a commit is made with that others need not wait for.
const COMMIT_UNFLUSHED: &str = "SET LOCAL synchronous_commit TO off; COMMIT";
/// Waits until everything that was committed before is durable.
const FLUSH: &str = "BEGIN; SELECT pg_logical_emit_message(true, 'claude-mesh', ''); COMMIT";
/// A payload of NOTIFY has less than 8000 bytes.
const PAYLOAD_BYTES_MAX: usize = 7_900;

type PendingStatement = Pin<Box<dyn Future<Output = std::result::Result<u64, Error>> + Send>>;

/// A transaction. It begins with its first statement, except that a write has begun with the lock.
pub(super) struct PostgresTransaction<'a> {
    connection: &'a PostgresConnection,
    /// Statements that are not sent yet.
    pending: RefCell<Vec<PendingStatement>>,
    has_begun: Cell<bool>,
    has_changes: Cell<bool>,
    is_over: Cell<bool>,
    /// How many cursors it has.
    cursors: Cell<u32>,
    wall_ms: i64,
    /// Queries that are answered, and that nothing has changed since.
    answered: RefCell<Vec<AnsweredQuery>>,
}

impl fmt::Debug for PostgresTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTransaction")
            .field("location", &self.connection.location)
            .finish_non_exhaustive()
    }
}

impl<'a> PostgresTransaction<'a> {
    pub(super) fn new(
        connection: &'a PostgresConnection,
        is_write: bool,
        (wall_ms, answered): (i64, Vec<AnsweredQuery>),
    ) -> Self {
        let transaction = Self {
            connection,
            pending: RefCell::default(),
            has_begun: Cell::new(is_write),
            has_changes: Cell::default(),
            is_over: Cell::default(),
            cursors: Cell::default(),
            wall_ms,
            answered: RefCell::new(answered),
        };
        if !is_write {
            transaction.add_batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".into());
        }
        transaction
    }

    /// Records that something is changed.
    fn note_change(&self) {
        self.has_changes.set(true);
        self.answered.borrow_mut().clear();
    }

    /// Adds statements that are sent with the next one that is read.
    fn add_batch(&self, sql: String) {
        let client = Arc::clone(&self.connection.client);
        self.pending.borrow_mut().push(Box::pin(async move {
            client.batch_execute(&sql).await.map(|()| 0)
        }));
    }

    /// Sends what is pending and then `last`, and waits for all of it.
    fn send<T: Send>(
        &self,
        last: impl Future<Output = std::result::Result<T, Error>> + Send,
    ) -> Result<T> {
        self.has_begun.set(true);
        let pending = std::mem::take(&mut *self.pending.borrow_mut());
        let (before, last) = self.connection.wait(join(join_all(pending), last));
        // After a failed statement all later ones fail too, so the first error is the one that matters.
        before
            .into_iter()
            .collect::<std::result::Result<Vec<_>, _>>()
            .and(last)
            .map_err(|error| failure(&self.connection.location, error))
    }

    fn prepare(
        &self,
        sql: &str,
        values: &Values<'_>,
    ) -> Result<(Arc<PreparedStatement>, Vec<SentValue>)> {
        let prepared = self.connection.prepared(sql)?;
        let values = sent_values(values, &prepared.names)?;
        Ok((prepared, values))
    }

    fn received(&self, rows: &[Row], columns: &Arc<[String]>) -> Result<Vec<ServedRow>> {
        rows.iter()
            .map(|row| {
                let values = (0..row.len()).map(|at| Ok(row.try_get::<_, ReceivedValue>(at)?.0));
                Ok(ServedRow {
                    columns: Arc::clone(columns),
                    values: values
                        .collect::<std::result::Result<_, Error>>()
                        .map_err(|error| failure(&self.connection.location, error))?,
                })
            })
            .collect()
    }

    /// Returns the statements that end the transaction: what it wakes, and the commit.
    fn commit_sql(&self, wake: &[String]) -> String {
        let channel = &self.connection.mesh.channel;
        let mut sql = String::new();
        let mut payloads = vec![String::new()];
        for session in wake {
            let last = payloads.last_mut().expect("there is one");
            if last.len() + session.len() >= PAYLOAD_BYTES_MAX {
                payloads.push(session.clone());
            } else {
                let separator = if last.is_empty() { "" } else { "," };
                let _ = write!(last, "{separator}{session}");
            }
        }
        for payload in payloads {
            let _ = write!(sql, "NOTIFY {channel}, '{payload}'; ");
        }
        sql + COMMIT_UNFLUSHED
    }

    /// Sends the end of a transaction that changed nothing or is undone. Nobody waits for the answer.
    fn end_unread(&self, sql: &'static str) {
        self.is_over.set(true);
        let begun = self.has_begun.get();
        self.pending.borrow_mut().clear();
        if !begun {
            return;
        }
        let client = Arc::clone(&self.connection.client);
        self.connection
            .runtime
            .begin(async move { drop(client.batch_execute(sql).await) });
    }
}

/// A cursor of a transaction.
struct Chunks<'t> {
    transaction: &'t PostgresTransaction<'t>,
    fetch: String,
    columns: Arc<[String]>,
    is_over: bool,
}

impl ServedRows for Chunks<'_> {
    fn next_chunk(&mut self) -> Result<Vec<ServedRow>> {
        if self.is_over {
            return Ok(Vec::new());
        }
        let transaction = self.transaction;
        // Not prepared: a later cursor of this name has other columns.
        let client = &transaction.connection.client;
        let rows = transaction.send(client.query_typed(&self.fetch, &[]))?;
        self.is_over = rows.len() < CHUNK_ROWS;
        transaction.received(&rows, &self.columns)
    }
}

impl ServedTransaction for PostgresTransaction<'_> {
    fn columns(&self, sql: &str) -> Result<Arc<[String]>> {
        Ok(Arc::clone(&self.connection.prepared(sql)?.columns))
    }

    fn query(&self, sql: &str, values: Values<'_>) -> Result<Vec<ServedRow>> {
        let (prepared, values) = self.prepare(sql, &values)?;
        if !prepared.is_query {
            self.note_change();
        }
        if let Some(rows) = find_rows(&self.answered.borrow(), &prepared, &values) {
            return self.received(rows, &prepared.columns);
        }
        let client = &self.connection.client;
        let rows = self.send(async {
            client
                .query(&prepared.statement, &references(&values))
                .await
        })?;
        self.received(&rows, &prepared.columns)
    }

    fn query_in_chunks(&self, sql: &str, values: Values<'_>) -> Result<Box<dyn ServedRows + '_>> {
        let columns = self.columns(sql)?;
        let number = self.cursors.get();
        self.cursors.set(number + 1);
        // The text of a cursor differs by its name; the names of a transaction are used again by the next one.
        let declare = format!("DECLARE rows_{number} NO SCROLL CURSOR FOR {sql}");
        let (declared, values) = self.prepare(&declare, &values)?;
        let client = Arc::clone(&self.connection.client);
        self.pending.borrow_mut().push(Box::pin(async move {
            client
                .execute(&declared.statement, &references(&values))
                .await
        }));
        Ok(Box::new(Chunks {
            transaction: self,
            fetch: format!("FETCH {CHUNK_ROWS} FROM rows_{number}"),
            columns,
            is_over: false,
        }))
    }

    fn expect(&self, queries: Vec<ExpectedQuery>) -> Result<()> {
        let mut queries = self.connection.prepare_expected(&queries)?;
        queries.retain(|query| {
            find_rows(&self.answered.borrow(), &query.statement, &query.values).is_none()
        });
        if queries.is_empty() {
            return Ok(());
        }
        let rows = self.send(ask_together(&self.connection.client, &queries))?;
        let mut known = self.answered.borrow_mut();
        if known.len() > ANSWERED_MAX {
            known.clear();
        }
        known.extend(answered(queries, rows));
        Ok(())
    }

    fn execute(&self, sql: &str, values: Values<'_>) -> Result<usize> {
        let (prepared, values) = self.prepare(sql, &values)?;
        self.note_change();
        let client = &self.connection.client;
        let changed = self.send(async {
            client
                .execute(&prepared.statement, &references(&values))
                .await
        })?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    fn run(&self, sql: &str, values: Values<'_>) -> Result<()> {
        let (prepared, values) = self.prepare(sql, &values)?;
        self.note_change();
        let client = Arc::clone(&self.connection.client);
        self.pending.borrow_mut().push(Box::pin(async move {
            client
                .execute(&prepared.statement, &references(&values))
                .await
        }));
        if self.pending.borrow().len() >= PENDING_MAX {
            self.send(async { Ok(()) })?;
        }
        Ok(())
    }

    fn execute_batch(&self, sql: &str) -> Result<()> {
        self.answered.borrow_mut().clear();
        self.add_batch(sql.to_owned());
        Ok(())
    }

    fn commit(self: Box<Self>, wake: &[String]) -> Result<()> {
        if !self.has_changes.get() && wake.is_empty() {
            self.end_unread("ROLLBACK");
            return Ok(());
        }
        let location = &self.connection.location;
        let wall_ms: &dyn rusqlite::ToSql = &self.wall_ms;
        self.run(MARK_SQL, Values::Positional(&[wall_ms]))?;
        let pending = std::mem::take(&mut *self.pending.borrow_mut());
        let client = &self.connection.client;
        let is_sent = !client.is_closed();
        let sql = self.commit_sql(wake);
        let (before, last, flushed) = self.connection.wait(join3(
            join_all(pending),
            client.batch_execute(&sql),
            client.batch_execute(FLUSH),
        ));
        let before = before
            .into_iter()
            .collect::<std::result::Result<Vec<_>, _>>();
        // A statement that the server has refused is followed by no commit, and neither is one that ends the server.
        let is_undone = |error: &Error, is_commit: bool| {
            !is_sent || error.as_db_error().is_some() && !(is_commit && is_connection_lost(error))
        };
        let failed = match (before, last) {
            (Err(error), _) => Some((is_undone(&error, false), error)),
            (Ok(_), Err(error)) => Some((is_undone(&error, true), error)),
            // It is committed, but may get lost.
            (Ok(_), Ok(())) => flushed.err().map(|error| (false, error)),
        };
        if let Some((is_undone, error)) = failed {
            if is_connection_lost(&error) {
                self.is_over.set(true);
            }
            return Err(if is_undone {
                failure(location, error)
            } else {
                lost_commit(location, error)
            });
        }
        self.is_over.set(true);
        self.connection.changes.add();
        Ok(())
    }
}

impl Drop for PostgresTransaction<'_> {
    fn drop(&mut self) {
        if !self.is_over.get() {
            self.end_unread("ROLLBACK");
        }
    }
}
