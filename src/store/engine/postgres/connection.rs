//! One connection to the server, and how a transaction begins on it.
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join5;
use tokio_postgres::{Client, Row, SimpleQueryMessage, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::error::{EngineError, Result};
use super::super::expected::ExpectedQuery;
use super::super::served::WriteFacts;
use super::clock::DatabaseClock;
use super::dialect::translate;
use super::expected::{AnsweredQuery, PreparedQuery, answered, ask_together};
use super::failure::{busy, connect_failure, failure, is_connection_lost, unusable};
use super::link;
use super::listen::ChangeCounter;
use super::location::PostgresLocation;
use super::runtime::ConnectionRuntime;
use super::schema::{LOCK_CLASS, MeshSchema, enter};
use super::tls;
use super::values::expected_values;
use crate::platform::clock::monotonic_ms;
use crate::platform::{Fault, FaultKind};

/// A connection that was not used for so long may be lost, and its clock may have moved: the next query begins with a look.
const IDLE_MS: i64 = 1_000;
/// How many statements a connection keeps prepared.
const STATEMENTS_MAX: usize = 512;
/// The time of the server, not before that of the last commit, and the facts of a write.
const FACTS_SQL: &str = "SELECT clock.wall_ms,
    (SELECT value FROM meta WHERE key = 'last_id') AS last_id,
    (SELECT value FROM meta WHERE key = 'swept_at_ms') AS swept_at_ms,
    EXISTS (SELECT 1 FROM wait WHERE event_types IS NOT NULL) AS has_event_wait,
    EXISTS (SELECT 1 FROM question WHERE state = 'open' AND wake = 'none' AND ring_again_at_ms <= clock.wall_ms) AS has_wake_due
    FROM (SELECT greatest(CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT), wall_ms) AS wall_ms FROM commit_mark) AS clock";
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

/// A write that has begun.
pub(super) struct BegunWrite {
    /// The time of the server.
    pub(super) wall_ms: i64,
    pub(super) facts: WriteFacts,
    pub(super) answered: Vec<AnsweredQuery>,
}

/// The answer to the first message of a write: its facts, and the expected queries.
type FirstAnswer = std::result::Result<Option<(Row, Vec<AnsweredQuery>)>, tokio_postgres::Error>;

