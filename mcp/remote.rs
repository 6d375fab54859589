//! The MCP server of a session whose mesh is at a hub on another machine: offers the tools of the mesh over stdin and stdout.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::remote::run()
}
