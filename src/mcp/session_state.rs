//! Holds the state of the server for its calls and background tasks: the client, the open mesh, and the registered
//! session.
//!
//! The client's name comes with the first request that carries it. The environment of Claude Code counts only for a client
//! that names itself `claude-code`: another client that was started from the shell of a session inherits it.
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::claude_code;
use crate::mcp::server_faults;
use crate::mesh::{JoinRequest, Mesh, MeshOptions, SessionHandle};
use crate::model::{PeerKind, Refusal, Result};
use crate::platform::id::WaitId;
use crate::platform::isolation::MeshLocation;
use crate::platform::lock;
use crate::platform::lock::LockGuard;
use crate::platform::process;
use crate::platform::process::{ProcessKey, ProcessStat};
use crate::platform::project::Project;
use crate::platform::session_socket::guard_socket_path;
use crate::platform::{Clock, Moment, Settings, SystemClock};
use crate::tools::{self, BUSY_TIMEOUT, CallContext};
use crate::wake::{CalmMarker, WakeListener};

/// The pauses before each search for the registry file. After the last one that is left to the first tool call.
const SESSION_SEARCH_DELAYS_MS: [u64; 10] = [0, 15, 30, 60, 120, 250, 500, 1_000, 2_000, 5_000];

/// What all calls of one server share.
pub(super) struct Shared {
    settings: Settings,
    clock: Arc<SystemClock>,
    started: Moment,
    /// The process that has started this one.
    parent: Option<ProcessKey>,
    session_state: Mutex<SessionState>,
    conversation: Mutex<Option<String>>,
    doorbell_signals: watch::Sender<u64>,
    client_process: watch::Sender<Option<ProcessKey>>,
    stdin_closed: watch::Sender<bool>,
    waiting_call_count: watch::Sender<u32>,
    /// Waits that have ended but whose rows could not be deleted yet, for example because the disk is full.
    waits_to_end: Mutex<Vec<WaitId>>,
}

/// What the server has opened and registered.
#[derive(Default)]
pub(super) struct SessionState {
    mesh: Option<Mesh>,
    location: Option<MeshLocation>,
    project: Option<Project>,
    registration: Option<Registration>,
}

struct Registration {
    handle: SessionHandle,
    listener: Box<dyn WakeListener>,
    /// `None` while another process owns it: another server of the same client, or one that was stopped while it probed.
    lock: Option<LockGuard>,
    /// Lets the hooks of the session end without the database.
    calm: Option<CalmMarker>,
}

