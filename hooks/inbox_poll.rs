//! The hook that Claude Code runs when a prompt is submitted or a turn ends: shows the model what is pending for the session.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::run(claude_mesh::hooks::inbox_poll)
}
