//! Calm markers: a small file says that nothing is pending for a session, so that its prompt and Stop hooks need not open the
//! database, which is most of what they cost.
//!
//! A session is *calm* if both hooks would print nothing and write nothing to the database. Its server makes the marker, a
//! transaction that puts something before the hooks removes it, and a hook that finds it ends.
//!
//! *No question is overlooked.* A hook that finds a marker does what it would do after it had read the database at that moment:
//!
//! 1. The server makes the marker while it holds the write lock, after it has read in that transaction that the session is calm.
//!    No other transaction is between its beginning and its commit then.
//! 2. Every transaction that can end the calm removes the marker before its commit, and holds the write lock from before the
//!    removal until after the commit. So the marker is gone before any hook could read what was stored; if it cannot be removed,
//!    the transaction fails. Which statements these are is said where they are, by `Tx::note_new_pending`. In builds with debug
//!    assertions each transaction checks that the sessions whose markers it leaves are calm.
//! 3. Time alone never ends the calm. The one thing that does so without a transaction is the death of the session at another
//!    seat of the project, whose questions seat 1 answers then: so seat 1 is calm only while no other seat has an open question.
//!
//! *After `kill -9`.* Of a writer between removal and commit: no marker, nothing pending, one slower hook. After its commit,
//! before the doorbell: the marker is gone, the next hook finds what is pending. Of the server while it makes the marker: the
//! file has no name yet, or is complete. Of the server later: a marker counts only while its lock is held, and the kernel
//! releases that.
//!
//! *What else must hold* is in the marker and compared by the hook: the database file (another may have been put in its place),
//! the process of the client, and the sessions that listen. Only a session alone at its peer has a marker.
//!
//! *Programs of an earlier version* know no markers and would leave one. While a session lives that a server of one has
//! registered, none is made; and a server that begins to listen changes the mark of the sessions, after which no marker counts
//! that was made before. A command line of an earlier version does neither. It writes the doorbell for a question or an answer,
//! and the server then removes its marker; its mail is mentioned at the latest after ten minutes, because no marker counts longer.
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::question::inbox::inbox;
use crate::mesh::session::SessionHandle;
use crate::model::{PeerKind, Result};
#[cfg(debug_assertions)]
use crate::platform::id::PeerId;
use crate::store::{PeersWithNewPending, Session};
use crate::wake::{CalmMarker, CalmSession};

/// How many of the sessions that keep their marker a commit checks: the check holds the write lock.
#[cfg(debug_assertions)]
const CHECKED_MAX: usize = 4;

impl Mesh {
    /// Returns whether the hooks of a session have nothing to print and nothing to store.
    pub fn is_calm(&mut self, me: &SessionHandle) -> Result<bool> {
        self.read(|read| is_calm(read, me))
    }

    /// Makes the marker of a session of this machine if it is calm. The caller is its server, and the marker counts for as long as
    /// the caller keeps the result.
    pub fn mark_calm(&mut self, me: &SessionHandle) -> Result<Option<CalmMarker>> {
        let Ok(sessions) = self.doorbells().sessions_mark() else {
            return Ok(None);
        };
        // Most often it is not calm, and the write lock is not needed to see that.
        if !self.is_calm(me)? {
            return Ok(None);
        }
        let database = self.path().to_path_buf();
        self.write(|write| {
            let Some(session) = write.tx.session(me.session)? else {
                return Ok(None);
            };
            if !is_calm(write.read(), me)? {
                return Ok(None);
            }
            let calm = CalmSession {
                session: session.id,
                peer: session.peer,
                process: session.location.process,
                database: &database,
            };
            let marker = write.host.doorbells.make_calm_marker(&calm, sessions)?;
            Ok(Some(marker))
        })
    }
}

/// Removes the markers of the sessions that this transaction may have ended the calm of. Its commit follows.
pub(in crate::mesh) fn remove_calm_markers(read: ReadContext) -> Result<()> {
    let doorbells = &read.host.doorbells;
    match read.tx.peers_with_new_pending()? {
        PeersWithNewPending::These(peers) => doorbells.remove_calm_markers(&peers)?,
        PeersWithNewPending::All => doorbells.remove_all_calm_markers()?,
    }
    #[cfg(debug_assertions)]
    assert_some_calm(read);
    Ok(())
}

/// Checks some of the sessions whose markers are left, another choice at each commit.
#[cfg(debug_assertions)]
fn assert_some_calm(read: ReadContext) {
    let mut peers = read.host.doorbells.calm_peers();
    fastrand::shuffle(&mut peers);
    for peer in peers.into_iter().take(CHECKED_MAX) {
        assert_calm(read, peer);
    }
}

/// Fails if a marker is left of a session that is not calm: a statement does not note what it has put before a hook.
#[cfg(debug_assertions)]
fn assert_calm(read: ReadContext, peer: PeerId) {
    let sessions = read.tx.live_sessions_at(peer).unwrap_or_default();
    let (Ok(Some(peer)), [session]) = (read.tx.peer(peer), sessions.as_slice()) else {
        return;
    };
    let me = SessionHandle::new(session.id, &peer, false);
    if read.is_server_running(session.id) {
        let calm = is_calm(read, &me);
        assert!(
            calm.unwrap_or(true),
            "{} has a marker and is not calm",
            me.name
        );
    }
}

/// Returns whether the prompt and Stop hooks of a session have nothing to print and nothing to store, and will not until a
/// transaction changes that.
fn is_calm(read: ReadContext, me: &SessionHandle) -> Result<bool> {
    let sessions = read.tx.live_sessions_at(me.peer)?;
    let [session] = sessions.as_slice() else {
        return Ok(false);
    };
    if session.id != me.session || me.kind != PeerKind::Session || !counts_nothing(session) {
        return Ok(false);
    }
    // A question that a fork is about to answer is not in the inbox, but comes there when the fork takes too long.
    if read.tx.has_session_that_keeps_markers()?
        || read.tx.has_deliveries(me.session)?
        || read.tx.has_pending_questions(me.peer)?
    {
        return Ok(false);
    }
    let pending = inbox(read, me)?;
    let has_new_answer = pending
        .answers
        .iter()
        .any(|late| late.question.answer_shown_at_ms.is_none());
    Ok(!has_new_answer
        && pending.granted.is_empty()
        && pending.fork_notes.is_empty()
        && !pending.has_new_mail
        && !may_answer_for_other_seat(read, me)?)
}

/// Returns whether no turns of the session are counted that its next prompt resets.
fn counts_nothing(session: &Session) -> bool {
    session.posted_turns == 0 && session.stop_streak == 0
}

/// Returns whether another seat of the project has an open question, which this session gets when nobody is there any more.
fn may_answer_for_other_seat(read: ReadContext, me: &SessionHandle) -> Result<bool> {
    let own = read.tx.peer(me.peer)?;
    let Some(project) = own
        .filter(|own| own.seat == Some(1))
        .and_then(|own| own.project)
    else {
        return Ok(false);
    };
    for seat in read.tx.peers_of_project(&project)? {
        if seat.id != me.peer && read.tx.has_pending_questions(seat.id)? {
            return Ok(true);
        }
    }
    Ok(false)
}
