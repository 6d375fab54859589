//! Reads the event log of one mesh for all streams of the hub: one reader, woken by the doorbell, one copy of each frame.
//!
//! It reads while somebody listens. Then the person's session has a wait for events in the mesh, so that writers write its
//! doorbell; without a listener there is no such wait, and writers do nothing for the hub.
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::Instant;

use crate::hub::hub_mesh::HubMesh;
use crate::hub::hub_session::CallerSession;
use crate::model::event::EventFilter;
use crate::model::{Event, EventKind, Result};
use crate::platform::id::{SessionId, WaitId};
use crate::tools::CallContext;

/// How many frames are kept for listeners that are not served yet. One that is further behind reads the log itself.
const FRAMES_KEPT: usize = 256;
/// Events of one read. After each, the listeners are served.
const PAGE_EVENTS: usize = 64;
/// The time between two comments.
const COMMENT_INTERVAL: Duration = Duration::from_secs(15);
/// The pause after a read that failed.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// What all listeners of a mesh are sent.
#[derive(Debug)]
pub(super) struct Frame {
    /// The number of the event, or of the last one that was read.
    pub(super) seq: i64,
    /// Of which log: it grows each time the file of the mesh is replaced.
    pub(super) log: u32,
    pub(super) content: FrameContent,
}

#[derive(Debug)]
pub(super) enum FrameContent {
    Event {
        kind: String,
        subject: String,
        /// The event as a stream sends it.
        bytes: Bytes,
    },
    /// The reader has begun, and sends the events after this number.
    Begin,
    /// A comment is due.
    Comment,
}

impl FrameContent {
    /// Returns whether it is the event that a key was revoked.
    pub(super) fn revokes(&self, key: &str) -> bool {
        matches!(self, Self::Event { kind, subject, .. }
            if kind == EventKind::KeyRevoked.as_str() && subject == key)
    }
}

/// Returns an event as a stream sends it.
pub(super) fn event_frame(event: &Event) -> Bytes {
    let data = serde_json::to_string(event).expect("an event can be written as JSON");
    format!("id: {}\nevent: {}\ndata: {data}\n\n", event.seq, event.kind).into()
}

/// The feed of the events of one mesh.
pub(super) struct EventFeed {
    mesh: Arc<HubMesh>,
    frames: broadcast::Sender<Arc<Frame>>,
    state: Mutex<FeedState>,
    /// Notified when the last listener has gone.
    unused: Notify,
    stopping: watch::Receiver<bool>,
}

#[derive(Default)]
struct FeedState {
    listeners: usize,
    is_reading: bool,
}

impl EventFeed {
    pub(super) fn new(mesh: Arc<HubMesh>, stopping: watch::Receiver<bool>) -> Arc<Self> {
        Arc::new(Self {
            mesh,
            frames: broadcast::Sender::new(FRAMES_KEPT),
            state: Mutex::default(),
            unused: Notify::new(),
            stopping,
        })
    }

    /// Begins to listen. The frames of all events that are committed from now on come, if the listener keeps up.
    pub(super) fn subscribe(self: &Arc<Self>) -> FeedSubscription {
        let frames = self.frames.subscribe();
        let mut state = self.state();
        state.listeners += 1;
        if !state.is_reading {
            state.is_reading = true;
            tokio::spawn(read_until_unused(Arc::clone(self)));
        }
        FeedSubscription {
            feed: Arc::clone(self),
            frames,
        }
    }

    fn publish(&self, frame: Frame) {
        // It fails if nobody listens.
        let _ = self.frames.send(Arc::new(frame));
    }

    /// Returns whether the reader must end; then another may begin.
    fn ends_reading(&self) -> bool {
        let mut state = self.state();
        if state.listeners == 0 || *self.stopping.borrow() {
            state.is_reading = false;
        }
        !state.is_reading
    }

    fn state(&self) -> MutexGuard<'_, FeedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener's part of the feed.
pub(super) struct FeedSubscription {
    feed: Arc<EventFeed>,
    pub(super) frames: broadcast::Receiver<Arc<Frame>>,
}

impl Drop for FeedSubscription {
    fn drop(&mut self) {
        let mut state = self.feed.state();
        state.listeners -= 1;
        if state.listeners == 0 {
            self.feed.unused.notify_one();
        }
    }
}

async fn read_until_unused(feed: Arc<EventFeed>) {
    let mut reader = LogReader::new(Arc::clone(&feed));
    while reader.run().await.is_err() {
        tokio::time::sleep(FAILURE_PAUSE).await;
        if feed.ends_reading() {
            break;
        }
    }
    reader.end();
}

/// The reader of the log while somebody listens.
struct LogReader {
    feed: Arc<EventFeed>,
    session: Option<CallerSession>,
    wait: Option<FeedWait>,
    /// The number up to which events were read.
    after: i64,
    log: u32,
    comment_due: Instant,
}

/// The wait for events in the mesh.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FeedWait {
    row: WaitId,
    session: SessionId,
    log: u32,
}

