//! The program of a session whose mesh is at a hub: an MCP server over stdio that speaks to the hub over HTTP, and answers the
//! hooks of its session from memory.
//!
//! *Purpose:* sessions of many machines share one mesh. Only this program has an HTTP client and TLS; `claude-mesh-server` turns
//! into it (`exec`) where a wall names a hub, and hooks ask it by a socket.
//! *Why not otherwise:* the boundary lies at the tool call and at the hook, not at the SQL statement: each takes one round
//! trip, or none.

mod arguments;
mod call;
mod call_wait;
mod certificates;
mod command;
mod command_call;
#[cfg(fuzzing)]
pub mod fuzz_entry;
mod hook_answer;
mod hook_socket;
mod hub_client;
mod hub_error;
mod link;
mod mirror;
mod mirror_state;
#[cfg(test)]
mod mirror_tests;
mod mod_calls;
mod program;
mod refused_certificate;
mod registration;
mod resolver;
mod server;
mod spool;
mod spool_sender;
mod stream;
mod tool_result;
mod undelivered;
mod unsettled;
mod verb_queue;
mod verb_sender;
mod waiting_hook;
mod wake;

pub use command::{HubCommand, HubCommandOutcome};
pub use hub_client::{HubDescription, probe, verify};
pub use hub_error::{HubError, HubRefusal};
pub use program::run;
pub use spool::{SpooledReplies, spooled_replies};
