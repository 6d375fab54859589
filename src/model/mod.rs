//! The nouns of the mesh: plain data and pure rules. Nothing here reads a file, a clock or the environment.
//!
//! *Purpose:* what a peer, a question and an event are, and what follows from their values alone.
//! *Why not otherwise:* a rule that needs no database can be tested as a function call.

pub mod activity;
pub mod answer_similarity;
pub mod claim;
pub mod elapsed;
pub mod event;
pub mod expertise;
pub mod memory;
pub mod message;
pub mod peer;
pub mod question;
pub mod refusal;
pub mod secret;
pub mod state;
mod state_entry;
pub mod task;
pub mod throttle;
pub mod tokenize;
pub mod validate;

pub use crate::model::question::{AnsweredBy, DeliveryStatus, QuestionState, WakeState};
pub use claim::{ClaimMode, ClaimState};
pub use event::{Event, EventKind};
pub use message::{MessageType, Recipient, Topic};
pub use peer::{Activity, Liveness, PeerKind, PeerName};
pub use refusal::{Error, Refusal, Result};
pub use task::{Priority, TaskStatus};
