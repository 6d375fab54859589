//! The session of one caller of the hub: a peer by its key, or the person by a board.
use std::collections::HashMap;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::claude_code::InboxRateLimit;
use crate::mesh::{GitState, InboxSocketState, JoinRequest, SESSION_LEASE_MS, SessionHandle};
use crate::model::access_key::{AccessKey, KeyHolder, KeyScope};
use crate::model::{PeerName, Refusal, Result};
use crate::platform::id::SessionId;
use crate::platform::lock::{self, LockGuard};
use crate::platform::project::Project;
use crate::platform::{Moment, Settings};
use crate::store::ProcessLocation;
use crate::wake::Doorbells;

/// How long a session lives after its last request unless its peer says otherwise, in milliseconds.
const TTL_MS: i64 = 60_000;
/// How much longer it lives before it is unregistered, in milliseconds.
const GRACE_MS: i64 = 30_000;

/// As whom a caller acts. All keys of one peer share one session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Speaker {
    Peer(PeerName),
    /// The user, at a board.
    Person,
    /// A session on another host, by its process there.
    OtherHost(ProcessLocation),
}

impl Speaker {
    /// Returns as whom the requests of a key act; `None` for the key of a host, which speaks for its sessions.
    pub(super) fn of(key: &AccessKey) -> Option<Self> {
        match &key.holder {
            KeyHolder::Board => Some(Self::Person),
            KeyHolder::Peer(_) if key.scope == KeyScope::Admin => Some(Self::Person),
            KeyHolder::Peer(name) => Some(Self::Peer(name.clone())),
            KeyHolder::Host(_) => None,
        }
    }

    /// Returns what the session is registered as its client.
    pub(super) fn agent(&self) -> &'static str {
        match self {
            Self::Peer(_) => "http",
            Self::Person => "board",
            Self::OtherHost(_) => "remote",
        }
    }
}

/// The session of a caller, and the project that its key works in.
#[derive(Clone)]
pub(super) struct CallerSession {
    pub(super) session: Arc<HubSession>,
    pub(super) project: Arc<Project>,
}

impl Deref for CallerSession {
    type Target = HubSession;

    fn deref(&self) -> &HubSession {
        &self.session
    }
}

/// A session on another host, as its program described it.
pub(super) struct RemoteClient {
    pub(super) request: JoinRequest,
    pub(super) project: Arc<Project>,
    pub(super) git_branch: Option<String>,
    pub(super) git_head: Option<String>,
}

impl RemoteClient {
    /// Returns what is checked out in its project.
    pub(super) fn git_state(&self) -> GitState<'_> {
        GitState {
            branch: self.git_branch.as_deref(),
            head: self.git_head.as_deref(),
        }
    }
}

/// The inbox of the client of a session on another host.
#[derive(Default)]
struct ClientInbox {
    /// Why no line can be posted to it; `None` if one can.
    problem: Option<String>,
    rate_limit: InboxRateLimit,
}

/// The session of one speaker.
pub(super) struct HubSession {
    speaker: Speaker,
    /// The folder of the peer's own project, if it has one.
    own_folder: Option<String>,
    /// What a session on another host gave when it registered.
    remote: Mutex<Option<Arc<RemoteClient>>>,
    /// Projects by the folder that a key names.
    projects: Mutex<HashMap<String, Arc<Project>>>,
    instance: u32,
    registration: Mutex<Registration>,
    signals: watch::Sender<u64>,
    last_request_monotonic_ms: AtomicI64,
    ttl_ms: AtomicI64,
    /// Calls that run and streams that listen.
    in_use: AtomicUsize,
    /// How many streams of a session on another host have begun.
    streams: AtomicU64,
    /// Streams that listen. A person can be asked while one is open.
    listeners: AtomicUsize,
    inbox: Mutex<ClientInbox>,
    /// Whether its program has ended it: a stream that still listens must not register it again.
    has_left: AtomicBool,
    /// How many calls that may have changed something have ended.
    finished_calls: AtomicU64,
    /// Whether a waiting hook runs beside the client of a session on another host.
    has_waiting_hook: AtomicBool,
}

#[derive(Default)]
struct Registration {
    handle: Option<SessionHandle>,
    lock: Option<LockGuard>,
    /// Held while its waiting hook runs on another host.
    waiting_hook_lock: Option<LockGuard>,
}

