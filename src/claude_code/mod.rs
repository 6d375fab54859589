//! Reads and writes the formats of Claude Code for all other layers: session registry, inbox socket, versions, settings
//! files, hook events and hook output.
//!
//! No other module knows these formats, so that a new version of Claude Code is a change in this folder. What the mesh does
//! with them is not decided here.
mod hook_event;
mod hook_output;
mod hook_payload;
mod inbox_rate_limit;
mod registry;
mod session_process;
mod settings_files;
mod versions;
mod wake_line;

pub use hook_event::{HookEvent, Prompt};
pub use hook_output::HookOutput;
pub use hook_payload::{HookPayload, ToolInput};
pub use inbox_rate_limit::InboxRateLimit;
pub use registry::{RegistryEntry, registry_entry, registry_folder};
pub use session_process::find_session_ancestor;
pub(crate) use settings_files::{
    ASYNC_REWAKE, HookEntry, HookGroup, HooksFile, LOCAL_SETTINGS_FILE, MANAGED_SETTINGS_FILE,
    PROJECT_SETTINGS_DIR, SETTINGS_FILE, ServerEntry, refuses_inbound,
};
pub use settings_files::{
    INBOX_POLICY_KEY, INBOX_POLICY_REFUSE, find_answer_restriction, find_inbound_refusal,
};
pub use versions::{has_inbox, has_mods};
pub use wake_line::{wake_line_frames, wake_line_nonce, wake_line_text};
