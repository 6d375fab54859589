//! claude-mesh: one Claude Code session asks another and gets the answer as the result of the call.
pub mod ground;
pub mod hooks;
pub mod mesh;
pub mod model;
pub mod setup;
pub mod store;
pub mod wake;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "server")]
pub mod mcp;
