//! Sends the events of a mesh to a client as they happen: server-sent events, resumed by the number of the last event.
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use crate::hub::api_error::ApiError;
use crate::hub::caller::Caller;
use crate::hub::event_feed::{FeedSubscription, Frame, FrameContent, event_frame};
use crate::hub::hub_mesh::HubMesh;
use crate::hub::hub_session::CallerSession;
use crate::hub::state::Hub;
use crate::mesh::EventLogPage;
use crate::model::access_key::{AccessKey, KeyHolder, KeyScope};
use crate::model::event::{EventFilter, EventPatterns};
use crate::model::{Refusal, Result};
use crate::platform::Moment;

/// Events that a stream reads from the log at once. Few, because a client that does not read holds them in memory.
const PAGE_EVENTS: usize = 16;
/// A stream that has once caught up and is then further behind than this many events is ended.
const EVENTS_BEHIND_MAX: i64 = 10_000;
/// The most patterns of types.
const TYPES_MAX: usize = 16;

type Parameters = Query<Vec<(String, String)>>;

/// `GET /events`: always a stream.
pub(super) async fn events(
    State(hub): State<Arc<Hub>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    parameters: Parameters,
) -> std::result::Result<Response, ApiError> {
    let start = StreamStart::of(&headers, parameters)?;
    open(&hub, &caller, start).await
}

/// Answers `GET /v1/events` with a stream if the client accepts one; all else goes on to the route.
pub(super) async fn events_if_accepted(
    State(hub): State<Arc<Hub>>,
    request: Request,
    next: Next,
) -> std::result::Result<Response, ApiError> {
    if request.method() != Method::GET
        || request.uri().path() != "/v1/events"
        || !accepts_stream(request.headers())
    {
        return Ok(next.run(request).await);
    }
    let parameters = Query::try_from_uri(request.uri())
        .map_err(|error| Refusal::argument(format!("the query cannot be read: {error}")))?;
    let start = StreamStart::of(request.headers(), parameters)?;
    let caller = request.extensions().get::<Caller>().cloned();
    open(&hub, &caller.expect("the route needs a key"), start).await
}

fn accepts_stream(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|value| {
        let mut types = value.to_str().unwrap_or_default().split(',');
        types.any(|it| {
            let name = it.split(';').next().unwrap_or_default();
            name.trim().eq_ignore_ascii_case("text/event-stream")
        })
    })
}

/// Where a stream begins, and what it sends.
struct StreamStart {
    types: EventPatterns,
    /// The last event that the client has; `None` begins now.
    after: Option<i64>,
}

impl StreamStart {
    fn of(headers: &HeaderMap, Query(parameters): Parameters) -> Result<Self> {
        let mut types = Vec::new();
        let mut after = None;
        for (name, value) in parameters {
            match name.as_str() {
                "types" => types.extend(value.split(',').map(str::to_owned)),
                "after" | "last_event_id" => after = Some(parse_seq(&name, &value)?),
                _ => {
                    let problem = format!(
                        "a stream of events has the parameters types, after and last_event_id, got {name:?}"
                    );
                    return Err(Refusal::argument(problem).into());
                }
            }
        }
        // A client that connects again repeats the query, so the header is newer.
        if let Some(value) = headers.get("last-event-id") {
            after = Some(parse_seq("Last-Event-ID", value.to_str().unwrap_or("?"))?);
        }
        if types.len() > TYPES_MAX {
            return Err(Refusal::argument(format!("at most {TYPES_MAX} \"types\"")).into());
        }
        let types = EventPatterns::check(types)?;
        Ok(Self { types, after })
    }
}

fn parse_seq(name: &str, value: &str) -> Result<i64> {
    let is_decimal = value.bytes().all(|b| b.is_ascii_digit());
    let seq = value.parse().ok().filter(|_| is_decimal);
    seq.ok_or_else(|| {
        Refusal::argument(format!(
            "{name} is the decimal number of an event, got {value:?}"
        ))
        .into()
    })
}

