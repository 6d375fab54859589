//! The stream of a session on another host: what is pending for it, at once and after each change, and when it is to be woken.
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Path};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::hub::api_error::ApiError;
use crate::hub::host_caller::HostCaller;
use crate::hub::hub_session::CallerSession;
use crate::mesh::{
    InboxSocketState, Mesh, SessionHandle, SessionLook, SnapshotClock, WaitingHookAction,
    WakeAction,
};
use crate::model::throttle::PersonAlert;
use crate::model::{Refusal, Result};
use crate::platform::id::SessionId;

/// The time between two comments while nothing changes.
const COMMENT_INTERVAL: Duration = Duration::from_secs(10);
/// The longest time between two looks at a session for which something is pending, or on whose host others have claims: both
/// may end by time alone.
const RECHECK_INTERVAL_MAX: Duration = Duration::from_secs(10);
/// The same for any other session: only a lost signal could make it wait.
const CALM_RECHECK_INTERVAL: Duration = Duration::from_secs(60);
/// The shortest time between two looks without a signal.
const RECHECK_INTERVAL_MIN: Duration = Duration::from_millis(10);
/// How long the end of a call is left to what follows: most often another call, and each look at the session takes the time of
/// several queries. A hook waits for the look.
const ENDED_CALL_PAUSE: Duration = Duration::from_millis(5);
/// How long a change is left to a waiting call, which most often takes what it announces.
const WAITING_CALL_GRACE: Duration = Duration::from_millis(200);

