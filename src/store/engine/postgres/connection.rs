//! One connection to the server, and how a transaction begins on it.
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::error::Severity;
use tokio_postgres::{Client, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::error::{EngineError, Result};
use super::super::served::{Access, Begun, ServedDatabase};
use super::clock::DatabaseClock;
use super::dialect::translate;
use super::failure::{busy, connect_failure, failure, unusable};
use super::link;
use super::listen::ChangeCounter;
use super::location::PostgresLocation;
use super::runtime::ConnectionRuntime;
use super::schema::{LOCK_CLASS, MeshSchema, enter};
use super::tls;
use super::transaction::PostgresTransaction;
use crate::platform::clock::monotonic_ms;
use crate::platform::{Clock, Fault, FaultKind};

/// A connection that was not used for so long may be lost, and its clock may have moved: the next query begins with a look.
const IDLE_MS: i64 = 1_000;
/// How many statements a connection keeps prepared.
const STATEMENTS_MAX: usize = 512;
/// A timeout of the server that is practically none.
const LOCK_TIMEOUT_MS_MAX: u128 = 3_600_000;

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

/// A connection.
pub(in crate::store) struct PostgresConnection {
    pub(super) runtime: ConnectionRuntime,
    pub(super) client: Arc<Client>,
    pub(super) location: PostgresLocation,
    pub(super) mesh: MeshSchema,
    pub(super) changes: ChangeCounter,
    tls: Option<MakeRustlsConnect>,
    clock: DatabaseClock,
    statements: RefCell<HashMap<String, Arc<PreparedStatement>>>,
    /// When the server has last answered, by the monotonic clock.
    last_answer_ms: Cell<i64>,
}

impl fmt::Debug for PostgresConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresConnection")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

impl PostgresConnection {
    /// Connects; creates the mesh if there is none.
    pub(in crate::store) fn connect(
        location: PostgresLocation,
        clock: DatabaseClock,
        changes: ChangeCounter,
    ) -> std::result::Result<Self, Fault> {
        let tls = tls::connector(&location)?;
        let runtime = ConnectionRuntime::new().map_err(|error| {
            Fault::new(FaultKind::Other, format!("no runtime: {error}"), "").with_source(error)
        })?;
        let entered = runtime.wait(open(&location, tls.as_ref()));
        let (client, mesh) = entered.map_err(EngineError::into_fault)?;
        Ok(Self {
            runtime,
            client: Arc::new(client),
            location,
            mesh,
            changes,
            tls,
            clock,
            statements: RefCell::default(),
            last_answer_ms: Cell::new(monotonic_ms()),
        })
    }

    /// Waits for an answer of the server.
    pub(super) fn wait<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        let output = self.runtime.wait(future);
        self.last_answer_ms.set(monotonic_ms());
        output
    }

    /// Returns a statement, prepared at its first use.
    pub(super) fn prepared(&self, sql: &str) -> Result<Arc<PreparedStatement>> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(Arc::clone(known));
        }
        let translation = translate(sql);
        let client = &self.client;
        let statement = self
            .wait(client.prepare(&translation.text))
            .map_err(|error| failure(&self.location, error))?;
        let columns = statement.columns().iter();
        let prepared = Arc::new(PreparedStatement {
            columns: columns.map(|column| column.name().to_owned()).collect(),
            statement,
            names: translation.names,
            is_query: sql.trim_start().starts_with("SELECT"),
        });
        let mut statements = self.statements.borrow_mut();
        if statements.len() >= STATEMENTS_MAX {
            statements.clear();
        }
        statements.insert(sql.to_owned(), Arc::clone(&prepared));
        Ok(prepared)
    }

    /// Connects again if the server has ended the connection, as far as that has arrived here.
    fn reconnect_if_lost(&mut self) -> Result<()> {
        self.runtime.receive();
        if self.client.is_closed() {
            self.reconnect()?;
        }
        Ok(())
    }

    /// Connects again. Nothing of an operation is lost by that: it has not begun.
    fn reconnect(&mut self) -> Result<()> {
        let opened = self.runtime.wait(open(&self.location, self.tls.as_ref()));
        let (client, mesh) = opened?;
        self.client = Arc::new(client);
        self.mesh = mesh;
        self.statements.borrow_mut().clear();
        Ok(())
    }

    /// Sends statements, on a new connection if this one is lost.
    fn send_first(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>> {
        self.reconnect_if_lost()?;
        let client = Arc::clone(&self.client);
        match self.wait(client.simple_query(sql)) {
            Ok(answer) => Ok(answer),
            Err(error) if is_connection_lost(&error) => {
                self.reconnect()?;
                let client = Arc::clone(&self.client);
                self.wait(client.simple_query(sql))
                    .map_err(|error| failure(&self.location, error))
            }
            Err(error) => {
                // The transaction that has failed must not stay.
                let client = Arc::clone(&self.client);
                let _ = self.wait(client.batch_execute("ROLLBACK"));
                Err(failure(&self.location, error))
            }
        }
    }

    /// Begins a write: when this returns, no other program writes to the mesh.
    fn begin_write(&mut self, lock_timeout: Duration) -> Result<(i64, Option<String>)> {
        let key = self.mesh.lock_key;
        let lock = if lock_timeout.is_zero() {
            format!("SELECT pg_try_advisory_xact_lock({LOCK_CLASS}, {key})")
        } else {
            let timeout_ms = lock_timeout.as_millis().clamp(1, LOCK_TIMEOUT_MS_MAX);
            format!(
                "SET LOCAL lock_timeout = {timeout_ms}; SELECT pg_advisory_xact_lock({LOCK_CLASS}, {key}) IS NOT NULL"
            )
        };
        let answer = self.send_first(&format!(
            "BEGIN; {lock}; SELECT greatest((extract(epoch FROM clock_timestamp()) * 1000)::bigint, wall_ms), (SELECT value FROM meta WHERE key = 'last_id') FROM commit_mark"
        ))?;
        let mut rows = answer.iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        if rows.next().and_then(|row| row.get(0)) == Some("f") {
            let client = Arc::clone(&self.client);
            let _ = self.wait(client.batch_execute("ROLLBACK"));
            let (kind, problem, hint) = busy();
            return Err(unusable(&self.location, kind, (&problem, hint)));
        }
        let clock = rows.next();
        let wall_ms = clock.and_then(|row| row.get(0)?.parse().ok());
        let wall_ms = wall_ms.ok_or_else(|| self.without_clock())?;
        self.clock.adjust(wall_ms);
        let last_id = clock.and_then(|row| row.get(1)).map(str::to_owned);
        Ok((wall_ms, last_id))
    }

    fn without_clock(&self) -> EngineError {
        let problem = ("the mesh on the server has no clock", "");
        unusable(&self.location, FaultKind::DatabaseCorrupted, problem)
    }

    /// Asks for the time, if the connection was idle; it is also seen whether it is lost.
    fn look_after_idle(&mut self) -> Result<()> {
        if monotonic_ms() - self.last_answer_ms.get() < IDLE_MS {
            return self.reconnect_if_lost();
        }
        let sql = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        for message in self.send_first(sql)? {
            if let SimpleQueryMessage::Row(row) = message
                && let Some(wall_ms) = row.get(0).and_then(|text| text.parse().ok())
            {
                self.clock.adjust(wall_ms);
            }
        }
        Ok(())
    }

    fn query_number(&mut self, sql: &str) -> Result<i64> {
        let answer = self.send_first(sql)?;
        let number = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        number.ok_or_else(EngineError::no_row)
    }
}

