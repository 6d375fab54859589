//! The hook that Claude Code runs when a session starts: registers the session and tells its model which peers are present.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::run(claude_mesh::hooks::session_start)
}
