//! A transaction on the server.
use std::cell::{Cell, RefCell};
use std::fmt::{self, Write};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::{join, join_all};
use tokio_postgres::Error;
use tokio_postgres::types::ToSql;

use super::super::error::Result;
use super::super::params::Values;
use super::super::row::ServedRow;
use super::super::served::ServedTransaction;
use super::connection::{PostgresConnection, PreparedStatement};
use super::failure::{failure, lost_commit};
use super::values::{ReceivedValue, SentValue, sent_values};

/// How many statements wait for the next one that is read. `join_all` polls no more than thirty futures in their order.
const PENDING_MAX: usize = 24;
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
    wall_ms: i64,
}

impl fmt::Debug for PostgresTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTransaction")
            .field("location", &self.connection.location)
            .finish_non_exhaustive()
    }
}

impl<'a> PostgresTransaction<'a> {
    pub(super) fn new(connection: &'a PostgresConnection, is_write: bool, wall_ms: i64) -> Self {
        let transaction = Self {
            connection,
            pending: RefCell::default(),
            has_begun: Cell::new(is_write),
            has_changes: Cell::default(),
            is_over: Cell::default(),
            wall_ms,
        };
        if !is_write {
            transaction.add_batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY".into());
        }
        transaction
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

    /// Returns the statements that end the transaction: the mark of the commit, what it wakes, the commit.
    fn commit_sql(&self, wake: &[String]) -> String {
        let channel = &self.connection.mesh.channel;
        let mut sql = format!(
            "UPDATE commit_mark SET commits = commits + 1, wall_ms = {}; ",
            self.wall_ms
        );
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
        sql + "COMMIT"
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

fn references(values: &[SentValue]) -> Vec<&(dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}

impl ServedTransaction for PostgresTransaction<'_> {
    fn columns(&self, sql: &str) -> Result<Arc<[String]>> {
        Ok(Arc::clone(&self.connection.prepared(sql)?.columns))
    }

    fn query(&self, sql: &str, values: Values<'_>) -> Result<Vec<ServedRow>> {
        let (prepared, values) = self.prepare(sql, &values)?;
        if !prepared.is_query {
            self.has_changes.set(true);
        }
        let client = &self.connection.client;
        let rows = self.send(async {
            client
                .query(&prepared.statement, &references(&values))
                .await
        })?;
        let location = &self.connection.location;
        rows.iter()
            .map(|row| {
                let values = (0..row.len()).map(|at| Ok(row.try_get::<_, ReceivedValue>(at)?.0));
                Ok(ServedRow {
                    columns: Arc::clone(&prepared.columns),
                    values: values
                        .collect::<std::result::Result<_, Error>>()
                        .map_err(|error| failure(location, error))?,
                })
            })
            .collect()
    }

    fn execute(&self, sql: &str, values: Values<'_>) -> Result<usize> {
        let (prepared, values) = self.prepare(sql, &values)?;
        self.has_changes.set(true);
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
        self.has_changes.set(true);
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
        self.add_batch(sql.to_owned());
        Ok(())
    }

    fn commit(self: Box<Self>, wake: &[String]) -> Result<()> {
        if !self.has_changes.get() && wake.is_empty() {
            self.end_unread("ROLLBACK");
            return Ok(());
        }
        let location = &self.connection.location;
        // What fails before the commit is sent has an outcome that is known: it is undone.
        let pending = std::mem::take(&mut *self.pending.borrow_mut());
        let client = &self.connection.client;
        let sql = self.commit_sql(wake);
        let (before, last) = self
            .connection
            .wait(join(join_all(pending), client.batch_execute(&sql)));
        let before = before
            .into_iter()
            .collect::<std::result::Result<Vec<_>, _>>();
        if let Err(error) = before.and(last) {
            return Err(if error.as_db_error().is_some() {
                failure(location, error)
            } else {
                self.is_over.set(true);
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
