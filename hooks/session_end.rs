//! Claude Code runs this when a session ends: it unregisters the session.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::run(claude_mesh::hooks::session_end)
}
