//! What the tasks of the program share: the hub, the registered session, the mirror of its state, and what is to be sent.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use crate::mesh::StartFacts;
use crate::platform::hub_location::HubLocation;
use crate::platform::id::SessionId;
use crate::platform::process::ProcessKey;
use crate::platform::project::Project;
<<<<<<< HEAD
use crate::platform::{Clock, Settings, SystemClock, fault_log};
=======
use crate::platform::{Settings, SystemClock};
>>>>>>> main
use crate::remote::hub_client::HubClient;
use crate::remote::hub_error::HubError;
use crate::remote::mirror::SessionMirror;
use crate::remote::verb_queue::NumberedVerb;

/// The name of the program in the fault log.
pub(super) const PROGRAM: &str = "claude-mesh-remote";
/// The longest pause between two tries to reach the hub.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The first pause.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The connection of one session to its mesh.
pub(super) struct Link {
    pub(super) settings: Settings,
    pub(super) hub: HubLocation,
    pub(super) clock: Arc<SystemClock>,
    project: Mutex<Project>,
    client: Mutex<Option<Arc<HubClient>>>,
    mirror: Mutex<SessionMirror>,
    start: Mutex<StartFacts>,
    /// The registered session.
    session: watch::Sender<Option<SessionId>>,
    client_process: watch::Sender<Option<ProcessKey>>,
    /// Serializes registrations.
    pub(super) registering: tokio::sync::Mutex<()>,
    /// Notified when verbs are queued.
    queued: Notify,
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
            start: Mutex::default(),
            session: watch::Sender::new(None),
            client_process: watch::Sender::new(None),
            registering: tokio::sync::Mutex::new(()),
            queued: Notify::new(),
            snapshots: watch::Sender::new(0),
            unreachable: watch::Sender::new(None),
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

    /// Records that the hub answers.
    pub(super) fn reached(&self) {
        self.unreachable
            .send_if_modified(|since| since.take().is_some());
    }

    /// Records that the hub is out of reach.
    pub(super) fn not_reached(&self, error: &HubError) {
        self.unreachable.send_if_modified(|since| {
            let is_new = since.is_none();
            if is_new {
                *since = Some((self.clock.now().wall_ms, error.clone()));
            }
            is_new
        });
    }

    /// Returns since when the hub is out of reach, in wall milliseconds, and why.
    pub(super) fn unreachable(&self) -> Option<(i64, HubError)> {
        self.unreachable.borrow().clone()
    }

    /// Says that something is to be sent to the hub.
    pub(super) fn send_soon(&self) {
        self.queued.notify_one();
    }

    /// Sends what hooks and waker have done, in order, for as long as the program runs.
    pub(super) async fn send_verbs(self: Arc<Self>) {
        let mut pause = PAUSE_MIN;
        loop {
            match self.send_batch().await {
                Ok(true) => pause = PAUSE_MIN,
                Ok(false) => self.queued.notified().await,
                Err(_) => {
                    tokio::time::sleep(with_jitter(pause)).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Sends the oldest verbs and what the session does. Returns whether there was something to send.
    async fn send_batch(&self) -> Result<bool, HubError> {
        let mut session = self.session();
        let Ok(Some(id)) = session.wait_for(Option::is_some).await.map(|id| *id) else {
            return Ok(false);
        };
        let (verbs, activity) = {
            let mirror = self.mirror();
            let verbs = mirror.unsent();
            if verbs.is_empty() && !mirror.has_unsent_activity() {
                return Ok(false);
            }
            (verbs, mirror.activity().map(str::to_owned))
        };
        let sent = self.send(id, &activity, &verbs).await;
        match sent {
            Ok(()) => self.confirm(&activity, &verbs),
            Err(HubError::Refused(refusal)) if refusal.status == StatusCode::BAD_REQUEST => {
                self.send_one_by_one(id, &activity, verbs).await?;
            }
            Err(error) => return Err(self.send_failed(id, error)),
        }
        Ok(true)
    }

    /// Sends verbs of which the hub refuses one: it refuses that again, and carries out the others.
    async fn send_one_by_one(
        &self,
        id: SessionId,
        activity: &Option<String>,
        verbs: Vec<NumberedVerb>,
    ) -> Result<(), HubError> {
        for verb in verbs {
            let number = verb.number;
            let one = [verb];
            match self.send(id, activity, &one).await {
                Ok(()) => self.confirm(activity, &one),
                Err(HubError::Refused(refusal)) if refusal.status == StatusCode::BAD_REQUEST => {
                    let problem = format!("the hub refuses what a hook has done: {refusal}");
                    fault_log::append(&self.settings.mesh_home, PROGRAM, &problem);
                    self.mirror().queue().remove(number);
                }
                Err(error) => return Err(self.send_failed(id, error)),
            }
        }
        Ok(())
    }

    async fn send(
        &self,
        id: SessionId,
        activity: &Option<String>,
        verbs: &[NumberedVerb],
    ) -> Result<(), HubError> {
        let path = format!("/v1/remote/sessions/{id}/verbs");
        let body = json!({ "activity": activity, "verbs": verbs });
        let client = self.client()?;
<<<<<<< HEAD
        let sent = client.call::<Value>(Method::POST, &path, Some(&body)).await;
        sent.map(drop)
    }

    fn confirm(&self, activity: &Option<String>, verbs: &[NumberedVerb]) {
        let mut mirror = self.mirror();
        mirror.confirm_activity(activity.clone());
        if let Some(last) = verbs.last() {
            mirror.queue().confirm_sent(last.number);
=======
        match client
            .call::<Applied>(Method::POST, &path, Some(&body))
            .await
        {
            Ok(_) => {
                self.mirror().drop_applied(last);
                Ok(true)
            }
            Err(error) if error.is_session_ended() => {
                self.session_ended(id);
                Err(error)
            }
            // What the hub refuses once it refuses again.
            Err(HubError::Refused(refusal)) if refusal.status.is_client_error() => {
                self.mirror().drop_applied(last);
                Ok(true)
            }
            Err(error) => Err(error),
>>>>>>> main
        }
    }

    /// Nothing is dropped: it is sent again when the hub is in reach, or a key is there that it accepts.
    fn send_failed(&self, id: SessionId, error: HubError) -> HubError {
        if error.is_session_ended() {
            self.session_ended(id);
        } else if !error.is_transient() {
            self.forget_client();
        }
        error
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

fn with_jitter(pause: Duration) -> Duration {
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}
