//! Looks up which sessions of this machine live, which can be asked, and what they do: [`HostView`].
//!
//! Liveness is looked up when it is needed. Sessions of this machine send no heartbeats, so a laptop that slept does not kill
//! its sessions; those on other hosts live by a lease that their hub renews.
use std::path::{Path, PathBuf};

use crate::claude_code::{
    INBOX_POLICY_KEY, INBOX_POLICY_REFUSE, RegistryEntry, find_answer_restriction,
    find_inbound_refusal, has_inbox, registry_entry,
};
use crate::mesh::options::MeshOptions;
use crate::mesh::sightings::Sightings;
use crate::model::activity_summary::ActivitySummary;
use crate::model::{Activity, Liveness};
use crate::platform::fork_setting::ForkSettings;
use crate::platform::{Moment, process};
use crate::store::{ProcessLocation, Session};
use crate::wake::{Doorbells, PersonNotifier};

/// How long a session on another host lives after the last sign of its hub, in milliseconds.
pub const SESSION_LEASE_MS: i64 = 30_000;

/// The view that this process has of the machine.
#[derive(Debug, Clone)]
pub(in crate::mesh) struct HostView {
    pub(in crate::mesh) doorbells: Doorbells,
    /// This process itself.
    pub(in crate::mesh) own: ProcessLocation,
    /// How many turns peers may start in a session before its person types again.
    pub(in crate::mesh) wake_budget: u32,
    /// How many questions an hour all sessions together may ask the person.
    pub(in crate::mesh) person_budget: u32,
    /// Notifies the person of this machine of questions.
    pub(in crate::mesh) person_notifier: Option<PersonNotifier>,
    /// Whether and for whom forks of its session answer questions.
    pub(in crate::mesh) fork: ForkSettings,
    /// Whether the mod in its session has called it, so that it takes wake lines.
    pub(in crate::mesh) has_mod: bool,
    /// Whether sessions live by leases alone, because the processes of several machines serve them.
    pub(in crate::mesh) by_leases: bool,
    registry: Option<PathBuf>,
    /// What was seen so far, if this view belongs to one read.
    sightings: Option<Sightings>,
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
            person_budget: options.person_budget,
            person_notifier: options.person_notifier.clone(),
            fork: options.fork,
            has_mod: false,
            by_leases: options.by_leases,
            registry: options.registry.clone(),
            sightings: None,
        }
    }

    /// Returns a view for one read of many sessions, which looks at each process and each file once. A write looks each time.
    pub(in crate::mesh) fn for_one_read(&self) -> Self {
        Self {
            sightings: Some(Sightings::default()),
            ..self.clone()
        }
    }

    /// Returns the location of a process of this machine.
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

    /// Returns whether the client of a session lives. Its process decides. If process numbers of its location mean nothing
    /// here, the lock of its server decides; if neither can be seen, the time at which it was last seen. A session on another
    /// host lives by its lease: after it, it is stale for as long as its peer's time to live, then dead.
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
        if let Some(lease_until_ms) = session.lease_until_ms {
            let liveness = lease_liveness(lease_until_ms, ttl_ms, now.wall_ms);
            // After this machine has slept, the hub renews the leases within seconds.
            let hub_runs =
                liveness == Liveness::Dead && !self.by_leases && self.is_server_running(session);
            return if hub_runs { Liveness::Stale } else { liveness };
        }
        if self.is_local(location) {
            return liveness_of(self.is_process_alive(location.process));
        }
        if location.boot == self.own.boot && session.has_server {
            return liveness_of(self.is_served(session, now));
        }
        if location.boot != self.own.boot && location.host == self.own.host {
            return Liveness::Dead;
        }
        Liveness::from_last_seen(session.last_seen_at_ms, ttl_ms, now.wall_ms)
    }

    /// Returns whether a session can be asked: it lives and its server runs.
    pub(in crate::mesh) fn is_askable(&self, session: &Session, now: &Moment) -> bool {
        self.is_served(session, now) && self.liveness(session, 0, now) == Liveness::Alive
    }

    /// Returns whether the server of a session runs: by the lock that it holds, or in a mesh of several machines by the lease
    /// that its hub renews.
    pub(in crate::mesh) fn is_served(&self, session: &Session, now: &Moment) -> bool {
        if self.by_leases {
            return session
                .lease_until_ms
                .is_some_and(|lease_until_ms| now.wall_ms < lease_until_ms);
        }
        self.is_server_running(session)
    }

    fn is_process_alive(&self, process: process::ProcessKey) -> bool {
        let look = || process::is_alive(process);
        match &self.sightings {
            Some(sightings) => sightings.processes.get(process, look),
            None => look(),
        }
    }

    fn is_server_running(&self, session: &Session) -> bool {
        let look = || self.doorbells.is_server_running(session.id);
        match &self.sightings {
            Some(sightings) => sightings.servers.get(session.id, look),
            None => look(),
        }
    }

    /// Returns the activity summary that the hooks of a session of this machine have written last, if there is one.
    pub(in crate::mesh) fn activity_summary(&self, session: &Session) -> Option<ActivitySummary> {
        let look = || self.doorbells.activity_summary(session.id);
        match &self.sightings {
            Some(sightings) => sightings.summaries.get(session.id, look),
            None => look(),
        }
    }

    /// Returns what a session is doing.
    pub(in crate::mesh) fn activity(&self, session: &Session, now: &Moment) -> Activity {
        if self.liveness(session, 0, now) == Liveness::Dead {
            return Activity::Offline;
        }
        if !self.is_served(session, now) {
            return match session.lease_until_ms {
                // Its hub has ended; it is served again as soon as its own program reaches the next one.
                Some(_) => Activity::Unknown,
                None => Activity::NeedsRestart,
            };
        }
        let reported = self
            .registry_entry(session)
            .and_then(|registry_entry| registry_entry.status)
            .or_else(|| self.activity_by_hooks(session))
            .or_else(|| session.activity.clone());
        reported.map_or(Activity::Unknown, |reported| Activity::of(&reported))
    }

    /// Returns what a session of this machine does as its hooks have recorded it last: their activity summary says when a turn
    /// has ended.
    fn activity_by_hooks(&self, session: &Session) -> Option<String> {
        if session.lease_until_ms.is_some() {
            return None;
        }
        let summary = self.activity_summary(session)?;
        let activity = summary.stopped_at_ms.map_or("busy", |_| "idle");
        Some(activity.to_owned())
    }

    /// Returns the entry of Claude Code's registry for a session on this machine.
    pub(in crate::mesh) fn registry_entry(&self, session: &Session) -> Option<RegistryEntry> {
        let is_local = session.lease_until_ms.is_none() && self.is_local(&session.location);
        let folder = self.registry.as_ref().filter(|_| is_local)?;
        let process = session.location.process;
        let look = || registry_entry(folder, process);
        match &self.sightings {
            Some(sightings) => sightings.registry.get(process, look),
            None => look(),
        }
    }

    /// Returns why the client of a session may refuse lines in its inbox, as far as its version or its settings show. Works
    /// for a session of `project` on this machine.
    pub(in crate::mesh) fn inbox_refusal_reason(
        &self,
        session: &Session,
        project: Option<&str>,
    ) -> Option<String> {
        if session.lease_until_ms.is_some() {
            return None;
        }
        let registry_entry = self.registry_entry(session);
        let version = registry_entry
            .as_ref()
            .and_then(|entry| entry.version.as_deref());
        if let Some(version) = version.filter(|version| !has_inbox(version)) {
            return Some(format!("its Claude Code is {version}, older than 2.1.224"));
        }
        let folder = registry_entry
            .as_ref()
            .and_then(|entry| entry.folder.as_deref());
        let folder = folder.or(project).map(Path::new);
        let settings_file = find_inbound_refusal(self.registry.as_ref()?, folder)?;
        Some(format!(
            "{INBOX_POLICY_KEY} is \"{INBOX_POLICY_REFUSE}\" in {}",
            settings_file.display()
        ))
    }

    /// Returns whether settings of Claude Code make a session ask its person before it answers, or forbid it to answer.
    pub(in crate::mesh) fn restricts_answers(
        &self,
        session: &Session,
        project: Option<&str>,
    ) -> bool {
        let folder = self.registry_entry(session).and_then(|entry| entry.folder);
        let folder = folder.as_deref().or(project).map(Path::new);
        self.registry
            .as_ref()
            .is_some_and(|config_dir| find_answer_restriction(config_dir, folder).is_some())
    }

    /// Returns whether process numbers of a location mean the same here.
    fn is_local(&self, location: &ProcessLocation) -> bool {
        location.boot == self.own.boot && location.pid_namespace == self.own.pid_namespace
    }
}

/// Returns whether a session on another host lives: while a hub serves it, it does; without a hub it may have gone.
fn lease_liveness(lease_until_ms: i64, ttl_ms: i64, now_ms: i64) -> Liveness {
    if now_ms < lease_until_ms {
        Liveness::Alive
    } else if now_ms < lease_until_ms + ttl_ms {
        Liveness::Stale
    } else {
        Liveness::Dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leased_session_is_stale_after_its_lease_then_dead() {
        assert_eq!(lease_liveness(100, 50, 99), Liveness::Alive);
        assert_eq!(lease_liveness(100, 50, 100), Liveness::Stale);
        assert_eq!(lease_liveness(100, 50, 149), Liveness::Stale);
        assert_eq!(lease_liveness(100, 50, 150), Liveness::Dead);
    }
}
