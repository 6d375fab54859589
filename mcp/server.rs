//! The MCP server that Claude Code starts for each session: offers the tools of the mesh over stdin and stdout.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::mcp::run()
}
