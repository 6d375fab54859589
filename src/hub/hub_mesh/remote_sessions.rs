//! The sessions of a mesh on other hosts: their registration, their leases and their end.
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::HubMesh;
use crate::hub::hub_session::{CallerSession, HubSession, RemoteClient, Speaker};
use crate::mesh::RemoteJoined;
use crate::model::Result;
use crate::platform::id::SessionId;

/// The time between two renewals of the leases of sessions on other hosts.
const LEASE_RENEWAL: Duration = Duration::from_secs(10);
/// The pause after a renewal that failed, because the database server is away or its disk is full.
const RENEWAL_RETRY: Duration = Duration::from_secs(1);

impl HubMesh {
    /// Registers a session on another host, or finds it.
    pub(in crate::hub) async fn register_remote(
        &self,
        client: RemoteClient,
        inbox_problem: Option<String>,
    ) -> Result<RemoteJoined> {
        let location = client.request.other_host.clone();
        let location = location.expect("the request comes from another host");
        let speaker = Speaker::OtherHost(location);
        if let Some(earlier) = self
            .find_session(&speaker)
            .filter(|earlier| earlier.has_left())
        {
            self.remove(&earlier);
        }
        let session = self.add_session(&speaker).await?;
        let client = Arc::new(client);
        session.set_remote(Arc::clone(&client));
        session.set_inbox_problem(inbox_problem);
        session.touch(&self.now());
        self.with_mesh(|mesh| {
            let (handle, joined) = mesh.register_remote(&client.request, client.git_state())?;
            if session
                .id()
                .is_some_and(|earlier| earlier != handle.session)
            {
                self.forget(&session);
            }
            self.begin_session(mesh, &session, handle.clone())?;
            let start = mesh.start_facts(&handle, &client.project)?;
            Ok(RemoteJoined { start, ..joined })
        })
        .await
    }

    /// Returns the session on another host with that id, of that host.
    pub(in crate::hub) fn find_remote(&self, id: SessionId, host: &str) -> Option<CallerSession> {
        let sessions = self.sessions();
        let session = sessions.by_id.get(&id)?;
        let client = session.remote()?;
        if !matches!(session.speaker(), Speaker::OtherHost(at) if at.host == host) {
            return None;
        }
        // Its lease must not end between here and its next step.
        session.touch(&self.now());
        Some(CallerSession {
            session: Arc::clone(session),
            project: Arc::clone(&client.project),
        })
    }

    /// Renews the leases of the sessions on other hosts whose programs reach the hub. Returns the time until that is due
    /// again, `None` if there is no such session.
    pub(super) async fn renew_leases(&self) -> Option<Duration> {
        let (mut served, mut any) = (Vec::new(), false);
        for session in self.sessions().by_speaker.values() {
            if session.remote().is_some() || self.pool.is_on_server() {
                any = true;
                served.extend(session.id().filter(|_| session.is_served(&self.now())));
            }
        }
        if !any {
            return None;
        }
        let due = self.lease_renewal_due();
        if let Some(wait) = due {
            return Some(wait);
        }
        if self
            .with_mesh(|mesh| mesh.renew_leases(&served))
            .await
            .is_err()
        {
            // Their programs do not get through either: time stands still for all sessions.
            for session in self.sessions().by_speaker.values() {
                session.touch(&self.now());
            }
            return Some(RENEWAL_RETRY);
        }
        *self
            .renewed_monotonic_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = self.now().monotonic_ms;
        Some(LEASE_RENEWAL)
    }

    /// Returns the time until the leases are to be renewed, `None` if that is now.
    fn lease_renewal_due(&self) -> Option<Duration> {
        let renewed_ms = *self
            .renewed_monotonic_ms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let since_ms = u64::try_from(self.now().monotonic_ms - renewed_ms).unwrap_or(u64::MAX);
        LEASE_RENEWAL
            .checked_sub(Duration::from_millis(since_ms))
            .filter(|wait| !wait.is_zero())
    }

    /// Ends a session on another host because its program ends, and forgets it. Returns whether it was registered.
    pub(in crate::hub) async fn leave(&self, session: &HubSession, reason: &str) -> Result<bool> {
        session.set_left();
        let ended = self
            .with_mesh(|mesh| self.unregister(mesh, session, reason))
            .await?;
        self.remove(session);
        Ok(ended)
    }
}
