//! Claude Code runs this beside an idle session without waiting for it: it waits, and wakes the session when it is asked.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::wait(claude_mesh::hooks::inbox_wait)
}
