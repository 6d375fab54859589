//! The MCP server: offers the tools of the mesh to a model, over stdin and stdout.
//!
//! *Purpose:* one process for each client session, started and ended by it. It registers the session, waits in blocking
//! calls, wakes the session when something is pending, and unregisters it when the client has ended.
//! *Why not otherwise:* nothing depends on the handshake: a client may speak revision 2026-07-28, which has none, and
//! `claude mcp list` starts servers only to inspect them. So the server registers when its client is known to be a
//! session, or at the first tool call, and writes nothing before. One thread, no timer while nobody waits.

mod claim_queue_watcher;
mod codex_queue;
mod delivery_socket;
mod framing;
#[cfg(fuzzing)]
pub mod fuzz_entry;
mod guard_socket;
mod inbox_waker;
mod malformed_frames;
mod own_connection;
mod pre_init_filter;
mod process_lifecycle;
mod remote_program;
mod server;
mod server_faults;
mod session_state;
mod timer;
mod tool_call;
mod tool_list;
mod tool_server;

use std::process::ExitCode;

#[cfg(feature = "remote")]
pub(crate) use guard_socket::serve_guard;
#[cfg(feature = "remote")]
pub(crate) use inbox_waker::{
    NO_SOCKET, WakeLine, inbox_socket, post_wake_line, run_notify_program, wake_text,
};
#[cfg(feature = "hub")]
pub(crate) use malformed_frames::{
    ErrorReply, read as read_message, replace_lone_surrogates as repaired_message,
};
#[cfg(feature = "remote")]
pub(crate) use own_connection::{accept_own, listen_for_client};
#[cfg(feature = "remote")]
pub(crate) use process_lifecycle::serve_until_end;
#[cfg(feature = "remote")]
pub(crate) use session_state::is_claude;
#[cfg(feature = "remote")]
pub(crate) use tool_call::is_from_plugin;
pub use tool_list::tool_list;
#[cfg(feature = "hub")]
pub(crate) use tool_server::{
    ToolBackend, ToolServer, failure, find_tool, result_of, send_progress,
};

/// Runs the server on stdin and stdout until its client has ended.
pub fn run() -> ExitCode {
    process_lifecycle::run()
}
