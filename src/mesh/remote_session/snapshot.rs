//! `SessionSnapshot`: all that the hooks of a session on another host need to know, so that they need not ask.
use serde::{Deserialize, Serialize};

use crate::mesh::claim::list::is_held_by_other;
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::message::list::{UnmentionedMail, unmentioned_mail};
use crate::mesh::peer::others_here::OthersHere;
use crate::mesh::question::inbox::{Inbox, inbox};
use crate::mesh::session::SessionHandle;
use crate::mesh::wake::pending::PendingItems;
use crate::mesh::wake::throttle::{PAUSED_UNTIL_KEY, throttle_of};
use crate::model::throttle::Throttle;
use crate::model::{ClaimState, Refusal, Result};
use crate::store::{Claim, Session};

/// The state of a session in its mesh, at one time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionSnapshot {
    /// The session, with the name that its peer has now.
    pub me: SessionHandle,
    /// What is stored of it.
    pub session: Session,
    /// What is pending for it, with the mail to mention.
    pub inbox: Inbox,
    /// How much mail there is to mention in all.
    pub unmentioned_mail: u32,
    /// How many messages it has not read.
    pub unread: u32,
    /// Whether it has got questions that are closed since: they count until its turn after the next.
    #[serde(default)]
    pub has_closed_deliveries: bool,
    /// What holds questions to it.
    pub throttle: Throttle,
    /// The exclusive claims of others on files and working trees of its host.
    pub claims: Vec<Claim>,
    /// The number of its last verb that this state includes.
    pub applied_verb: i64,
}

/// What the hub sees when it looks at a session.
#[derive(Debug)]
pub struct SessionLook {
    /// The state of the session.
    pub snapshot: SessionSnapshot,
    /// Whether nothing is pending that could wake it now or later, and no wait or claim queue of it is to be settled.
    pub is_calm: bool,
}

/// The time of a snapshot, by the clocks that its readings are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotClock {
    /// Milliseconds since 1970.
    pub wall_ms: i64,
    /// A reading of the monotonic clock.
    pub monotonic_ms: i64,
    /// The boot of that clock.
    pub boot: String,
}

/// What the text at the start of a session says about the mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFacts {
    /// The other sessions.
    #[serde(flatten)]
    pub others: OthersHere,
    /// How many memories are stored for the project.
    pub memories: u32,
}

impl Mesh {
    /// Returns the state of a session on another host; refuses one that has ended.
    pub fn look_at_session(&mut self, me: &SessionHandle) -> Result<SessionLook> {
        self.read(|read| {
            read.tx.expect(|tx| {
                drop(tx.session(me.session));
                drop(tx.peer(me.peer));
                drop(tx.pending_flags(me.peer, me.session));
                drop(tx.count_unread(me.peer, &[]));
                drop(tx.has_closed_deliveries(me.session));
                drop(tx.meta(PAUSED_UNTIL_KEY));
                drop(tx.applied_verb(me.session));
                drop(tx.first_running_fork_at_ms(me.session));
                drop(tx.claims_of_session(me.session));
                drop(tx.waits_checkable_from(&read.host.own, Some(me.session)));
            })?;
            let session = read.tx.session(me.session)?;
            let session = session.filter(|session| session.ended_at_ms.is_none());
            let (Some(session), Some(peer)) = (session, read.tx.peer(me.peer)?) else {
                return Err(Refusal::conflict("the session has ended").into());
            };
            let me = SessionHandle::new(me.session, &peer, false);
            let folders = claim_folders(&session.location.host);
            read.tx.expect(|tx| {
                if let Some(project) = peer.project.as_ref().filter(|_| me.seat == Some(1)) {
                    drop(tx.peers_of_project(project));
                }
                for folder in &folders {
                    drop(tx.claims_below(folder));
                }
            })?;
            let mut pending = inbox(read, &me)?;
            let mail = if pending.has_new_mail {
                unmentioned_mail(read, &me)?
            } else {
                UnmentionedMail::default()
            };
            pending.mail = mail.messages;
            let is_calm = is_calm(read, &me, &session)?;
            let snapshot = SessionSnapshot {
                inbox: pending,
                unmentioned_mail: mail.count,
                unread: if me.is_addressable() {
                    read.tx.count_unread(me.peer, &[])?
                } else {
                    0
                },
                has_closed_deliveries: read.tx.has_closed_deliveries(me.session)?,
                throttle: throttle_of(read, &peer, &session)?,
                claims: claims_of_others(read, &me, &folders)?,
                applied_verb: read.tx.applied_verb(me.session)?,
                session,
                me,
            };
            Ok(SessionLook { snapshot, is_calm })
        })
    }

    /// Returns what the text at the start of a session says.
    pub fn start_facts(
        &mut self,
        me: &SessionHandle,
        project: &crate::platform::project::Project,
    ) -> Result<StartFacts> {
        let scope = self.project_memory_scope(project)?;
        Ok(StartFacts {
            others: self.others_here(me)?,
            memories: self.count_memories(&scope)?,
        })
    }
}

/// Returns whether nothing can wake a session, and nothing of it is to be settled.
fn is_calm(read: ReadContext, me: &SessionHandle, session: &Session) -> Result<bool> {
    let mut own = read.tx.claims_of_session(me.session)?.into_iter();
    Ok(session.wake_attempt.is_none()
        && own.all(|claim| claim.state != ClaimState::Queued)
        && read.tx.first_running_fork_at_ms(me.session)?.is_none()
        && read.dead_waits(Some(me.session))?.is_empty()
        && PendingItems::of(read, me, true)?.is_empty())
}

/// Returns the names of resources below which the files and the working trees of a host are.
fn claim_folders(host: &str) -> [String; 2] {
    ["file:", "git:"].map(|kind| format!("{kind}//{host}"))
}

/// Returns the valid exclusive claims of others on files and working trees of a host.
fn claims_of_others(
    read: ReadContext,
    me: &SessionHandle,
    folders: &[String],
) -> Result<Vec<Claim>> {
    let mut claims = Vec::new();
    for folder in folders {
        for claim in read.tx.claims_below(folder)? {
            if is_held_by_other(read, &claim, Some(me))? {
                claims.push(claim);
            }
        }
    }
    Ok(claims)
}
