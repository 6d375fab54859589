//! Receives what commits wake, on one connection for each hub: a server signals every connection that listens, so few do.
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{closed, connect_failure, failure};
use super::link::{self, Messages};
use super::location::PostgresLocation;
use super::runtime::ConnectionRuntime;
use super::{schema, tls};
use crate::platform::id::SessionId;
use crate::platform::{Fault, FaultKind, process};

/// The time between two looks whether the connection works.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);
/// How long the answer to a look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(100);
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Why nothing is received any more; `None` if the server has closed the connection.
type Lost = Option<tokio_postgres::Error>;

/// Counts the commits that this process has made or heard of. It is shared by a listener and the connections of a mesh.
#[derive(Debug, Clone, Default)]
pub struct ChangeCounter {
    count: Arc<AtomicI64>,
    is_listening: Arc<AtomicBool>,
}

impl ChangeCounter {
    /// Counts a commit.
    pub(super) fn add(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns the count; `None` while no listener would hear of a commit of another process.
    pub(super) fn current(&self) -> Option<i64> {
        let is_listening = self.is_listening.load(Ordering::SeqCst);
        is_listening.then(|| self.count.load(Ordering::SeqCst))
    }

    fn set_listening(&self, is_listening: bool) {
        self.add();
        self.is_listening.store(is_listening, Ordering::SeqCst);
    }
}

/// Listens to a mesh until it is dropped.
#[derive(Debug)]
pub struct PostgresListener {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl PostgresListener {
    /// Starts to listen to a mesh that exists, and returns when it does. `on_wake` is called on the thread of the listener with
    /// each session that a commit wakes, of this process or of another one. It is called with `None` when notifications may be
    /// lost, because the connection was: then all sessions look.
    pub fn start(
        location: &PostgresLocation,
        changes: &ChangeCounter,
        on_wake: impl Fn(Option<SessionId>) + Send + Sync + 'static,
    ) -> Result<Self, Fault> {
        let tls = tls::connector(location)?;
        let runtime = ConnectionRuntime::new().map_err(|error| {
            Fault::new(FaultKind::Other, format!("no runtime: {error}"), "").with_source(error)
        })?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        let ear = Ear {
            location: location.clone(),
            tls,
            changes: changes.clone(),
            on_wake: Box::new(on_wake),
        };
        let thread = std::thread::Builder::new()
            .name("postgres-listener".into())
            .spawn(move || {
                runtime.wait(async {
                    tokio::select! {
                        () = ear.listen_until_lost_for_good(&ready) => {}
                        _ = stopped => {}
                    }
                });
                ear.changes.set_listening(false);
            })
            .map_err(|error| {
                Fault::new(FaultKind::Other, format!("no thread: {error}"), "").with_source(error)
            })?;
        let listener = Self {
            stop: Some(stop),
            thread: Some(thread),
        };
        match is_ready.recv() {
            Ok(Ok(())) => Ok(listener),
            Ok(Err(fault)) => Err(fault),
            Err(error) => {
                let problem = "the listener ended at its start";
                Err(Fault::new(FaultKind::Other, problem, "").with_source(error))
            }
        }
    }
}

impl Drop for PostgresListener {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns the name by which operators and `claude-mesh doctor` know a listener of a mesh at the server, which keeps 63 bytes.
pub(super) fn application_name(channel: &str, hub: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let hub: String = hub.chars().filter(|c| plain(*c)).collect();
    format!("claude-mesh hub of {channel}: {hub}")
}

struct Ear {
    location: PostgresLocation,
    tls: Option<MakeRustlsConnect>,
    changes: ChangeCounter,
    on_wake: Box<dyn Fn(Option<SessionId>) + Send + Sync>,
}

impl Ear {
    /// Listens, and again whenever the connection is lost. Ends only if the first connection fails, which `ready` gets.
    async fn listen_until_lost_for_good(&self, ready: &mpsc::Sender<Result<(), Fault>>) {
        let (client, mut messages) = match self.open().await {
            Ok(opened) => opened,
            Err(error) => {
                let _ = ready.send(Err(connect_failure(&self.location, error).into_fault()));
                return;
            }
        };
        let first = self.subscribe(&client, &mut messages).await;
        let first = first.map_err(|lost| {
            let error = match lost {
                Some(error) => failure(&self.location, error),
                None => closed(&self.location),
            };
            error.into_fault()
        });
        let is_listening = first.is_ok();
        self.changes.set_listening(is_listening);
        let _ = ready.send(first);
        if !is_listening {
            return;
        }
        let mut lost = self.receive(&client, &mut messages).await;
        let mut pause = RECONNECT_PAUSE_MIN;
        loop {
            // Why it was lost is no fault of an operation; those report their own.
            drop(lost);
            self.changes.set_listening(false);
            sleep(pause).await;
            pause = (pause * 2).min(RECONNECT_PAUSE_MAX);
            lost = async {
                let (client, mut messages) = self.open().await.map_err(Some)?;
                self.subscribe(&client, &mut messages).await?;
                self.changes.set_listening(true);
                pause = RECONNECT_PAUSE_MIN;
                // What was sent meanwhile was not received.
                (self.on_wake)(None);
                self.receive(&client, &mut messages).await
            }
            .await;
        }
    }

    async fn open(&self) -> std::result::Result<(Client, Messages), tokio_postgres::Error> {
        link::open(&self.location, self.tls.as_ref()).await
    }

    async fn subscribe(
        &self,
        client: &Client,
        messages: &mut Messages,
    ) -> std::result::Result<(), Lost> {
        self.while_answering(messages, async {
            let channel = schema::channel(client, &self.location).await?;
            let me = format!("{}/{}", process::host(), process::own_pid());
            let name = application_name(&channel, &me);
            let set = format!("SET application_name TO '{name}'");
            client.batch_execute(&set).await?;
            client.batch_execute(&format!("LISTEN {channel}")).await
        })
        .await
    }

    /// Receives notifications until the connection is lost.
    async fn receive(
        &self,
        client: &Client,
        messages: &mut Messages,
    ) -> std::result::Result<(), Lost> {
        loop {
            let interval = async {
                sleep(LOOK_INTERVAL).await;
                Ok(())
            };
            self.while_answering(messages, interval).await?;
            let look = self.while_answering(messages, client.batch_execute("SELECT 1"));
            match timeout(LOOK_TIMEOUT, look).await {
                Ok(outcome) => outcome?,
                Err(_) => return Ok(()),
            }
        }
    }

    /// Waits for an answer; a connection works only while its messages are read. A connection that ends meanwhile ends the
    /// wait.
    async fn while_answering(
        &self,
        messages: &mut Messages,
        answer: impl Future<Output = std::result::Result<(), tokio_postgres::Error>>,
    ) -> std::result::Result<(), Lost> {
        tokio::pin!(answer);
        loop {
            tokio::select! {
                outcome = &mut answer => return Ok(outcome?),
                message = messages.next() => match message {
                    Some(message) => self.notice(&message?),
                    None => return Err(None),
                },
            }
        }
    }

    fn notice(&self, message: &AsyncMessage) {
        let AsyncMessage::Notification(notification) = message else {
            return;
        };
        self.changes.add();
        let payload = notification.payload();
        for session in payload.split(',').filter(|session| !session.is_empty()) {
            (self.on_wake)(session.parse().ok());
        }
    }
}
