//! Claude Code starts this beside every session: the tools of the mesh, over stdin and stdout.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::mcp::run()
}