impl LogReader {
    fn new(feed: Arc<EventFeed>) -> Self {
        Self {
            feed,
            session: None,
            wait: None,
            after: 0,
            log: 0,
            comment_due: Instant::now() + COMMENT_INTERVAL,
        }
    }

    /// Reads and publishes until nobody listens or a read fails.
    async fn run(&mut self) -> Result<()> {
        let session = self.take_session().await?;
        let mut doorbell_signals = session.signals();
        let mut stopping = self.feed.stopping.clone();
        let feed = Arc::clone(&self.feed);
        loop {
            doorbell_signals.borrow_and_update();
            self.ensure_wait(&session).await?;
            while self.read_page().await? {
                // The listeners take what was published before there is more.
                tokio::task::yield_now().await;
            }
            self.comment_if_due();
            tokio::select! {
                _ = doorbell_signals.changed() => {}
                // No doorbell is written when the file is replaced.
                () = tokio::time::sleep(feed.mesh.poll_interval()) => {}
                () = tokio::time::sleep_until(self.comment_due) => {}
                () = feed.unused.notified() => {}
                _ = stopping.wait_for(|stopping| *stopping) => {}
            }
            if feed.ends_reading() {
                return Ok(());
            }
        }
    }

    /// Takes the session of the person into use, so that its lease does not end.
    async fn take_session(&mut self) -> Result<CallerSession> {
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        let session = self.feed.mesh.person_session().await?;
        session.count_call(true);
        self.session = Some(session.clone());
        Ok(session)
    }

    /// Begins the wait for events, unless it has begun in this session and this file.
    async fn ensure_wait(&mut self, session: &CallerSession) -> Result<()> {
        let (wait, is_first) = (self.wait, self.wait.is_none());
        let begin = |call: CallContext<'_>| {
            let none = EventFilter::default();
            let last = call.mesh.event_log(&none)?;
            let wait = wait
                .filter(|wait| wait.session == call.me.session && wait.log == last.replacements);
            if let Some(wait) = wait {
                return Ok((wait, None));
            }
            let row = call.mesh.begin_event_wait(&call.me, &none)?.wait;
            let wait = FeedWait {
                row,
                session: call.me.session,
                log: last.replacements,
            };
            Ok((wait, Some(last.last)))
        };
        let (wait, last) = self.feed.mesh.in_session(session, true, begin).await?;
        self.wait = Some(wait);
        if let Some(last) = last
            && (is_first || wait.log != self.log)
        {
            self.begin_at(last, wait.log);
        }
        Ok(())
    }

    /// Continues after an event number and publishes it: the listeners read earlier events from the log themselves.
    fn begin_at(&mut self, seq: i64, log: u32) {
        (self.after, self.log) = (seq, log);
        self.publish(seq, FrameContent::Begin);
    }

    /// Publishes the next events. Returns whether there are more.
    async fn read_page(&mut self) -> Result<bool> {
        let filter = EventFilter {
            after: Some(self.after),
            limit: PAGE_EVENTS,
            ..EventFilter::default()
        };
        let log = self
            .feed
            .mesh
            .with_mesh(|mesh| mesh.event_log(&filter))
            .await?;
        if log.replacements != self.log {
            self.begin_at(log.last, log.replacements);
            return Ok(true);
        }
        for event in log.page.events {
            self.after = event.seq;
            let bytes = event_frame(&event);
            let Event { kind, subject, .. } = event;
            let content = FrameContent::Event {
                kind,
                subject,
                bytes,
            };
            self.publish(self.after, content);
        }
        Ok(log.page.more)
    }

    fn comment_if_due(&mut self) {
        let now = Instant::now();
        if now >= self.comment_due {
            self.comment_due = now + COMMENT_INTERVAL;
            self.publish(self.after, FrameContent::Comment);
        }
    }

    fn publish(&self, seq: i64, content: FrameContent) {
        self.feed.publish(Frame {
            seq,
            log: self.log,
            content,
        });
    }

    /// Ends the wait, so that writers write no doorbell any more, and gives the session back.
    fn end(&mut self) {
        if let Some(wait) = self.wait.take() {
            self.feed.mesh.queue_wait_to_end(wait.row);
        }
        if let Some(session) = self.session.take() {
            session.touch(&self.feed.mesh.now());
            session.count_call(false);
        }
    }
}
