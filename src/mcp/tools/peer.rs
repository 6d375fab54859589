//! `register` and `list_peers`.
use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{arguments, results};
use super::{Call, Effect, Entry};
use crate::mcp::result_budget::ResultBudget;
use crate::mesh::{PeerDescription, PeerScope, PeerView};
use crate::model::expertise::ExpertiseQuery;
use crate::model::{Liveness, PeerKind, Refusal, Result};
use crate::tools::output;

pub(super) const TOOLS: [Entry; 2] = [
    Entry {
        set: "ask",
        name: "register",
        description: "Says what this session is for, so that others know whom to ask. Runs by itself at the start; call it to change role or summary.",
        schema: arguments::schema::<Register>,
        effect: Effect::Idempotent,
        always_load: false,
        large_result: false,
    },
    Entry {
        set: "ask",
        name: "list_peers",
        description: "Lists the sessions that can be asked: name, what they are for and doing, project, branch. With `about` (a few words) who most likely knows comes first, with `why`. `you` is your own name.",
        schema: arguments::schema::<ListPeers>,
        effect: Effect::Reads,
        always_load: true,
        large_result: true,
    },
];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Register {
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
struct ListPeers {
    scope: Option<ScopeParam>,
    /// also those nobody sits at
    include_stale: Option<bool>,
    about: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum ScopeParam {
    Machine,
    Repo,
    Directory,
}

pub(super) async fn register(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let Register {
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
    call.verb(|at| {
        if about.name.is_some() && at.project.file.name.is_some() {
            let problem = "the project's .claude-mesh.json names this peer; change the name there";
            return Err(Refusal::conflict(problem).into());
        }
        let view = at.mesh.describe(&at.me, &about)?;
        let now_ms = at.mesh.now().wall_ms;
        let live = at.mesh.peers(Some(&at.me), PeerScope::Machine, false)?;
        let is_live_session = |view: &&PeerView| {
            view.liveness == Liveness::Alive && view.peer.kind == PeerKind::Session
        };
        let mesh = json!({
            "name": at.place.name,
            "path": at.mesh.path().display().to_string(),
            "schema": crate::store::version(),
            "peers_live": live.iter().filter(is_live_session).count(),
        });
        let you = output::peer(&view, now_ms);
        Ok(results::ok(&json!({ "you": you, "mesh": mesh })))
    })
    .await
}

pub(super) async fn list_peers(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let ListPeers {
        scope,
        include_stale,
        about,
    } = arguments::read(arguments)?;
    let about = about.as_deref().map(ExpertiseQuery::parse).transpose()?;
    let scope = match scope {
        None | Some(ScopeParam::Machine) => PeerScope::Machine,
        Some(ScopeParam::Repo) => PeerScope::Repo,
        Some(ScopeParam::Directory) => PeerScope::Directory,
    };
    call.verb(|at| {
        let now_ms = at.mesh.now().wall_ms;
        let mut views = at
            .mesh
            .peers(Some(&at.me), scope, include_stale == Some(true))?;
        views.retain(|view| view.peer.id != at.me.peer);
        let peers: Vec<Value> = match &about {
            None => views
                .iter()
                .map(|view| output::peer(view, now_ms))
                .collect(),
            Some(subject) => {
                let ranked = at.mesh.rank_by_expertise(subject, views)?;
                ranked
                    .iter()
                    .map(|ranked_peer| output::ranked(ranked_peer, now_ms))
                    .collect()
            }
        };
        let (peers, left_out) = ResultBudget::new().take_prefix(peers);
        let mut body = json!({ "you": at.me.name, "peers": peers });
        if left_out {
            let hint = "Call list_peers with scope repo or directory, \
                or without include_stale, for fewer.";
            results::mark_truncated(&mut body, hint);
        }
        Ok(results::ok(&body))
    })
    .await
}
