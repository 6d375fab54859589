//! The caller of a request: its key, its mesh and its session, and the tool calls it makes.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use crate::hub::api_error::ApiError;
use crate::hub::host_caller::HostCaller;
use crate::hub::hub_mesh::HubMesh;
use crate::hub::hub_session::{CallerSession, Speaker};
use crate::hub::state::Hub;
use crate::mesh::{KeyedCaller, StopReason};
use crate::model::Result;
use crate::model::access_key::{AccessKey, KeyHolder, KeyScope};
use crate::platform::Moment;
use crate::platform::id::WaitId;
use crate::tools::{self, AsyncCaller, Effect, JsonObject, Operation, Step, ToolEntry};

/// How long the calls of a caller wait.
#[derive(Clone)]
enum Waiting {
    /// Not at all.
    No,
    /// At most until the hub ends.
    UntilHubEnds,
    /// Until their client cancels them. What the hub does not finish another one continues.
    UntilCancelled(watch::Receiver<bool>),
}

/// Who makes a request.
#[derive(Clone)]
pub(super) struct Caller {
    key: AccessKey,
    mesh: Arc<HubMesh>,
    session: CallerSession,
    stopping: watch::Receiver<bool>,
    waiting: Waiting,
    /// What the first transaction of its call records.
    mark: Option<Arc<CallMark>>,
}

/// A call that is carried out once.
struct CallMark {
    caller: KeyedCaller,
    key: String,
    request_hash: [u8; 32],
    recorded: AtomicBool,
}

impl CallMark {
    fn is_recorded(&self) -> bool {
        self.recorded.load(Ordering::Relaxed)
    }
}

impl Caller {
    pub(super) async fn new(
        hub: &Hub,
        mesh: Arc<HubMesh>,
        key: AccessKey,
    ) -> std::result::Result<Self, ApiError> {
        let speaker = Speaker::of(&key).ok_or_else(|| {
            ApiError::forbidden(
                "the key of a host speaks for no peer; it is for /v1/remote",
                "Use the key of a peer.",
            )
        })?;
        let home = hub.settings().mesh_home.to_string_lossy();
        let folder = key.project.as_deref().unwrap_or(&home);
        let session = mesh.session(&speaker, folder).await?;
        Ok(Self {
            key,
            mesh,
            session,
            stopping: hub.stopping(),
            waiting: Waiting::UntilHubEnds,
            mark: None,
        })
    }

    /// Returns the caller that is a session on another host, for one call that its client may cancel.
    pub(super) fn of_host(
        host: &HostCaller,
        session: CallerSession,
        cancelled: watch::Receiver<bool>,
    ) -> Self {
        Self {
            key: host.key().clone(),
            mesh: Arc::clone(host.mesh()),
            session,
            stopping: host.stopping(),
            waiting: Waiting::UntilCancelled(cancelled),
            mark: None,
        }
    }

    /// Returns the same caller, for one call that is carried out once.
    pub(super) fn marked(&self, idempotency_key: &str, request_hash: [u8; 32]) -> Self {
        Self {
            mark: Some(Arc::new(CallMark {
                caller: self.keyed_caller(),
                key: idempotency_key.to_owned(),
                request_hash,
                recorded: AtomicBool::new(false),
            })),
            ..self.clone()
        }
    }

    /// Returns whether the first transaction of its call has recorded the call.
    pub(super) fn is_recorded(&self) -> bool {
        self.mark.as_ref().is_some_and(|mark| mark.is_recorded())
    }

    pub(super) fn key(&self) -> &AccessKey {
        &self.key
    }

    pub(super) fn mesh(&self) -> &Arc<HubMesh> {
        &self.mesh
    }

    pub(super) fn session(&self) -> &CallerSession {
        &self.session
    }

    /// Returns the same caller, whose waits end at once.
    pub(super) fn without_waiting(&self) -> Self {
        Self {
            waiting: Waiting::No,
            ..self.clone()
        }
    }

