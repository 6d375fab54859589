//! The program for people: ask a session, answer it, look around, wire claude-mesh into Claude Code.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::cli::run()
}
