//! The hook that Claude Code runs before it edits a file: denies the edit if another session has claimed the file.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::run(claude_mesh::hooks::claim_guard)
}
