//! Where the command line sits: which folder it speaks of, which mesh that is, and who speaks.
//!
//! In the shell of a Claude Code session it is that session that speaks, whoever typed; anywhere else the person.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Ending, Outcome, print};
use crate::claude_code::client;
use crate::claude_code::client::Registered;
use crate::cli::error::{Failure, Wrong};
use crate::mesh::{Arrival, Member, Mesh, Opening, Sitting};
use crate::model::{PeerKind, PeerName};
use crate::platform::isolation::Place;
use crate::platform::process;
use crate::platform::process::ProcessKey;
use crate::platform::project::Project;
use crate::platform::{Fault, Settings, SystemClock, text};
use crate::store::Options;

/// The place of one command.
#[derive(Debug)]
pub(super) struct Desk {
    /// The settings of this process.
    pub(super) settings: Settings,
    /// The project of the session above, or of the working directory.
    pub(super) project: Project,
    /// Its mesh.
    pub(super) place: Place,
    /// Print JSON.
    pub(super) json: bool,
    session: Option<(ProcessKey, Registered)>,
}

/// A seat for verbs that do not wait. A person's is left when dropped.
pub(super) struct Seat {
    /// The mesh.
    pub(super) mesh: Mesh,
    /// Who sits there.
    pub(super) me: Sitting,
    own: bool,
}

impl Desk {
    /// Looks up folder, mesh and speaker. Opens nothing.
    pub(super) fn find(json: bool) -> Result<Self, Failure> {
        let settings = Settings::of_this_process()?;
        let session = session_above(&settings.claude.config_dir);
        let told = session
            .as_ref()
            .and_then(|(_, registered)| registered.folder.as_ref());
        let folder = match (&settings.project_path, told) {
            (None, Some(folder)) => PathBuf::from(folder),
            _ => settings.project_folder(false),
        };
        let project = Project::of(&folder, &settings)?;
        let place = project.place(&settings)?;
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
        let opening = Opening {
            store: Options {
                sync_full: self.settings.sync_full,
                ..Options::default()
            },
            registry: Some(self.settings.claude.config_dir.clone()),
            wake_budget: self.settings.wake_budget,
            keep_ms: self.settings.keep_ms,
            faults: Some(self.settings.mesh_home.clone()),
        };
        Mesh::open_with(&self.place.database, Arc::new(SystemClock::new()), &opening)
    }

    /// Opens the mesh if there is one: looking makes no file.
    pub(super) fn open_existing(&self) -> Result<Option<Mesh>, Fault> {
        let path = &self.place.database;
        match path.try_exists() {
            Ok(true) => self.open().map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(Fault::io("open", path, &error)),
        }
    }

    /// Says that there is no mesh yet, which is no fault.
    pub(super) fn no_mesh(&self, empty: &serde_json::Value) -> Outcome {
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
        Ok(Ending::Done)
    }

    /// Sits down with a doorbell, to ask and wait.
    pub(super) fn join(&self) -> Result<Member, Failure> {
        let mut mesh = self.open()?;
        let polling = self.settings.polling;
        Ok(match &self.session {
            Some((process, registered)) => {
                let me = self.seat_session(&mut mesh, *process, registered)?;
                mesh.speak_as(me, polling)?
            }
            None => mesh.join_with(&person(), polling)?,
        })
    }

    /// Sits down without a doorbell.
    pub(super) fn sit(&self, mut mesh: Mesh) -> Result<Seat, Failure> {
        let me = match &self.session {
            Some((process, registered)) => self.seat_session(&mut mesh, *process, registered)?,
            None => mesh.sit(&person())?,
        };
        Ok(Seat {
            mesh,
            me,
            own: self.session.is_none(),
        })
    }

    /// Returns whether a person speaks, not a session.
    pub(super) fn is_person(&self) -> bool {
        self.session.is_none()
    }

    /// Returns by what name this desk speaks, as far as it has one already.
    pub(super) fn own_name(&self, mesh: &mut Mesh) -> Result<Option<PeerName>, Failure> {
        if self.is_person() {
            return Ok(Some(PeerName::of_person(&process::host())));
        }
        Ok(self.seat_of_session(mesh)?.map(|me| me.name))
    }

    /// Returns where the session above this shell sits, if there is one and it does.
    pub(super) fn seat_of_session(&self, mesh: &mut Mesh) -> Result<Option<Sitting>, Failure> {
        Ok(match &self.session {
            Some((process, _)) => mesh.seat_of(*process)?,
            None => None,
        })
    }

    /// Refuses what only a person may do.
    pub(super) fn persons_only(&self, what: &str) -> Result<(), Failure> {
        if self.is_person() {
            return Ok(());
        }
        let message = format!("{what} is for the person; in this shell the session speaks");
        Err(Wrong::new("not_yours", message, "use a terminal of your own").into())
    }

    /// Returns foreign text as it may be printed: a session's shell prints into its model's context.
    pub(super) fn foreign(&self, text: &str) -> String {
        if self.is_person() {
            text::clean(text)
        } else {
            text::defang(text)
        }
    }

    /// Returns a path as people write it.
    pub(super) fn shown(&self, path: &Path) -> String {
        shown(path, &self.settings.home)
    }

    /// Finds or gives the session above this shell its seat; it never passes for the person.
    fn seat_session(
        &self,
        mesh: &mut Mesh,
        process: ProcessKey,
        registered: &Registered,
    ) -> Result<Sitting, Failure> {
        if let Some(me) = mesh.seat_of(process)? {
            return Ok(me);
        }
        if self.settings.off || !self.project.is_enabled() {
            return Err(Wrong::new(
                "unsupported",
                "this session stays out of the mesh",
                "CLAUDE_MESH=off or \"enabled\": false in .claude-mesh.json says so",
            )
            .into());
        }
        let headless = self.settings.is_headless() || registered.headless;
        let kind = if headless && !self.settings.answer {
            PeerKind::Run
        } else {
            PeerKind::Session
        };
        let mut arrival = Arrival::of(process, kind, Some(self.project.clone()));
        arrival.headless = headless;
        arrival.complete(Some(registered.clone()));
        Ok(mesh.sit(&arrival)?)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.own {
            let _ = self.mesh.leave(self.me.session, "left");
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

fn session_above(config_dir: &Path) -> Option<(ProcessKey, Registered)> {
    let is_session =
        |stat: &process::ProcessStat| client::registered(config_dir, stat.key).is_some();
    let process = client::session_above(process::own_pid(), is_session)?;
    Some((process, client::registered(config_dir, process)?))
}

fn person() -> Arrival {
    let pid = process::own_pid();
    let process = process::stat(pid).map_or(ProcessKey { pid, started: 0 }, |found| found.key);
    Arrival::of(process, PeerKind::Person, None)
}