impl Shared {
    pub(super) fn new(settings: Settings) -> Self {
        let clock = Arc::new(SystemClock::new());
        Self {
            started: clock.now(),
            parent: process::parent(),
            settings,
            clock,
            session_state: Mutex::default(),
            conversation: Mutex::default(),
            doorbell_signals: watch::Sender::new(0),
            client_process: watch::Sender::new(None),
            stdin_closed: watch::Sender::new(false),
            waiting_call_count: watch::Sender::new(0),
            waits_to_end: Mutex::default(),
        }
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Returns how long this server has run, in seconds.
    fn uptime_seconds(&self) -> i64 {
        (self.now().monotonic_ms - self.started.monotonic_ms) / 1000
    }

    pub(super) fn session_state(&self) -> MutexGuard<'_, SessionState> {
        self.session_state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the doorbell signals of this session, for one waiting call.
    pub(super) fn doorbell_signals(&self) -> watch::Receiver<u64> {
        self.doorbell_signals.subscribe()
    }

    /// Returns the flag that says whether the client has closed stdin.
    pub(super) fn stdin_closed(&self) -> watch::Sender<bool> {
        self.stdin_closed.clone()
    }

    /// Counts a call that begins to wait, or that has ended its wait.
    pub(super) fn count_waiting_call(&self, waits: bool) {
        self.waiting_call_count.send_modify(|count| {
            *count = if waits {
                *count + 1
            } else {
                count.saturating_sub(1)
            };
        });
    }

    /// Returns the number of waiting calls.
    pub(super) fn waiting_call_count(&self) -> watch::Receiver<u32> {
        self.waiting_call_count.subscribe()
    }

    /// Records a wait that has ended and whose row [`Shared::end_waits`] deletes.
    pub(super) fn queue_wait_to_end(&self, wait: WaitId) {
        self.waits_to_end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(wait);
    }

    /// Deletes the rows of waits that have ended: a session with such a row counts as waiting, and is not woken.
    pub(super) async fn end_waits(&self, client: &str) {
        let pending_ends = || {
            self.waits_to_end
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let next = || pending_ends().last().copied();
        while let Some(wait) = next() {
            let ended = self
                .in_same_session(client, |call| call.mesh.cancel_wait(wait))
                .await;
            if ended.is_err() {
                return;
            }
            pending_ends().retain(|queued| *queued != wait);
        }
    }

    /// Records the conversation of a client other than Claude Code, which it says with its calls.
    pub(super) fn set_conversation(&self, conversation: &str) {
        let mut current = self.lock_conversation();
        if current.as_deref() != Some(conversation) {
            *current = Some(conversation.to_owned());
        }
    }

    /// Returns the conversation that the client has said last.
    pub(super) fn conversation(&self) -> Option<String> {
        self.lock_conversation().clone()
    }

    fn lock_conversation(&self) -> MutexGuard<'_, Option<String>> {
        let locked = self.conversation.lock();
        locked.unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether a session has been registered once.
    pub(super) fn has_registered(&self) -> bool {
        self.client_process.borrow().is_some()
    }

    /// Returns the client process once the session is registered.
    pub(super) fn client_process(&self) -> watch::Receiver<Option<ProcessKey>> {
        self.client_process.subscribe()
    }

    /// Returns the socket at which this server answers the mod, once the session is registered.
    fn guard_socket(&self, client: &str) -> Option<PathBuf> {
        let process = (*self.client_process.borrow()).filter(|_| is_claude(client))?;
        Some(guard_socket_path(&self.settings.mesh_home, process))
    }

    /// Returns the longest time between two polls of a waiting call.
    pub(super) fn poll_interval(&self) -> Duration {
        let poll_interval = self
            .session_state()
            .registration
            .as_ref()
            .and_then(|registration| registration.listener.poll_interval(true));
        poll_interval.unwrap_or(Duration::from_secs(2))
    }

    /// Returns whether the mesh is switched off for this session, and why.
    pub(super) fn disabled_reason(&self, client: &str) -> Option<String> {
        if self.settings.disabled {
            return Some("claude-mesh is switched off here (CLAUDE_MESH=off)".into());
        }
        let project = Project::of(
            &self.settings.project_folder(is_claude(client)),
            &self.settings,
        )
        .ok()?;
        (!project.is_enabled())
            .then(|| "claude-mesh is switched off for this project (.claude-mesh.json)".into())
    }

    /// Runs an operation as this server's session, and registers it first if it is not registered. While another
    /// program holds the write lock, the other calls of this server go on.
    pub(super) async fn in_session<T>(
        &self,
        client: &str,
        operation: impl FnMut(CallContext<'_>) -> Result<T>,
    ) -> Result<T> {
        self.retry_while_busy(client, false, operation).await
    }

    /// Runs one step of a call, as the session in which the call began.
    pub(super) async fn in_same_session<T>(
        &self,
        client: &str,
        operation: impl FnMut(CallContext<'_>) -> Result<T>,
    ) -> Result<T> {
        self.retry_while_busy(client, true, operation).await
    }

    /// Lets the background tasks look at the session again, as its doorbell does.
    pub(super) fn wake_background_tasks(&self) {
        self.doorbell_signals.send_modify(|count| *count += 1);
    }

    async fn retry_while_busy<T>(
        &self,
        client: &str,
        in_same_session: bool,
        mut operation: impl FnMut(CallContext<'_>) -> Result<T>,
    ) -> Result<T> {
        let attempt = || self.attempt(client, in_same_session, &mut operation);
        tools::retry_while_busy(&*self.clock, attempt).await
    }

    /// Runs an operation once, also if another program holds the write lock.
    pub(super) fn attempt<T>(
        &self,
        client: &str,
        in_same_session: bool,
        operation: impl FnOnce(CallContext<'_>) -> Result<T>,
    ) -> Result<T> {
        self.session_state()
            .register(self, client, in_same_session)
            .and_then(operation)
    }

    /// Registers as soon as the client is known to be a session. Gives up after some seconds: a client that is unknown then
    /// is probably no session, and the first tool call registers it anyway.
    pub(super) async fn register_when_session_found(self: Arc<Self>, client: String) {
        if !is_claude(&client) || self.is_headless_run() || self.disabled_reason(&client).is_some()
        {
            return;
        }
        for delay_ms in SESSION_SEARCH_DELAYS_MS {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            let session_found = self.session_state().find_session(&self, &client).is_some();
            if session_found && self.in_session(&client, |_| Ok(())).await.is_ok() {
                return;
            }
        }
    }

    /// Makes the marker by which the hooks of a calm session end without the database. Without it they only take longer, so a
    /// fault is logged. Returns when to try again.
    pub(super) async fn mark_calm(&self) -> Option<Duration> {
        let marked =
            tools::retry_while_busy(&*self.clock, || self.session_state().mark_calm()).await;
        marked.unwrap_or_else(|error| {
            server_faults::log(&self.settings.mesh_home, &error.to_string());
            None
        })
    }

    /// Returns whether the client is a `claude -p` run without a mailbox.
    fn is_headless_run(&self) -> bool {
        self.settings.is_headless() && !self.settings.headless_mailbox
    }
}

impl SessionState {
    /// Returns the mesh and the session; registers if there is no session, the file was replaced, or the session was ended.
    fn register(
        &mut self,
        shared: &Shared,
        client: &str,
        in_same_session: bool,
    ) -> Result<CallContext<'_>> {
        if !in_same_session || self.registration.is_none() {
            self.open(shared, client)?;
            self.check_registration()?;
        }
        if self.registration.is_none() {
            self.register_session(shared, client)?;
        }
        self.acquire_session_lock()?;
        let (Some(mesh), Some(registration), Some(location), Some(project)) = (
            &mut self.mesh,
            &self.registration,
            &self.location,
            &self.project,
        ) else {
            unreachable!("the mesh is open and the session registered")
        };
        Ok(CallContext {
            mesh,
            me: registration.handle.clone(),
            location,
            project,
            wake: registration.listener.kind().as_str(),
            uptime_seconds: shared.uptime_seconds(),
            from_plugin: false,
            guard_socket: shared.guard_socket(client),
        })
    }

    fn open(&mut self, shared: &Shared, client: &str) -> Result<()> {
        if self.mesh.is_some() {
            return Ok(());
        }
        let settings = &shared.settings;
        let project = Project::of(&settings.project_folder(is_claude(client)), settings)?;
        let location = project.mesh_location(settings)?;
        let options = MeshOptions::from_settings(settings)
            .lock_timeout(BUSY_TIMEOUT)
            .checkpoint_in_background();
        self.mesh = Some(Mesh::open_with(
            &location.database,
            shared.clock.clone(),
            &options,
        )?);
        self.location = Some(location);
        self.project = Some(project);
        Ok(())
    }

    /// Drops a registration that is not valid any more: the file was replaced, or the session was ended.
    fn check_registration(&mut self) -> Result<()> {
        let mesh = self.mesh.as_mut().expect("the mesh is open");
        if mesh.reopen_if_replaced()? {
            self.registration = None;
        }
        if let Some(registration) = &mut self.registration {
            match mesh.refresh(&registration.handle)? {
                Some(handle) => registration.handle = handle,
                None => self.registration = None,
            }
        }
        Ok(())
    }

    fn register_session(&mut self, shared: &Shared, client: &str) -> Result<()> {
        let process = self
            .find_session(shared, client)
            // If that has ended, the parent is another process, which adopts those without one.
            .or_else(|| {
                shared
                    .parent
                    .filter(|parent| Some(*parent) == process::parent())
            })
            .ok_or_else(|| Refusal::Unsupported {
                problem: "the client of this server has ended".into(),
            })?;
        let claude = is_claude(client);
        let kind = if claude && shared.is_headless_run() {
            PeerKind::Run
        } else {
            PeerKind::Session
        };
        let mut request = JoinRequest::of(process, kind, self.project.clone());
        request.agent = Some(client.to_owned());
        request.headless = claude && shared.settings.is_headless();
        request.has_server = true;
        if claude {
            request.fill_from_registry(claude_code::registry_entry(
                &shared.settings.claude.config_dir,
                process,
            ));
            let session_id_from_env = shared.settings.claude.session_id.clone();
            request.client_session = request.client_session.or(session_id_from_env);
        }
        let mesh = self.mesh.as_mut().expect("the mesh is open");
        // Claude Code is one session; another client may run servers for several projects or conversations, each a member of
        // its own.
        if !claude {
            request.client_session = shared.conversation();
            request.instance = mesh.instance_of_conversation(&request)?;
        }
        let handle = mesh.register(&request)?;
        mesh.end_dead_waits(&handle)?;
        let doorbell_signals = shared.doorbell_signals.clone();
        let listener =
            mesh.doorbells()
                .listen(handle.session, shared.settings.polling, move || {
                    doorbell_signals.send_modify(|count| *count += 1);
                })?;
        self.registration = Some(Registration {
            handle,
            listener,
            lock: None,
            calm: None,
        });
        shared.client_process.send_replace(Some(process));
        Ok(())
    }

    /// Acquires the lock by which others see that this session can be asked. If another process has it, the next
    /// operation tries again.
    fn acquire_session_lock(&mut self) -> Result<()> {
        if let (Some(mesh), Some(registration)) = (&self.mesh, &mut self.registration)
            && registration.lock.is_none()
        {
            registration.lock =
                lock::acquire(&mesh.doorbells().lock_path(registration.handle.session))?;
        }
        Ok(())
    }

    /// Returns the session this server belongs to: the nearest ancestor that Claude Code registered or a hook reported.
    fn find_session(&mut self, shared: &Shared, client: &str) -> Option<ProcessKey> {
        if !is_claude(client) {
            return None;
        }
        let ancestors: Vec<ProcessStat> = process::ancestors(process::own_pid()).collect();
        let sessions: Vec<ProcessKey> = ancestors
            .iter()
            .map(|found| found.key)
            .filter(|key| self.is_session(shared, client, *key))
            .collect();
        claude_code::find_session_ancestor(process::own_pid(), |found| {
            sessions.contains(&found.key)
        })
    }

    fn is_session(&mut self, shared: &Shared, client: &str, process: ProcessKey) -> bool {
        if claude_code::registry_entry(&shared.settings.claude.config_dir, process).is_some() {
            return true;
        }
        let settings = &shared.settings;
        let exists = || {
            let project =
                Project::of(&settings.project_folder(is_claude(client)), settings).ok()?;
            let location = project.mesh_location(settings).ok()?;
            location.database.exists().then_some(())
        };
        if self.mesh.is_none() && (exists().is_none() || self.open(shared, client).is_err()) {
            return false;
        }
        self.mesh
            .as_mut()
            .is_some_and(|mesh| mesh.has_session_of_process(process).unwrap_or(false))
    }

    /// Makes the marker that the session is calm, if it is and has none. Returns when to try again.
    fn mark_calm(&mut self) -> Result<Option<Duration>> {
        let (Some(mesh), Some(registration)) = (&mut self.mesh, &mut self.registration) else {
            return Ok(None);
        };
        let has_marker = registration
            .calm
            .as_ref()
            .is_some_and(CalmMarker::is_usable);
        // A program of an earlier version may have written the doorbell, which leaves the marker.
        if registration.lock.is_none() || has_marker && mesh.is_calm(&registration.handle)? {
            return Ok(None);
        }
        registration.calm = None;
        let settles_in = mesh.doorbells().sessions_mark_settles_in();
        if settles_in.is_none() {
            registration.calm = mesh.mark_calm(&registration.handle)?;
        }
        Ok(settles_in)
    }

    /// Ends the session.
    pub(super) fn unregister(&mut self, reason: &str, lock_timeout: Duration) {
        if let (Some(mesh), Some(registration)) = (&mut self.mesh, self.registration.take()) {
            mesh.set_lock_timeout(lock_timeout);
            let _ = mesh.unregister(registration.handle.session, reason);
            let _ = mesh.checkpoint_and_optimize();
        }
    }
}

/// Returns whether a client names itself Claude Code.
pub(crate) fn is_claude(client: &str) -> bool {
    client == "claude-code" || client.starts_with("claude-code ")
}
