//! The list of tools as a client receives it: names, descriptions, schemas, and its size.
use std::collections::BTreeSet;

use claude_mesh::platform::settings::TOOL_SETS;
use serde_json::{Value, json};

use crate::support::{Session, World};

fn listed(session: &Session) -> Vec<Value> {
    let listed = session.request("tools/list", json!({}));
    listed["result"]["tools"].as_array().unwrap().clone()
}

fn names(tools: &[Value]) -> BTreeSet<&str> {
    let names = tools.iter().map(|tool| tool["name"].as_str());
    names.map(Option::unwrap).collect()
}

const ASK: [&str; 7] = [
    "ask_peer",
    "await_reply",
    "list_peers",
    "mesh_status",
    "poll_inbox",
    "register",
    "reply_to_peer",
];

/// The tools of each set beside those that are always listed.
const SETS: [(&str, &[&str]); 7] = [
    ("ask", &[]),
    (
        "messages",
        &["list_messages", "mark_read", "post", "subscribe"],
    ),
    ("claims", &["claim", "claims", "release"]),
    ("state", &["state"]),
    ("memory", &["forget", "recall", "remember"]),
    (
        "tasks",
        &[
            "bulk_update_tasks",
            "cancel_stale_tasks",
            "create_task",
            "delete_task",
            "list_tasks",
            "update_task",
        ],
    ),
    ("events", &["events"]),
];

#[test]
fn server_lists_configured_tool_sets_and_always_the_ask_set() {
    let mut world = World::new();
    assert_eq!(SETS.map(|(set, _)| set), TOOL_SETS);
    let lists = |value: &str| listed(&world.bare_session("ada", &[("CLAUDE_MESH_TOOLS", value)]));
    for (set, more) in SETS {
        let wanted: BTreeSet<&str> = ASK.iter().chain(more).copied().collect();
        assert_eq!(names(&lists(set)), wanted, "{set}");
    }
    let two = lists(" State,claims, ");
    let wanted = ASK.iter().chain(SETS[2].1).chain(SETS[3].1).copied();
    assert_eq!(names(&two), wanted.collect());
    let all = SETS.iter().flat_map(|(_, more)| more.iter());
    let all: BTreeSet<&str> = ASK.iter().chain(all).copied().collect();
    assert_eq!(
        names(&lists("")),
        all,
        "without a setting all tools are listed"
    );
    assert_eq!(names(&listed(&world.bare_session("ada", &[]))), all);
    let two = serde_json::to_string(&two).unwrap();
    assert!(two.len() < 8_000, "the shorter list has {}", two.len());
    // A setting for all sessions counts too.
    world.write(".claude-mesh/.env", "CLAUDE_MESH_TOOLS=events\n");
    std::fs::set_permissions(
        world.home().join(".claude-mesh"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let wanted = ASK.iter().chain(&["events"]).copied();
    assert_eq!(
        names(&listed(&world.bare_session("ada", &[]))),
        wanted.collect()
    );
    world.set("CLAUDE_MESH_TOOLS", "state");
    let trimmed = world.session("ada");
    let wanted = ASK.iter().chain(&["state"]).copied();
    assert_eq!(names(&listed(&trimmed)), wanted.collect());
    let set = json!({ "action": "set", "key": "port", "value": 5433 });
    assert_eq!(trimmed.call("state", set)["version"], 1);
}

#[test]
fn unknown_tool_set_is_reported_by_every_call() {
    let world = World::new();
    let ada = world.bare_session("ada", &[("CLAUDE_MESH_TOOLS", "ask,mail")]);
    assert_eq!(
        listed(&ada).len(),
        claude_mesh::mcp::tool_list(None).len(),
        "a model without tools cannot report the error"
    );
    for tool in ["list_peers", "post"] {
        let error = &ada.call(tool, json!({}))["error"];
        assert_eq!(error["code"], "storage", "{error}");
        let message = error["message"].as_str().unwrap();
        for part in ["CLAUDE_MESH_TOOLS", "\"mail\"", &TOOL_SETS.join(", ")] {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
    }
    assert!(!world.database().exists());
}

#[test]
fn essential_tools_always_load_and_hints_state_side_effects() {
    let world = World::new();
    let tools = listed(&world.bare_session("ada", &[]));
    let with = |holds: &dyn Fn(&Value) -> bool| -> BTreeSet<&str> {
        let some = tools.iter().filter(|tool| holds(tool));
        some.map(|tool| tool["name"].as_str().unwrap()).collect()
    };
    assert_eq!(
        with(&|tool| tool["_meta"]["anthropic/alwaysLoad"] == true),
        [
            "ask_peer",
            "await_reply",
            "list_peers",
            "poll_inbox",
            "reply_to_peer"
        ]
        .into()
    );
    let hint = |name: &'static str| with(&|tool: &Value| tool["annotations"][name] == true);
    let reads = [
        "claims",
        "list_messages",
        "list_peers",
        "list_tasks",
        "mesh_status",
        "poll_inbox",
        "recall",
    ];
    assert_eq!(hint("readOnlyHint"), reads.into());
    let twice_is_once = [
        "await_reply",
        "cancel_stale_tasks",
        "claim",
        "create_task",
        "forget",
        "mark_read",
        "register",
        "release",
        "reply_to_peer",
        "subscribe",
    ];
    assert_eq!(hint("idempotentHint"), twice_is_once.into());
    for tool in &tools {
        let hints = &tool["annotations"];
        assert_eq!(hints["openWorldHint"], false, "{tool}");
        // Tools that write carry the hint; for tools that only read the default is correct.
        let reads = hints["readOnlyHint"] == true;
        assert!(reads || hints["destructiveHint"] == false, "{tool}");
    }
}
