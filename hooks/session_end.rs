//! Claude Code runs this when a session ends: it leaves its mailbox.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::run(claude_mesh::hooks::session_end)
}
