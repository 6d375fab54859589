//! Carries out what hooks and waker of a session on another host have done: verbs with growing numbers, each once.
use axum::Json;
use axum::extract::{Extension, Path};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::hub::api_error::ApiError;
use crate::hub::host_caller::HostCaller;
use crate::hub::remote::body::Body;
use crate::mesh::SessionVerb;
use crate::model::access_key::KeyScope;
use crate::model::{Refusal, Result};
use crate::platform::id::SessionId;
use crate::platform::text::cut_bytes;

/// The most verbs of one request.
const VERBS_MAX: usize = 100;
/// The longest text about the inbox of a client, in bytes.
const PROBLEM_BYTES_MAX: usize = 1024;

#[derive(Deserialize)]
pub(super) struct VerbsBody {
    /// What the session does now, as its client reports it: `busy`, `idle` or `waiting`.
    #[serde(default)]
    activity: Option<String>,
    /// Whether a waiting hook runs beside its client.
    #[serde(default)]
    waiting_hook: bool,
    /// Whether a line can be posted to its client.
    #[serde(default)]
    inbox: Option<InboxReport>,
    verbs: Vec<NumberedVerb>,
}

#[derive(Deserialize)]
struct InboxReport {
    /// Why not.
    problem: Option<String>,
}

#[derive(Deserialize)]
struct NumberedVerb {
    number: i64,
    verb: SessionVerb,
}

/// Returns the results of the verbs; `null` for one that was carried out before.
pub(super) async fn apply(
    Extension(host): Extension<HostCaller>,
    Path(id): Path<SessionId>,
    Body(body): Body<VerbsBody>,
) -> std::result::Result<Json<Value>, ApiError> {
    host.require(KeyScope::Write)?;
    if body.verbs.len() > VERBS_MAX {
        return Err(Refusal::argument(format!("at most {VERBS_MAX} \"verbs\"")).into());
    }
    let activity = body.activity.as_deref();
    if activity.is_some_and(|activity| !matches!(activity, "busy" | "idle" | "waiting")) {
        return Err(Refusal::argument("\"activity\" is busy, idle or waiting").into());
    }
    let session = host.session(id)?;
    session.set_has_waiting_hook(body.waiting_hook);
    if let Some(InboxReport { problem }) = body.inbox {
        let problem = problem.map(|text| cut_bytes(&text, PROBLEM_BYTES_MAX).to_owned());
        session.set_inbox_problem(problem);
    }
    let results = host.mesh().in_session(&session, true, |call| {
        if let Some(activity) = activity {
            call.mesh.report_activity(&call.me, activity)?;
        }
        let apply = |NumberedVerb { number, verb }: &NumberedVerb| -> Result<Value> {
            let me = &call.me;
            let result = call.mesh.run_verb_once(me.session, *number, |mesh| {
                mesh.apply_session_verb(me, verb)
            })?;
            Ok(result.unwrap_or_default())
        };
        body.verbs.iter().map(apply).collect::<Result<Vec<Value>>>()
    });
    let results = results.await?;
    // The program keeps the verbs until a snapshot includes them.
    session.signal();
    Ok(Json(json!({ "results": results })))
}
