//! Calls a tool for a session on another host. A call that writes names an idempotency key, and is carried out once although
//! its connection breaks and the program repeats it.
use std::sync::Arc;

use axum::extract::{Extension, Path};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::hub::api_error::ApiError;
use crate::hub::caller::Caller;
use crate::hub::host_caller::HostCaller;
use crate::hub::hub_session::CallerSession;
use crate::hub::log::log;
use crate::hub::remote::body::Body;
use crate::hub::remote_calls::RemoteCall;
use crate::hub::request_log::LogDetail;
use crate::mesh::{EarlierCall, GitState, HUB_ENDING};
use crate::model::access_key::KeyScope;
use crate::model::{Error, Refusal, Result};
use crate::platform::id::{QuestionId, SessionId};
use crate::platform::{Fault, FaultKind};
use crate::tools::{self, Effect, JsonObject, ToolEntry};

/// The longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 255;
const NO_KEY: &str =
    "a call that writes needs the header Idempotency-Key, 1 to 255 ASCII characters";
/// The header of a result with the number of calls of the session that have ended, which snapshots have, too.
const FINISHED_CALLS: &str = "claude-mesh-calls";

/// How often a call is carried out whose commits get lost.
const ATTEMPTS_MAX: u32 = 3;

/// What is needed of a call.
#[derive(Deserialize)]
pub(super) struct CallBody {
    #[serde(default)]
    arguments: JsonObject,
    #[serde(default)]
    facts: CallFacts,
    /// How long a repeated call that waits goes on waiting.
    #[serde(default)]
    wait_seconds: Option<u64>,
}

impl CallBody {
    /// Returns the arguments with the time that is left of a repeated call.
    fn arguments_in_time(&self, tool: &ToolEntry) -> JsonObject {
        let parameter = match tool.name {
            "ask_peer" => "timeout_seconds",
            "claim" => "wait_seconds",
            _ => return self.arguments.clone(),
        };
        let mut arguments = self.arguments.clone();
        if let Some(seconds) = self.wait_seconds {
            arguments.insert(parameter.into(), seconds.into());
        }
        arguments
    }
}

/// What the program sees of its project at the time of the call.
#[derive(Debug, Clone, Default, Deserialize)]
struct CallFacts {
    #[serde(default)]
    git_branch: Option<String>,
    #[serde(default)]
    git_head: Option<String>,
}

/// A call that names an idempotency key.
struct KeyedCall {
    key: String,
    hash: [u8; 32],
    /// No other call with the key runs until this is dropped.
    _running: RemoteCall,
}

pub(super) async fn call(
    Extension(host): Extension<HostCaller>,
    Path((id, tool)): Path<(SessionId, String)>,
    headers: HeaderMap,
    Body(body): Body<CallBody>,
) -> std::result::Result<Response, ApiError> {
    let tool = tools::find(&tool)
        .ok_or_else(|| ApiError::not_found(&format!("no tool called {tool:?}")))?;
    let session = host.session(id)?;
    let reads = matches!(tool.effect, Effect::Reads);
    host.require(if reads {
        KeyScope::Read
    } else {
        KeyScope::Write
    })?;
    report_facts(&host, &session, &body.facts).await?;
    let call_key = key_of(&headers);
    let running = host
        .calls()
        .begin(host.host(), call_key.unwrap_or_default());
    let caller = Caller::of_host(&host, session.clone(), running.cancelled());
    let mut stopping = host.stopping();
    let answer = async {
        if !must_be_keyed(tool, &body.arguments) {
            return Ok(run(&caller, tool, body.arguments).await);
        }
        let key = call_key.ok_or_else(|| Refusal::argument(NO_KEY))?;
        let keyed = KeyedCall {
            key: key.to_owned(),
            hash: call_hash(tool.name, &body.arguments),
            _running: running.in_turn().await,
        };
        run_once(&caller, tool, body, keyed).await
    };
    let (status, result) = tokio::select! {
        biased;
        answer = answer => answer?,
        _ = stopping.wait_for(|stopping| *stopping) => return Err(hub_ending()),
    };
    if status == StatusCode::CONFLICT {
        // If that is because the session has ended, the program has to register again.
        host.session(id)?;
    }
    let mut response = (status, axum::Json(result)).into_response();
    if !reads {
        // The hooks of the session wait for a snapshot that includes the call.
        let finished = HeaderValue::from(session.finish_call());
        response.headers_mut().insert(FINISHED_CALLS, finished);
    }
    response.extensions_mut().insert(if reads {
        LogDetail::Reads
    } else {
        LogDetail::Tool(tool.name)
    });
    Ok(response)
}

