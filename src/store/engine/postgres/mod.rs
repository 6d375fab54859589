//! PostgreSQL as the store of a mesh: one schema of a database is one mesh.
//!
//! *Purpose:* several hubs use the same mesh, and the database is operated by those who operate others.
//!
//! A write operation holds the advisory lock of its mesh from its first statement to its commit, so ids, the numbers of the
//! event log and all that is decided in an operation have the order of the commits, as in a file. Its statements are READ
//! COMMITTED: a snapshot of the whole transaction would be older than the lock. A query sees one state: REPEATABLE READ.
//! What a commit wakes is sent with it, by NOTIFY on one channel of the mesh. Statements whose outcome nobody reads are sent
//! together with the next one that is read.
//!
//! *Why not otherwise:* serializable transactions would have to be repeated, and an operation is not written for that. A
//! sequence leaves gaps, so events get their numbers from a row. A connection has its own runtime of one thread, which runs
//! while a caller waits: a task in another thread would cost two switches for each statement.

mod clock;
mod connection;
mod database;
mod dialect;
mod expected;
mod failure;
mod inspect;
mod link;
mod listen;
mod location;
mod password;
mod runtime;
mod schema;
mod tls;
mod transaction;
mod values;

pub use clock::DatabaseClock;
pub(in crate::store) use connection::PostgresConnection;
pub use inspect::{ExtensionState, SchemaReport, ServedMeshReport, ServerReport};
pub use listen::{ChangeCounter, PostgresListener};
pub use location::PostgresLocation;
pub use password::PasswordSource;
