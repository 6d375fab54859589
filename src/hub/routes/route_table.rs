//! All REST routes: those under `/v1`, and the plain ones.
use crate::hub::routes::rest_route::{Method, RestRoute, Special, WaitRule, route};

use Method::{Delete, Get, Patch, Post, Put};

/// A call that waits for the answer unless the caller says otherwise.
const WAITS_BY_DEFAULT: WaitRule = WaitRule {
    parameter: "timeout_seconds",
    with: None,
    operation: None,
    by_default: true,
};
const AWAIT_REPLY: WaitRule = WaitRule {
    operation: Some("await_reply"),
    by_default: false,
    ..WAITS_BY_DEFAULT
};
const WAIT_IN_QUEUE: WaitRule = WaitRule {
    parameter: "wait_seconds",
    with: Some(("wait", "queue")),
    by_default: false,
    ..WAITS_BY_DEFAULT
};
const WAIT_FOR_EVENT: WaitRule = WaitRule {
    with: Some(("action", "wait")),
    by_default: false,
    ..WAITS_BY_DEFAULT
};

const NAME: &[(&str, &str)] = &[("name", "name")];
const QUESTION: &[(&str, &str)] = &[("id", "question_id")];
const TASK: &[(&str, &str)] = &[("id", "task_id")];
const NAMESPACE: &[(&str, &str)] = &[("namespace", "namespace")];
const ENTRY: &[(&str, &str)] = &[("namespace", "namespace"), ("key", "key")];