pub(super) async fn open(
    Extension(host): Extension<HostCaller>,
    Path(id): Path<SessionId>,
) -> std::result::Result<Response, ApiError> {
    let session = host.session(id)?;
    let listener = Listener::begin(host, session, id);
    let frames = stream::unfold(listener, |mut listener| async move {
        let frame = listener.next().await?;
        Some((Ok::<_, Infallible>(frame), listener))
    });
    let mut response = Body::from_stream(frames).into_response();
    for (name, value) in [
        (header::CONTENT_TYPE.as_str(), "text/event-stream"),
        (header::CACHE_CONTROL.as_str(), "no-store"),
        ("x-accel-buffering", "no"),
    ] {
        let headers = response.headers_mut();
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// One open stream. The session keeps its lease while it is open.
struct Listener {
    /// The session that the program has asked for.
    id: SessionId,
    /// The number of the stream; a newer one of the session takes its place.
    number: u64,
    host: HostCaller,
    session: CallerSession,
    signals: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    /// The hash of the snapshot that was sent last, and how many calls it includes; the same is not sent again.
    sent: Option<([u8; 32], u64)>,
    /// Why its person was last said to be needed.
    alert: Option<PersonAlert>,
    /// When the session is looked at again, without a signal.
    recheck_at: Instant,
    /// When a comment is due.
    comment_at: Instant,
    /// Until when a change is left to a waiting call.
    grace_ends: Option<Instant>,
    frames: VecDeque<Bytes>,
}

impl Listener {
    fn begin(host: HostCaller, session: CallerSession, id: SessionId) -> Self {
        session.count_call(true);
        let mut signals = session.signals();
        signals.mark_changed();
        let number = session.begin_stream();
        Self {
            id,
            number,
            stopping: host.stopping(),
            host,
            session,
            signals,
            sent: None,
            alert: None,
            recheck_at: Instant::now() + RECHECK_INTERVAL_MAX,
            comment_at: Instant::now() + COMMENT_INTERVAL,
            grace_ends: None,
            frames: VecDeque::new(),
        }
    }

    /// Returns what is sent next; `None` at the end. After an end the program registers again and opens another stream.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                self.comment_at = Instant::now() + COMMENT_INTERVAL;
                return Some(frame);
            }
            let recheck_at = self.grace_ends.unwrap_or(self.recheck_at);
            let until = recheck_at.min(self.comment_at);
            let is_quiet = tokio::select! {
                changed = self.signals.changed() => {
                    changed.ok()?;
                    false
                }
                _ = self.stopping.wait_for(|stopping| *stopping) => return None,
                () = tokio::time::sleep_until(until) => true,
            };
            let sent_calls = self.sent_calls();
            if !is_quiet && sent_calls.is_some_and(|calls| calls != self.session.finished_calls()) {
                tokio::select! {
                    () = tokio::time::sleep(ENDED_CALL_PAUSE) => {}
                    _ = self.stopping.wait_for(|stopping| *stopping) => return None,
                }
                self.signals.borrow_and_update();
            }
            if !self.session.is_newest_stream(self.number) {
                return None;
            }
            let is_valid = self.host.mesh().is_key_valid(self.host.key().id).await;
            // Also if the mesh cannot be read: the program learns of that when it connects again.
            if !is_valid.unwrap_or(false) {
                return None;
            }
            let is_look_due = !is_quiet || recheck_at <= Instant::now();
            if is_look_due && self.push_changes(is_quiet).await.is_err() {
                self.host.mesh().forget_if_ended(&self.session).await;
                return None;
            }
            if self.frames.is_empty() && self.comment_at <= Instant::now() {
                self.frames.push_back(":\n\n".into());
            }
        }
    }

    /// Sends the snapshot, and the wake that is due. A change is left to a waiting call first, if there is one; but the result of
    /// a call that has ended waits for the next snapshot.
    async fn push_changes(&mut self, is_quiet: bool) -> Result<()> {
        let is_left_to_call = !is_quiet && self.session.has_calls_besides_stream();
        if is_left_to_call {
            let grace_ends = Instant::now() + WAITING_CALL_GRACE;
            self.grace_ends.get_or_insert(grace_ends);
        } else {
            self.grace_ends = None;
        }
        if is_left_to_call && self.sent_calls() == Some(self.session.finished_calls()) {
            return Ok(());
        }
        let look = self.push_snapshot().await?;
        if is_left_to_call {
            return Ok(());
        }
        let until_recheck = if !look.is_calm || self.alert.is_some() {
            self.push_wake().await?
        } else if look.changes_by_time {
            RECHECK_INTERVAL_MAX
        } else {
            CALM_RECHECK_INTERVAL
        };
        self.recheck_at = Instant::now() + until_recheck;
        Ok(())
    }

    /// Returns how many calls the snapshot includes that was sent last.
    fn sent_calls(&self) -> Option<u64> {
        self.sent.as_ref().map(|(_, calls)| *calls)
    }

    /// Sends the state of the session unless that was the last that was sent. Returns what the look at it found.
    async fn push_snapshot(&mut self) -> Result<Look> {
        let mesh = self.host.mesh();
        let calls = self.session.finished_calls();
        let (session, id) = (&self.session, self.id);
        let look = mesh.in_session(session, false, |call| {
            if call.me.session != id || session.has_left() {
                return Err(Refusal::conflict("the stream is of an earlier session").into());
            }
            let look = call.mesh.look_at_session(&call.me)?;
            // A waiting hook that has begun or ended is known by its lock from here on.
            session.set_handle(look.snapshot.me.clone(), call.mesh.doorbells())?;
            Ok(look)
        });
        let SessionLook { snapshot, is_calm } = look.await?;
        let look = Look {
            is_calm,
            changes_by_time: !snapshot.inbox.is_empty() || !snapshot.claims.is_empty(),
        };
        let snapshot = serde_json::to_string(&snapshot).expect("a snapshot can be written as JSON");
        let current = (Sha256::digest(&snapshot).into(), calls);
        if self.sent != Some(current) {
            let now = mesh.now();
            let clock = SnapshotClock {
                wall_ms: now.wall_ms,
                monotonic_ms: now.monotonic_ms,
                boot: now.boot.to_string(),
            };
            let clock = json!(clock);
            let data = format!(r#"{{"clock":{clock},"calls":{calls},"snapshot":{snapshot}}}"#);
            self.push_frame("snapshot", &data);
            self.sent = Some(current);
        }
        Ok(look)
    }

    /// Looks whether the session is to be woken. Returns after which time to look again.
    async fn push_wake(&mut self) -> Result<Duration> {
        let mesh = self.host.mesh();
        let socket = self.session.inbox_socket_state(&mesh.now());
        let has_waiting_hook = self.session.has_waiting_hook();
        let reported = self.alert;
        let mut due = mesh
            .in_session(&self.session, false, |call| {
                DueWakes::of(call.mesh, &call.me, (&socket, has_waiting_hook), reported)
            })
            .await?;
        let mut after_ms = due.queues_after_ms;
        match due.waiting_hook {
            WaitingHookAction::Now => self.push_frame("rewake", &Value::Null),
            WaitingHookAction::Wait { after_ms: hook_ms } => {
                after_ms = after_ms.into_iter().chain(hook_ms).min();
            }
            WaitingHookAction::Ended => {}
        }
        match due.server {
            action @ WakeAction::Post { .. } => {
                self.session.record_wake_line(&self.host.mesh().now());
                self.push_frame("wake", &json!(action));
                after_ms = Some(10);
            }
            WakeAction::Wait {
                after_ms: wake_ms,
                alert,
            } => {
                after_ms = after_ms.into_iter().chain(wake_ms).min();
                if let Some(alert) = alert.filter(|_| alert != self.alert) {
                    self.set_alert(Some(alert));
                    due.still_needs_person = true;
                }
            }
        }
        if self.alert.is_some() && !due.still_needs_person {
            self.set_alert(None);
        }
        Ok(after_ms.map_or(RECHECK_INTERVAL_MAX, |ms| {
            let pause = Duration::from_millis(u64::try_from(ms).unwrap_or(0));
            pause.clamp(RECHECK_INTERVAL_MIN, RECHECK_INTERVAL_MAX)
        }))
    }

    /// Says why the person of the session is needed, or that nobody is any more.
    fn set_alert(&mut self, alert: Option<PersonAlert>) {
        let reason = alert.map(PersonAlert::text);
        self.push_frame("alert", &json!({ "reason": reason }));
        self.alert = alert;
    }

    fn push_frame(&mut self, event: &str, data: &impl std::fmt::Display) {
        let frame = format!("event: {event}\ndata: {data}\n\n");
        self.frames.push_back(frame.into());
    }
}

