//! The hub: one optional process that offers the meshes of a user over HTTP, to browsers, scripts, MCP clients and other
//! machines.
//!
//! It opens the same database files as every other program and keeps no state of its own, so it may be killed at any time:
//! the sessions of this machine work on without it. A caller has a key, and the key a peer; the hub registers that peer as a
//! session of its own process, so that waits, doorbells and claims work as for any session.

mod api_error;
mod authenticate;
mod background_work;
mod caller;
mod connection;
mod descriptor_limit;
mod event_feed;
mod event_stream;
#[cfg(fuzzing)]
pub mod fuzz_entry;
mod host_caller;
mod hub_files;
mod hub_mesh;
mod hub_session;
mod key_uses;
mod known_state;
mod local_key;
mod log;
mod mcp_endpoint;
mod mesh_listener;
mod mesh_path;
mod mesh_pool;
mod operations;
mod page;
mod port_owner;
mod remote;
mod remote_calls;
mod request_log;
mod requests_in_use;
mod routes;
mod running_calls;
mod running_hub;
mod safety;
mod serve;
mod serve_error;
mod state;
mod tls;

pub use hub_files::{StoreRecord, board_page_path, log_path, remove_board_pages};
pub use local_key::HTTP_LOCAL_PEER;
pub use running_hub::{RunningHub, find_running_hub};
pub use safety::SafetyOptions;
#[cfg(feature = "postgres")]
pub use serve::HubStore;
pub use serve::{ServeOptions, serve};
pub use serve_error::ServeError;
pub use tls::TlsFiles;
