//! What a session can do: sit down, ask, wait, answer, look around. Every verb is one transaction, its event, and the doorbell.
//!
//! *Purpose:* the rules of the mesh, the same behind every door. A [`Mesh`] is one open database file; a [`Member`] is
//! someone who sits in it and can wait, for programs that use the library alone.
//! *Why not otherwise:* no transaction spans a wait, and no verb rings before its commit. Whether a process lives is looked
//! up when somebody needs to know, not told by heartbeats: a laptop that slept must not kill its sessions.
//!
//! ```no_run
//! use std::sync::Arc;
//! use claude_mesh::platform::SystemClock;
//! use claude_mesh::mesh::{Arrival, Mesh};
//! use claude_mesh::model::peer::Address;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mesh = Mesh::open("mesh.db".as_ref(), Arc::new(SystemClock::new()))?;
//! let mut ada = mesh.join(&Arrival::here("/projects/ada".as_ref())?)?;
//! let reply = ada.ask(&Address::parse("bo").unwrap(), "which port?", None)?;
//! # let _ = reply; Ok(())
//! # }
//! ```

mod blocking_wait;
mod claim;
mod erase;
mod event;
mod member;
mod memory;
mod message;
mod peer;
mod question;
mod retention;
mod state;
mod status;
mod task;
mod topic;
mod wake;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::model::Result;
use crate::platform::id::SessionId;
use crate::platform::{Clock, Fault, Moment};
use crate::store::{Options, Store, Tx};
use crate::wake::Doorbells;

use crate::mesh::peer::liveness::HostView;

pub use crate::mesh::blocking_wait::{
    BlockingWait, PollResult, QueryWait, ReplyWait, ReplyWaitEnd, StopReason, WaitCondition,
    WaitOutcome, WaitQuery, WaitStep, Waiter,
};
pub use crate::mesh::claim::acquire::{
    ClaimFilter, ClaimOutcome, ClaimQueue, ClaimRequest, ClaimSelector, Grant, ReleaseOutcome,
    Ticket, file_resource, prefix, resource,
};
pub use crate::mesh::erase::EraseOutcome;
pub use crate::mesh::peer::directory::{PeerDescription, PeerScope, PeerView};
pub use crate::mesh::peer::expertise::RankedPeer;
pub use crate::mesh::peer::register::{JoinRequest, SessionHandle};
pub use crate::mesh::question::ask::{AskOutcome, AskedQuestion, IfOffline, Reply, ReplyOutcome};
pub use crate::mesh::question::inbox::{
    Granted, Inbox, LateAnswer, PendingQuestion, QuestionWithPeers,
};
pub use crate::mesh::question::prior_answers::{PriorAnswer, PriorAnswerCount, PriorAnswerQuery};
pub use crate::mesh::question::wait::{
    InterruptReason, Interruption, QuestionStatus, Wait, WaitPoll,
};
pub use crate::mesh::task::files::{FileClaim, task_files};
pub use crate::mesh::task::lifecycle::{
    BulkUpdateOutcome, TaskChange, TaskCreated, TaskFields, TaskList, TaskSelection, TaskUpdated,
};
pub use crate::mesh::wake::hook_wake::Rewake;
pub use crate::mesh::wake::policy::{DoorbellStatus, InboxState, WakeAction};
pub use event::EventWait;
pub use member::Member;
pub use memory::{MemorySelector, Recall, Remember, RememberOutcome};
pub use message::{
    MESSAGE_TTL_SECONDS_MAX, MessageDraft, MessageFilter, MessageList, PostOutcome, ReadProgress,
    UnmentionedMail,
};
pub use state::NewValue;
pub use status::Status;
pub use topic::{SubscriptionAction, TopicSubscribers};

/// One open mesh.
pub struct Mesh {
    store: Store,
    clock: Arc<dyn Clock>,
    host: HostView,
    keep_ms: i64,
    faults: Option<PathBuf>,
}

/// How a mesh is opened.
#[derive(Debug, Clone)]
pub struct MeshOptions {
    /// How its file is opened.
    pub store: Options,
    /// Where Claude Code keeps its session registry; `None` does without.
    pub registry: Option<PathBuf>,
    /// How many turns peers may start in a session before its person types again.
    pub wake_budget: u32,
    /// How long closed questions and events are kept, in milliseconds.
    pub keep_ms: i64,
    /// The folder whose log notes faults by which no verb fails.
    pub faults: Option<PathBuf>,
}

impl Default for MeshOptions {
    fn default() -> Self {
        Self {
            store: Options::default(),
            registry: None,
            wake_budget: 20,
            keep_ms: 30 * 24 * 3600 * 1000,
            faults: None,
        }
    }
}

impl std::fmt::Debug for Mesh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mesh")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

