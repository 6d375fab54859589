//! One mesh of the hub: its open database and the sessions of the callers.
mod remote_sessions;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use crate::hub::background_work::BackgroundWork;
use crate::hub::hub_session::{CallerSession, HubSession, Speaker};
use crate::hub::known_state::KnownState;
use crate::hub::mesh_listener::MeshListener;
use crate::hub::mesh_pool::{MeshPool, MeshSource};
use crate::mesh::{JoinRequest, Mesh, SessionHandle};
use crate::model::access_key::{AccessKey, KeyProblem};
use crate::model::{PeerKind, Refusal, Result};
use crate::platform::id::{KeyId, SessionId, WaitId};
use crate::platform::isolation::MeshLocation;
use crate::platform::{Clock, Moment, Settings, process};
use crate::tools::{self, CallContext};
use crate::wake::OwnSessions;

/// How long the end of a session waits for the write lock at most.
const UNREGISTER_BUSY_TIMEOUT: Duration = Duration::from_millis(500);

/// The pause before what failed in the maintenance is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// The sessions of a mesh at this hub.
#[derive(Default)]
struct Sessions {
    by_speaker: HashMap<Speaker, Arc<HubSession>>,
    /// Those that are registered.
    by_id: HashMap<SessionId, Arc<HubSession>>,
}

/// One open mesh with the sessions of its callers.
pub(super) struct HubMesh {
    pub(super) location: MeshLocation,
    settings: Settings,
    clock: Arc<dyn Clock>,
    started: Moment,
    pool: MeshPool,
    sessions: Mutex<Sessions>,
    listener: MeshListener,
    next_instance: AtomicU32,
    known_state: Mutex<KnownState>,
    waits_to_end: Mutex<Vec<WaitId>>,
    background_work: BackgroundWork,
    /// When the leases of sessions on other hosts were last renewed.
    renewed_monotonic_ms: Mutex<i64>,
    /// Notified when a session begins or a wait is left to end: the maintenance task looks then.
    changed: Notify,
}

impl HubMesh {
    /// Opens a mesh and starts its maintenance.
    pub(super) fn open(
        location: &MeshLocation,
        settings: &Settings,
        source: MeshSource,
    ) -> Result<Arc<Self>> {
        // What wakes sessions is made before the mesh that has them.
        let woken: Arc<OnceLock<Weak<Self>>> = Arc::default();
        let own = Arc::clone(&woken);
        let own_sessions = OwnSessions::new(move |session| {
            let mesh = own.get().and_then(Weak::upgrade);
            mesh.is_some_and(|mesh| mesh.signal(Some(session)))
        });
        let pool = MeshPool::open(source, settings, own_sessions)?;
        pool.run_now(Mesh::extend_leases_at_start)?;
        let to_wake = Arc::clone(&woken);
        let listener = pool.listen(settings.polling, move |session| {
            if let Some(mesh) = to_wake.get().and_then(Weak::upgrade) {
                let _ = mesh.signal(session);
            }
        })?;
        let clock = pool.clock();
        let mesh = Arc::new(Self {
            location: location.clone(),
            settings: settings.clone(),
            started: clock.now(),
            clock,
            pool,
            sessions: Mutex::default(),
            listener,
            next_instance: AtomicU32::new(1),
            known_state: Mutex::default(),
            waits_to_end: Mutex::default(),
            background_work: BackgroundWork::default(),
            renewed_monotonic_ms: Mutex::new(i64::MIN / 2),
            changed: Notify::new(),
        });
        let _ = woken.set(Arc::downgrade(&mesh));
        // It ends when the mesh does not exist, so it begins after it: on another thread it may run at once.
        tokio::spawn(maintain(Arc::downgrade(&mesh)));
        Ok(mesh)
    }

    pub(super) fn now(&self) -> Moment {
        self.clock.now()
    }

    /// Returns the longest time between two polls of a waiting call.
    pub(super) fn poll_interval(&self) -> Duration {
        self.listener.poll_interval()
    }

