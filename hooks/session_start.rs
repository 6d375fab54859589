//! Claude Code runs this when a session starts: it sits down at its mailbox and its model is told who else is here.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::run(claude_mesh::hooks::session_start)
}
