//! The hub: one optional process that offers the meshes of a user over HTTP, to browsers, scripts, MCP clients and other
//! machines.
//!
//! It opens the same database files as every other program and keeps no state of its own, so it may be killed at any time:
//! the sessions of this machine work on without it. A caller has a key, and the key a peer; the hub registers that peer as a
//! session of its own process, so that waits, doorbells and claims work as for any session.

mod api_error;
mod authenticate;
mod caller;
mod descriptor_limit;
mod event_feed;
mod event_stream;
mod hub_mesh;
mod hub_session;
mod mesh_path;
mod operations;
mod page;
mod request_log;
mod routes;
mod serve;
mod state;

pub use serve::{ServeError, ServeOptions, serve};
