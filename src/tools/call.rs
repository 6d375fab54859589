//! Defines one call of a tool, which a program runs step by step, and what each step works with.
//!
//! A handler reads the arguments and returns an [`Operation`]. The program steps it until it is done: at once while it has
//! more to do; after a pause while it waits. A step that fails because the store is busy is repeated.
use std::path::PathBuf;

use serde_json::Value;

use crate::mesh::{
    BlockingWait, Mesh, SessionHandle, StopReason, WaitCondition, WaitOutcome, WaitStep,
};
use crate::model::{Error, Result};
use crate::platform::Moment;
use crate::platform::id::WaitId;
use crate::platform::isolation::MeshLocation;
use crate::platform::project::Project;

/// What one step works with.
pub struct CallContext<'a> {
    /// The open mesh.
    pub mesh: &'a mut Mesh,
    /// The session that calls.
    pub me: SessionHandle,
    /// Which mesh it is.
    pub location: &'a MeshLocation,
    /// The project of the session.
    pub project: &'a Project,
    /// How the session is notified by its doorbell: `watcher` or `polling`.
    pub wake: &'static str,
    /// How long the program has run.
    pub uptime_seconds: i64,
    /// Whether a plugin inside the client makes the call, and no model.
    pub from_plugin: bool,
    /// The socket at which the program answers the mod of the session, if it does.
    pub guard_socket: Option<PathBuf>,
}

/// The outcome of a step.
pub enum Step {
    /// The result of the call.
    Done(Value),
    /// There is more to do: step again at once.
    Again,
    /// The wait of the call has ended: delete its row if there still is one, then step again at once.
    WaitEnded,
    /// The call waits: step again when the doorbell is written, or at this time at the latest.
    PendingUntil {
        /// By the monotonic clock of the mesh.
        monotonic_ms: i64,
    },
}

/// What a waiting call reports while it waits.
pub struct ProgressReport {
    /// A report with other facts is sent at once; one with the same facts when the next is due.
    pub facts: String,
    /// For people.
    pub message: String,
}

impl ProgressReport {
    /// Returns a report whose only fact is its message.
    pub(super) fn of(message: &str) -> Self {
        Self {
            facts: message.to_owned(),
            message: message.to_owned(),
        }
    }
}

/// A call in progress.
pub trait ToolCall: Send {
    /// Does the next part of the call. It is short, and may be repeated as a whole if it fails.
    fn step(&mut self, call: &mut CallContext<'_>) -> Result<Step>;

    /// Makes the next step end a call that waits.
    fn stop(&mut self, _reason: StopReason) {}

    /// Called after a failed step. `Ok` means that the call has something to return nevertheless: its wait, if it had one,
    /// has ended, and the next step goes on.
    fn recover(&mut self, error: Error) -> Result<()> {
        Err(error)
    }

    /// Returns the progress of a call that waits.
    fn progress(&self, _now: &Moment) -> Option<ProgressReport> {
        None
    }

    /// Returns until when a call waits, by the monotonic clock of the mesh; `None` if it does not wait, or was stopped.
    fn wait_deadline(&self) -> Option<i64> {
        None
    }

    /// Returns the row of the call's wait while it exists. The program that runs the call deletes it when the wait or the
    /// call ends, whatever the reason.
    fn wait_row(&self) -> Option<WaitId> {
        None
    }
}

/// A call that is ready to run.
pub type Operation = Box<dyn ToolCall>;

/// Returns a call of one step.
pub fn single_step(
    run: impl FnMut(&mut CallContext<'_>) -> Result<Value> + Send + 'static,
) -> Operation {
    Box::new(SingleStep(run))
}

struct SingleStep<F>(F);

impl<F> ToolCall for SingleStep<F>
where
    F: FnMut(&mut CallContext<'_>) -> Result<Value> + Send,
{
    fn step(&mut self, call: &mut CallContext<'_>) -> Result<Step> {
        Ok(Step::Done((self.0)(call)?))
    }
}

/// The blocking wait of a call, which can be stopped from outside.
pub(super) struct StoppableWait<C> {
    wait: BlockingWait<C>,
    stop: Option<StopReason>,
}

impl<C: WaitCondition> StoppableWait<C> {
    pub(super) fn new(condition: C, call: &CallContext<'_>, timeout_seconds: u32) -> Self {
        let timeout = std::time::Duration::from_secs(timeout_seconds.into());
        Self {
            wait: BlockingWait::new(condition, call.mesh.now().monotonic_ms, timeout),
            stop: None,
        }
    }

    pub(super) fn step(&mut self, call: &mut CallContext<'_>) -> Result<WaitStep<C::Output>> {
        match self.stop {
            None => self.wait.step(call.mesh, &call.me),
            Some(reason) => Ok(WaitStep::Ended(
                self.wait.stop(call.mesh, &call.me, reason)?,
            )),
        }
    }

    pub(super) fn stop(&mut self, reason: StopReason) {
        self.stop = Some(reason);
    }

    pub(super) fn recover(&mut self, error: Error) -> Result<WaitOutcome<C::Output>> {
        self.wait.recover(error)
    }

    pub(super) fn condition(&self) -> &C {
        self.wait.condition()
    }

    pub(super) fn deadline(&self) -> Option<i64> {
        self.stop.is_none().then(|| self.wait.deadline())
    }

    pub(super) fn row(&self) -> Option<WaitId> {
        self.wait.row()
    }
}