async fn open(
    hub: &Hub,
    caller: &Caller,
    start: StreamStart,
) -> std::result::Result<Response, ApiError> {
    caller.require(KeyScope::Read)?;
    let listener = Listener::open(hub, caller, start).await?;
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

/// What a listener does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Says where the stream begins.
    Ready,
    /// Reads the log until it has caught up.
    Behind,
    /// Takes what the feed publishes.
    Live,
    Ended,
}

/// One stream.
struct Listener {
    mesh: Arc<HubMesh>,
    key: AccessKey,
    /// The mesh in which the key is stored.
    key_mesh: Arc<HubMesh>,
    listening: Listening,
    subscription: FeedSubscription,
    stopping: watch::Receiver<bool>,
    types: EventPatterns,
    /// All events up to this number were sent, or are not wanted.
    after: i64,
    /// Of which log `after` is a number.
    log: u32,
    stage: Stage,
    /// Whether it has once caught up.
    has_caught_up: bool,
}

/// Keeps the session of the caller registered while a stream listens.
struct Listening {
    mesh: Arc<HubMesh>,
    session: CallerSession,
}

impl Listening {
    fn begin(caller: &Caller) -> Self {
        caller.session().count_listener(true);
        Self {
            mesh: Arc::clone(caller.mesh()),
            session: caller.session().clone(),
        }
    }

    /// Registers the session if it is not registered.
    async fn register(&self) -> Result<()> {
        self.mesh.in_session(&self.session, true, |_| Ok(())).await
    }
}

/// Waits until a key expires.
async fn expiry(key: &AccessKey, now: Moment) {
    let Some(expires_at_ms) = key.expires_at_ms else {
        return std::future::pending().await;
    };
    let left_ms = u64::try_from(expires_at_ms - now.wall_ms).unwrap_or(0);
    tokio::time::sleep(Duration::from_millis(left_ms)).await;
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.session.touch(&self.mesh.now());
        self.session.count_listener(false);
    }
}

impl Listener {
    async fn open(hub: &Hub, caller: &Caller, start: StreamStart) -> Result<Self> {
        let mesh = Arc::clone(caller.mesh());
        let listening = Listening::begin(caller);
        listening.register().await?;
        // From here on nothing is missed: what is committed before is in the log, the rest comes from the feed.
        let subscription = hub.event_feed(&mesh).subscribe();
        let log = mesh
            .with_mesh(|mesh| mesh.event_log(&EventFilter::default()))
            .await?;
        Ok(Self {
            key_mesh: match caller.key().holder {
                KeyHolder::Board => hub.default_mesh()?,
                KeyHolder::Peer(_) | KeyHolder::Host(_) => Arc::clone(&mesh),
            },
            mesh,
            key: caller.key().clone(),
            listening,
            subscription,
            stopping: hub.stopping(),
            types: start.types,
            after: start.after.unwrap_or(log.last),
            log: log.replacements,
            stage: Stage::Ready,
            has_caught_up: false,
        })
    }

