//! Claude Code runs this before an edit: it denies the edit of a file that another session has claimed.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::run(claude_mesh::hooks::claim_guard)
}
