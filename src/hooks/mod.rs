//! What Claude Code runs at its own events: session start, typed prompt, end of a turn, session end; on request before an edit.
//!
//! *Purpose:* to tell a model who it is and what waits for it, and to keep it from idling while a question waits.
//! *Why not otherwise:* a hook stands in the way of a person, so it does the least it can: no runtime, no watcher, no
//! migration, no other process. Its stdout is the model's context, so it prints one JSON object or nothing; whatever
//! goes wrong goes to the fault log, and it exits with 0.
//!
//! One more program is installed on request: it waits beside the idle session, and nobody waits for it. It alone has a
//! watcher, and it alone ends with 2, which wakes the session with what it has written to stderr.

mod activity;
mod claim_guard;
mod event;
mod inbox_poll;
#[cfg(feature = "watcher")]
mod inbox_wait;
mod message;
mod payload;
mod prompt_text;
mod session_end;
mod session_start;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::claude_code::client;
use crate::mesh::{JoinRequest, Mesh, MeshOptions, SessionHandle};
use crate::model::{Error, PeerKind};
use crate::platform::process;
use crate::platform::process::ProcessKey;
use crate::platform::project::Project;
use crate::platform::{Fault, FaultKind, Settings, SystemClock, fault_log, version};

pub use crate::hooks::payload::HookPayload;
pub use crate::hooks::prompt_text::{HookOutput, UNITS_MAX};
pub use claim_guard::claim_guard;
pub use event::{HookEvent, Prompt};
pub use inbox_poll::inbox_poll;
#[cfg(feature = "watcher")]
pub use inbox_wait::inbox_wait;
pub use session_end::session_end;
pub use session_start::session_start;

/// At a prompt or the end of a turn a hook waits this long for the write lock; then it prints what it read and leaves the
/// mark undone.
const LOCK_TIMEOUT: Duration = Duration::from_millis(250);
/// At the start and the end of a session it waits longer: nobody types yet or any more, and a seat not taken or not left
/// cannot be made up for by printing.
const LOCK_TIMEOUT_AT_SESSION_EDGES: Duration = Duration::from_secs(1);
/// No event of Claude Code is nearly as large; more is not read.
const STDIN_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One hook: what it says to one event, if anything.
pub type HookFn<T = HookOutput> = fn(&HookCall) -> Result<Option<T>, Error>;

/// One call of a hook.
#[derive(Debug)]
pub struct HookCall {
    /// What happened.
    pub event: HookEvent,
    /// The settings of this process.
    pub settings: Settings,
}

/// Runs a hook as a program: event on stdin, at most one JSON object on stdout, 0 as exit status whatever happens.
pub fn run(hook: HookFn) -> ExitCode {
    if let Some(line) = version::version_line_if_requested() {
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
        return ExitCode::SUCCESS;
    }
    let outcome = std::panic::catch_unwind(|| {
        let (event, output) = answer(hook)?;
        Some(output?.to_json(&event))
    });
    if let Ok(Some(json)) = outcome {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(json.as_bytes()).and_then(|()| out.flush());
    }
    ExitCode::SUCCESS
}

