//! The schemas of results in the `OpenAPI` document: one for each operation, and those that they share.
//!
//! A schema is written as the list of its properties, `name:type`. A type is `string`, `integer`, `number`, `boolean`,
//! `object`, `any`, a list of a type in brackets, or the name of a shared schema, which begins with a capital letter. `?` after
//! the name: it may be absent; `~` after the type: it may be null. Results may have further properties.
use serde_json::{Map, Value, json};

/// Schemas that several results share.
const SHARED: &[(&str, &str)] = &[
    (
        "Peer",
        "peer:string peer_id:string aliases:[string] liveness:string activity:string askable:boolean role:string~ \
         summary:string~ doing:string~ current_task:string~ agent:string~ host:string~ project:string~ git_root:string~ \
         git_branch:string~ epoch:integer started_at:string~ last_seen_at:string idle_seconds:integer~ quiet_until:string~ \
         questions_waiting:integer held:string~ posted_turns:integer~ stops:integer~ claims:[HeldClaim] why?:[string]~ \
         forks?:object",
    ),
    (
        "HeldClaim",
        "resource:string mode:string fence:integer claim_id?:string lease_expires_at?:string",
    ),
    (
        "Delivery",
        "stored_at:string woken_at?:string wake:string wake_problem?:string shown_at?:string shown_times:integer \
         stops?:integer peer_activity:string",
    ),
    (
        "QuestionResult",
        "status:string question_id?:string~ question_ids?:[string] from?:string by?:string answer?:string answered_at?:string~ as_of?:string git_head?:string~ \
         waited_ms?:integer delivery?:Delivery hint?:string last_seen_at?:string same_project?:[string]~ reason?:string \
         until?:string~ withdrawn?:boolean known?:[object] questions?:[PendingQuestion] chain?:[string] \
         answers?:[QuestionResult]",
    ),
    (
        "PendingQuestion",
        "question_id:string from:string addressed_to?:string asked_at:string asker_waiting:boolean question:string \
         context:string~ shown_times:integer state?:string answer?:string~",
    ),
    (
        "Question",
        "question_id:string from:string to:string state:string asked_at:string question:string context:string~ wake:string \
         shown_at:string~ shown_times:integer answer:string~ by:string~ answered_at:string~ late:boolean~ \
         asker_waiting:boolean delivery:Delivery held:string~",
    ),
    (
        "LateAnswer",
        "question_id:string from:string question:string declined:boolean expired:boolean answer:string~ answered_at:string~ \
         late:boolean",
    ),
    (
        "Message",
        "message_id:string from:string to:string type:string subject:string~ body:string posted_at:string expires_at:string~ \
         in_reply_to:string~",
    ),
    ("Topic", "topic:string subscribers:[string]"),
    (
        "Holder",
        "peer:string mode:string note:string~ lease_expires_at:string fence?:integer claim_id?:string resource?:string",
    ),
    (
        "Ticket",
        "queue_position:integer peer:string mode:string note:string~ claimed_at:string claim_id?:string",
    ),
    (
        "ClaimQueue",
        "resource:string holders:[Holder] queue:[Ticket] fence:integer queue_length?:integer",
    ),
    (
        "Entry",
        "namespace:string key:string value:any version:integer updated_by:string~ updated_at:string~ expires_at:string~",
    ),
    (
        "Memory",
        "memory_id:string key:string~ text:string tags:[string] scope:string by:string at:string score:number snippet:string \
         cut?:boolean",
    ),
    (
        "Task",
        "task_id:string title:string description:string status:string assigned_to:string~ files_owned:[string] \
         priority:string depends_on:[string] created_by:string created_at:string updated_at:string version:integer \
         project:string~",
    ),
    (
        "UpdatedTask",
        "task_id:string status:string version:integer claims?:[object]",
    ),
    ("RefusedTask", "task_id:string error:object"),
    (
        "Event",
        "seq:integer type:string at:string by:string subject:string data:any",
    ),
    ("Mesh", "name:string path:string"),
];

