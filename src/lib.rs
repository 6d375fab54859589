//! claude-mesh: one Claude Code session asks another and gets the answer as the result of the call.
//!
//! The layers from the top: the programs for people (`cli`), for other machines (`hub`) and at other machines (`remote`), for
//! models and hooks (`mcp`, `hooks`, `setup`), then `tools`, `mesh`, `store` beside `wake`, `claude_code`, `model`, `platform`. A layer uses only layers below it; `tests/layers.rs` checks it.
//! `ARCHITECTURE.md` has the picture and the glossary.
//!
//! The lint `missing_docs` guards the layers that programs use as a library. A field or variant whose comment could only
//! repeat its name has none; its type says so with `#[expect(missing_docs)]`.

#[warn(missing_docs)]
pub mod claude_code;
#[warn(missing_docs)]
pub mod mesh;
#[warn(missing_docs)]
pub mod model;
#[warn(missing_docs)]
pub mod platform;
#[warn(missing_docs)]
pub mod store;
#[warn(missing_docs)]
pub mod wake;

pub mod hooks;
pub mod setup;
pub mod tools;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "hub")]
pub mod hub;
#[cfg(feature = "server")]
pub mod mcp;
#[cfg(feature = "remote")]
pub mod remote;