/// Runs a waiting hook as a program: event on stdin; what wakes the session on stderr, with 2 as exit status, else 0.
#[cfg(feature = "watcher")]
pub fn wait(hook: HookFn<String>) -> ExitCode {
    if let Some(line) = version::version_line_if_requested() {
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
        return ExitCode::SUCCESS;
    }
    match std::panic::catch_unwind(|| answer(hook)) {
        Ok(Some((_, Some(text)))) => {
            let mut err = std::io::stderr().lock();
            let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
            ExitCode::from(2)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Returns the name of the event, and what the hook says to it.
fn answer<T>(hook: HookFn<T>) -> Option<(String, Option<T>)> {
    let settings = match Settings::of_this_process() {
        Ok(settings) => settings,
        Err(fault) => {
            report_fault(Settings::mesh_home_of_this_process(), &fault.message);
            return None;
        }
    };
    if settings.disabled {
        return None;
    }
    let mut input = Vec::new();
    if let Err(error) = std::io::stdin()
        .lock()
        .take(STDIN_BYTES_MAX)
        .read_to_end(&mut input)
    {
        report_fault(
            Some(settings.mesh_home),
            &format!("cannot read stdin: {error}"),
        );
        return None;
    }
    let wire: HookPayload = match serde_json::from_slice(&input) {
        Ok(wire) => wire,
        Err(error) => {
            report_fault(
                Some(settings.mesh_home),
                &format!("stdin is no event of Claude Code: {error}"),
            );
            return None;
        }
    };
    let name = wire.hook_event_name.clone();
    let event = HookEvent::of(wire)?;
    match hook(&HookCall {
        event,
        settings: settings.clone(),
    }) {
        Ok(output) => Some((name, output)),
        Err(error) => {
            report_fault(Some(settings.mesh_home), &error.to_string());
            None
        }
    }
}

/// A fault goes to the log and, for whoever runs the hook by hand, to stderr.
fn report_fault(mesh_home: Option<PathBuf>, message: &str) {
    let program = std::env::args_os().next().map(PathBuf::from);
    let program = program
        .as_deref()
        .and_then(Path::file_name)
        .map_or("hook".into(), |name| name.to_string_lossy().into_owned());
    let _ = writeln!(std::io::stderr(), "{program}: {message}");
    if let Some(mesh_home) = mesh_home {
        fault_log::append(&mesh_home, &program, message);
    }
}

impl HookCall {
    /// Returns the client process: what Claude Code says, else the session above this process, else its parent.
    fn client(&self) -> Result<ProcessKey, Fault> {
        let registry_entry = |process: &process::ProcessStat| {
            client::registry_entry(&self.settings.claude.config_dir, process.key).is_some()
        };
        let from_settings = self
            .settings
            .claude
            .pid
            .and_then(process::stat)
            .map(|found| found.key);
        from_settings
            .or_else(|| client::find_session_ancestor(process::own_pid(), registry_entry))
            .or_else(|| {
                process::ancestors(process::own_pid())
                    .next()
                    .map(|parent| parent.key)
            })
            .ok_or_else(|| {
                Fault::new(
                    FaultKind::Other,
                    "the client process of this hook cannot be found",
                    "",
                )
            })
    }

    /// Returns the project, or `None` when it stays out of the mesh.
    fn project(&self) -> Result<Option<Project>, Fault> {
        let project = Project::of(&self.settings.project_folder(true), &self.settings)?;
        Ok(project.is_enabled().then_some(project))
    }

    /// Opens the mesh of a project. `LOCK_TIMEOUT` bounds the wait for the write lock, except at the ends of a session.
    fn open(&self, project: &Project) -> Result<Mesh, Fault> {
        let place = project.mesh_location(&self.settings)?;
        let lock_timeout = match self.event {
            HookEvent::Prompted { .. } | HookEvent::Stopping { .. } | HookEvent::Editing { .. } => {
                LOCK_TIMEOUT
            }
            HookEvent::Started { .. } | HookEvent::Ended { .. } => LOCK_TIMEOUT_AT_SESSION_EDGES,
        };
        let options = MeshOptions::from_settings(&self.settings)
            .lock_timeout(lock_timeout)
            .for_hook();
        Mesh::open_with(&place.database, Arc::new(SystemClock::new()), &options)
    }

    /// Returns whether the server lists a set of tools.
    fn lists_tool_set(&self, set: &str) -> bool {
        let sets = self.settings.tools.as_ref();
        sets.is_none_or(|sets| sets.iter().any(|listed| listed == set))
    }

    /// Returns whether this session has a mailbox: an interactive one, or a headless one that was told to answer.
    fn is_addressable(&self) -> bool {
        !self.settings.is_headless() || self.settings.headless_mailbox
    }

    /// Returns where this session sits; seats it if it does not: a window that was open before the install, a database that
    /// was replaced, a session that has just started.
    fn find_or_register(
        &self,
        mesh: &mut Mesh,
        process: ProcessKey,
        project: Project,
    ) -> Result<SessionHandle, Error> {
        match mesh.find_session_of_process(process)? {
            Some(me) => Ok(me),
            None => mesh.register(&self.request(process, project, self.client_session())),
        }
    }

    fn client_session(&self) -> Option<String> {
        match &self.event {
            HookEvent::Started { session }
            | HookEvent::Prompted { session, .. }
            | HookEvent::Stopping { session, .. }
            | HookEvent::Ended { session, .. } => session.clone(),
            HookEvent::Editing { .. } => None,
        }
    }

    /// Returns this session as it comes in.
    fn request(
        &self,
        process: ProcessKey,
        project: Project,
        client_session: Option<String>,
    ) -> JoinRequest {
        let mut request = JoinRequest::of(process, PeerKind::Session, Some(project));
        request.client_session = client_session;
        request.headless = self.settings.is_headless();
        request.fill_from_registry(client::registry_entry(
            &self.settings.claude.config_dir,
            process,
        ));
        request
    }
}
