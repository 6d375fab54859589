//! Defines the nouns of the mesh, such as peer, question and claim: plain data and pure rules. Nothing here reads a file, a
//! clock or the environment.
//!
//! *Purpose:* what follows from values alone, such as the next step of a task, is decided here, once for all operations.
//! *Why not otherwise:* a rule that needs no database can be tested by a function call.

#[cfg(feature = "hub")]
pub mod access_key;
pub mod activity_summary;
pub mod answer_similarity;
pub mod claim;
pub mod elapsed;
pub mod event;
pub mod expertise;
pub mod fork;
pub mod git_command;
#[cfg(feature = "cli")]
pub(crate) mod key_text;
pub mod memory;
pub mod message;
pub mod peer;
pub mod person;
pub mod question;
pub mod refusal;
pub mod secret;
mod shell_command;
pub mod state;
mod state_entry;
pub mod task;
pub mod text_checks;
pub mod throttle;
pub mod tokenize;
mod word_beginnings;

pub use claim::{ClaimMode, ClaimState};
pub use event::{Event, EventKind};
pub use git_command::GitCommand;
pub use message::{MessageType, Recipient, Topic};
pub use peer::{Activity, Liveness, PeerKind, PeerName};
pub use question::{AnsweredBy, DeliveryStatus, QuestionState, WakeState};
pub use refusal::{Error, Refusal, Result};
pub use task::{Priority, TaskStatus};