    /// Returns what is sent next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let is_stopping = *self.stopping.borrow();
            let bytes = match self.stage {
                Stage::Ended => return None,
                _ if is_stopping => Some(self.end("stopping")),
                _ if self.key.problem(self.mesh.now().wall_ms).is_some() => {
                    Some(self.end("unauthorized"))
                }
                Stage::Ready => {
                    self.stage = Stage::Behind;
                    Some(self.frame("ready", &json!({ "after": self.after })))
                }
                // Its revocation may be among the events that the feed has not told to this stream.
                Stage::Behind if !self.is_key_valid().await => Some(self.end("unauthorized")),
                Stage::Behind => match self.read_log().await {
                    Ok(log) => self.take_page(&log),
                    Err(_) => Some(self.end("failed")),
                },
                Stage::Live => self.receive().await,
            };
            if bytes.is_some() {
                return bytes;
            }
        }
    }

    async fn read_log(&self) -> Result<EventLogPage> {
        let filter = EventFilter {
            types: self.types.clone(),
            after: Some(self.after),
            limit: PAGE_EVENTS,
            since_ms: None,
        };
        self.mesh.with_mesh(|mesh| mesh.event_log(&filter)).await
    }

    /// Takes events that were read from the log.
    fn take_page(&mut self, log: &EventLogPage) -> Option<Bytes> {
        let is_other_log = log.replacements != self.log || self.after > log.last;
        if is_other_log || self.after < log.oldest - 1 {
            (self.after, self.log) = (log.oldest - 1, log.replacements);
            return Some(self.frame("gap", &json!({ "oldest": log.oldest })));
        }
        if self.has_caught_up && log.last - self.after > EVENTS_BEHIND_MAX {
            return Some(self.end("slow"));
        }
        self.after = log.page.next;
        if !log.page.more {
            self.stage = Stage::Live;
            self.has_caught_up = true;
        }
        let frames: Vec<Bytes> = log.page.events.iter().map(event_frame).collect();
        (!frames.is_empty()).then(|| frames.concat().into())
    }

    /// Waits for the next frame of the feed.
    async fn receive(&mut self) -> Option<Bytes> {
        let expired = expiry(&self.key, self.mesh.now());
        let frame = tokio::select! {
            frame = self.subscription.frames.recv() => frame,
            _ = self.stopping.wait_for(|stopping| *stopping) => return None,
            () = expired => return None,
        };
        if self.key.problem(self.mesh.now().wall_ms).is_some() {
            return None;
        }
        match frame {
            Ok(frame) => self.take_frame(&frame).await,
            Err(RecvError::Lagged(_) | RecvError::Closed) => {
                self.stage = Stage::Behind;
                None
            }
        }
    }

    async fn take_frame(&mut self, frame: &Frame) -> Option<Bytes> {
        if frame.log < self.log {
            return None;
        }
        let is_replaced = frame.log > self.log;
        if is_replaced && self.listening.register().await.is_err() {
            return Some(self.end("failed"));
        }
        if self.is_foreign_key_mesh(&frame.content) && !self.is_key_valid().await {
            return Some(self.end("unauthorized"));
        }
        let next = match frame.content {
            FrameContent::Event { .. } => self.after + 1,
            FrameContent::Begin | FrameContent::Comment => self.after,
        };
        if is_replaced || frame.seq > next {
            self.stage = Stage::Behind;
            return None;
        }
        match &frame.content {
            FrameContent::Event { kind, bytes, .. } if frame.seq == next => {
                self.after = frame.seq;
                if frame.content.revokes(&self.key.id.to_string()) {
                    return Some(self.end("unauthorized"));
                }
                self.types.match_any(kind).then(|| bytes.clone())
            }
            // A frame without data fires no event; its id is where the client resumes.
            FrameContent::Comment => Some(format!(":\nid: {}\n\n", self.after).into()),
            FrameContent::Event { .. } | FrameContent::Begin => None,
        }
    }

    /// Returns whether the key is to be looked up with this frame, because the log of this mesh does not tell its end.
    fn is_foreign_key_mesh(&self, content: &FrameContent) -> bool {
        matches!(content, FrameContent::Comment) && !Arc::ptr_eq(&self.mesh, &self.key_mesh)
    }

    async fn is_key_valid(&self) -> bool {
        let id = self.key.id;
        let valid = self.key_mesh.is_key_valid(id).await;
        valid.unwrap_or(false)
    }

    /// Ends the stream, and tells the client from where it can resume.
    fn end(&mut self, reason: &str) -> Bytes {
        self.stage = Stage::Ended;
        let data = json!({ "resume_from": self.after, "reason": reason });
        self.frame("end", &data)
    }

    fn frame(&self, event: &str, data: &Value) -> Bytes {
        format!("id: {}\nevent: {event}\ndata: {data}\n\n", self.after).into()
    }
}
