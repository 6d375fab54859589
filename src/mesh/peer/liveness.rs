//! Who is alive: a fact of the machine, looked up when somebody needs it. A death that anyone sees is recorded for all.
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::claude_code::client::{
    INBOUND, INBOUND_REFUSED, Registered, has_inbox, refuses_inbound, registered,
};
use crate::mesh::claim::queue::end_claims;
use crate::mesh::{Opening, Rings};
use crate::model::{Activity, EventKind, Liveness, Result};
use crate::platform::id::{QuestionId, SessionId, WaitId};
use crate::platform::{Moment, process};
use crate::store::{Peer, ProcessPlace, Session, Tx};
use crate::wake::Bells;

/// What this process can see of the machine.
#[derive(Debug)]
pub(in crate::mesh) struct Around {
    pub(in crate::mesh) bells: Bells,
    /// This process itself.
    pub(in crate::mesh) own: ProcessPlace,
    pub(in crate::mesh) wake_budget: u32,
    registry: Option<PathBuf>,
}

impl Around {
    pub(in crate::mesh) fn new(bells: Bells, now: &Moment, opening: &Opening) -> Self {
        Self {
            bells,
            own: ProcessPlace {
                host: process::host(),
                boot: now.boot.to_string(),
                pid_namespace: process::pid_namespace(),
                process: process::own(),
                instance: 0,
            },
            wake_budget: opening.wake_budget,
            registry: opening.registry.clone(),
        }
    }

    /// Returns where a process of this machine lives.
    pub(in crate::mesh) fn place(
        &self,
        process: process::ProcessKey,
        instance: u32,
    ) -> ProcessPlace {
        ProcessPlace {
            process,
            instance,
            ..self.own.clone()
        }
    }

    /// Returns whether the client of a session lives. Its process decides; where its number means nothing here, the lock
    /// of its server; where neither can be seen, the time it was last heard of.
    pub(in crate::mesh) fn liveness(
        &self,
        session: &Session,
        ttl_ms: i64,
        now: &Moment,
    ) -> Liveness {
        let place = &session.place;
        let fact = |alive: bool| {
            if alive {
                Liveness::Alive
            } else {
                Liveness::Dead
            }
        };
        if session.ended_at_ms.is_some() {
            return Liveness::Dead;
        }
        if self.is_near(place) {
            return fact(process::is_alive(place.process));
        }
        if place.boot == self.own.boot && session.has_server {
            return fact(self.bells.is_served(session.id));
        }
        if place.boot != self.own.boot && place.host == self.own.host {
            return Liveness::Dead;
        }
        Liveness::by_time(session.last_seen_at_ms, ttl_ms, now.wall_ms)
    }

    /// Returns whether a session can be asked: it lives and its server runs.
    pub(in crate::mesh) fn is_askable(&self, session: &Session, now: &Moment) -> bool {
        self.bells.is_served(session.id) && self.liveness(session, 0, now) == Liveness::Alive
    }

    /// Returns the sessions in which a call other than `but` waits for a question. A killed server's calls wait no more.
    pub(in crate::mesh) fn waiting_on(
        &self,
        tx: &Tx,
        question: QuestionId,
        but: Option<WaitId>,
    ) -> Result<Vec<SessionId>> {
        let mut sessions = tx.sessions_waiting_on(question, but)?;
        sessions.retain(|session| self.bells.is_served(*session));
        Ok(sessions)
    }

    /// Returns what Claude Code's registry says of a session on this machine.
    pub(in crate::mesh) fn registered(&self, session: &Session) -> Option<Registered> {
        let near = self.is_near(&session.place);
        registered(
            self.registry.as_ref().filter(|_| near)?,
            session.place.process,
        )
    }

    /// Returns whether process numbers of a place mean the same here.
    fn is_near(&self, place: &ProcessPlace) -> bool {
        place.boot == self.own.boot && place.pid_namespace == self.own.pid_namespace
    }

    /// Returns which waiting calls, of one session or of all, wait no more: their process has ended and could not say so.
    pub(in crate::mesh) fn dead_waits(
        &self,
        tx: &Tx,
        session: Option<SessionId>,
    ) -> Result<Vec<WaitId>> {
        let waits = tx.waits_near(&self.own, session)?;
        let dead = waits
            .into_iter()
            .filter(|(_, process)| *process != self.own.process && !process::is_alive(*process));
        Ok(dead.map(|(wait, _)| wait).collect())
    }

    /// Returns why the client of a session of a project, on this machine, may take no line, where its version or its settings
    /// tell.
    pub(in crate::mesh) fn why_deaf(
        &self,
        session: &Session,
        project: Option<&str>,
    ) -> Option<String> {
        let registered = self.registered(session);
        let version = registered.as_ref().and_then(|it| it.version.as_deref());
        if let Some(version) = version.filter(|version| !has_inbox(version)) {
            return Some(format!(
                "its Claude Code is {version}, and such lines are taken from 2.1.224 on"
            ));
        }
        let folder = registered.as_ref().and_then(|it| it.folder.as_deref());
        let folder = folder.or(project).map(Path::new);
        let refusing = refuses_inbound(self.registry.as_ref()?, folder)?;
        Some(format!(
            "{INBOUND} is \"{INBOUND_REFUSED}\" in {}",
            refusing.display()
        ))
    }

    /// Returns what a session is doing.
    pub(in crate::mesh) fn activity(&self, session: &Session, now: &Moment) -> Activity {
        if self.liveness(session, 0, now) == Liveness::Dead {
            return Activity::Offline;
        }
        if !self.bells.is_served(session.id) {
            return Activity::NeedsRestart;
        }
        let word = self
            .registered(session)
            .and_then(|registered| registered.status)
            .or_else(|| session.activity.clone());
        word.map_or(Activity::Unknown, |word| Activity::of(&word))
    }
}

/// Returns the session that sits at a mailbox. Dead ones found on the way are recorded, and those who wait on them are rung.
pub(in crate::mesh) fn sitter(
    tx: &Tx,
    around: &Around,
    rings: &mut Rings,
    peer: &Peer,
) -> Result<Option<Session>> {
    let mut found = None;
    for session in tx.live_sessions_at(peer.id)? {
        if around.liveness(&session, peer.ttl_ms, &tx.now) == Liveness::Dead {
            record_death(tx, rings, &session, peer)?;
        } else if found.is_none() {
            found = Some(session);
        }
    }
    Ok(found)
}

/// Records that a session's process is gone.
pub(in crate::mesh) fn record_death(
    tx: &Tx,
    rings: &mut Rings,
    session: &Session,
    peer: &Peer,
) -> Result<()> {
    rings.add(tx.sessions_waiting_for(peer.id)?);
    let waited = tx.tickets_waited_with(session.id)?;
    if tx.end_session(session.id)? {
        tx.append(
            EventKind::PeerDied,
            Some(peer.id),
            peer.name.as_str(),
            &json!({ "session": session.id }),
        )?;
        end_claims(tx, rings, session.id, peer.kind, waited, "died")?;
        rings.ended.push(session.id);
    }
    Ok(())
}
