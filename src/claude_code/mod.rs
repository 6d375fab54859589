//! Claude Code's own formats: session registry, inbox socket, versions. The only module that knows them.

pub mod client;
