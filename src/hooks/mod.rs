//! The programs that Claude Code runs at its own events: session start, prompt, end of a turn, session end; on request also
//! before an edit.
//!
//! They give a model its name and what is pending for it, and continue a turn that would end while a question is
//! unanswered. A user waits for each of them, so a hook does as little as possible: it has no async runtime and no watcher,
//! runs no migration and starts no process. Its stdout goes into the context of the model, so it prints one JSON object or
//! nothing. A fault goes to the fault log, and the exit status is 0.
//!
//! The Codex CLI and Gemini CLI run them too, with an argument that says so (`other_client`).
//!
//! The waiting hook, `inbox_wait`, is installed on request. It runs beside the idle session and nobody waits for it. It
//! alone has a watcher, and it alone exits with 2, which wakes the session with the text on stderr.
mod activity;
mod budgeted_text;
mod call;
mod calm;
mod claim_guard;
mod delivery;
mod hook_mesh;
mod inbox_poll;
#[cfg(feature = "watcher")]
mod inbox_wait;
mod message;
mod other_client;
mod program;
mod prompt;
mod prompt_text;
mod quoted_block;
mod server_delivery;
mod session_end;
mod session_socket;
mod session_start;
mod stop;
#[cfg(feature = "watcher")]
mod waiting_hook;

#[cfg(any(feature = "server", feature = "remote"))]
pub(crate) use activity::record as record_activity;
pub use call::HookCall;
pub use claim_guard::claim_guard;
#[cfg(feature = "remote")]
pub(crate) use hook_mesh::HookMesh;
#[cfg(any(feature = "server", feature = "remote"))]
pub(crate) use inbox_poll::deliver;
pub use inbox_poll::inbox_poll;
#[cfg(feature = "watcher")]
pub use inbox_wait::inbox_wait;
#[cfg(any(feature = "server", feature = "remote"))]
pub(crate) use program::EVENT_BYTES_MAX;
#[cfg(feature = "watcher")]
pub use program::wait;
pub use program::{HookAnswer, HookFn, run};
#[cfg(feature = "server")]
pub(crate) use server_delivery::DeliveryHead;
pub use server_delivery::ServerDelivery;
pub use session_end::session_end;
#[cfg(feature = "remote")]
pub(crate) use session_socket::HookRequest;
pub use session_start::session_start;
#[cfg(feature = "remote")]
pub(crate) use session_start::{StartText, text_before_hub};
#[cfg(feature = "remote")]
pub(crate) use waiting_hook::wake_text;
