//! The MCP server: the tools of the mesh for a model, over stdin and stdout.
//!
//! *Purpose:* one process per client session, started and ended by it; it sits down for the session, waits for answers in
//! blocking calls, and leaves when the client is gone.
//! *Why not otherwise:* nothing depends on the handshake: a client may speak revision 2026-07-28, which has none, and
//! `claude mcp list` starts servers only to look at them. So the server sits down when its client is known to be a
//! session, or at the first tool call, and writes nothing before. One thread, no timer while nobody waits.

mod arguments;
mod life;
mod refusals;
mod results;
mod server;
mod station;
mod tools;
mod waiting;

use std::io::Write;
use std::process::ExitCode;

pub use tools::{INSTRUCTIONS, tool_list};

/// Runs the server on stdin and stdout until its client is gone.
pub fn run() -> ExitCode {
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "--version")
    {
        // For people and for `claude-mesh doctor`; the protocol has not begun.
        let line = format!("claude-mesh-server {}\n", env!("CARGO_PKG_VERSION"));
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
        return ExitCode::SUCCESS;
    }
    life::run()
}
