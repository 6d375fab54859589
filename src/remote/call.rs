//! Calls a tool at the hub. A call that writes carries a key of its own, so that it is carried out once although its
//! connection breaks and it is sent again.
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::platform::clock::{Clock, rfc3339};
use crate::remote::arguments::git_facts;
use crate::remote::hub_error::HubError;
use crate::remote::link::{Link, next_pause};
use crate::remote::registration;
use crate::tools::{Effect, JsonObject, ToolEntry};

/// How long a call that does not wait is tried again while the hub is out of reach.
const RETRY_FOR: Duration = Duration::from_secs(2);
/// How long a result waits for the snapshot that includes its call; both are under way at the same time.
const SNAPSHOT_TIMEOUT: Duration = Duration::from_millis(250);
/// How long a call waits that names no time.
const DEFAULT_WAIT_SECONDS: u64 = 300;

/// The outcome of a call.
pub(super) enum CallOutcome {
    /// Its result.
    Result(Value),
    /// The error object of a refusal.
    Refused(Value),
}

/// Calls a tool for the session, until the hub has answered or the time of the call is over.
pub(super) async fn call(
    link: &Link,
    agent: &str,
    tool: &ToolEntry,
    arguments: &JsonObject,
) -> CallOutcome {
    let began_ms = link.clock.now().monotonic_ms;
    let retry_for = RETRY_FOR.max(wait_of(tool.name, arguments));
    let attempt = Attempt {
        link,
        agent,
        tool,
        body: json!({ "arguments": arguments, "facts": git_facts(&link.project()) }),
        key: ulid::Ulid::generate().to_string(),
    };
    let (mut failures, mut may_be_stored) = (0, false);
    loop {
        let error = match attempt.send().await {
            Ok(result) => return CallOutcome::Result(result),
            Err(error) => error,
        };
        may_be_stored |= matches!(error, HubError::Broken { .. });
        match &error {
            HubError::Refused(refusal) if !error.is_transient() && !error.is_session_ended() => {
                return CallOutcome::Refused(refusal.body.clone());
            }
            _ if error.is_session_ended() || error.is_transient() => {}
            _ => return CallOutcome::Refused(storage_error(link, &error, false)),
        }
        failures += 1;
        let pause = next_pause(failures);
        let elapsed_ms = link.clock.now().monotonic_ms - began_ms;
        let elapsed = Duration::from_millis(u64::try_from(elapsed_ms).unwrap_or(0));
        if elapsed + pause > retry_for {
            return CallOutcome::Refused(match error {
                HubError::Refused(refusal) => refusal.body,
                error => storage_error(link, &error, may_be_stored),
            });
        }
        tokio::time::sleep(pause).await;
    }
}

/// Returns how long a call may wait for something.
fn wait_of(tool: &str, arguments: &JsonObject) -> Duration {
    let seconds = |name: &str| arguments.get(name).and_then(Value::as_u64);
    let waits = |action: &str| arguments.get("action").is_some_and(|given| given == action);
    let wait = match tool {
        "ask_peer" | "await_reply" => seconds("timeout_seconds").or(Some(DEFAULT_WAIT_SECONDS)),
        "claim" => seconds("wait_seconds"),
        "events" if waits("wait") => seconds("timeout_seconds").or(seconds("wait_seconds")),
        _ => None,
    };
    Duration::from_secs(wait.unwrap_or(0))
}

/// One call, which may be sent more than once.
struct Attempt<'a> {
    link: &'a Link,
    agent: &'a str,
    tool: &'a ToolEntry,
    body: Value,
    key: String,
}

impl Attempt<'_> {
    async fn send(&self) -> Result<Value, HubError> {
        let link = self.link;
        let session = registration::ensure_registered(link, self.agent).await?;
        let client = link.client()?;
        let path = format!("/v1/remote/sessions/{session}/tools/{}", self.tool.name);
        let key = [("idempotency-key", self.key.as_str())];
        let headers: &[(&str, &str)] = match self.tool.effect {
            Effect::Writes => &key,
            Effect::Idempotent | Effect::Reads => &[],
        };
        let sent = client
            .send(Method::POST, &path, Some(&self.body), headers)
            .await;
        let response = match sent {
            Ok(response) => response,
            Err(error) => {
                if error.is_session_ended() {
                    link.session_ended(session);
                } else if matches!(
                    error,
                    HubError::Unreachable { .. } | HubError::Broken { .. }
                ) {
                    link.not_reached(&error);
                }
                return Err(error);
            }
        };
        let calls = response.headers().get("claude-mesh-calls");
        let calls = calls.and_then(|calls| calls.to_str().ok()?.parse().ok());
        let body = client.body(response).await?;
        link.reached();
        // A hook right after this must not show what this call has settled.
        if let Some(calls) = calls {
            let snapshot = link.wait_for_snapshot_of(calls);
            let _ = tokio::time::timeout(SNAPSHOT_TIMEOUT, snapshot).await;
        }
        serde_json::from_slice(&body).map_err(|_| HubError::NotAHub(client.url().to_owned()))
    }
}

/// Returns the error of a call whose hub is out of reach: what is so, and whether it may have been stored.
fn storage_error(link: &Link, error: &HubError, may_be_stored: bool) -> Value {
    let since = link
        .unreachable()
        .map(|(since_ms, _)| format!(", out of reach since {}", rfc3339(since_ms)));
    let outcome = if may_be_stored {
        "it is not known whether this call was stored"
    } else {
        "nothing was stored"
    };
    json!({ "error": {
        "code": "storage",
        "message": format!("{error}{}; {outcome}", since.unwrap_or_default()),
        "hint": error.hint(),
    }})
}
