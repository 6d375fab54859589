//! What a client of a database server does for a store.
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use super::error::Result;
use super::expected::ExpectedQuery;
use super::params::Values;
use super::row::ServedRow;
use crate::platform::Moment;

/// What a transaction is for.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Access {
    /// It waits at most `lock_timeout` until it is the only one that writes.
    Write { lock_timeout: Duration },
    /// It sees one state.
    Read,
}

/// A transaction that has begun.
pub(in crate::store) struct Begun<'a> {
    pub(in crate::store) transaction: Box<dyn ServedTransaction + 'a>,
    /// The time of the server.
    pub(in crate::store) now: Moment,
    /// Of a write.
    pub(in crate::store) facts: Option<WriteFacts>,
    /// Since when the server was away, of a write, if nothing has been written since.
    pub(in crate::store) outage_since_ms: Option<i64>,
}

/// What the message that begins a write also returns, because every write would ask for it. Nobody else changes it before the
/// commit.
#[derive(Debug)]
pub(in crate::store) struct WriteFacts {
    /// The last id of the mesh.
    pub(in crate::store) last_id: Option<String>,
    /// When expired rows were last deleted, as `meta` has it.
    pub(in crate::store) swept_at_ms: Option<String>,
    /// Whether a call waits for events.
    pub(in crate::store) has_event_wait: bool,
    /// Whether the wake-up for a question is due again.
    pub(in crate::store) has_wake_due: bool,
}

/// A connection to a mesh on a database server.
pub(in crate::store) trait ServedDatabase: Debug + Send {
    /// Begins a transaction, on a new connection if the last one was lost. A write asks the expected queries with its first
    /// message.
    fn begin(&mut self, access: Access, expected: Vec<ExpectedQuery>) -> Result<Begun<'_>>;

    /// Notes that the server is away, or stores nothing.
    fn note_outage(&self);

    /// Forgets an outage after which a write has extended the leases.
    fn end_outage(&self, since_ms: i64);

    /// Returns where it is, without user and password.
    fn place(&self) -> String;

    /// Returns the version of the schema.
    fn version(&self) -> u32;

    /// Returns a number that another commit changes, and whether it counts commits that this process has heard of, or those
    /// that the server has.
    fn change_count(&mut self) -> Result<(bool, i64)>;

    /// Returns how many bytes the mesh occupies.
    fn size_bytes(&mut self) -> Result<u64>;

    /// Refreshes the statistics of the query planner.
    fn optimize(&mut self) -> Result<()>;
}

/// The rows of a query, fetched in chunks.
pub(in crate::store) trait ServedRows {
    /// Returns the next rows; none after the last.
    fn next_chunk(&mut self) -> Result<Vec<ServedRow>>;
}

/// A transaction on a database server. It is rolled back when it is dropped without a commit.
pub(in crate::store) trait ServedTransaction: Debug {
    /// Returns the names of the columns that a statement has.
    fn columns(&self, sql: &str) -> Result<Arc<[String]>>;

    /// Runs a statement and returns its rows.
    fn query(&self, sql: &str, values: Values<'_>) -> Result<Vec<ServedRow>>;

    /// Runs a query whose rows may be many. The first rows are fetched with it, the others when they are asked for.
    fn query_in_chunks(&self, sql: &str, values: Values<'_>) -> Result<Box<dyn ServedRows + '_>>;

    /// Runs a statement and returns the number of rows that it changed.
    fn execute(&self, sql: &str, values: Values<'_>) -> Result<usize>;

    /// Runs a statement whose outcome is not read. It may be sent later, with the next one that is read, and fail then.
    fn run(&self, sql: &str, values: Values<'_>) -> Result<()>;

    /// Runs statements without values, as `run` does.
    fn execute_batch(&self, sql: &str) -> Result<()>;

    /// Asks queries together, whose rows are wanted soon. What the transaction changes before that makes them worthless.
    fn expect(&self, queries: Vec<ExpectedQuery>) -> Result<()>;

    /// Commits, and wakes sessions as a part of that.
    fn commit(self: Box<Self>, wake: &[String]) -> Result<()>;
}
