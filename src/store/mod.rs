//! Stores the mesh in one SQLite file that all programs open directly. All SQL of the project is here.
//!
//! *Purpose:* a database without a daemon. It is in WAL mode, each operation is one short transaction, a write begins
//! `IMMEDIATE` so that the lock is taken where the code says so, and ids are made inside the transaction, so that their
//! order is the commit order.
//! *Why not otherwise:* SQLite's own busy handler starves writers under load, so they wait in a fair `write_queue`. A hook that closes last would pay for a checkpoint, so hooks close without one. A file created in place could
//! be opened half-written, so it is created under another name and linked into place.
//!
//! [`Store`] opens a database and runs transactions ([`Tx`]). Each file named after a table adds the statements on it to
//! `Tx` and the types of its rows. Rows are read by column name.

#[cfg(feature = "hub")]
mod access_key;
mod background_checkpoint;
mod backup;
mod backup_files;
#[cfg(feature = "hub")]
mod board_link;
mod busy_handler;
mod claim;
mod columns;
mod connect;
#[cfg(feature = "postgres")]
mod copy;
mod counters;
mod create;
mod database;
mod database_path;
mod delivery;
mod engine;
mod erased_words;
mod event;
mod expertise;
mod fault;
mod fencing_token;
mod file_database;
mod file_header;
mod file_lock;
mod filesystem_check;
mod fork;
mod fts_erase;
mod fts_merge;
mod held_question;
#[cfg(feature = "hub")]
mod idempotency;
#[cfg(feature = "hub")]
mod lease;
mod memory;
mod memory_index;
mod memory_range;
mod memory_search;
mod message;
mod migrate;
mod moved_mark;
mod new_pending;
#[cfg(test)]
mod open_tests;
mod peer;
#[cfg(feature = "postgres")]
mod postgres_store;
mod prior_answers;
#[cfg(test)]
mod query_plan_tests;
mod question;
mod question_list;
mod recovery_hints;
mod restore;
mod retention;
#[cfg(feature = "cli")]
mod salvage;
mod schema;
mod search_syntax;
mod secure_erase;
mod session;
mod sql_types;
mod state;
mod task;
mod ticket_file;
mod transaction;
mod wait;
mod wal;
mod write_queue;

#[cfg(feature = "hub")]
pub(crate) use access_key::NewKey;
pub use backup::BackupCopy;
pub use claim::{Claim, NewClaim};
pub use connect::Options;
#[cfg(feature = "postgres")]
pub use copy::{CopiedTable, MeshCopy};
#[cfg(feature = "hub")]
pub use database::ChangeMark;
pub use database::Store;
pub use database_path::check_database_path;
#[cfg(feature = "postgres")]
pub use engine::postgres::{
    ChangeCounter, DatabaseClock, ExtensionState, PasswordSource, PostgresListener,
    PostgresLocation, SchemaReport, ServedMeshReport, ServerReport,
};
pub(crate) use erased_words::ErasedWords;
pub use file_lock::{ExclusiveUseError, FileUser};
pub(crate) use fts_merge::FtsIndex;
#[cfg(feature = "hub")]
pub(crate) use idempotency::StoredRequest;
pub use memory::Memory;
pub(crate) use memory::{MESH_SCOPE, NewMemory};
pub(crate) use memory_range::MemoryRange;
pub use memory_search::MemoryMatch;
pub(crate) use memory_search::MemorySearch;
pub use message::{
    IdempotencyMatch, Message, MessageListing, MessageTarget, NewMessage, PendingFlags,
};
pub use moved_mark::MovedMark;
pub(crate) use new_pending::PeersWithNewPending;
pub use peer::{NewPeer, Peer};
pub(crate) use peer::{PeerChanges, ProjectDetails};
pub(crate) use prior_answers::AnswerRange;
pub use prior_answers::StoredAnswer;
pub(crate) use question::NewAnswer;
pub use question::{NewQuestion, Question, QuestionDelivery};
pub use recovery_hints::recovery_hint;
pub use restore::{Restored, restore};
pub use retention::Reclaimed;
#[cfg(feature = "cli")]
pub use salvage::{Salvaged, SalvagedTable, damaged_parts, salvage};
pub use schema::{Migration, Schema, version};
pub use session::{NewSession, ProcessLocation, Session, WakeAttempt};
pub use task::{Task, TaskListing};
pub use transaction::Tx;
