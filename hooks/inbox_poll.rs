//! Claude Code runs this when a prompt is submitted or a turn ends: it puts what is pending for the session before its model.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::run(claude_mesh::hooks::inbox_poll)
}
