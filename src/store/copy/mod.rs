//! Copies a whole mesh between a file and a database server, for `claude-mesh move` and the backup of a served mesh.
//!
//! *Purpose:* the source is read in one transaction and the target is written in one, so what is copied is one state, and a
//! copy that fails leaves the target as it was. Before the commit each table is read back and compared: its number of rows and
//! a digest of them.
//! *Why not otherwise:* a dump in a format of its own would have to be parsed again, and the tools of the two engines do not
//! read each other's. The columns are those that the file has, so a new column is copied without a change here.
//!
//! Registered sessions, their waits and their claims stay behind: they belong to processes that use the source. Fencing tokens
//! and all counters continue.

mod digest;
mod host_names;
mod mesh_copy;
mod rows;
mod table;

pub use mesh_copy::{CopiedTable, MeshCopy};