    /// Refuses a caller whose key has a lower scope.
    pub(super) fn require(&self, scope: KeyScope) -> std::result::Result<(), ApiError> {
        if self.key.scope >= scope {
            return Ok(());
        }
        let message = format!(
            "the key has the scope \"{}\"; this needs \"{}\"",
            self.key.scope.as_str(),
            scope.as_str()
        );
        let hint = "Use a key that `claude-mesh key create --scope` made with that scope.";
        Err(ApiError::forbidden(&message, hint))
    }

    /// Returns the call of a tool, ready to run; refuses it if the key may not call the tool.
    pub(super) fn operation(
        &self,
        tool: &ToolEntry,
        arguments: JsonObject,
    ) -> std::result::Result<Operation, ApiError> {
        let reads = matches!(tool.effect, Effect::Reads);
        self.require(if reads {
            KeyScope::Read
        } else {
            KeyScope::Write
        })?;
        Ok((tool.handler)(arguments)?)
    }

    /// Returns whose the idempotency keys of its calls are.
    pub(super) fn keyed_caller(&self) -> KeyedCaller {
        match &self.key.holder {
            KeyHolder::Host(name) => KeyedCaller::host(name),
            KeyHolder::Peer(_) | KeyHolder::Board => KeyedCaller::access_key(self.key.id),
        }
    }

    /// Runs an operation to its end.
    pub(super) async fn run(&self, operation: Operation) -> Result<Value> {
        let _in_use = CallGuard::begin(self);
        tools::run_operation(self, operation).await
    }
}

/// A call that runs: the session keeps its lease until it ends, also if the client vanishes.
pub(super) struct CallGuard<'a>(&'a Caller);

impl<'a> CallGuard<'a> {
    pub(super) fn begin(caller: &'a Caller) -> Self {
        caller.session.count_call(true);
        Self(caller)
    }
}

impl Drop for CallGuard<'_> {
    fn drop(&mut self) {
        self.0.session.touch(&self.0.mesh.now());
        self.0.session.count_call(false);
    }
}

impl AsyncCaller for Caller {
    fn now(&self) -> Moment {
        self.mesh.now()
    }

    async fn first_step(&self, operation: &mut Operation) -> Result<Step> {
        let step = |mut call: tools::CallContext<'_>| {
            let Some(mark) = self.mark.as_ref().filter(|mark| !mark.is_recorded()) else {
                return operation.step(&mut call);
            };
            call.mesh
                .begin_call(mark.caller, (&mark.key, mark.request_hash));
            let step = operation.step(&mut call);
            // A step that is repeated after its first transaction is not recorded again.
            if call.mesh.end_call() {
                mark.recorded.store(true, Ordering::Relaxed);
            }
            step
        };
        self.mesh.in_session(&self.session, true, step).await
    }

    async fn next_step(&self, operation: &mut Operation) -> Result<Step> {
        let step = |mut call: tools::CallContext<'_>| operation.step(&mut call);
        self.mesh.in_session(&self.session, false, step).await
    }

    fn doorbell_signals(&self) -> watch::Receiver<u64> {
        self.session.signals()
    }

    fn poll_interval(&self) -> Duration {
        self.mesh.poll_interval()
    }

    async fn stopped(&self) -> StopReason {
        match &self.waiting {
            Waiting::No => StopReason::Expired,
            Waiting::UntilHubEnds => {
                let mut stopping = self.stopping.clone();
                let _ = stopping.wait_for(|stopping| *stopping).await;
                StopReason::Expired
            }
            Waiting::UntilCancelled(cancelled) => {
                let mut cancelled = cancelled.clone();
                if cancelled.wait_for(|cancelled| *cancelled).await.is_err() {
                    return std::future::pending().await;
                }
                StopReason::Cancelled
            }
        }
    }

    fn wants_progress(&self) -> bool {
        false
    }

    async fn send_progress(&self, _: u32, _: String) {}

    fn wait_began(&self) {}

    fn wait_ended(&self, row: Option<WaitId>) {
        if let Some(row) = row {
            self.mesh.queue_wait_to_end(row);
        }
    }

    async fn delete_ended_waits(&self) {
        self.mesh.delete_ended_waits().await;
    }
}
