//! What the hooks need of the mesh. They work on the open database; for a session on another host, on the mirror of its state
//! that its server keeps.
use crate::mesh::{
    EndingTurn, Inbox, Mesh, SessionHandle, StopBlock, StopStreak, UnmentionedMail, WakeLineStatus,
};
use crate::model::activity_summary::ActivitySummary;
use crate::model::{Result, WakeState};
use crate::platform::{Fault, Moment};

/// The mesh of a session, as its hooks use it. The operations are those of [`Mesh`].
pub(crate) trait HookMesh {
    /// Returns the time of the mesh.
    fn now(&self) -> Moment;

    /// Returns what is pending for the session.
    fn inbox(&mut self, me: &SessionHandle) -> Result<Inbox>;

    /// Returns the messages that were neither read nor mentioned.
    fn unmentioned_mail(&mut self, me: &SessionHandle) -> Result<UnmentionedMail>;

    /// Returns whether a call of the session waits.
    fn is_waiting(&mut self, me: &SessionHandle) -> Result<bool>;

    /// Returns what to do with a prompt that is a wake line.
    fn wake_line_status(&mut self, me: &SessionHandle, nonce: &str) -> Result<WakeLineStatus>;

    /// Records that a wake line was read after its items were settled.
    fn clear_wake_attempt(&mut self, me: &SessionHandle) -> Result<()>;

    /// Records that a prompt begins or joins a turn.
    fn begin_turn(&mut self, me: &SessionHandle, turn: Option<&str>, typed: bool) -> Result<()>;

    /// Records that what was delivered while the turn was unknown belongs to this turn.
    fn record_turn(&mut self, me: &SessionHandle, turn: &str) -> Result<()>;

    /// Records what was handed to the client of the session.
    fn mark_delivered(
        &mut self,
        me: &SessionHandle,
        shown: &Inbox,
        turn: Option<&str>,
        channel: WakeState,
    ) -> Result<()>;

    /// Returns for which unanswered questions a turn must go on.
    fn decide_stop<'a>(
        &mut self,
        me: &SessionHandle,
        turn: EndingTurn<'a>,
    ) -> Result<Option<StopBlock<'a>>>;

    /// Records that the Stop hook continues a turn for these questions.
    fn record_stop_block(
        &mut self,
        me: &SessionHandle,
        shown: &Inbox,
        streak: StopStreak,
    ) -> Result<()>;

    /// Changes the activity summary of the session.
    fn update_activity_summary(
        &mut self,
        me: &SessionHandle,
        change: impl FnOnce(ActivitySummary) -> ActivitySummary,
    ) -> std::result::Result<(), Fault>;

    /// Removes the activity summary of the session.
    fn clear_activity_summary(&mut self, me: &SessionHandle);

    /// Lets no further write wait for the lock.
    fn stop_waiting_for_lock(&mut self);
}

impl HookMesh for Mesh {
    fn now(&self) -> Moment {
        self.now()
    }

    fn inbox(&mut self, me: &SessionHandle) -> Result<Inbox> {
        self.inbox(me)
    }

    fn unmentioned_mail(&mut self, me: &SessionHandle) -> Result<UnmentionedMail> {
        self.unmentioned_mail(me)
    }

    fn is_waiting(&mut self, me: &SessionHandle) -> Result<bool> {
        self.is_waiting(me)
    }

    fn wake_line_status(&mut self, me: &SessionHandle, nonce: &str) -> Result<WakeLineStatus> {
        self.wake_line_status(me, nonce)
    }

    fn clear_wake_attempt(&mut self, me: &SessionHandle) -> Result<()> {
        self.clear_wake_attempt(me)
    }

    fn begin_turn(&mut self, me: &SessionHandle, turn: Option<&str>, typed: bool) -> Result<()> {
        self.begin_turn(me, turn, typed)
    }

    fn record_turn(&mut self, me: &SessionHandle, turn: &str) -> Result<()> {
        self.record_turn(me, turn)
    }

    fn mark_delivered(
        &mut self,
        me: &SessionHandle,
        shown: &Inbox,
        turn: Option<&str>,
        channel: WakeState,
    ) -> Result<()> {
        self.mark_delivered(me, shown, turn, channel)
    }

    fn decide_stop<'a>(
        &mut self,
        me: &SessionHandle,
        turn: EndingTurn<'a>,
    ) -> Result<Option<StopBlock<'a>>> {
        self.decide_stop(me, turn)
    }

    fn record_stop_block(
        &mut self,
        me: &SessionHandle,
        shown: &Inbox,
        streak: StopStreak,
    ) -> Result<()> {
        self.record_stop_block(me, shown, streak)
    }

    fn update_activity_summary(
        &mut self,
        me: &SessionHandle,
        change: impl FnOnce(ActivitySummary) -> ActivitySummary,
    ) -> std::result::Result<(), Fault> {
        Mesh::update_activity_summary(self, me, change)
    }

    fn clear_activity_summary(&mut self, me: &SessionHandle) {
        Mesh::clear_activity_summary(self, me);
    }

    fn stop_waiting_for_lock(&mut self) {
        self.set_lock_timeout(std::time::Duration::ZERO);
    }
}
