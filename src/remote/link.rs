//! What the tasks of the program share: the hub, the registered session, the mirror of its state, and what is to be sent.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tokio::sync::{Notify, watch};

use crate::mesh::StartFacts;
use crate::platform::hub_location::HubLocation;
use crate::platform::id::SessionId;
use crate::platform::process::ProcessKey;
use crate::platform::project::Project;
use crate::platform::{Clock, Settings, SystemClock};
use crate::remote::hub_client::HubClient;
use crate::remote::hub_error::HubError;
use crate::remote::mirror::SessionMirror;
use crate::remote::unsettled::UnsettledCalls;
use crate::remote::waiting_hook::WaitingHook;

/// The name of the program in the fault log.
pub(super) const PROGRAM: &str = "claude-mesh-remote";
/// How long the end of a session waits for the hub; the client kills a server that ends slowly.
pub(super) const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);
/// The longest pause between two tries to reach the hub.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The pause after a refusal that somebody must end, such as that of a key.
const PAUSE_REFUSED: Duration = Duration::from_secs(30);
/// The first pause.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The connection of one session to its mesh.
pub(super) struct Link {
    pub(super) settings: Settings,
    pub(super) hub: HubLocation,
    pub(super) clock: Arc<SystemClock>,
    /// Whether it is a command of the person at this machine, not a session.
    pub(super) is_person: bool,
    project: Mutex<Project>,
    client: Mutex<Option<Arc<HubClient>>>,
    mirror: Mutex<SessionMirror>,
    start: Mutex<StartFacts>,
    /// The registered session.
    session: watch::Sender<Option<SessionId>>,
    client_process: watch::Sender<Option<ProcessKey>>,
    /// Serializes registrations.
    pub(super) registering: tokio::sync::Mutex<()>,
    /// Notified when something is to be sent.
    pub(super) queued: Notify,
    /// The waiting hook beside the client.
    pub(super) waiting_hook: WaitingHook,
    /// The calls whose outcome is not known.
    pub(super) unsettled: UnsettledCalls,
    /// Notified when a reply is kept in the spool.
    pub(super) spooled: Notify,
    /// Why the person of the session is needed, if the hub has said so.
    alert: Mutex<Option<String>>,
    /// What the model reads beside the next result.
    notes: Mutex<Vec<String>>,
    /// Changes with each snapshot.
    snapshots: watch::Sender<u64>,
    /// Since when the hub is out of reach, in wall milliseconds, and why.
    unreachable: watch::Sender<Option<(i64, HubError)>>,
}

impl Link {
    pub(super) fn new(settings: Settings, project: Project, hub: HubLocation) -> Self {
        let clock = Arc::new(SystemClock::new());
        Self {
            settings,
            hub,
            project: Mutex::new(project),
            client: Mutex::default(),
            mirror: Mutex::new(SessionMirror::new(Arc::clone(&clock) as Arc<dyn Clock>)),
            clock,
            is_person: false,
            start: Mutex::default(),
            session: watch::Sender::new(None),
            client_process: watch::Sender::new(None),
            registering: tokio::sync::Mutex::new(()),
            queued: Notify::new(),
            waiting_hook: WaitingHook::default(),
            unsettled: UnsettledCalls::default(),
            spooled: Notify::new(),
            alert: Mutex::default(),
            notes: Mutex::default(),
            snapshots: watch::Sender::new(0),
            unreachable: watch::Sender::new(None),
        }
    }

    /// Returns the connection of a command of the person at this machine.
    pub(super) fn of_person(settings: Settings, project: Project, hub: HubLocation) -> Self {
        Self {
            is_person: true,
            ..Self::new(settings, project, hub)
        }
    }

    /// Returns the project of the session.
    pub(super) fn project(&self) -> Project {
        let project = self.project.lock().unwrap_or_else(PoisonError::into_inner);
        project.clone()
    }

