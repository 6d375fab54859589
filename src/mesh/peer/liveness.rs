//! Who is alive: a fact of the machine, looked up when somebody needs it. A death that anyone sees is recorded for all.
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::claude_code::client::{
    INBOUND, INBOUND_REFUSED, RegistryEntry, find_inbound_refusal, has_inbox, registry_entry,
};
use crate::mesh::PendingWakeups;
use crate::mesh::claim::queue::end_session_claims;
use crate::mesh::options::MeshOptions;
use crate::model::{Activity, EventKind, Liveness, Result};
use crate::platform::id::{QuestionId, SessionId, WaitId};
use crate::platform::{Moment, process};
use crate::store::{Peer, ProcessLocation, Session, Tx};
use crate::wake::Doorbells;

/// What this process can see of the machine.
#[derive(Debug)]
pub(in crate::mesh) struct HostView {
    pub(in crate::mesh) doorbells: Doorbells,
    /// This process itself.
    pub(in crate::mesh) own: ProcessLocation,
    pub(in crate::mesh) wake_budget: u32,
    registry: Option<PathBuf>,
}

impl HostView {
    pub(in crate::mesh) fn new(doorbells: Doorbells, now: &Moment, options: &MeshOptions) -> Self {
        Self {
            doorbells,
            own: ProcessLocation {
                host: process::host(),
                boot: now.boot.to_string(),
                pid_namespace: process::pid_namespace(),
                process: process::this_process(),
                instance: 0,
            },
            wake_budget: options.wake_budget,
            registry: options.registry.clone(),
        }
    }

    /// Returns where a process of this machine lives.
    pub(in crate::mesh) fn location(
        &self,
        process: process::ProcessKey,
        instance: u32,
    ) -> ProcessLocation {
        ProcessLocation {
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
        let location = &session.location;
        let liveness_of = |alive: bool| {
            if alive {
                Liveness::Alive
            } else {
                Liveness::Dead
            }
        };
        if session.ended_at_ms.is_some() {
            return Liveness::Dead;
        }
        if self.is_local(location) {
            return liveness_of(process::is_alive(location.process));
        }
        if location.boot == self.own.boot && session.has_server {
            return liveness_of(self.doorbells.is_server_running(session.id));
        }
        if location.boot != self.own.boot && location.host == self.own.host {
            return Liveness::Dead;
        }
        Liveness::from_last_seen(session.last_seen_at_ms, ttl_ms, now.wall_ms)
    }

    /// Returns whether a session can be asked: it lives and its server runs.
    pub(in crate::mesh) fn is_askable(&self, session: &Session, now: &Moment) -> bool {
        self.doorbells.is_server_running(session.id)
            && self.liveness(session, 0, now) == Liveness::Alive
    }

    /// Returns the sessions in which a call other than `but` waits for a question. A killed server's calls wait no more.
    pub(in crate::mesh) fn served_sessions_waiting_on(
        &self,
        tx: &Tx,
        question: QuestionId,
        except: Option<WaitId>,
    ) -> Result<Vec<SessionId>> {
        let mut sessions = tx.sessions_waiting_for_question(question, except)?;
        sessions.retain(|session| self.doorbells.is_server_running(*session));
        Ok(sessions)
    }

    /// Returns what Claude Code's registry says of a session on this machine.
    pub(in crate::mesh) fn registry_entry(&self, session: &Session) -> Option<RegistryEntry> {
        let is_local = self.is_local(&session.location);
        registry_entry(
            self.registry.as_ref().filter(|_| is_local)?,
            session.location.process,
        )
    }

    /// Returns whether process numbers of a place mean the same here.
    fn is_local(&self, location: &ProcessLocation) -> bool {
        location.boot == self.own.boot && location.pid_namespace == self.own.pid_namespace
    }

    /// Returns which waiting calls, of one session or of all, wait no more: their process has ended and could not say so.
    pub(in crate::mesh) fn dead_waits(
        &self,
        tx: &Tx,
        session: Option<SessionId>,
    ) -> Result<Vec<WaitId>> {
        let waits = tx.waits_checkable_from(&self.own, session)?;
        let dead = waits
            .into_iter()
            .filter(|(_, process)| *process != self.own.process && !process::is_alive(*process));
        Ok(dead.map(|(wait, _)| wait).collect())
    }

    /// Returns why the client of a session of a project, on this machine, may take no line, where its version or its settings
    /// tell.
    pub(in crate::mesh) fn inbox_refusal_reason(
        &self,
        session: &Session,
        project: Option<&str>,
    ) -> Option<String> {
        let registry_entry = self.registry_entry(session);
        let version = registry_entry
            .as_ref()
            .and_then(|entry| entry.version.as_deref());
        if let Some(version) = version.filter(|version| !has_inbox(version)) {
            return Some(format!(
                "its Claude Code is {version}, and such lines are taken from 2.1.224 on"
            ));
        }
        let folder = registry_entry
            .as_ref()
            .and_then(|entry| entry.folder.as_deref());
        let folder = folder.or(project).map(Path::new);
        let settings_file = find_inbound_refusal(self.registry.as_ref()?, folder)?;
        Some(format!(
            "{INBOUND} is \"{INBOUND_REFUSED}\" in {}",
            settings_file.display()
        ))
    }

    /// Returns what a session is doing.
    pub(in crate::mesh) fn activity(&self, session: &Session, now: &Moment) -> Activity {
        if self.liveness(session, 0, now) == Liveness::Dead {
            return Activity::Offline;
        }
        if !self.doorbells.is_server_running(session.id) {
            return Activity::NeedsRestart;
        }
        let reported = self
            .registry_entry(session)
            .and_then(|registry_entry| registry_entry.status)
            .or_else(|| session.activity.clone());
        reported.map_or(Activity::Unknown, |reported| Activity::of(&reported))
    }
}

/// Returns the session that sits at a mailbox. Dead ones found on the way are recorded, and those who wait on them are rung.
pub(in crate::mesh) fn find_live_session(
    tx: &Tx,
    host: &HostView,
    wakeups: &mut PendingWakeups,
    peer: &Peer,
) -> Result<Option<Session>> {
    let mut found = None;
    for session in tx.live_sessions_at(peer.id)? {
        if host.liveness(&session, peer.ttl_ms, &tx.now) == Liveness::Dead {
            record_dead_session(tx, wakeups, &session, peer)?;
        } else if found.is_none() {
            found = Some(session);
        }
    }
    Ok(found)
}

/// Records that a session's process is gone.
pub(in crate::mesh) fn record_dead_session(
    tx: &Tx,
    wakeups: &mut PendingWakeups,
    session: &Session,
    peer: &Peer,
) -> Result<()> {
    wakeups.add(tx.sessions_waiting_for_peer(peer.id)?);
    let waited = tx.tickets_awaited_by(session.id)?;
    if tx.end_session(session.id)? {
        tx.append_event(
            EventKind::PeerDied,
            Some(peer.id),
            peer.name.as_str(),
            &json!({ "session": session.id }),
        )?;
        end_session_claims(tx, wakeups, session.id, peer.kind, waited, "died")?;
        wakeups.ended.push(session.id);
    }
    Ok(())
}
