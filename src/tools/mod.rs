//! The tools of the mesh, independent of the program that offers them: each is one entry with name, description, schema and
//! handler, and the JSON of its results.
//!
//! A handler is synchronous: it reads the arguments and returns an operation, which the program runs step by step. The MCP
//! server does it in its async runtime. [`output`] has the JSON of the nouns, which the command line and the hooks use too.

pub mod output;

#[cfg(feature = "server")]
mod all_tools;
#[cfg(feature = "server")]
mod argument_error;
#[cfg(feature = "server")]
mod arguments;
#[cfg(feature = "server")]
mod ask;
#[cfg(feature = "server")]
mod ask_result;
#[cfg(feature = "server")]
mod async_driver;
#[cfg(feature = "server")]
mod call;
#[cfg(feature = "server")]
mod claim;
#[cfg(feature = "server")]
mod entry;
#[cfg(feature = "server")]
mod error;
#[cfg(feature = "server")]
mod event;
#[cfg(feature = "server")]
mod fork;
#[cfg(feature = "server")]
mod inbox;
#[cfg(feature = "server")]
mod memory;
#[cfg(feature = "server")]
mod message;
#[cfg(feature = "server")]
mod parameters;
#[cfg(feature = "server")]
mod peer;
#[cfg(feature = "server")]
mod prior_answers;
#[cfg(feature = "server")]
mod result_budget;
#[cfg(feature = "server")]
mod results;
#[cfg(feature = "server")]
mod schema;
#[cfg(feature = "server")]
mod state;
#[cfg(feature = "server")]
mod status;
#[cfg(feature = "server")]
mod task;

#[cfg(feature = "server")]
pub use all_tools::{INSTRUCTIONS, entries, find};
#[cfg(feature = "server")]
pub use arguments::read as read_arguments;
#[cfg(feature = "hub")]
pub(crate) use ask::awaited_questions;
#[cfg(feature = "hub")]
pub(crate) use async_driver::pause_before_retry;
#[cfg(feature = "server")]
pub use async_driver::{AsyncCaller, BUSY_TIMEOUT, retry_while_busy, run_operation};
#[cfg(feature = "server")]
pub use call::{CallContext, Operation, ProgressReport, Step, ToolCall, single_step};
#[cfg(feature = "server")]
pub use entry::{Effect, JsonObject, ToolEntry};
#[cfg(feature = "server")]
pub use error::{OUTCOME_UNKNOWN, error_body, unreadable_settings_body};
#[cfg(feature = "hub")]
pub(crate) use inbox::ReplyDraft;
#[cfg(feature = "server")]
pub use result_budget::CHARS_MAX;
#[cfg(feature = "server")]
pub use schema::schema_of;
