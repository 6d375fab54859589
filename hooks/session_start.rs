//! Claude Code runs this when a session starts: it registers the session and tells its model who else is here.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::hooks::run(claude_mesh::hooks::session_start)
}