/// What a look at a session has found besides its state.
struct Look {
    /// Whether nothing can wake it.
    is_calm: bool,
    /// Whether its state may change although nothing happens in the mesh.
    changes_by_time: bool,
}

/// How a session is to be woken now.
struct DueWakes {
    /// By its program.
    server: WakeAction,
    /// By the waiting hook beside its client.
    waiting_hook: WaitingHookAction,
    /// After how many milliseconds its claim queues are to be looked at again.
    queues_after_ms: Option<i64>,
    /// Whether the reason still exists for which its person was notified.
    still_needs_person: bool,
}

impl DueWakes {
    fn of(
        mesh: &mut Mesh,
        me: &SessionHandle,
        (socket, has_waiting_hook): (&InboxSocketState, bool),
        reported: Option<PersonAlert>,
    ) -> Result<Self> {
        let queues_after_ms = mesh.settle_own_queues(me)?;
        mesh.end_dead_waits(me)?;
        Ok(Self {
            server: mesh.next_wake_action(me, || socket.clone())?,
            waiting_hook: if has_waiting_hook {
                mesh.waiting_hook_action(me)?
            } else {
                WaitingHookAction::Wait { after_ms: None }
            },
            queues_after_ms,
            still_needs_person: match reported {
                Some(alert) => mesh.still_needs_person(me, alert)?,
                None => false,
            },
        })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.session.touch(&self.host.mesh().now());
        self.session.count_call(false);
    }
}
