//! Calls a tool at the hub. A call that writes carries a key of its own, so that it is carried out once although its
//! connection breaks and it is sent again.
use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hooks::HookMesh;
use crate::platform::Clock;
use crate::platform::id::SessionId;
use crate::remote::arguments::git_facts;
use crate::remote::call_wait::CallWait;
use crate::remote::hub_client::HubRequest;
use crate::remote::hub_error::HubError;
use crate::remote::link::{Link, next_pause};
use crate::remote::registration;
use crate::tools::{Effect, JsonObject, ToolEntry};

/// How long a call that does not wait is tried again while the hub is out of reach.
const RETRY_FOR: Duration = Duration::from_secs(2);
/// How long a hub may take to answer a call, apart from its wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the cancellation of a call may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// A call of the client.
pub(super) struct ToolCall<'a> {
    pub(super) link: &'a Link,
    pub(super) agent: &'a str,
    pub(super) tool: &'static ToolEntry,
    pub(super) arguments: &'a JsonObject,
    /// By which the hub recognizes a repetition.
    pub(super) key: &'a str,
    /// Whether the client repeats a call that may have been stored.
    pub(super) is_repeated: bool,
}

/// The outcome of a call.
pub(super) enum CallOutcome {
    /// Its result.
    Result(Value),
    /// The error object of a refusal by the hub.
    Refused(Value),
    /// The hub was out of reach.
    Undelivered(Undelivered),
}

impl CallOutcome {
    fn undelivered(error: HubError, may_be_stored: bool) -> Self {
        Self::Undelivered(Undelivered {
            error,
            may_be_stored,
        })
    }
}

/// A call that got no answer.
pub(super) struct Undelivered {
    pub(super) error: HubError,
    /// Whether the hub may have carried it out.
    pub(super) may_be_stored: bool,
}

impl ToolCall<'_> {
    /// Calls the tool for the session, until the hub has answered or the time of the call is over.
    pub(super) async fn run(&self) -> CallOutcome {
        let link = self.link;
        let began_ms = link.clock.now().monotonic_ms;
        let began_at_hub_ms = link.mirror().now().wall_ms;
        let wait = CallWait::of(self.tool.name, self.arguments);
        let retry_for = wait.map_or(RETRY_FOR, |wait| wait.duration);
        let (mut failures, mut may_be_stored) = (0, self.is_repeated);
        loop {
            let elapsed_ms = link.clock.now().monotonic_ms - began_ms;
            let elapsed = Duration::from_millis(u64::try_from(elapsed_ms).unwrap_or(0));
            let left = retry_for.saturating_sub(elapsed);
            let body = match &wait {
                Some(wait) if failures > 0 => self.repeated_body(wait, (left, began_at_hub_ms)),
                _ => self.body(self.arguments),
            };
            let within = match wait {
                Some(_) => left + ANSWER_TIMEOUT,
                None if link.unreachable().is_some() => RETRY_FOR,
                None => ANSWER_TIMEOUT,
            };
            let error = match self.send(&body, within).await {
                Ok(result) => return CallOutcome::Result(result),
                Err(failed) => {
                    may_be_stored |= failed.was_sent && failed.error.may_be_carried_out();
                    failed.error
                }
            };
            if !error.is_session_ended() && !error.is_transient() {
                return match error {
                    // It has looked for the key of the call first.
                    HubError::Refused(refusal) => CallOutcome::Refused(refusal.body),
                    error if !may_be_stored => CallOutcome::Refused(error.body()),
                    error => CallOutcome::undelivered(error, may_be_stored),
                };
            }
            failures += 1;
            let pause = next_pause(failures);
            if pause > left {
                return match error {
                    HubError::Refused(refusal) if !may_be_stored => {
                        CallOutcome::Refused(refusal.body)
                    }
                    error => CallOutcome::undelivered(error, may_be_stored),
                };
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn body(&self, arguments: &JsonObject) -> Value {
        json!({ "arguments": arguments, "facts": git_facts(&self.link.project()) })
    }

    fn repeated_body(&self, wait: &CallWait, (left, began_ms): (Duration, i64)) -> Value {
        let shortened = wait.shortened(self.tool.name, self.arguments, (left, began_ms));
        if !matches!(self.tool.effect, Effect::Writes) || self.tool.name == "events" {
            return self.body(&shortened);
        }
        let mut body = self.body(self.arguments);
        body["wait_seconds"] = left.as_secs().max(1).into();
        body
    }

    async fn send(&self, body: &Value, within: Duration) -> Result<Value, Failed> {
        let link = self.link;
        let registering = registration::ensure_registered(link, self.agent);
        let registered = tokio::time::timeout(within, registering).await;
        let no_answer = |_| Err(HubError::no_answer(&link.hub.url, within.as_secs()));
        let session = registered
            .unwrap_or_else(no_answer)
            .map_err(Failed::before)?;
        let client = link.client().map_err(Failed::before)?;
        let path = format!("/v1/remote/sessions/{session}/tools/{}", self.tool.name);
        let request = HubRequest {
            method: Method::POST,
            path: &path,
            body: Some(body),
            headers: &[("idempotency-key", self.key)],
            within,
        };
        let sent = client.exchange(&request).await;
        match &sent {
            Ok(_) => link.reached(),
            Err(error) if error.is_session_ended() => link.session_ended(session),
            Err(error) if error.is_out_of_reach() => link.not_reached(error),
            // Its file may have changed.
            Err(HubError::KeyRefused { .. }) => link.forget_client(),
            Err(_) => {}
        }
        let after = |error| Failed {
            error,
            was_sent: true,
        };
        let answer = sent.map_err(after)?;
        let calls = answer.headers.get("claude-mesh-calls");
        if let Some(calls) = calls.and_then(|calls| calls.to_str().ok()?.parse().ok()) {
            link.mirror().expect_calls(session, calls);
        }
        answer.json(client.url()).map_err(after)
    }

    /// Cancels the call at the hub: what it waits for is given up as if it ran on this machine.
    pub(super) async fn cancel(&self) {
        let Some(session) = *self.link.session().borrow() else {
            return;
        };
        let ending = end_call(self.link, session, self.key);
        let _ = tokio::time::timeout(CANCEL_TIMEOUT, ending).await;
    }
}

/// A call that failed once.
struct Failed {
    error: HubError,
    was_sent: bool,
}

impl Failed {
    fn before(error: HubError) -> Self {
        Self {
            error,
            was_sent: false,
        }
    }
}

/// What became of a call that was ended.
#[derive(Debug, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum EndedCall {
    /// It was not carried out, and will not be.
    NotStored,
    /// It was carried out; its result is not known.
    Stored,
    /// It was carried out, with this result.
    Completed { status: u16, result: Value },
}

/// Ends a call of a session at the hub, so that it is not carried out from now on. Returns what became of it.
pub(super) async fn end_call(
    link: &Link,
    session: SessionId,
    key: &str,
) -> Result<EndedCall, HubError> {
    let path = format!("/v1/remote/sessions/{session}/calls/{key}");
    link.client()?.call(Method::DELETE, &path, None).await
}