/// A connection.
pub(in crate::store) struct PostgresConnection {
    pub(super) runtime: ConnectionRuntime,
    pub(super) client: Arc<Client>,
    pub(super) location: PostgresLocation,
    pub(super) mesh: MeshSchema,
    pub(super) changes: ChangeCounter,
    tls: Option<MakeRustlsConnect>,
    pub(super) clock: DatabaseClock,
    statements: RefCell<HashMap<String, Arc<PreparedStatement>>>,
    /// When the server has last answered, by the monotonic clock.
    last_answer_ms: Cell<i64>,
    /// The timeout of locks that this connection has set.
    lock_timeout_ms: Cell<Option<u128>>,
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
        let (client, mesh) = entered.map_err(|error| {
            clock.note_outage();
            error.into_fault()
        })?;
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
            lock_timeout_ms: Cell::default(),
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
        self.clock.note_outage();
        let opened = self.runtime.wait(open(&self.location, self.tls.as_ref()));
        let (client, mesh) = opened?;
        self.client = Arc::new(client);
        self.mesh = mesh;
        self.statements.borrow_mut().clear();
        self.lock_timeout_ms.set(None);
        Ok(())
    }

    /// Sends statements, on a new connection if this one is lost.
    pub(super) fn send_first(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>> {
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
                self.roll_back();
                Err(failure(&self.location, error))
            }
        }
    }

    /// Begins a write: when this returns, no other program writes to the mesh. Returns the time of the server, and its facts.
    pub(super) fn begin_write(
        &mut self,
        lock_timeout: Duration,
        expected: &[ExpectedQuery],
    ) -> Result<BegunWrite> {
        self.reconnect_if_lost()?;
        let begun = match self.try_begin_write(lock_timeout, expected)? {
            Err(error) if is_connection_lost(&error) => {
                self.reconnect()?;
                self.try_begin_write(lock_timeout, expected)?
            }
            begun => begun,
        };
        let (found, answered) = match begun {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.roll_back();
                let (kind, problem, hint) = busy();
                return Err(unusable(&self.location, kind, (&problem, hint)));
            }
            Err(error) => {
                // The transaction that has failed must not stay.
                self.roll_back();
                return Err(failure(&self.location, error));
            }
        };
        let value = |error| failure(&self.location, error);
        let wall_ms = found.try_get("wall_ms").map_err(value)?;
        let facts = WriteFacts {
            last_id: found.try_get("last_id").map_err(value)?,
            swept_at_ms: found.try_get("swept_at_ms").map_err(value)?,
            has_event_wait: found.try_get("has_event_wait").map_err(value)?,
            has_wake_due: found.try_get("has_wake_due").map_err(value)?,
        };
        self.clock.adjust(wall_ms);
        Ok(BegunWrite {
            wall_ms,
            facts,
            answered,
        })
    }

    /// Returns the expected queries, ready to be asked.
    pub(super) fn prepare_expected(
        &self,
        expected: &[ExpectedQuery],
    ) -> Result<Vec<PreparedQuery>> {
        let prepare = |query: &ExpectedQuery| {
            let statement = self.prepared(&query.sql)?;
            let values = expected_values(query, &statement.names)?;
            Ok(PreparedQuery { statement, values })
        };
        expected.iter().map(prepare).collect()
    }

    /// Sends the beginning of a write in one message. Returns `None` if others have the lock and are not waited for.
    fn try_begin_write(
        &mut self,
        lock_timeout: Duration,
        expected: &[ExpectedQuery],
    ) -> Result<FirstAnswer> {
        let timeout_ms = lock_timeout.as_millis().clamp(1, LOCK_TIMEOUT_MS_MAX);
        let wanted = (!lock_timeout.is_zero()).then_some(timeout_ms);
        let key = self.mesh.lock_key;
        let lock = match wanted {
            Some(_) => format!("SELECT pg_advisory_xact_lock({LOCK_CLASS}, {key}) IS NOT NULL"),
            None => format!("SELECT pg_try_advisory_xact_lock({LOCK_CLASS}, {key})"),
        };
        let (lock, facts) = (self.prepared(&lock)?, self.prepared(FACTS_SQL)?);
        let set = wanted
            .filter(|wanted| self.lock_timeout_ms.get() != Some(*wanted))
            .map(|timeout_ms| format!("SET lock_timeout = {timeout_ms}"));
        let client = Arc::clone(&self.client);
        let expected = self.prepare_expected(expected)?;
        let outcome = self.wait(async {
            let set = async {
                match &set {
                    Some(set) => client.batch_execute(set).await,
                    None => Ok(()),
                }
            };
            let (set, begin, lock, facts, rows) = join5(
                set,
                client.batch_execute("BEGIN"),
                client.query_one(&lock.statement, &[]),
                client.query_one(&facts.statement, &[]),
                ask_together(&client, &expected),
            )
            .await;
            set?;
            begin?;
            let is_locked = lock?.try_get::<_, bool>(0)?;
            let (facts, rows) = (facts?, rows?);
            Ok(is_locked.then_some((facts, rows)))
        });
        if outcome.is_ok() && wanted.is_some() {
            self.lock_timeout_ms.set(wanted);
        }
        Ok(outcome.map(|found| found.map(|(facts, rows)| (facts, answered(expected, rows)))))
    }

    fn roll_back(&self) {
        let client = Arc::clone(&self.client);
        let _ = self.wait(client.batch_execute("ROLLBACK"));
    }

    /// Asks for the time, if the connection was idle; it is also seen whether it is lost.
    pub(super) fn look_after_idle(&mut self) -> Result<()> {
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

    pub(super) fn query_number(&mut self, sql: &str) -> Result<i64> {
        let answer = self.send_first(sql)?;
        let number = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        number.ok_or_else(EngineError::no_row)
    }
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