    /// Runs an operation of the mesh that needs no session, and repeats it while the file is locked.
    pub(super) async fn with_mesh<T>(
        &self,
        mut operation: impl FnMut(&mut Mesh) -> Result<T>,
    ) -> Result<T> {
        let began_ms = self.now().monotonic_ms;
        loop {
            let attempt = |mesh: &mut Mesh| {
                if mesh.reopen_if_replaced()? {
                    *self.known_state() = KnownState::default();
                }
                operation(mesh)
            };
            let outcome = self.pool.run(attempt).await;
            let failed = outcome.as_ref().err();
            match failed.and_then(|error| tools::pause_before_retry(error, began_ms, &self.now())) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return outcome,
            }
        }
    }

    /// Returns the key with that text, or why it is refused.
    pub(super) async fn verify_key(
        &self,
        text: &str,
    ) -> Result<std::result::Result<AccessKey, KeyProblem>> {
        let session_of = |key: &AccessKey| self.sessions().by_speaker.get(&Speaker::of(key)?)?.id();
        self.with_mesh(|mesh| self.known_state().verify_key(mesh, text, session_of))
            .await
    }

    /// Returns whether the key with that id is valid still.
    pub(super) async fn is_key_valid(&self, id: KeyId) -> Result<bool> {
        self.with_mesh(|mesh| self.known_state().is_key_valid(mesh, id))
            .await
    }

    /// Returns the session of a speaker, with the project of its peer, else that of `folder`. It registers with its first
    /// call.
    pub(super) async fn session(&self, speaker: &Speaker, folder: &str) -> Result<CallerSession> {
        let session = match self.find_session(speaker) {
            Some(session) => session,
            None => self.add_session(speaker).await?,
        };
        // Its lease must not end between here and its next step.
        session.touch(&self.now());
        let project = session.project(folder, &self.settings)?;
        Ok(CallerSession { session, project })
    }

    fn find_session(&self, speaker: &Speaker) -> Option<Arc<HubSession>> {
        self.sessions().by_speaker.get(speaker).cloned()
    }

    async fn add_session(&self, speaker: &Speaker) -> Result<Arc<HubSession>> {
        let own_folder = match speaker {
            Speaker::Peer(name) => self.with_mesh(|mesh| mesh.project_of_peer(name)).await?,
            Speaker::Person | Speaker::OtherHost(_) => None,
        };
        let own_folder = own_folder.filter(|folder| std::path::Path::new(folder).exists());
        let instance = self.next_instance.fetch_add(1, Ordering::Relaxed);
        let session = Arc::new(HubSession::new(speaker.clone(), own_folder, instance));
        // Another request of the speaker may have been faster.
        let mut sessions = self.sessions();
        Ok(Arc::clone(
            sessions
                .by_speaker
                .entry(speaker.clone())
                .or_insert(session),
        ))
    }

    /// Returns the session of the person.
    pub(super) async fn person_session(&self) -> Result<CallerSession> {
        let folder = self.settings.mesh_home.to_string_lossy();
        self.session(&Speaker::Person, &folder).await
    }

    /// Runs one step as a session, and repeats it while the file is locked. With `registers` a session that is not
    /// registered, or not any more, is registered first.
    pub(super) async fn in_session<T>(
        &self,
        session: &CallerSession,
        registers: bool,
        mut operation: impl FnMut(CallContext<'_>) -> Result<T>,
    ) -> Result<T> {
        session.touch(&self.now());
        self.with_mesh(|mesh| {
            if registers {
                self.register(mesh, &session.session)?;
            }
            let me = session.handle()?;
            operation(CallContext {
                mesh,
                me,
                location: &self.location,
                project: &session.project,
                wake: self.listener.kind(),
                uptime_seconds: (self.now().monotonic_ms - self.started.monotonic_ms) / 1000,
                // Only the server of a session sees who makes its calls.
                from_plugin: false,
                guard_socket: None,
            })
        })
        .await
    }

    /// Registers a session unless it is registered: the first call, the file was replaced, or the session was ended.
    fn register(&self, mesh: &mut Mesh, session: &Arc<HubSession>) -> Result<()> {
        if session.has_left() {
            return Err(Refusal::conflict("its program has ended the session").into());
        }
        if let Ok(handle) = session.handle()
            && let Some(handle) = self.refresh(mesh, &handle)?
        {
            // A board that begins to listen takes the lock here.
            return session.set_handle(handle, mesh.doorbells());
        }
        self.forget(session);
        if session.remote().is_some() {
            // Its program has to know that it is another session from now on.
            return Err(Refusal::conflict("the session has ended; register it again").into());
        }
        let handle = mesh.register(&Self::join_request(session))?;
        if self.pool.is_on_server() {
            mesh.renew_leases(&[handle.session])?;
        }
        self.begin_session(mesh, session, handle)
    }

    /// Records the registration of a session, and wakes it from now on.
    fn begin_session(
        &self,
        mesh: &Mesh,
        session: &Arc<HubSession>,
        handle: SessionHandle,
    ) -> Result<()> {
        let id = handle.session;
        self.listener.add(id)?;
        session.set_handle(handle, mesh.doorbells())?;
        self.sessions().by_id.insert(id, Arc::clone(session));
        self.changed.notify_one();
        Ok(())
    }

    /// Returns a session as it is registered now; `None` if it has ended, or another file is in place of that with it.
    fn refresh(&self, mesh: &mut Mesh, handle: &SessionHandle) -> Result<Option<SessionHandle>> {
        let known = self.known_state().session(handle.session);
        if known.is_some() {
            return Ok(known);
        }
        let found = mesh.refresh(handle)?;
        if let Some(handle) = &found {
            self.known_state().add_session(handle.clone());
        }
        Ok(found)
    }

    fn join_request(session: &HubSession) -> JoinRequest {
        let process = process::this_process();
        let mut request = match session.speaker() {
            Speaker::Person | Speaker::OtherHost(_) => {
                JoinRequest::of(process, PeerKind::Person, None)
            }
            Speaker::Peer(name) => {
                let mut request = JoinRequest::of(process, PeerKind::Session, None);
                request.named_peer = Some(name.clone());
                request
            }
        };
        request.agent = Some(session.speaker().agent().to_owned());
        request.has_server = true;
        request.instance(session.instance())
    }

    /// Records that a wait has ended whose row must be deleted.
    pub(super) fn queue_wait_to_end(&self, wait: WaitId) {
        self.waits().push(wait);
        self.changed.notify_one();
    }

    /// Deletes the rows of waits that have ended: a session with such a row counts as waiting, and is not woken.
    pub(super) async fn delete_ended_waits(&self) {
        loop {
            let Some(wait) = self.waits().last().copied() else {
                return;
            };
            if self.with_mesh(|mesh| mesh.cancel_wait(wait)).await.is_err() {
                return;
            }
            self.waits().retain(|queued| *queued != wait);
        }
    }

    /// Returns what goes on behind responses.
    pub(super) fn background_work(&self) -> &BackgroundWork {
        &self.background_work
    }

    /// Ends the sessions whose lease has ended. Returns the time until it is to be called again, `None` if there is no
    /// session. One that cannot be ended now, because the disk is full for example, is tried again.
    async fn end_expired_sessions(&self) -> Option<Duration> {
        let sessions: Vec<Arc<HubSession>> = self.sessions().by_speaker.values().cloned().collect();
        let mut next: Option<Duration> = None;
        for session in sessions {
            let left = match session.lease_left(&self.now()) {
                Some(left) => left,
                None => match self.end_expired_session(&session).await {
                    Ok(()) => continue,
                    Err(_) => RETRY_PAUSE,
                },
            };
            next = Some(next.map_or(left, |next| next.min(left)));
        }
        next
    }

    /// Ends a session unless a request has come meanwhile. One on another host whose lease goes on is served by another hub: it
    /// is forgotten here.
    async fn end_expired_session(&self, session: &HubSession) -> Result<()> {
        self.with_mesh(|mesh| {
            if session.lease_left(&self.now()).is_some() {
                return Ok(());
            }
            let id = session.id().filter(|_| session.remote().is_some());
            let is_served_elsewhere = match id {
                Some(id) => mesh.is_lease_running(id)?,
                None => false,
            };
            if is_served_elsewhere {
                self.forget(session);
            } else {
                self.unregister(mesh, session, "its lease has ended")?;
            }
            self.remove(session);
            Ok(())
        })
        .await
    }

    /// Removes a session from those of the hub, unless another one of its speaker has taken its place.
    fn remove(&self, session: &HubSession) {
        let mut sessions = self.sessions();
        let found = sessions.by_speaker.get(session.speaker());
        if found.is_some_and(|found| std::ptr::eq(&raw const **found, session)) {
            sessions.by_speaker.remove(session.speaker());
        }
        // It may have ended without being unregistered, because the mesh could not be written.
        sessions
            .by_id
            .retain(|_, found| !std::ptr::eq(&raw const **found, session));
    }

    /// Lets go of a session that has ended in the mesh, so that its program registers again.
    pub(super) async fn forget_if_ended(&self, session: &HubSession) {
        let forgotten = self.with_mesh(|mesh| {
            let Ok(handle) = session.handle() else {
                return Ok(());
            };
            if mesh.refresh(&handle)?.is_none() {
                self.forget(session);
            }
            Ok(())
        });
        // If the mesh cannot be read, the next request tries again.
        let _ = forgotten.await;
    }

    /// Ends a session because its peer wants that; the next request registers it again. Returns whether it was registered.
    pub(super) async fn end_session(&self, session: &HubSession) -> Result<bool> {
        self.with_mesh(|mesh| self.unregister(mesh, session, "it unregistered"))
            .await
    }

    /// Ends all sessions, because the hub ends. Those on other hosts live on by their leases: their programs come back when a
    /// hub runs again.
    pub(super) fn unregister_all(&self, reason: &str) {
        let sessions: Vec<_> = self
            .sessions()
            .by_speaker
            .drain()
            .map(|(_, session)| session)
            .filter(|session| session.remote().is_none())
            .collect();
        // If it fails, the next reader finds that the process of the session has ended.
        let _ = self.pool.run_now(|mesh| {
            mesh.set_lock_timeout(UNREGISTER_BUSY_TIMEOUT);
            for session in sessions {
                let _ = self.unregister(mesh, &session, reason);
            }
            Ok(())
        });
    }

    /// Forgets the registration of a session here.
    fn forget(&self, session: &HubSession) {
        if let Some(handle) = session.take_handle() {
            self.listener.remove(handle.session);
            self.sessions().by_id.remove(&handle.session);
        }
    }

    /// Ends a session in the mesh, then here. Returns whether it was registered.
    fn unregister(&self, mesh: &mut Mesh, session: &HubSession, reason: &str) -> Result<bool> {
        let Ok(handle) = session.handle() else {
            return Ok(false);
        };
        mesh.unregister(handle.session, reason)?;
        self.forget(session);
        Ok(true)
    }

    /// Wakes the calls of a session that is to look; of all sessions if it is not known which. Returns whether there is one.
    fn signal(&self, session: Option<SessionId>) -> bool {
        let sessions = self.sessions();
        let Some(session) = session else {
            sessions.by_id.values().for_each(|session| session.signal());
            return !sessions.by_id.is_empty();
        };
        let found = sessions.by_id.get(&session);
        found.inspect(|session| session.signal()).is_some()
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_state(&self) -> MutexGuard<'_, KnownState> {
        self.known_state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn waits(&self) -> MutexGuard<'_, Vec<WaitId>> {
        self.waits_to_end
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Deletes ended waits and ends sessions whose lease has ended, for as long as the mesh is open. Sleeps while there is
/// nothing to do.
async fn maintain(mesh: Weak<HubMesh>) {
    loop {
        let Some(mesh) = mesh.upgrade() else {
            return;
        };
        // First, because the others may wait for the write lock longer than a lease goes on.
        let renewal = mesh.renew_leases().await;
        mesh.delete_ended_waits().await;
        let expiry = mesh.end_expired_sessions().await;
        let mut next = renewal.into_iter().chain(expiry).min();
        if !mesh.waits().is_empty() {
            next = Some(next.map_or(RETRY_PAUSE, |next| next.min(RETRY_PAUSE)));
        }
        let changed = mesh.changed.notified();
        match next {
            None => changed.await,
            Some(pause) => {
                let _ = tokio::time::timeout(pause, changed).await;
            }
        }
    }
}
