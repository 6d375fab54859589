//! Serves sessions on other hosts: their programs register them, read what is pending by one stream, call tools, and send what
//! their hooks and their waker have done. `docs/http.md` describes the routes.
//!
//! A key of a host speaks for all sessions of that host, and for nothing else.

mod body;
mod call;
mod ended_call;
#[cfg(fuzzing)]
pub(super) mod fuzz_entry;
mod replies;
mod stream;
mod verbs;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Extension, Path, Query};
use axum::routing::{delete, get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::hub::api_error::ApiError;
use crate::hub::host_caller::HostCaller;
use crate::hub::hub_session::RemoteClient;
use crate::hub::remote::body::Body;
use crate::hub::state::Hub;
use crate::mesh::{REMOTE_REVISION, RemoteJoin, RemoteJoined, StartFacts};
use crate::platform::id::SessionId;

/// Returns the routes. All need the key of a host.
pub(super) fn router() -> Router<Arc<Hub>> {
    Router::new()
        .route("/v1/remote", get(describe))
        .route("/v1/remote/sessions", post(join))
        .route("/v1/remote/sessions/{session}", delete(leave))
        .route("/v1/remote/sessions/{session}/start", get(start))
        .route("/v1/remote/sessions/{session}/stream", get(stream::open))
        .route("/v1/remote/sessions/{session}/verbs", post(verbs::apply))
        .route(
            "/v1/remote/sessions/{session}/tools/{tool}",
            post(call::call),
        )
        .route(
            "/v1/remote/sessions/{session}/calls/{key}",
            delete(ended_call::end),
        )
        .route("/v1/remote/replies", post(replies::reply))
}

/// What a program on another host checks before it uses a hub.
#[derive(Serialize)]
struct Description<'a> {
    version: &'a str,
    revision: u32,
    mesh: &'a str,
    host: &'a str,
}

async fn describe(Extension(caller): Extension<HostCaller>) -> Json<Value> {
    Json(json!(Description {
        version: env!("CARGO_PKG_VERSION"),
        revision: REMOTE_REVISION,
        mesh: &caller.mesh().location.name,
        host: caller.host(),
    }))
}

async fn join(
    Extension(caller): Extension<HostCaller>,
    Body(join): Body<RemoteJoin>,
) -> Result<Json<RemoteJoined>, ApiError> {
    let (git_branch, git_head) = (
        join.project.git_branch.clone(),
        join.project.git_head.clone(),
    );
    let inbox_problem = join.inbox_problem.clone();
    let request = join.into_request(caller.host())?;
    let project = request
        .project
        .clone()
        .expect("a session on another host has a project");
    let client = RemoteClient {
        request,
        project: Arc::new(project),
        git_branch,
        git_head,
    };
    Ok(Json(
        caller.mesh().register_remote(client, inbox_problem).await?,
    ))
}

/// Returns what the text at the start of a conversation says.
async fn start(
    Extension(caller): Extension<HostCaller>,
    Path(session): Path<SessionId>,
) -> Result<Json<StartFacts>, ApiError> {
    let session = caller.session(session)?;
    let facts = caller.mesh().in_session(&session, true, |call| {
        call.mesh.start_facts(&call.me, call.project)
    });
    Ok(Json(facts.await?))
}

#[derive(Deserialize)]
struct Leave {
    reason: Option<String>,
}

async fn leave(
    Extension(caller): Extension<HostCaller>,
    Path(session): Path<SessionId>,
    Query(Leave { reason }): Query<Leave>,
) -> Result<Json<Value>, ApiError> {
    let session = caller.session(session)?;
    let reason = reason.unwrap_or_else(|| "it unregistered".into());
    let mesh = Arc::clone(caller.mesh());
    // It goes on if the program, which ends, does not wait for the answer.
    let leaving = tokio::spawn(async move { mesh.leave(&session, &reason).await });
    let ended = leaving.await.unwrap_or(Ok(false))?;
    Ok(Json(json!({ "unregistered": ended })))
}