/// Returns whether the server has ended the connection, or it was lost on the way.
fn is_connection_lost(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_none_or(|reported| {
        let severity = reported.parsed_severity();
        matches!(severity, Some(Severity::Fatal | Severity::Panic))
    })
}

/// Opens a connection to a mesh.
async fn open(
    location: &PostgresLocation,
    tls: Option<&MakeRustlsConnect>,
) -> Result<(Client, MeshSchema)> {
    let client = link::open_in_background(location, tls)
        .await
        .map_err(|error| connect_failure(location, error))?;
    let mesh = enter(&client, location).await?;
    Ok((client, mesh))
}

impl ServedDatabase for PostgresConnection {
    fn begin(&mut self, access: Access) -> Result<Begun<'_>> {
        let (now, last_id) = match access {
            Access::Write { lock_timeout } => {
                let (wall_ms, last_id) = self.begin_write(lock_timeout)?;
                (self.clock.moment(wall_ms), last_id)
            }
            Access::Read => {
                self.look_after_idle()?;
                (self.clock.now(), None)
            }
        };
        let is_write = matches!(access, Access::Write { .. });
        let transaction = PostgresTransaction::new(self, is_write, now.wall_ms);
        Ok(Begun {
            transaction: Box::new(transaction),
            now,
            last_id,
        })
    }

    fn version(&self) -> u32 {
        self.mesh.version
    }

    fn change_count(&mut self) -> Result<(bool, i64)> {
        match self.changes.current() {
            Some(count) => Ok((true, count)),
            None => Ok((false, self.query_number("SELECT commits FROM commit_mark")?)),
        }
    }

    fn size_bytes(&mut self) -> Result<u64> {
        let sql = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'";
        Ok(u64::try_from(self.query_number(sql)?).unwrap_or(0))
    }

    fn optimize(&mut self) -> Result<()> {
        self.send_first("ANALYZE question, message, event, session, peer, claim, task, memory")
            .map(drop)
    }
}
