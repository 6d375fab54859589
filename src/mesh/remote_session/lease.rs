//! Registers sessions on other hosts and renews their leases: the operations of a hub.
use crate::mesh::connection::Mesh;
use crate::mesh::liveness::SESSION_LEASE_MS;
use crate::mesh::peer::join_request::JoinRequest;
use crate::mesh::peer::register::register;
use crate::mesh::remote_session::join::RemoteJoined;
use crate::mesh::session::SessionHandle;
use crate::model::Result;
use crate::platform::id::SessionId;

/// The schema from which on programs know folders of other hosts.
const SCHEMA_OF_OTHER_HOSTS: u32 = 5;

/// What is checked out in a project on another host.
#[expect(missing_docs, reason = "the field names say it")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GitState<'a> {
    pub branch: Option<&'a str>,
    pub head: Option<&'a str>,
}

impl Mesh {
    /// Registers a session on another host, or finds it: the same process keeps its session as long as that has not ended.
    pub fn register_remote(
        &mut self,
        request: &JoinRequest,
        git: GitState,
    ) -> Result<(SessionHandle, RemoteJoined)> {
        self.write(|write| {
            let handle = register(write, request, &[])?;
            write.tx.require_reader(SCHEMA_OF_OTHER_HOSTS)?;
            let lease_until_ms = write.tx.now.wall_ms + SESSION_LEASE_MS;
            write
                .tx
                .renew_session_leases(&[handle.session], lease_until_ms)?;
            let process = write.host.own.process;
            write
                .tx
                .delete_waits_of_other_processes(handle.session, process)?;
            write.tx.set_git_state(handle.peer, git.branch, git.head)?;
            let applied_verb = write.tx.applied_verb(handle.session)?;
            let joined = RemoteJoined::of(&handle, SESSION_LEASE_MS, applied_verb);
            Ok((handle, joined))
        })
    }

    /// Renews the leases of these sessions in one transaction.
    pub fn renew_leases(&mut self, sessions: &[SessionId]) -> Result<()> {
        if sessions.is_empty() {
            return Ok(());
        }
        self.write(|write| {
            let lease_until_ms = write.tx.now.wall_ms + SESSION_LEASE_MS;
            Ok(write.tx.renew_session_leases(sessions, lease_until_ms)?)
        })
    }

    /// Returns whether the lease of a session goes on: a hub has renewed it.
    pub fn is_lease_running(&mut self, session: SessionId) -> Result<bool> {
        self.read(|read| {
            let lease_until_ms = read.tx.session_lease(session)?;
            Ok(lease_until_ms.is_some_and(|until_ms| read.tx.now.wall_ms < until_ms))
        })
    }

    /// Extends the leases of all sessions on other hosts that have not ended, because a hub begins: while none ran, their
    /// programs could not reach the mesh. If a lease goes on, another hub runs, and those that have ended are abandoned.
    pub fn extend_leases_at_start(&mut self) -> Result<()> {
        let latest_ms = self.read(|read| Ok(read.tx.latest_session_lease()?))?;
        if latest_ms.is_none_or(|latest_ms| self.now().wall_ms < latest_ms) {
            return Ok(());
        }
        self.write(|write| {
            let lease_until_ms = write.tx.now.wall_ms + SESSION_LEASE_MS;
            Ok(write.tx.extend_session_leases(lease_until_ms)?)
        })
    }

    /// Stores what is checked out in the project of a session on another host, if it has changed.
    pub fn set_git_state(&mut self, me: &SessionHandle, git: GitState) -> Result<()> {
        let is_unchanged = self.read(|read| {
            let peer = read.tx.peer(me.peer)?;
            Ok(peer.is_none_or(|peer| {
                peer.git_branch.as_deref() == git.branch && peer.git_head.as_deref() == git.head
            }))
        })?;
        if is_unchanged {
            return Ok(());
        }
        self.write(|write| Ok(write.tx.set_git_state(me.peer, git.branch, git.head)?))
    }
}
