//! The MCP server: the tools of the mesh for a model, over stdin and stdout.
//!
//! *Purpose:* one process per client session, started and ended by it; it sits down for the session, waits for answers in
//! blocking calls, and leaves when the client is gone.
//! *Why not otherwise:* nothing depends on the handshake: a client may speak revision 2026-07-28, which has none, and
//! `claude mcp list` starts servers only to look at them. So the server sits down when its client is known to be a
//! session, or at the first tool call, and writes nothing before. One thread, no timer while nobody waits.

mod claim_queue_watcher;
mod framing;
mod inbox_waker;
mod lifecycle;
mod malformed_frames;
mod pre_init_filter;
mod progress;
mod server;
mod session_state;
mod tool_call;
mod tool_list;

use std::process::ExitCode;

pub use tool_list::tool_list;

/// Runs the server on stdin and stdout until its client is gone.
pub fn run() -> ExitCode {
    lifecycle::run()
}