async fn report_facts(
    host: &HostCaller,
    session: &CallerSession,
    facts: &CallFacts,
) -> std::result::Result<(), ApiError> {
    if facts.git_branch.is_none() && facts.git_head.is_none() {
        return Ok(());
    }
    let me = session.handle()?;
    let git = GitState {
        branch: facts.git_branch.as_deref(),
        head: facts.git_head.as_deref(),
    };
    Ok(host
        .mesh()
        .with_mesh(|mesh| mesh.set_git_state(&me, git))
        .await?)
}

/// Returns the key of a call, by which it is cancelled and, if it writes, recognized.
pub(super) fn key_of(headers: &HeaderMap) -> Option<&str> {
    let key = headers.get("idempotency-key")?.to_str().ok()?;
    (1..=KEY_BYTES_MAX).contains(&key.len()).then_some(key)
}

/// Returns by what a repeated call is recognized.
pub(super) fn call_hash(tool: &str, arguments: &JsonObject) -> [u8; 32] {
    Sha256::digest(json!([tool, arguments]).to_string()).into()
}

/// Returns whether a repetition of a call must be recognized; one that may be repeated without harm needs no key.
fn must_be_keyed(tool: &ToolEntry, arguments: &JsonObject) -> bool {
    matches!(tool.effect, Effect::Writes) && !waits_for_events(arguments)
}

/// A hub that ends gives up what waits; another one continues it.
fn hub_ending() -> ApiError {
    let message = "the hub ends; what waits here is to be sent again";
    let hint = "Send the request again under the same Idempotency-Key when a hub runs.";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, HUB_ENDING, message, hint)
}

fn waits_for_events(arguments: &JsonObject) -> bool {
    arguments
        .get("action")
        .is_some_and(|action| action == "wait")
}

/// Runs a call to its end. Returns status and body, also of a refusal.
async fn run(caller: &Caller, tool: &ToolEntry, arguments: JsonObject) -> (StatusCode, Value) {
    answer_of(outcome_of(caller, tool, arguments).await)
}

async fn outcome_of(caller: &Caller, tool: &ToolEntry, arguments: JsonObject) -> Result<Value> {
    caller.run((tool.handler)(arguments)?).await
}

fn answer_of(outcome: Result<Value>) -> (StatusCode, Value) {
    match outcome {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => ApiError::from(error).into_parts(),
    }
}

/// Runs a call, or returns the result of the earlier one with this idempotency key.
async fn run_once(
    caller: &Caller,
    tool: &'static ToolEntry,
    body: CallBody,
    keyed: KeyedCall,
) -> std::result::Result<(StatusCode, Value), ApiError> {
    let keyed_caller = caller.keyed_caller();
    let keyed = Arc::new(keyed);
    let (key, hash) = (&keyed.key, keyed.hash);
    let find = || async {
        let found = caller
            .mesh()
            .with_mesh(|mesh| mesh.find_earlier_call(keyed_caller, (key, hash)));
        found.await
    };
    let mut found = EarlierCall::None;
    for _ in 0..ATTEMPTS_MAX {
        let arguments = body.arguments_in_time(tool);
        let attempt = run_marked(caller, tool, arguments, &keyed).await;
        // Most calls are no repetition, so it is looked only after an attempt that stored nothing. The call may also have been
        // stored when the database server went away.
        found = match &attempt {
            Attempt::Recorded(..) => EarlierCall::None,
            Attempt::Unrecorded(..) => find().await?,
            Attempt::Unknown => find().await.map_err(ApiError::of_unknown_outcome)?,
        };
        match attempt {
            Attempt::Recorded(answer) => return Ok(answer),
            Attempt::Unrecorded(answer) if found == EarlierCall::None => return Ok(answer),
            _ if found != EarlierCall::None => break,
            _ => {}
        }
    }
    repeated_answer(caller, &body, found).await
}