impl Mesh {
    /// Opens the mesh at `path`; makes the file, with its folder, when there is none.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> std::result::Result<Self, Fault> {
        Self::open_with(path, clock, &MeshOptions::default())
    }

    /// Opens the mesh in a given way.
    pub fn open_with(
        path: &Path,
        clock: Arc<dyn Clock>,
        options: &MeshOptions,
    ) -> std::result::Result<Self, Fault> {
        let store = Store::open(path, options.store.clone())?;
        let host = HostView::new(Doorbells::of(path), &clock.now(), options);
        Ok(Self {
            store,
            clock,
            host,
            keep_ms: options.keep_ms,
            faults: options.faults.clone(),
        })
    }

    /// Returns the path of the database.
    pub fn path(&self) -> &Path {
        self.store.path()
    }

    /// Returns the doorbells of this mesh.
    pub fn doorbells(&self) -> &Doorbells {
        &self.host.doorbells
    }

    /// Returns the time as this mesh sees it.
    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Changes how long a write waits for the lock.
    pub fn set_lock_timeout(&mut self, lock_timeout: Duration) {
        self.store.set_lock_timeout(lock_timeout);
    }

    /// Opens the file anew when its path means another one now. Returns whether it did: then nobody sits there any more.
    pub fn reopen_if_replaced(&mut self) -> std::result::Result<bool, Fault> {
        self.store.reopen_if_replaced()
    }

    /// Brings the log into the file; the work of a server at rest.
    pub fn tidy(&mut self) -> Result<()> {
        self.store.tidy()
    }

    /// Looks for damage in the whole file; slow. Returns the first finding.
    pub fn find_damage(&mut self) -> Result<Option<String>> {
        self.store.find_damage()
    }

    /// Runs a verb in one transaction, then rings for it.
    fn write<T>(
        &mut self,
        verb: impl FnOnce(&Tx, &HostView, &mut PendingWakeups) -> Result<T>,
    ) -> Result<T> {
        self.store.reopen_if_replaced()?;
        let mut wakeups = PendingWakeups::default();
        let host = &self.host;
        let outcome = self.store.write(self.clock.now(), |tx| {
            let outcome = verb(tx, host, &mut wakeups)?;
            claim::queue::settle_changed_queues(tx, host, &mut wakeups)?;
            wakeups.add(tx.sessions_waiting_for_events()?);
            wakeups.add_unnotified(tx)?;
            Ok(outcome)
        })?;
        wakeups.deliver(&self.host.doorbells);
        self.store.checkpoint_if_wal_is_long();
        Ok(outcome)
    }

    /// Runs a look that somebody asked for; like a verb that writes, it rings for what nobody is known to have heard.
    fn read_and_wake_unnotified<T>(
        &mut self,
        query: impl FnOnce(&Tx, &HostView) -> Result<T>,
    ) -> Result<T> {
        let (outcome, unnotified) =
            self.read(|tx, host| Ok((query(tx, host)?, tx.has_questions_due_for_wake()?)))?;
        if unnotified {
            self.wake_unnotified();
        }
        Ok(outcome)
    }

    /// Rings for what nobody is known to have heard. This never holds up or fails the verb on whose way it happens: the
    /// lock is not waited for, as whoever holds it rings too, and what cannot be done now is left to the next verb.
    fn wake_unnotified(&mut self) {
        let lock_timeout = self.store.set_lock_timeout(Duration::ZERO);
        let _ = self.write(|_, _, _| Ok(()));
        self.store.set_lock_timeout(lock_timeout);
    }

    /// Runs a look at one state of the mesh.
    fn read<T>(&mut self, query: impl FnOnce(&Tx, &HostView) -> Result<T>) -> Result<T> {
        self.store.reopen_if_replaced()?;
        let host = &self.host;
        self.store.read(self.clock.now(), |tx| query(tx, host))
    }
}

/// For whom to ring once the transaction is committed, and which lines to put in order before.
#[derive(Debug, Default)]
struct PendingWakeups {
    sessions: Vec<SessionId>,
    ended: Vec<SessionId>,
    changed_queues: Vec<String>,
}

impl PendingWakeups {
    fn add(&mut self, sessions: impl IntoIterator<Item = SessionId>) {
        self.sessions.extend(sessions);
    }

    /// Adds the sessions whose questions nobody is known to have heard of: who asked may have died before it rang.
    fn add_unnotified(&mut self, tx: &Tx) -> Result<()> {
        for target in tx.take_peers_due_for_wake()? {
            let sessions = tx.live_sessions_at(target)?;
            self.add(sessions.iter().map(|session| session.id));
        }
        Ok(())
    }

    fn deliver(mut self, doorbells: &Doorbells) {
        self.sessions.sort_unstable();
        self.sessions.dedup();
        for session in self.sessions {
            doorbells.ring(session);
        }
        for session in self.ended {
            doorbells.remove(session);
        }
    }
}
