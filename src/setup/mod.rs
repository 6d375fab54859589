//! Adds claude-mesh to the files of Claude Code and removes it again.
//!
//! These files belong to the user, so an install has three steps: `file_edits` says what a file must hold and changes nothing
//! else in its text (`json_text`), `plan` computes the next content of every file before the first is written, and
//! `replace_with_backup` replaces a file by one rename, beside a backup. `inspect` only reads, for `doctor`. `clients` has the
//! configuration of other MCP clients, `client_hooks` their hooks; `codex_config` edits the one that is TOML.
//!
//! Why not `claude mcp add`: it starts the server to test it, knows nothing of hooks and permissions, and refuses an entry
//! that is there. Why no lock: Claude Code's own lock on its files is not documented. Instead a file is read again right
//! before its rename, and planned again if it has changed.
//!
//! Nothing here reads the environment, prints or asks: paths come in, a plan or findings go out.
mod client_hooks;
mod clients;
mod codex_config;
mod entries;
mod error;
mod file_edits;
mod finding;
#[cfg(fuzzing)]
pub mod fuzz_entry;
mod hook_edits;
mod hooks_check;
mod inspect;
mod install_paths;
mod json_items;
mod json_text;
mod layout;
mod mod_check;
mod mod_files;
mod mod_settings;
mod parse_error;
mod permission_rules;
mod plan;
mod plugin_check;
mod program_path;
mod redact;
mod replace_with_backup;
mod server_edits;
mod settings_edits;
mod wired_state;

pub use crate::setup::settings_edits::{InstallOptions, WakeMethod};
pub use clients::{CLIENTS, ClientConfig};
pub use error::InstallError;
pub use finding::{Finding, Severity};
pub use inspect::{enabled_plugin, has_mod, has_waiting_hook, inspect, wired_folders};
pub use install_paths::{InstallPaths, InstallScope};
pub use plan::{
    AppliedChanges, ApplyError, FileChange, Plan, WrittenFile, install, install_client, uninstall,
    uninstall_client,
};
pub use plugin_check::EnabledPlugin;
pub use redact::redact;
