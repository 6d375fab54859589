//! The tools `register` and `list_peers`: describe this session to others, and list the sessions that can be asked.
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::mesh::{PeerDescription, PeerScope, PeerView};
use crate::model::expertise::ExpertiseQuery;
use crate::model::{Liveness, PeerKind, Refusal, Result};
use crate::tools::call::{Operation, single_step};
use crate::tools::entry::{Effect, JsonObject, ToolEntry};
use crate::tools::parameters::OneOf;
use crate::tools::result_budget::ResultBudget;
use crate::tools::{arguments, output, results, schema};

pub(super) const TOOLS: [ToolEntry; 2] = [
    ToolEntry {
        set: "ask",
        name: "register",
        description: "Describes this session, so that others know whom to ask. Runs by itself at the start; call it to change role or summary.",
        schema: schema::schema_of::<RegisterParams>,
        handler: register,
        effect: Effect::Idempotent,
        always_load: false,
        large_result: false,
    },
    ToolEntry {
        set: "ask",
        name: "list_peers",
        description: "Lists the sessions that can be asked: name, role, current work, project, branch. With `about` (a few words) the most likely to know comes first, with `why`. `you` is your own name.",
        schema: schema::schema_of::<ListPeersParams>,
        handler: list_peers,
        effect: Effect::Reads,
        always_load: true,
        large_result: true,
    },
];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RegisterParams {
    #[schemars(length(max = 64))]
    role: Option<String>,
    /// what you are doing
    #[schemars(length(max = 500))]
    summary: Option<String>,
    branch: Option<String>,
    /// where your prompt is
    #[schemars(length(max = 500))]
    prompt_ptr: Option<String>,
    #[schemars(range(min = 5, max = 86_400))]
    ttl_seconds: Option<u32>,
    /// only before a file names the project or anybody wrote to you
    name: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListPeersParams {
    scope: Option<OneOf<PeerScope>>,
    /// also offline peers
    include_stale: Option<bool>,
    about: Option<String>,
}

fn register(arguments: JsonObject) -> Result<Operation> {
    let RegisterParams {
        role,
        summary,
        branch,
        prompt_ptr,
        ttl_seconds,
        name,
    } = arguments::read(arguments)?;
    let about = PeerDescription {
        role,
        summary,
        branch,
        prompt_ptr,
        ttl_seconds,
        name,
    };
    Ok(single_step(move |call| {
        if about.name.is_some() && call.project.file.name.is_some() {
            let problem = "the project's .claude-mesh.json names this peer; change the name there";
            return Err(Refusal::conflict(problem).into());
        }
        let view = call.mesh.describe(&call.me, &about)?;
        let now_ms = call.mesh.now().wall_ms;
        let live = call.mesh.peers(Some(&call.me), PeerScope::Mesh, false)?;
        let is_live_session = |view: &&PeerView| {
            view.liveness == Liveness::Alive && view.peer.kind == PeerKind::Session
        };
        let mesh = json!({
            "name": call.location.name,
            "path": call.mesh.path().display().to_string(),
            "schema": crate::store::version(),
            "peers_live": live.iter().filter(is_live_session).count(),
        });
        let you = output::peer(&view, now_ms);
        Ok(json!({ "you": you, "mesh": mesh }))
    }))
}

fn list_peers(arguments: JsonObject) -> Result<Operation> {
    let ListPeersParams {
        scope,
        include_stale,
        about,
    } = arguments::read(arguments)?;
    let about = about.as_deref().map(ExpertiseQuery::parse).transpose()?;
    let scope = scope.map_or(PeerScope::Mesh, |OneOf(scope)| scope);
    Ok(single_step(move |call| {
        let now_ms = call.mesh.now().wall_ms;
        let mut views = call
            .mesh
            .peers(Some(&call.me), scope, include_stale == Some(true))?;
        views.retain(|view| view.peer.id != call.me.peer);
        let peers: Vec<Value> = match &about {
            None => views
                .iter()
                .map(|view| output::peer(view, now_ms))
                .collect(),
            Some(subject) => {
                let ranked = call.mesh.rank_by_expertise(subject, views)?;
                ranked
                    .iter()
                    .map(|ranked_peer| output::ranked(ranked_peer, now_ms))
                    .collect()
            }
        };
        let (peers, left_out) = ResultBudget::new().take_prefix(peers);
        let mut body = json!({ "you": call.me.name, "peers": peers });
        if left_out {
            let hint = "Call list_peers with scope repo or directory, \
                or without include_stale, for fewer.";
            results::mark_truncated(&mut body, hint);
        }
        Ok(body)
    }))
}
