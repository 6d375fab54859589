//! Determines for a command its folder, its mesh, and the peer it acts as.
//!
//! In the shell of a Claude Code session a command acts as that session, even if a person typed it; anywhere else as the
//! person.
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::print;
use crate::claude_code;
use crate::claude_code::RegistryEntry;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::error::{CliError, Failure};
use crate::mesh::{JoinRequest, Member, Mesh, MeshOptions, SessionHandle};
use crate::model::{PeerKind, PeerName};
use crate::platform::foreign_text::escape_reserved_tags;
use crate::platform::isolation::{self, MeshAddress, MeshLocation};
use crate::platform::process;
use crate::platform::process::ProcessKey;
use crate::platform::project::Project;
use crate::platform::{Fault, Settings, SystemClock, text};

/// The folder of a command, before anything is opened.
#[derive(Debug)]
pub(super) struct CommandFolder {
    pub(super) settings: Settings,
    /// The project of the session above this shell, else of the working directory.
    pub(super) project: Project,
    /// Where the mesh of the project is.
    pub(super) address: MeshAddress,
    session: Option<(ProcessKey, RegistryEntry)>,
}

/// What a command on a mesh in a file needs to know before it opens the mesh.
#[derive(Debug)]
pub(super) struct CliContext {
    pub(super) settings: Settings,
    /// The project of the session above this shell, else of the working directory.
    pub(super) project: Project,
    /// The mesh of the command; by default that of the project.
    pub(super) location: MeshLocation,
    /// Print JSON.
    pub(super) json: bool,
    session: Option<(ProcessKey, RegistryEntry)>,
}

/// A registered session without a doorbell, for commands that do not wait.
///
/// Dropping it unregisters the session of a person. The Claude Code session above the shell stays registered.
pub(super) struct SessionGuard {
    pub(super) mesh: Mesh,
    pub(super) me: SessionHandle,
    unregister_on_drop: bool,
}

impl CommandFolder {
    /// Determines folder, session and mesh. Opens nothing.
    pub(super) fn resolve() -> Result<Self, Failure> {
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
        let address = project.mesh_address(&settings)?;
        Ok(Self {
            settings,
            project,
            address,
            session,
        })
    }

    /// Returns the context of a command that works on a mesh in a file. This is the one place that refuses a mesh at a hub.
    pub(super) fn into_context(self, json: bool) -> Result<CliContext, Failure> {
        match &self.address {
            MeshAddress::File(location) => {
                let location = location.clone();
                Ok(self.into_context_of(location, json))
            }
            MeshAddress::Hub(hub) => Err(isolation::hub_fault(hub).into()),
        }
    }

    /// Returns the client process of the session above this shell.
    #[cfg(feature = "remote")]
    pub(super) fn session_process(&self) -> Option<ProcessKey> {
        self.session.as_ref().map(|(process, _)| *process)
    }

    /// Refuses an operation that only a person may do.
    #[cfg(feature = "postgres")]
    pub(super) fn require_person(&self, what: &str) -> Result<(), Failure> {
        require_person(self.session.is_none(), what)
    }

    /// Returns the context of a command on the mesh of this name; without a name on that of the folder.
    pub(super) fn into_context_of_mesh(
        self,
        name: Option<&str>,
        json: bool,
    ) -> Result<CliContext, Failure> {
        let Some(name) = name else {
            return self.into_context(json);
        };
        let meshes = isolation::all_meshes(&self.settings)?;
        let found = meshes.into_iter().find(|mesh| mesh.name == name);
        let location = found.ok_or_else(|| {
            let message = format!("no mesh called {name:?}");
            CliError::new("not_found", message, "`claude-mesh wall` lists them")
        })?;
        Ok(self.into_context_of(location, json))
    }

    /// Returns the context of a command on this mesh, whichever the folder has.
    pub(super) fn into_context_of(self, location: MeshLocation, json: bool) -> CliContext {
        CliContext {
            settings: self.settings,
            project: self.project,
            location,
            json,
            session: self.session,
        }
    }
}

impl CliContext {
    /// Determines folder, mesh and session; refuses a folder whose mesh is at a hub. Opens nothing.
    pub(super) fn resolve(json: bool) -> Result<Self, Failure> {
        CommandFolder::resolve()?.into_context(json)
    }

    /// Opens the mesh, and creates its file if there is none.
    pub(super) fn open(&self) -> Result<Mesh, Fault> {
        let options = MeshOptions::from_settings(&self.settings);
        Mesh::open_with(
            &self.location.database,
            Arc::new(SystemClock::new()),
            &options,
        )
    }

    /// Opens the mesh if its file exists.
    pub(super) fn open_existing(&self) -> Result<Option<Mesh>, Fault> {
        let path = &self.location.database;
        match path.try_exists() {
            Ok(true) => self.open().map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(Fault::io("open", path, error)),
        }
    }

