//! Defines one call of a hook, with what every hook needs: the process of the session, its project, the open mesh, its
//! registration.
use std::sync::Arc;
use std::time::Duration;

use super::other_client;
use crate::claude_code::{self, HookEvent};
use crate::mesh::{JoinRequest, Mesh, MeshOptions, SessionHandle};
use crate::model::{Error, PeerKind};
use crate::platform::process::{self, ProcessKey};
use crate::platform::project::Project;
use crate::platform::{Fault, FaultKind, Settings, SystemClock, fault_log};

/// The wait for the write lock at a prompt or the end of a turn, where a user waits. After it the hook prints what it has
/// read and does not mark it as shown.
const LOCK_TIMEOUT: Duration = Duration::from_millis(250);
/// The same at the start and the end of a session: nobody types then, and a missed registration cannot be made up for by
/// printing.
const LOCK_TIMEOUT_AT_SESSION_EDGES: Duration = Duration::from_secs(1);

/// One call of a hook.
#[derive(Debug)]
pub struct HookCall {
    pub event: HookEvent,
    /// The event as it came on stdin; empty where no server is asked.
    pub payload: Vec<u8>,
    pub settings: Settings,
    /// Whether a client other than Claude Code runs the hook. It may have been started from the shell of a session, so the
    /// environment of Claude Code does not count then.
    pub other_client: bool,
    /// Whether the server of the session runs it for a hook. What cannot be stored at once is left to the hook then.
    pub by_server: bool,
}

impl HookCall {
    /// Returns the process of the session: the one that Claude Code names, else the session that started this process, else
    /// the parent.
    pub(super) fn client(&self) -> Result<ProcessKey, Fault> {
        if self.other_client {
            return other_client::find_client();
        }
        let registry_entry = |process: &process::ProcessStat| {
            claude_code::registry_entry(&self.settings.claude.config_dir, process.key).is_some()
        };
        let from_settings = self
            .settings
            .claude
            .pid
            .and_then(process::stat)
            .map(|found| found.key);
        from_settings
            .or_else(|| claude_code::find_session_ancestor(process::own_pid(), registry_entry))
            .or_else(|| {
                // A process whose session has ended is adopted by the first process.
                let is_orphan =
                    |parent: &ProcessKey| parent.pid == 1 && self.settings.claude.pid.is_some();
                process::parent().filter(|parent| !is_orphan(parent))
            })
            .ok_or_else(|| {
                Fault::new(
                    FaultKind::Other,
                    "cannot find the process of the session that runs this hook",
                    "if the session has ended, nothing is to be done; else `claude-mesh doctor` shows what is wrong",
                )
            })
    }

    /// Returns the project, or `None` if it does not take part in the mesh.
    pub(super) fn project(&self) -> Result<Option<Project>, Fault> {
        let project = Project::of(
            &self.settings.project_folder(!self.other_client),
            &self.settings,
        )?;
        Ok(project.is_enabled().then_some(project))
    }

    /// Opens the mesh of a project.
    pub(super) fn open(&self, project: &Project) -> Result<Mesh, Fault> {
        let place = project.mesh_location(&self.settings)?;
        let lock_timeout = match self.event {
            HookEvent::Prompted { .. }
            | HookEvent::Stopping { .. }
            | HookEvent::Editing { .. }
            | HookEvent::ChangingWorkingTrees { .. } => LOCK_TIMEOUT,
            HookEvent::Started { .. } | HookEvent::Ended { .. } => LOCK_TIMEOUT_AT_SESSION_EDGES,
        };
        let options = MeshOptions::from_settings(&self.settings)
            .lock_timeout(lock_timeout)
            .for_hook();
        Mesh::open_with(&place.database, Arc::new(SystemClock::new()), &options)
    }

    /// Returns whether the server offers this set of tools.
    pub(crate) fn lists_tool_set(&self, set: &str) -> bool {
        let sets = self.settings.tools.as_ref();
        sets.is_none_or(|sets| sets.iter().any(|listed| listed == set))
    }

    /// Returns whether other sessions can ask this one: it is interactive, or headless with the setting to answer.
    pub(crate) fn is_addressable(&self) -> bool {
        self.other_client || !self.settings.is_headless() || self.settings.headless_mailbox
    }

    /// Returns the registered session of a process; registers it if it is not. That is so for a session that was open before
    /// the install, after the database was replaced, and for one that has just started.
    pub(super) fn find_or_register(
        &self,
        mesh: &mut Mesh,
        process: ProcessKey,
        project: Project,
    ) -> Result<SessionHandle, Error> {
        if !self.other_client
            && let Some(me) = mesh.find_session_of_process(process)?
        {
            return Ok(me);
        }
        self.register(
            mesh,
            self.join_request(process, project, self.client_session()),
        )
    }

    /// Registers the session.
    pub(super) fn register(
        &self,
        mesh: &mut Mesh,
        mut request: JoinRequest,
    ) -> Result<SessionHandle, Error> {
        if self.other_client {
            request.instance = mesh.instance_of_conversation(&request)?;
        }
        mesh.register(&request)
    }

    /// Logs and drops a storage fault of marking something as shown, so that it is printed all the same: a repetition is
    /// better than a loss.
    pub(super) fn tolerate_unmarked(&self, marked: Result<(), Error>) -> Result<(), Error> {
        match marked {
            Err(Error::Fault(fault))
                if !self.by_server
                    && matches!(
                        fault.kind,
                        FaultKind::Busy | FaultKind::DiskFull | FaultKind::Permission
                    ) =>
            {
                fault_log::append(
                    &self.settings.mesh_home,
                    "claude-mesh-inbox-poll",
                    &format!("shown, but not marked: {fault}"),
                );
                Ok(())
            }
            other => other,
        }
    }

    fn client_session(&self) -> Option<String> {
        match &self.event {
            HookEvent::Started { session }
            | HookEvent::Prompted { session, .. }
            | HookEvent::Stopping { session, .. }
            | HookEvent::Ended { session, .. } => session.clone(),
            HookEvent::Editing { .. } | HookEvent::ChangingWorkingTrees { .. } => None,
        }
    }

    /// Returns the request to register this session.
    pub(super) fn join_request(
        &self,
        process: ProcessKey,
        project: Project,
        client_session: Option<String>,
    ) -> JoinRequest {
        let mut request = JoinRequest::of(process, PeerKind::Session, Some(project));
        request.client_session = client_session;
        if self.other_client {
            return request;
        }
        request.headless = self.settings.is_headless();
        request.fill_from_registry(claude_code::registry_entry(
            &self.settings.claude.config_dir,
            process,
        ));
        request
    }
}
