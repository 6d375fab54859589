//! Claude Code runs this when a prompt is submitted or a turn ends: what waits for the session is put before its model.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::run(claude_mesh::hooks::inbox_poll)
}