    /// Prints that there is no mesh yet, which is not an error; with `--json` prints `empty`.
    pub(super) fn report_no_mesh(&self, empty: &serde_json::Value) -> CommandResult {
        if self.json {
            print::json(empty)?;
        } else {
            print::line(&format!(
                "no mesh here yet: {} does not exist",
                self.shown(&self.location.database)
            ))?;
            print::line(
                "`claude-mesh install` sets up Claude Code; the first session creates the file",
            )?;
        }
        Ok(CommandStatus::Done)
    }

    /// Registers with a doorbell, for commands that wait.
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

    /// Registers the person with a doorbell as a terminal that shows questions.
    pub(super) fn join_as_terminal(&self) -> Result<Member, Failure> {
        let mut request = person_join_request();
        request.agent = Some("terminal".into());
        Ok(self.open()?.join_with(&request, self.settings.polling)?)
    }

    /// Registers without a doorbell, for commands that do not wait.
    pub(super) fn register(&self, mut mesh: Mesh) -> Result<SessionGuard, Failure> {
        let me = match &self.session {
            Some((process, registry_entry)) => {
                self.ensure_registered(&mut mesh, *process, registry_entry)?
            }
            None => mesh.register(&person_join_request())?,
        };
        Ok(SessionGuard {
            mesh,
            me,
            unregister_on_drop: self.session.is_none(),
        })
    }

    /// Returns whether the command acts as a person, not as a session.
    pub(super) fn is_person(&self) -> bool {
        self.session.is_none()
    }

    /// Returns the name of the peer the command acts as; `None` for a session that is not registered yet.
    pub(super) fn speaker_name(&self, mesh: &mut Mesh) -> Result<Option<PeerName>, Failure> {
        if self.is_person() {
            return Ok(Some(PeerName::for_person(&process::host())));
        }
        Ok(self.find_own_session(mesh)?.map(|me| me.name))
    }

    /// Returns the session above this shell, if there is one and it is registered.
    pub(super) fn find_own_session(
        &self,
        mesh: &mut Mesh,
    ) -> Result<Option<SessionHandle>, Failure> {
        Ok(match &self.session {
            Some((process, _)) => mesh.find_session_of_process(*process)?,
            None => None,
        })
    }

    /// Refuses an operation that only a person may do.
    pub(super) fn require_person(&self, what: &str) -> Result<(), Failure> {
        require_person(self.is_person(), what)
    }

    /// Makes foreign text safe to print. In the shell of a session it also neutralizes markup, because the output goes into
    /// the context of the model.
    pub(super) fn sanitize_foreign(&self, text: &str) -> String {
        sanitize_foreign(self.is_person(), text)
    }

    /// Prints foreign text alone.
    ///
    /// A person's pipe or file gets every byte, for the next program. A terminal gets cleaned text, and so does the shell
    /// of a session, because its output goes into the context of the model.
    pub(super) fn print_foreign(&self, text: &str) -> io::Result<()> {
        print_foreign(self.is_person(), text)
    }

    /// Returns a path as people write it.
    pub(super) fn shown(&self, path: &Path) -> String {
        shown(path, &self.settings.home)
    }

    /// Returns the session above this shell, and registers it if it is not yet.
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
                "this session does not take part in the mesh",
                "CLAUDE_MESH=off or \"enabled\": false in .claude-mesh.json turns it off",
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

impl Drop for SessionGuard {
    fn drop(&mut self) {
        if self.unregister_on_drop {
            let _ = self.mesh.unregister(self.me.session, "left");
        }
    }
}

fn require_person(is_person: bool, what: &str) -> Result<(), Failure> {
    if is_person {
        return Ok(());
    }
    let message = format!("{what} is for the person; in this shell commands act as the session");
    Err(CliError::new("not_yours", message, "use a terminal of your own").into())
}

/// Makes foreign text safe to print: for a person, or for the shell of a session.
pub(super) fn sanitize_foreign(is_person: bool, text: &str) -> String {
    if is_person {
        text::strip_terminal_controls(text)
    } else {
        escape_reserved_tags(text)
    }
}

/// Prints foreign text alone: for a person, or for the shell of a session.
pub(super) fn print_foreign(is_person: bool, text: &str) -> io::Result<()> {
    if print::is_terminal() || !is_person {
        return print::line(&sanitize_foreign(is_person, text));
    }
    print::bytes(format!("{text}\n").as_bytes())
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
        |stat: &process::ProcessStat| claude_code::registry_entry(config_dir, stat.key).is_some();
    let process = claude_code::find_session_ancestor(process::own_pid(), is_session)?;
    Some((process, claude_code::registry_entry(config_dir, process)?))
}

fn person_join_request() -> JoinRequest {
    let pid = process::own_pid();
    let process = process::stat(pid).map_or(ProcessKey { pid, started: 0 }, |found| found.key);
    JoinRequest::of(process, PeerKind::Person, None)
}