    pub(super) fn mirror(&self) -> MutexGuard<'_, SessionMirror> {
        self.mirror.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the client of the hub. The key is read when it is first needed, and again after it was refused.
    pub(super) fn client(&self) -> Result<Arc<HubClient>, HubError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(Arc::clone(client));
        }
        let made = Arc::new(HubClient::new(&self.hub)?);
        *client = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Lets the key be read again: it was refused, and its file may have changed.
    pub(super) fn forget_client(&self) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the client process once the session is registered.
    pub(super) fn client_process(&self) -> watch::Receiver<Option<ProcessKey>> {
        self.client_process.subscribe()
    }

    /// Records which process the session is.
    pub(super) fn set_client_process(&self, process: ProcessKey) {
        self.client_process.send_replace(Some(process));
    }

    /// Returns the registered session.
    pub(super) fn session(&self) -> watch::Receiver<Option<SessionId>> {
        self.session.subscribe()
    }

    /// Returns the registered session, else the last one that was.
    pub(super) fn last_session(&self) -> Option<SessionId> {
        let registered = *self.session.borrow();
        registered.or_else(|| Some(self.mirror().me()?.session))
    }

    /// Records that a session is registered, or that none is any more.
    pub(super) fn set_session(&self, session: Option<SessionId>) {
        self.session.send_replace(session);
    }

    /// Forgets a session that the hub does not know any more, unless another was registered since.
    pub(super) fn session_ended(&self, ended: SessionId) {
        self.session.send_if_modified(|session| {
            let is_same = *session == Some(ended);
            if is_same {
                *session = None;
            }
            is_same
        });
    }

    pub(super) fn set_start(&self, facts: StartFacts) {
        *self.start.lock().unwrap_or_else(PoisonError::into_inner) = facts;
    }

    /// Returns what the text at the start of the session says.
    pub(super) fn start(&self) -> StartFacts {
        let start = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        start.clone()
    }

    /// Says that a snapshot was taken.
    pub(super) fn snapshot_taken(&self) {
        self.snapshots.send_modify(|count| *count += 1);
    }

    /// Returns a signal for each snapshot.
    pub(super) fn snapshots(&self) -> watch::Receiver<u64> {
        self.snapshots.subscribe()
    }

    /// Returns when the mirror includes the calls that have returned a result, or when its hub is out of reach.
    pub(super) async fn wait_for_expected_calls(&self) {
        let mut snapshots = self.snapshots();
        while self.mirror().lacks_calls()
            && self.unreachable().is_none()
            && snapshots.changed().await.is_ok()
        {}
    }

    /// Records that the hub answers.
    pub(super) fn reached(&self) {
        self.unreachable
            .send_if_modified(|since| since.take().is_some());
    }

    /// Records that the hub is out of reach, or refuses this program.
    pub(super) fn not_reached(&self, error: &HubError) {
        self.unreachable.send_if_modified(|since| {
            let began_ms = match since {
                None => self.clock.now().wall_ms,
                Some((_, known)) if known.is_out_of_reach() == error.is_out_of_reach() => {
                    return false;
                }
                Some((began_ms, _)) => *began_ms,
            };
            *since = Some((began_ms, error.clone()));
            true
        });
    }

    /// Returns since when the hub is out of reach, in wall milliseconds, and why.
    pub(super) fn unreachable(&self) -> Option<(i64, HubError)> {
        self.unreachable.borrow().clone()
    }

    /// Returns a signal for each change of whether the hub is in reach.
    pub(super) fn reachability(&self) -> watch::Receiver<Option<(i64, HubError)>> {
        self.unreachable.subscribe()
    }

    /// Records why the person of the session is needed. Returns whether that is new.
    pub(super) fn set_alert(&self, reason: Option<&str>) -> bool {
        let mut alert = self.alert.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = alert.as_deref() != reason;
        *alert = reason.map(str::to_owned);
        is_new
    }

    /// Adds what the model reads beside the next result.
    pub(super) fn add_note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.push(note);
    }

    /// Takes what the model is notified with a result.
    pub(super) fn take_notes(&self) -> Vec<String> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *notes)
    }

    /// Says that something is to be sent to the hub.
    pub(super) fn send_soon(&self) {
        self.queued.notify_one();
    }

    /// Ends the session at the hub.
    pub(super) async fn leave(&self, reason: &str) {
        let Some(id) = *self.session.borrow() else {
            return;
        };
        let reason = reason.replace(' ', "%20");
        let path = format!("/v1/remote/sessions/{id}?reason={reason}");
        if let Ok(client) = self.client() {
            let _ = client.call::<Value>(Method::DELETE, &path, None).await;
        }
    }
}

/// Returns the pause before the next try: longer after each failure, and not the same for all programs.
pub(super) fn next_pause(failures: u32) -> Duration {
    let pause = PAUSE_MIN * 2_u32.saturating_pow(failures.min(10));
    with_jitter(pause.min(PAUSE_MAX))
}

/// Returns the pause after a failure of what runs as long as the program.
pub(super) fn pause_after(error: &HubError, failures: u32) -> Duration {
    if error.is_transient() || error.is_session_ended() {
        next_pause(failures)
    } else {
        PAUSE_REFUSED
    }
}

fn with_jitter(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}
