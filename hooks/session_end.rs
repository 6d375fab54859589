//! The hook that Claude Code runs when a session ends: unregisters the session.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::run(claude_mesh::hooks::session_end)
}
