//! The operations of the mesh: register, ask, wait, answer, claim, and the others. Each one is one transaction, its events,
//! and the sessions to wake.
//!
//! *Purpose:* the rules of the mesh, the same for every program. A [`Mesh`] is one open database file; a [`Member`] is a
//! registered session that can wait, for programs that use the library alone.
//! *Why not otherwise:* no transaction spans a wait, and no doorbell is rung before the commit. Whether a process lives is
//! looked up when it is needed, not reported by heartbeats: a laptop that slept must not kill its sessions.
//!
//! ```no_run
//! use std::sync::Arc;
//! use claude_mesh::platform::SystemClock;
//! use claude_mesh::mesh::{JoinRequest, Mesh};
//! use claude_mesh::model::peer::Address;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mesh = Mesh::open("mesh.db".as_ref(), Arc::new(SystemClock::new()))?;
//! let mut ada = mesh.join(&JoinRequest::here("/projects/ada".as_ref())?)?;
//! let reply = ada.ask(&Address::parse("bo").unwrap(), "which port?", None)?;
//! # let _ = reply; Ok(())
//! # }
//! ```

#[cfg(feature = "hub")]
mod access_key;
mod blocking_wait;
mod calm;
mod check_text;
mod claim;
mod connection;
mod context;
mod erase;
mod event;
mod inbox_follow;
mod liveness;
mod member;
mod memory;
mod message;
#[cfg(feature = "hub")]
mod once_mark;
mod open;
mod options;
#[cfg(feature = "hub")]
mod overview;
mod peer;
mod question;
#[cfg(feature = "hub")]
mod remote_session;
mod retention;
mod session;
mod sightings;
mod state;
mod status;
mod task;
mod wake;

pub use crate::mesh::wake::inbox_attempts::{InboxSocketState, WakeLineStatus};
#[cfg(feature = "hub")]
pub use access_key::KeyDraft;
pub use blocking_wait::{
    BlockingWait, PollResult, QueryWait, ReplyWait, ReplyWaitEnd, StopReason, ThreadDriver,
    WaitCondition, WaitOutcome, WaitQuery, WaitStep,
};
pub use claim::acquire::{ClaimOutcome, ClaimRequest, Grant};
pub use claim::guard::{GuardedChange, claim_denial, git_denial, working_trees};
pub use claim::lease::lease_expires_at_ms;
pub use claim::list::{ClaimFilter, ClaimQueue, is_in_working_tree};
pub use claim::release::{ClaimSelector, ReleaseOutcome};
pub use claim::resource::{
    canonical_prefix, canonical_resource, file_resource, working_tree_resource,
};
pub use claim::ticket::Ticket;
pub use claim::unnotified::Granted;
pub use connection::Mesh;
pub use erase::EraseOutcome;
#[cfg(feature = "hub")]
pub use event::EventLogPage;
pub use event::{EventWait, ProjectEvent};
pub use inbox_follow::InboxFollower;
pub use liveness::SESSION_LEASE_MS;
pub use member::Member;
pub use memory::forget::MemorySelector;
pub use memory::recall::Recall;
pub use memory::remember::{Remember, RememberOutcome};
pub use message::list::{MessageFilter, MessageList, ReadProgress, UnmentionedMail};
pub use message::post::{MESSAGE_TTL_SECONDS_MAX, MessageDraft, PostOutcome};
pub use message::topic::{SubscriptionAction, TopicSubscribers};
#[cfg(feature = "hub")]
pub use once_mark::{KeyedCaller, REQUEST_KEEP_MS};
#[cfg(feature = "postgres")]
pub use open::PostgresPlace;
pub use options::MeshOptions;
pub use peer::describe::PeerDescription;
pub use peer::directory::{PeerScope, PeerView};
pub use peer::expertise::RankedPeer;
pub use peer::join_request::JoinRequest;
pub use peer::others_here::OthersHere;
pub use question::answer::{Reply, ReplyOutcome};
pub use question::ask::{AskOutcome, AskedQuestion, IfOffline, QuestionDraft};
pub use question::inbox::{ForkNote, Inbox, LateAnswer, PendingQuestion};
pub use question::interrupt::{InterruptReason, Interruption};
pub use question::prior_answers::{PriorAnswer, PriorAnswerCount, PriorAnswerQuery};
pub use question::read::QuestionWithPeers;
pub use question::status::{ForkResult, QuestionStatus};
pub use question::stop_decision::{
    EndingTurn, StopBlock, StopStreak, decide_stop, has_exhausted_stop_blocks,
};
pub use question::wait::{Wait, WaitPoll};
#[cfg(feature = "hub")]
pub use remote_session::join::{HUB_ENDING, REMOTE_REVISION, RemoteJoin, RemoteJoined};
#[cfg(feature = "hub")]
pub use remote_session::lease::GitState;
#[cfg(feature = "hub")]
pub use remote_session::once::EarlierCall;
#[cfg(feature = "hub")]
pub use remote_session::snapshot::{SessionLook, SessionSnapshot, SnapshotClock, StartFacts};
#[cfg(feature = "hub")]
pub use remote_session::verb::{DeliveredItems, SessionVerb};
pub use session::SessionHandle;
pub use state::NewValue;
pub use status::Status;
pub use task::create::TaskCreated;
pub use task::fields::{TaskChange, TaskFields};
pub use task::files::{FileClaim, task_files};
pub use task::list::{TaskList, TaskSelection};
pub use task::remove::StaleTaskFilter;
pub use task::update::{BulkUpdateOutcome, TaskUpdated};
pub use wake::fork_offer::{ForkOffer, OfferedQuestion};
pub use wake::policy::WakeAction;
pub use wake::waiting_hook::WaitingHookAction;