impl HubSession {
    pub(super) fn new(speaker: Speaker, own_folder: Option<String>, instance: u32) -> Self {
        Self {
            speaker,
            own_folder,
            remote: Mutex::default(),
            projects: Mutex::default(),
            instance,
            registration: Mutex::default(),
            signals: watch::Sender::new(0),
            last_request_monotonic_ms: AtomicI64::new(i64::MAX),
            ttl_ms: AtomicI64::new(TTL_MS),
            in_use: AtomicUsize::new(0),
            streams: AtomicU64::new(0),
            listeners: AtomicUsize::new(0),
            inbox: Mutex::default(),
            has_left: AtomicBool::new(false),
            finished_calls: AtomicU64::new(0),
            has_waiting_hook: AtomicBool::new(false),
        }
    }

    pub(super) fn speaker(&self) -> &Speaker {
        &self.speaker
    }

    /// Returns what a session on another host gave when it registered.
    pub(super) fn remote(&self) -> Option<Arc<RemoteClient>> {
        let remote = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        remote.clone()
    }

    /// Records what a session on another host gave. Its lease here ends when that in the mesh has made it dead.
    pub(super) fn set_remote(&self, client: Arc<RemoteClient>) {
        self.set_ttl_ms(SESSION_LEASE_MS + TTL_MS);
        *self.remote.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
    }

    /// Records why no line can be posted to its client; `None` if one can.
    pub(super) fn set_inbox_problem(&self, problem: Option<String>) {
        self.inbox().problem = problem;
    }

    /// Returns whether the inbox of its client accepts a line now.
    pub(super) fn inbox_socket_state(&self, now: &Moment) -> InboxSocketState {
        let inbox = self.inbox();
        if let Some(problem) = &inbox.problem {
            return InboxSocketState::Missing(problem.clone());
        }
        match inbox.rate_limit.wait_ms(now.monotonic_ms) {
            0 => InboxSocketState::Open,
            for_ms => InboxSocketState::Full { for_ms },
        }
    }

    /// Records that a line is posted to the inbox of its client.
    pub(super) fn record_wake_line(&self, now: &Moment) {
        self.inbox().rate_limit.record_post(now.monotonic_ms);
    }

    fn inbox(&self) -> MutexGuard<'_, ClientInbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that its program has ended it, and ends what listens.
    pub(super) fn set_left(&self) {
        self.has_left.store(true, Ordering::Relaxed);
        self.signal();
    }

