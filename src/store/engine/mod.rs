//! The seam under the SQL of the store: statements are written once, and run on the SQLite file of a mesh or on a database
//! server.
//!
//! *Purpose:* the other files of `store` use the types of this module, whose methods are named as those of rusqlite. The file
//! is called directly, after one branch that is always predicted, so a hook pays nothing for what it does not use. A database
//! server is behind a trait object; a program that never connects to one does not link its client.
//! *Why not otherwise:* a type parameter for the engine would be part of every signature of `mesh`, and a query builder would
//! be a second language for the same statements. What a value can be, and how ids become values, is what rusqlite defines:
//! every program links it anyway.
//!
//! Statements are written in the SQL of SQLite, where possible in what both engines understand: `ON CONFLICT`, `coalesce`,
//! `IS NOT DISTINCT FROM`. Where few words differ, the client of the server
//! translates them. Statements of which no common form exists
//! (full-text search, what is about files) ask [`Transaction::file`].
#![cfg_attr(
    not(feature = "postgres"),
    allow(dead_code, reason = "only a database server needs all of it")
)]

pub(super) mod error;
mod expected_query;
mod params;
#[cfg(feature = "postgres")]
pub(super) mod postgres;
mod query_recorder;
mod row;
mod served;
mod statement;
mod transaction;

pub(super) use error::{EngineError, OptionalExtension, Result};
pub(super) use expected_query::ExpectedQuery;
pub(super) use params::Params;
pub(super) use query_recorder::QueryRecorder;
pub(super) use row::Row;
pub(super) use served::{Access, ServedDatabase, WriteFacts};
pub(super) use transaction::Transaction;
