//! `JoinRequest`: what a client process gives to register.
use std::path::Path;

use crate::claude_code::RegistryEntry;
use crate::mesh::liveness::HostView;
use crate::model::{PeerKind, PeerName};
use crate::platform::process::{self, ProcessKey};
use crate::platform::project::Project;
use crate::platform::{Fault, Settings};
use crate::store::ProcessLocation;

/// A client process that registers.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// The client process.
    pub process: ProcessKey,
    /// Distinguishes several members of one process; 0 for hooks and servers.
    pub instance: u32,
    /// The location of the process on another host, which a hub registers; `None` for a process of this machine.
    pub other_host: Option<ProcessLocation>,
    /// What registers. A headless run gets no mailbox.
    pub kind: PeerKind,
    /// The project; a person needs none.
    pub project: Option<Project>,
    /// The peer to register at, by its name or an earlier one, whether or not other sessions are registered there. A missing
    /// one is created without a project. For a session only; `project` is not used then.
    pub named_peer: Option<PeerName>,
    /// The client, for example `claude-code 2.1.329`.
    pub agent: Option<String>,
    /// Claude Code's own id of the session.
    pub client_session: Option<String>,
    /// The name that its person gave it.
    pub given_name: Option<String>,
    /// Whether it is a `claude -p` run.
    pub headless: bool,
    /// Whether a server registers with it.
    pub has_server: bool,
}

impl JoinRequest {
    /// Returns this process as a member of a project, for programs that use the library alone.
    pub fn here(project: &Path) -> std::result::Result<Self, Fault> {
        let settings = Settings::read(&|_| None, project.into(), None, project.into())?;
        let project = Project::of(project, &settings)?;
        let process = process::stat(process::own_pid()).map_or(
            ProcessKey {
                pid: process::own_pid(),
                started: 0,
            },
            |found| found.key,
        );
        Ok(Self::of(process, PeerKind::Session, Some(project)))
    }

    /// Returns a request without details.
    pub fn of(process: ProcessKey, kind: PeerKind, project: Option<Project>) -> Self {
        Self {
            process,
            instance: 0,
            other_host: None,
            kind,
            project,
            named_peer: None,
            agent: None,
            client_session: None,
            given_name: None,
            headless: false,
            has_server: false,
        }
    }

    /// Returns the request of a further member of the same process.
    #[must_use]
    pub fn instance(mut self, instance: u32) -> Self {
        self.instance = instance;
        self
    }

    /// Returns where its process is.
    pub(in crate::mesh) fn location(&self, host: &HostView) -> ProcessLocation {
        match &self.other_host {
            Some(location) => location.clone(),
            None => host.location(self.process, self.instance),
        }
    }

    /// Adds what the registry of Claude Code knows and the request does not.
    pub fn fill_from_registry(&mut self, registry_entry: Option<RegistryEntry>) {
        let Some(registry_entry) = registry_entry else {
            return;
        };
        self.client_session = self.client_session.take().or(registry_entry.session_id);
        self.given_name = self.given_name.take().or(registry_entry.given_name);
        self.headless |= registry_entry.headless;
    }
}
