//! Claude Code runs this before it edits a file: an edit of a file that another session has claimed is denied.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::run(claude_mesh::hooks::claim_guard)
}