/// The results of the operations.
const RESULTS: &[(&str, &str)] = &[
    (
        "mesh_status",
        "status:string version:string schema:integer path:string mesh:string bytes:integer wal_bytes:integer \
         uptime_seconds:integer pid:integer wake:string peers:object questions:object messages:integer claims:integer \
         tasks:integer memories:integer events:integer engine:string brakes:object forks:object",
    ),
    ("meshes", "meshes:[Mesh]"),
    (
        "board_status",
        "you:string mesh:string version:string paused_until:string~",
    ),
    ("board_tasks", "tasks:[Task] counts:object"),
    ("board_claims", "claims:[ClaimQueue]"),
    ("board_messages", "messages:[Message]"),
    ("board_memories", "memories:[Memory]"),
    (
        "list_peers",
        "you:string peers:[Peer] truncated?:boolean hint?:string",
    ),
    ("peer", "=Peer"),
    ("register", "you:Peer mesh:object"),
    (
        "forget_peer",
        "unregistered?:boolean forgotten?:boolean peer?:string",
    ),
    ("quiet", "peer:string quiet:boolean until:string~"),
    ("end_quiet", "peer:string quiet:boolean until:string~"),
    ("pause", "paused:boolean until:string~"),
    ("end_pause", "paused:boolean until:string~"),
    ("ask_peer", "=QuestionResult"),
    (
        "list_questions",
        "you:string questions:[Question] next:string~",
    ),
    ("question_state", "=QuestionResult"),
    (
        "reply_to_peer",
        "status:string question_id:string to:string asker_waiting:boolean late:boolean",
    ),
    ("withdraw", "question_id:string withdrawn:boolean"),
    (
        "poll_inbox",
        "you:string questions:[PendingQuestion] answers?:[LateAnswer] messages_unread?:integer claims_granted?:[HeldClaim] \
         tasks?:[object] events?:[Event] held?:integer truncated?:boolean hint?:string",
    ),
    (
        "list_messages",
        "messages:[Message] cursor:string~ unread:integer truncated?:boolean hint?:string",
    ),
    (
        "post",
        "message_id:string recipients:integer offline:[string]",
    ),
    (
        "chat",
        "message_id:string recipients:integer offline:[string]",
    ),
    ("mark_read", "cursor:string~ remaining:integer"),
    (
        "subscribe",
        "topics:[Topic] truncated?:boolean hint?:string",
    ),
    (
        "claims",
        "claims:[ClaimQueue] truncated?:boolean hint?:string",
    ),
    (
        "claim",
        "status:string claim_id?:string fence?:integer mode?:string lease_expires_at?:string renewed?:boolean \
         holders?:[Holder] queue_position?:integer questions?:[PendingQuestion] reason?:string chain?:[string] \
         other_clones?:[Holder] hint?:string",
    ),
    ("release", "released:boolean was:string promoted:[string]"),
    (
        "state",
        "namespace:string key?:string value?:any version?:integer updated_by?:string~ updated_at?:string~ \
         expires_at?:string~ deleted?:boolean entries?:[Entry] truncated?:boolean hint?:string",
    ),
    (
        "recall",
        "memories:[Memory] truncated?:boolean hint?:string",
    ),
    ("remember", "memory_id:string key:string~ version:integer"),
    (
        "forget",
        "forgotten:integer traces_left?:boolean note?:string copies?:[string] copies_note?:string",
    ),
    (
        "list_tasks",
        "tasks:[Task] counts:object truncated?:boolean hint?:string",
    ),
    ("create_task", "task:Task created:boolean"),
    ("task", "task:Task"),
    ("update_task", "task:Task claims?:[object]"),
    ("delete_task", "deleted:boolean"),
    (
        "bulk_update_tasks",
        "updated:[UpdatedTask] refused:[RefusedTask] truncated?:boolean hint?:string",
    ),
    (
        "cancel_stale_tasks",
        "cancelled:[string] truncated?:boolean hint?:string",
    ),
    (
        "events",
        "events?:[Event] next?:integer status?:string questions?:[PendingQuestion] reason?:string chain?:[string] \
         type?:string seq?:integer types?:[string] truncated?:boolean hint?:string",
    ),
];

/// Returns the shared schemas by name, with that of errors.
pub(super) fn shared() -> Map<String, Value> {
    let mut schemas: Map<String, Value> = SHARED
        .iter()
        .map(|(name, properties)| ((*name).to_owned(), object(properties)))
        .collect();
    let error = object("code:string message:string hint:string current?:Entry");
    schemas.insert(
        "Error".into(),
        json!({ "type": "object", "properties": { "error": error }, "required": ["error"] }),
    );
    schemas
}

/// Returns the schema of the result of an operation.
pub(super) fn result(operation: &str) -> Value {
    let found = RESULTS.iter().find(|(name, _)| *name == operation);
    let (_, properties) = found.expect("every operation of a route has a result schema");
    match properties.strip_prefix('=') {
        Some(name) => reference(name),
        None => object(properties),
    }
}

pub(super) fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn object(properties: &str) -> Value {
    let mut schemas = Map::new();
    let mut required = Vec::new();
    for property in properties.split_whitespace() {
        let (name, kind) = property.split_once(':').unwrap_or((property, "any"));
        let name = name.strip_suffix('?').unwrap_or_else(|| {
            required.push(name);
            name
        });
        schemas.insert(name.to_owned(), typed(kind));
    }
    let mut schema = json!({ "type": "object", "properties": schemas });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn typed(kind: &str) -> Value {
    if let Some(kind) = kind.strip_suffix('~') {
        let mut schema = typed(kind);
        schema["type"] = json!([schema["type"], "null"]);
        return schema;
    }
    if let Some(items) = kind.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        return json!({ "type": "array", "items": typed(items) });
    }
    match kind {
        "any" => json!({}),
        kind if kind.starts_with(char::is_uppercase) => reference(kind),
        kind => json!({ "type": kind }),
    }
}
