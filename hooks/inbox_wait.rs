//! The hook that Claude Code runs beside an idle session without waiting for it: wakes the session when a question comes.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::wait(claude_mesh::hooks::inbox_wait)
}
