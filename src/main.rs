//! `claude-mesh`, the command line for people: asks and answers sessions, shows the mesh, installs claude-mesh.
use std::process::ExitCode;

fn main() -> ExitCode {
    claude_mesh::cli::run()
}