/// The routes.
pub(super) const ROUTES: &[RestRoute] = &[
    route(Get, "/v1/status", "mesh_status", "The mesh in figures"),
    route(
        Get,
        "/v1/meshes",
        "meshes",
        "The meshes that the key can use",
    )
    .special(Special::Meshes),
    route(
        Get,
        "/v1/peers",
        "list_peers",
        "List the peers that can be asked",
    ),
    route(Get, "/v1/peers/{name}", "peer", "One peer").path(NAME),
    route(
        Post,
        "/v1/peers/{name}",
        "register",
        "Describe yourself; the name is `me` or your own",
    )
    .path(&[("name", "")])
    .omits(&["name"])
    .special(Special::OwnName),
    route(
        Post,
        "/v1/peers/{name}/heartbeat",
        "register",
        "Stay alive; the name is `me` or your own",
    )
    .path(&[("name", "")])
    .accepts(&[])
    .special(Special::OwnName),
    route(
        Delete,
        "/v1/peers/{name}",
        "forget_peer",
        "Unregister yourself, or remove another peer",
    )
    .path(NAME)
    .special(Special::Unregister),
    route(
        Post,
        "/v1/peers/{name}/quiet",
        "quiet",
        "Do not wake a peer; yourself, or any as a person",
    )
    .path(NAME),
    route(
        Delete,
        "/v1/peers/{name}/quiet",
        "end_quiet",
        "Wake a peer again",
    )
    .path(NAME)
    .admin(),
    route(Post, "/v1/pause", "pause", "Wake no session of the mesh").admin(),
    route(Delete, "/v1/pause", "end_pause", "End the pause").admin(),
    route(
        Post,
        "/v1/questions",
        "ask_peer",
        "Ask a peer and wait for the answer",
    )
    .omits(&["timeout_seconds"])
    .waits(WAITS_BY_DEFAULT),
    route(
        Get,
        "/v1/questions",
        "list_questions",
        "List the questions that you asked or were asked, newest first",
    ),
    route(
        Get,
        "/v1/questions/{id}",
        "question_state",
        "One question as it is now, or wait for its answer",
    )
    .path(QUESTION)
    .waits(AWAIT_REPLY),
    route(
        Post,
        "/v1/questions/{id}/answer",
        "reply_to_peer",
        "Answer or decline a question",
    )
    .path(QUESTION),
    route(
        Delete,
        "/v1/questions/{id}",
        "withdraw",
        "Withdraw a question that nobody has seen",
    )
    .path(QUESTION),
    route(Get, "/v1/inbox", "poll_inbox", "What is pending for you"),
    route(
        Get,
        "/v1/messages",
        "list_messages",
        "List your messages, oldest first",
    ),
    route(Post, "/v1/messages", "post", "Post a message").status(201),
    route(
        Post,
        "/v1/messages/read",
        "mark_read",
        "Mark messages as read",
    ),
    route(
        Get,
        "/v1/topics",
        "subscribe",
        "List topics with their subscribers",
    )
    .fixed(&[("action", "list")]),
    route(Post, "/v1/topics", "subscribe", "Subscribe to topics").fixed(&[("action", "subscribe")]),
    route(Delete, "/v1/topics", "subscribe", "Unsubscribe from topics")
        .fixed(&[("action", "unsubscribe")]),
    route(
        Get,
        "/v1/claims",
        "claims",
        "List who holds what and who waits for it",
    ),
    route(
        Post,
        "/v1/claims",
        "claim",
        "Claim a resource, or renew a claim",
    )
    .omits(&["wait_seconds"])
    .waits(WAIT_IN_QUEUE),
    route(
        Delete,
        "/v1/claims/{id}",
        "release",
        "Release a claim or leave its queue",
    )
    .path(&[("id", "claim_id")])
    .accepts(&[]),
    route(
        Post,
        "/v1/claims/release",
        "release",
        "Release a claim by its id or resource",
    ),
    route(
        Get,
        "/v1/state/{namespace}",
        "state",
        "List the entries of a namespace; `default` is that of your project",
    )
    .path(NAMESPACE)
    .fixed(&[("action", "list")])
    .accepts(&["prefix", "after"]),
    route(Get, "/v1/state/{namespace}/{key}", "state", "Read an entry")
        .path(ENTRY)
        .fixed(&[("action", "get")])
        .accepts(&[])
        .special(Special::EntityTag),
    route(
        Put,
        "/v1/state/{namespace}/{key}",
        "state",
        "Set an entry; If-Match gives its expected version",
    )
    .path(ENTRY)
    .fixed(&[("action", "set")])
    .accepts(&["value", "expected_version", "ttl_seconds"])
    .special(Special::EntityTag),
    route(
        Delete,
        "/v1/state/{namespace}/{key}",
        "state",
        "Delete an entry; If-Match gives its expected version",
    )
    .path(ENTRY)
    .fixed(&[("action", "delete")])
    .accepts(&["expected_version"])
    .special(Special::EntityTag),
    route(
        Get,
        "/v1/memories",
        "recall",
        "Search what sessions remembered",
    ),
    route(Post, "/v1/memories", "remember", "Remember a text").status(201),
    route(
        Delete,
        "/v1/memories",
        "forget",
        "Erase a memory by its key",
    )
    .accepts(&["key"]),
    route(Delete, "/v1/memories/{id}", "forget", "Erase a memory")
        .path(&[("id", "memory_id")])
        .accepts(&[]),
    route(
        Get,
        "/v1/tasks",
        "list_tasks",
        "List the tasks of your project and yours",
    ),
    route(Post, "/v1/tasks", "create_task", "Create a task").status(201),
    route(Get, "/v1/tasks/{id}", "task", "One task").path(TASK),
    route(Patch, "/v1/tasks/{id}", "update_task", "Change a task").path(TASK),
    route(Delete, "/v1/tasks/{id}", "delete_task", "Delete a task").path(TASK),
    route(
        Post,
        "/v1/tasks/bulk",
        "bulk_update_tasks",
        "Change up to 100 tasks",
    ),
    route(
        Post,
        "/v1/tasks/cancel-stale",
        "cancel_stale_tasks",
        "Cancel tasks that nobody has begun",
    ),
    route(
        Get,
        "/v1/events",
        "events",
        "Read the event log, wait for an event, or stream it",
    )
    .fixed(&[("action", "read")])
    .accepts(&["types", "after", "since", "limit"])
    .waits(WAIT_FOR_EVENT)
    .special(Special::EventStream),
    route(
        Post,
        "/v1/events",
        "events",
        "Emit an event of your project",
    )
    .fixed(&[("action", "emit")])
    .accepts(&["type", "data"])
    .status(201),
    route(
        Post,
        "/v1/events/subscriptions",
        "events",
        "Get events of these types in your inbox",
    )
    .fixed(&[("action", "subscribe")])
    .accepts(&["types", "after"]),
    route(
        Delete,
        "/v1/events/subscriptions",
        "events",
        "End that for these types, or for all",
    )
    .fixed(&[("action", "unsubscribe")])
    .accepts(&["types"]),
    route(Get, "/status", "mesh_status", "The mesh in figures"),
    route(
        Get,
        "/tasks",
        "list_tasks",
        "List the tasks of your project and yours",
    ),
    route(Post, "/tasks", "create_task", "Create a task").status(201),
    route(Get, "/tasks/{id}", "task", "One task").path(TASK),
    route(Patch, "/tasks/{id}", "update_task", "Change a task").path(TASK),
    route(Delete, "/tasks/{id}", "delete_task", "Delete a task").path(TASK),
    route(Post, "/chat", "chat", "Post a message to everybody")
        .status(201)
        .special(Special::Chat),
    route(
        Get,
        "/v1/board/status",
        "board_status",
        "Who you are, and whether the mesh is paused",
    )
    .admin(),
    route(
        Get,
        "/v1/board/tasks",
        "board_tasks",
        "List the tasks of all projects",
    )
    .admin(),
    route(
        Get,
        "/v1/board/claims",
        "board_claims",
        "List all claims, each with its id",
    )
    .admin(),
    route(
        Get,
        "/v1/board/messages",
        "board_messages",
        "List the newest messages between any peers",
    )
    .admin(),
    route(
        Get,
        "/v1/board/memories",
        "board_memories",
        "Search the memories of all projects",
    )
    .admin(),
];
