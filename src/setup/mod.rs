//! Wiring claude-mesh into Claude Code, and taking it out again.
//!
//! These are other people's files, so the room works in three steps: `wiring` says what a file should hold and
//! changes nothing but that in the text (`json_text`), `plan` works out every file before the first is written,
//! `disk` replaces a file in one rename beside a backup. `inspect` only looks. `clients` only tells what clients of another
//! make want.
//!
//! Why not `claude mcp add`: it starts the server to try it, knows nothing of hooks and permissions, and refuses a
//! second time. Why no lock: Claude Code's own lock on its files is not documented; instead a file is read again
//! right before its rename and worked out anew if it has changed.
//!
//! Nothing here looks at the environment, prints or asks: the places come in, a plan or findings go out.
mod atomic_write;
mod clients;
mod entries;
mod error;
mod hook_wiring;
mod inspect;
mod json_items;
mod json_text;
mod layout;
mod parse_error;
mod permission_rules;
mod places;
mod plan;
mod redact;
mod server_wiring;
mod wired_state;
mod wiring;

pub use clients::{CLIENTS, ClientConfig};
pub use error::Error;
pub use inspect::{Finding, Severity, has_rewake_hook, inspect};
pub use places::{InstallPaths, InstallScope};
pub use plan::{AppliedChanges, ApplyError, FileChange, Plan, WrittenFile, install, uninstall};
pub use redact::redact;
pub use wiring::{InstallOptions, WakeMethod};