/// Returns the answer to a call that is not carried out now, by what is known of the earlier one.
async fn repeated_answer(
    caller: &Caller,
    body: &CallBody,
    found: EarlierCall,
) -> std::result::Result<(StatusCode, Value), ApiError> {
    match found {
        EarlierCall::Completed { status, response } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            let body = serde_json::from_str(&response).unwrap_or(Value::Null);
            Ok((status, body))
        }
        EarlierCall::Stored { questions } if !questions.is_empty() => {
            Ok(await_questions(caller, body, &questions).await)
        }
        EarlierCall::Stored { .. } => Err(ApiError::new(
            StatusCode::CONFLICT,
            "outcome_unknown",
            "this call was stored, and its result is not known",
            "It is carried out once: look at what there is before you call again.",
        )),
        // Its last commit may still come.
        EarlierCall::None => Err(ApiError::of_unknown_outcome(lost_commits())),
        EarlierCall::Ended => Err(ApiError::new(
            StatusCode::CONFLICT,
            "call_ended",
            "this call was ended before it was carried out; nothing was stored",
            "Call again if it is still needed.",
        )),
        EarlierCall::OtherCall => Err(ApiError::new(
            StatusCode::CONFLICT,
            "conflict",
            "another call had this Idempotency-Key; nothing was changed",
            "Use another Idempotency-Key for another call.",
        )),
    }
}

/// Returns the fault of a call whose commits got lost each time.
fn lost_commits() -> Error {
    let problem =
        format!("the database server was lost {ATTEMPTS_MAX} times during the commit of this call");
    Fault::new(FaultKind::OutcomeUnknown, problem, "").into()
}

/// What became of one attempt to carry a call out.
enum Attempt {
    /// A transaction has recorded its key; its status and body.
    Recorded((StatusCode, Value)),
    /// It has changed nothing; its status and body.
    Unrecorded((StatusCode, Value)),
    /// It was carried out before, or it is not known whether it is stored.
    Unknown,
}

/// Runs a call whose first transaction records its idempotency key, and stores its result. It goes on if the client vanishes,
/// unless it waits: then its wait ends, and what it asked stays.
async fn run_marked(
    caller: &Caller,
    tool: &'static ToolEntry,
    arguments: JsonObject,
    keyed: &Arc<KeyedCall>,
) -> Attempt {
    let marked = caller.marked(&keyed.key, keyed.hash);
    if tool.name == "ask_peer" {
        return finish(&marked, tool, arguments, keyed).await;
    }
    let keyed = Arc::clone(keyed);
    let running = tokio::spawn(async move { finish(&marked, tool, arguments, &keyed).await });
    running
        .await
        .unwrap_or_else(|_| Attempt::Recorded(ApiError::internal().into_parts()))
}

async fn finish(
    caller: &Caller,
    tool: &ToolEntry,
    arguments: JsonObject,
    keyed: &Arc<KeyedCall>,
) -> Attempt {
    let outcome = outcome_of(caller, tool, arguments).await;
    match &outcome {
        Err(Error::Refused(Refusal::CarriedOutBefore)) => return Attempt::Unknown,
        Err(Error::Fault(fault)) if fault.kind == FaultKind::OutcomeUnknown => {
            return Attempt::Unknown;
        }
        _ => {}
    }
    let answer = answer_of(outcome);
    if !caller.is_recorded() {
        return Attempt::Unrecorded(answer);
    }
    // After a fault it is not known whether the commit took effect.
    if !answer.0.is_server_error() {
        store_result(caller, keyed, &answer);
    }
    Attempt::Recorded(answer)
}

/// Stores the result of a call for its repetition, which waits until it is stored; the client of this one does not.
fn store_result(caller: &Caller, keyed: &Arc<KeyedCall>, (status, body): &(StatusCode, Value)) {
    let (mesh, keyed_caller) = (Arc::clone(caller.mesh()), caller.keyed_caller());
    let (keyed, status, text) = (Arc::clone(keyed), status.as_u16(), body.to_string());
    let work = mesh.background_work().clone();
    work.begin(async move {
        let stored =
            mesh.with_mesh(|mesh| mesh.complete_call(keyed_caller, &keyed.key, (status, &text)));
        // It has been carried out, so its client gets the result also if that cannot be stored.
        if let Err(error) = stored.await {
            log(&format!(
                "a result was not stored for its Idempotency-Key: {error}"
            ));
        }
    });
}

/// Waits for the questions that an earlier call asked.
async fn await_questions(
    caller: &Caller,
    CallBody {
        arguments,
        wait_seconds,
        ..
    }: &CallBody,
    questions: &[QuestionId],
) -> (StatusCode, Value) {
    let mut awaited = tools::awaited_questions(arguments, questions);
    if let Some(seconds) = wait_seconds {
        awaited.insert("timeout_seconds".into(), json!(seconds));
    }
    let tool = tools::find("await_reply").expect("it is a tool");
    run(caller, tool, awaited).await
}
