//! `claude-mesh peers` in a folder whose mesh is at a hub.
use serde_json::Value;

use super::{PeerScopeArg, PeersArgs};
use crate::cli::command_status::CommandResult;
use crate::cli::hub_context::{HubCall, HubContext, not_at_hub};
use crate::cli::hub_output::print_table;

pub(in crate::cli) fn run(hub: &HubContext, args: &PeersArgs) -> CommandResult {
    if args.watch {
        return Err(not_at_hub("--watch"));
    }
    if args.forget.is_some() {
        return Err(not_at_hub("--forget"));
    }
    let scope = match args.scope {
        PeerScopeArg::Mesh => "mesh",
        PeerScopeArg::Machine => "machine",
        PeerScopeArg::Repo => "repo",
        PeerScopeArg::Directory => "directory",
    };
    let call = HubCall::new("list_peers", peers)
        .with("scope", scope)
        .with("include_stale", args.all)
        .with_some("about", args.about.as_deref());
    hub.run(call)
}

fn peers(hub: &HubContext, result: &Value) -> CommandResult {
    let columns = [
        ("PEER", "peer"),
        ("HOST", "host"),
        ("LIVENESS", "liveness"),
        ("ACTIVITY", "activity"),
        ("WAITING", "questions_waiting"),
        ("DOING", "doing"),
    ];
    print_table(hub, &result["peers"], &columns, "no peer is here now")
}