    /// Returns whether its program has ended it.
    pub(super) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::Relaxed)
    }

    /// Returns whether its program reaches the hub: a call runs, a stream listens, or a request came within half a lease, so
    /// that the lease ends soon after the last sign of it.
    pub(super) fn is_served(&self, now: &Moment) -> bool {
        let last_ms = self.last_request_monotonic_ms.load(Ordering::Relaxed);
        self.in_use.load(Ordering::Relaxed) > 0
            || now.monotonic_ms < last_ms.saturating_add(SESSION_LEASE_MS / 2)
    }

    /// Returns the project in which a key works that names this folder: that of the peer, else that of the folder.
    pub(super) fn project(&self, folder: &str, settings: &Settings) -> Result<Arc<Project>> {
        let folder = self.own_folder.as_deref().unwrap_or(folder);
        let mut projects = self.projects.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(project) = projects.get(folder) {
            return Ok(Arc::clone(project));
        }
        let project = Arc::new(Project::of(Path::new(folder), settings)?);
        projects.insert(folder.to_owned(), Arc::clone(&project));
        Ok(project)
    }

    /// Returns the number that distinguishes this session from others of the hub's process.
    pub(super) fn instance(&self) -> u32 {
        self.instance
    }

    /// Returns the registered session; refuses if it is not registered, or not any more.
    pub(super) fn handle(&self) -> Result<SessionHandle> {
        self.registration().handle.clone().ok_or_else(|| {
            Refusal::conflict("the session of this call has ended; call again").into()
        })
    }

    /// Returns the id of the registered session.
    pub(super) fn id(&self) -> Option<SessionId> {
        self.registration()
            .handle
            .as_ref()
            .map(|handle| handle.session)
    }

    /// Records the registration, and takes the lock by which others see that it can be asked. A person can be asked only
    /// while a board is open.
    pub(super) fn set_handle(&self, handle: SessionHandle, doorbells: &Doorbells) -> Result<()> {
        let mut registration = self.registration();
        let askable = self.speaker != Speaker::Person || self.listeners.load(Ordering::Relaxed) > 0;
        if !askable {
            registration.lock = None;
        } else if registration.lock.is_none() {
            registration.lock = lock::acquire(&doorbells.lock_path(handle.session))?;
        }
        if !self.has_waiting_hook() {
            registration.waiting_hook_lock = None;
        } else if registration.waiting_hook_lock.is_none() {
            let path = doorbells.waiting_hook_lock_path(handle.session);
            registration.waiting_hook_lock = lock::acquire(&path)?;
        }
        registration.handle = Some(handle);
        Ok(())
    }

    /// Records whether a waiting hook runs beside its client. The next step of the session takes or releases its lock.
    pub(super) fn set_has_waiting_hook(&self, has_waiting_hook: bool) {
        self.has_waiting_hook
            .store(has_waiting_hook, Ordering::Relaxed);
    }

    /// Returns whether a waiting hook runs beside its client.
    pub(super) fn has_waiting_hook(&self) -> bool {
        self.has_waiting_hook.load(Ordering::Relaxed)
    }

    /// Records that a call has ended that may have changed what is pending for the session. Returns how many have.
    pub(super) fn finish_call(&self) -> u64 {
        let finished = self.finished_calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.signal();
        finished
    }

    /// Returns how many calls have ended that may have changed what is pending for the session.
    pub(super) fn finished_calls(&self) -> u64 {
        self.finished_calls.load(Ordering::SeqCst)
    }

    /// Ends the registration and returns it.
    pub(super) fn take_handle(&self) -> Option<SessionHandle> {
        let mut registration = self.registration();
        registration.lock = None;
        registration.waiting_hook_lock = None;
        registration.handle.take()
    }

    /// Returns the doorbell signals of this session.
    pub(super) fn signals(&self) -> watch::Receiver<u64> {
        self.signals.subscribe()
    }

    /// Wakes the calls of this session.
    pub(super) fn signal(&self) {
        self.signals.send_modify(|count| *count += 1);
    }

    /// Records a request: the lease begins again.
    pub(super) fn touch(&self, now: &Moment) {
        self.last_request_monotonic_ms
            .store(now.monotonic_ms, Ordering::Relaxed);
    }

    /// Changes how long the lease lasts after a request, in milliseconds.
    pub(super) fn set_ttl_ms(&self, ttl_ms: i64) {
        self.ttl_ms.store(ttl_ms, Ordering::Relaxed);
    }

    /// Counts a call that begins or ends. A session in use keeps its lease.
    pub(super) fn count_call(&self, begins: bool) {
        if begins {
            self.in_use.fetch_add(1, Ordering::Relaxed);
        } else {
            self.in_use.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Counts a stream of a session on another host, and lets an earlier one end. Returns its number.
    pub(super) fn begin_stream(&self) -> u64 {
        let number = self.streams.fetch_add(1, Ordering::Relaxed) + 1;
        self.signal();
        number
    }

    /// Returns whether no later stream of the session has begun.
    pub(super) fn is_newest_stream(&self, number: u64) -> bool {
        self.streams.load(Ordering::Relaxed) == number
    }

    /// Returns whether calls run besides one stream.
    pub(super) fn has_calls_besides_stream(&self) -> bool {
        self.in_use.load(Ordering::Relaxed) > 1
    }

    /// Counts a stream that begins or ends to listen. A person can be asked no more when the last one ends; when the first
    /// begins, from its registration on.
    pub(super) fn count_listener(&self, begins: bool) {
        self.count_call(begins);
        if begins {
            self.listeners.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_last = self.listeners.fetch_sub(1, Ordering::Relaxed) == 1;
        if was_last && self.speaker == Speaker::Person {
            self.registration().lock = None;
        }
    }

    /// Returns how long the lease lasts: at least that long, while a call runs or a stream listens. `None` if it has ended.
    pub(super) fn lease_left(&self, now: &Moment) -> Option<Duration> {
        let lease_ms = self.ttl_ms.load(Ordering::Relaxed) + GRACE_MS;
        let left_ms = if self.in_use.load(Ordering::Relaxed) > 0 {
            lease_ms
        } else {
            let last_ms = self.last_request_monotonic_ms.load(Ordering::Relaxed);
            last_ms.saturating_add(lease_ms) - now.monotonic_ms
        };
        let left_ms = u64::try_from(left_ms).ok().filter(|left_ms| *left_ms > 0)?;
        Some(Duration::from_millis(left_ms))
    }

    fn registration(&self) -> MutexGuard<'_, Registration> {
        self.registration
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
