//! Where the command line sits: which folder it speaks of, which mesh that is, and who speaks.
//!
//! In the shell of a Claude Code session it is that session that speaks, whoever typed; anywhere else the person.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{CommandResult, CommandStatus, print};
use crate::claude_code::client;
use crate::claude_code::client::RegistryEntry;
use crate::cli::error::{CliError, Failure};
use crate::mesh::{JoinRequest, Member, Mesh, MeshOptions, SessionHandle};
use crate::model::{PeerKind, PeerName};
use crate::platform::isolation::MeshLocation;
use crate::platform::process;
use crate::platform::process::ProcessKey;
use crate::platform::project::Project;
use crate::platform::{Fault, Settings, SystemClock, text};

/// The place of one command.
#[derive(Debug)]
pub(super) struct CliContext {
    /// The settings of this process.
    pub(super) settings: Settings,
    /// The project of the session above, or of the working directory.
    pub(super) project: Project,
    /// Its mesh.
    pub(super) place: MeshLocation,
    /// Print JSON.
    pub(super) json: bool,
    session: Option<(ProcessKey, RegistryEntry)>,
}

/// A seat for verbs that do not wait. A person's is left when dropped.
pub(super) struct RegisteredSession {
    /// The mesh.
    pub(super) mesh: Mesh,
    /// Who sits there.
    pub(super) me: SessionHandle,
    unregister_on_drop: bool,
}

impl CliContext {
    /// Looks up folder, mesh and speaker. Opens nothing.
    pub(super) fn resolve(json: bool) -> Result<Self, Failure> {
        let settings = Settings::of_this_process()?;
        let session = find_session_ancestor(&settings.claude.config_dir);
        let registered_folder = session
            .as_ref()
            .and_then(|(_, registry_entry)| registry_entry.folder.as_ref());
        let folder = match (&settings.project_path, registered_folder) {
            (None, Some(folder)) => PathBuf::from(folder),
            _ => settings.project_folder(false),
        };
        let project = Project::of(&folder, &settings)?;
        let place = project.mesh_location(&settings)?;
        Ok(Self {
            settings,
            project,
            place,
            json,
            session,
        })
    }

    /// Opens the mesh; makes its file when there is none.
    pub(super) fn open(&self) -> Result<Mesh, Fault> {
        let options = MeshOptions::from_settings(&self.settings);
        Mesh::open_with(&self.place.database, Arc::new(SystemClock::new()), &options)
    }

    /// Opens the mesh if there is one: looking makes no file.
    pub(super) fn open_existing(&self) -> Result<Option<Mesh>, Fault> {
        let path = &self.place.database;
        match path.try_exists() {
            Ok(true) => self.open().map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(Fault::io("open", path, error)),
        }
    }

    /// Says that there is no mesh yet, which is no fault.
    pub(super) fn report_no_mesh(&self, empty: &serde_json::Value) -> CommandResult {
        if self.json {
            print::json(empty)?;
        } else {
            print::line(&format!(
                "no mesh here yet: {} does not exist",
                self.shown(&self.place.database)
            ))?;
            print::line(
                "`claude-mesh install` wires Claude Code; the first session makes the file",
            )?;
        }
        Ok(CommandStatus::Done)
    }

    /// Sits down with a doorbell, to ask and wait.
    pub(super) fn join(&self) -> Result<Member, Failure> {
        let mut mesh = self.open()?;
        let polling = self.settings.polling;
        Ok(match &self.session {
            Some((process, registry_entry)) => {
                let me = self.ensure_registered(&mut mesh, *process, registry_entry)?;
                mesh.act_as(me, polling)?
            }
            None => mesh.join_with(&person_join_request(), polling)?,
        })
    }

    /// Sits down without a doorbell.
    pub(super) fn register(&self, mut mesh: Mesh) -> Result<RegisteredSession, Failure> {
        let me = match &self.session {
            Some((process, registry_entry)) => {
                self.ensure_registered(&mut mesh, *process, registry_entry)?
            }
            None => mesh.register(&person_join_request())?,
        };
        Ok(RegisteredSession {
            mesh,
            me,
            unregister_on_drop: self.session.is_none(),
        })
    }

