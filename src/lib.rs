//! claude-mesh: one Claude Code session asks another and gets the answer as the result of the call.
pub mod claude_code;
pub mod hooks;
pub mod mesh;
pub mod model;
pub mod platform;
pub mod setup;
pub mod store;
pub mod tools;
pub mod wake;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "server")]
pub mod mcp;