    /// Returns whether a person speaks, not a session.
    pub(super) fn is_person(&self) -> bool {
        self.session.is_none()
    }

    /// Returns by what name this desk speaks, as far as it has one already.
    pub(super) fn speaker_name(&self, mesh: &mut Mesh) -> Result<Option<PeerName>, Failure> {
        if self.is_person() {
            return Ok(Some(PeerName::for_person(&process::host())));
        }
        Ok(self.find_own_session(mesh)?.map(|me| me.name))
    }

    /// Returns where the session above this shell sits, if there is one and it does.
    pub(super) fn find_own_session(
        &self,
        mesh: &mut Mesh,
    ) -> Result<Option<SessionHandle>, Failure> {
        Ok(match &self.session {
            Some((process, _)) => mesh.find_session_of_process(*process)?,
            None => None,
        })
    }

    /// Refuses what only a person may do.
    pub(super) fn require_person(&self, what: &str) -> Result<(), Failure> {
        if self.is_person() {
            return Ok(());
        }
        let message = format!("{what} is for the person; in this shell the session speaks");
        Err(CliError::new("not_yours", message, "use a terminal of your own").into())
    }

    /// Returns foreign text as it may be printed: a session's shell prints into its model's context.
    pub(super) fn sanitize_foreign(&self, text: &str) -> String {
        if self.is_person() {
            text::strip_terminal_controls(text)
        } else {
            text::defang(text)
        }
    }

    /// Returns a path as people write it.
    pub(super) fn shown(&self, path: &Path) -> String {
        shown(path, &self.settings.home)
    }

    /// Finds or gives the session above this shell its seat; it never passes for the person.
    fn ensure_registered(
        &self,
        mesh: &mut Mesh,
        process: ProcessKey,
        registry_entry: &RegistryEntry,
    ) -> Result<SessionHandle, Failure> {
        if let Some(me) = mesh.find_session_of_process(process)? {
            return Ok(me);
        }
        if self.settings.disabled || !self.project.is_enabled() {
            return Err(CliError::new(
                "unsupported",
                "this session stays out of the mesh",
                "CLAUDE_MESH=off or \"enabled\": false in .claude-mesh.json says so",
            )
            .into());
        }
        let headless = self.settings.is_headless() || registry_entry.headless;
        let kind = if headless && !self.settings.headless_mailbox {
            PeerKind::Run
        } else {
            PeerKind::Session
        };
        let mut request = JoinRequest::of(process, kind, Some(self.project.clone()));
        request.headless = headless;
        request.fill_from_registry(Some(registry_entry.clone()));
        Ok(mesh.register(&request)?)
    }
}

impl Drop for RegisteredSession {
    fn drop(&mut self) {
        if self.unregister_on_drop {
            let _ = self.mesh.unregister(self.me.session, "left");
        }
    }
}

/// Returns a path with the home folder as `~`.
pub(super) fn shown(path: &Path, home: &Path) -> String {
    match path.strip_prefix(home) {
        Ok(below) if below.as_os_str().is_empty() => "~".into(),
        Ok(below) => format!("~/{}", text::one_line(&below.to_string_lossy())),
        Err(_) => text::one_line(&path.to_string_lossy()),
    }
}

fn find_session_ancestor(config_dir: &Path) -> Option<(ProcessKey, RegistryEntry)> {
    let is_session =
        |stat: &process::ProcessStat| client::registry_entry(config_dir, stat.key).is_some();
    let process = client::find_session_ancestor(process::own_pid(), is_session)?;
    Some((process, client::registry_entry(config_dir, process)?))
}

fn person_join_request() -> JoinRequest {
    let pid = process::own_pid();
    let process = process::stat(pid).map_or(ProcessKey { pid, started: 0 }, |found| found.key);
    JoinRequest::of(process, PeerKind::Person, None)
}
