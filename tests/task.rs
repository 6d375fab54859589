//! Stories of tasks: who creates, begins, reviews and ends them, who is told, and what is refused.
use serde_json::{Value, json};

use crate::support::{Session, World, wait_until};

#[track_caller]
fn create_task(session: &Session, title: &str, more: Value) -> String {
    let mut arguments = json!({ "title": title });
    let all = arguments.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    let created = session.call("create_task", arguments);
    assert_eq!(created["created"], true, "{created}");
    created["task"]["task_id"].as_str().unwrap().to_owned()
}

fn update(session: &Session, id: &str, more: Value) -> Value {
    let mut arguments = json!({ "task_id": id });
    let all = arguments.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    session.call("update_task", arguments)
}

/// Changes what must be allowed, and returns the task.
#[track_caller]
fn updated(session: &Session, id: &str, more: Value) -> Value {
    let result = update(session, id, more);
    assert!(result["task"].is_object(), "{result}");
    result["task"].clone()
}

#[track_caller]
fn set_status(session: &Session, id: &str, status: &str) -> Value {
    updated(session, id, json!({ "status": status }))
}

#[track_caller]
fn refused(result: &Value) -> (String, String) {
    let error = &result["error"];
    let text = |key: &str| error[key].as_str().unwrap_or_else(|| panic!("{result}"));
    (text("code").to_owned(), text("message").to_owned())
}

/// Returns sender and text of what a mailbox has been told, oldest first.
fn notifications(session: &Session) -> Vec<(String, String)> {
    let listed = session.call("list_messages", json!({ "filter": "all" }));
    let messages = listed["messages"].as_array().unwrap();
    messages
        .iter()
        .map(|message| {
            assert_eq!(message["type"], "command", "{message}");
            let text = |key: &str| message[key].as_str().unwrap().to_owned();
            (text("from"), text("body"))
        })
        .collect()
}

fn titles(listed: &Value) -> Vec<&str> {
    let tasks = listed["tasks"].as_array().unwrap();
    tasks
        .iter()
        .map(|task| task["title"].as_str().unwrap())
        .collect()
}

/// Returns the types of the events of tasks with what changed.
fn history(session: &Session) -> Vec<(String, Value)> {
    let read = session.call("events", json!({ "types": ["task.*"], "after": 0 }));
    let events = read["events"].as_array().unwrap();
    events
        .iter()
        .map(|event| {
            (
                event["type"].as_str().unwrap().to_owned(),
                event["data"]["changes"].clone(),
            )
        })
        .collect()
}

#[test]
fn task_passes_review_and_rejection_until_it_is_done() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let id = create_task(
        &ada,
        "add a health check",
        json!({ "description": "GET /health", "assigned_to": "bo", "priority": "high" }),
    );
    let waiting = bo.call("poll_inbox", json!({}))["tasks"].clone();
    assert_eq!(
        waiting,
        json!([{ "task_id": id, "title": "add a health check", "priority": "high", "from": "ada" }])
    );
    let task = set_status(&bo, &id, "in_progress");
    assert_eq!(
        (&task["status"], &task["version"]),
        (&json!("in_progress"), &json!(2))
    );
    assert_eq!(bo.call("poll_inbox", json!({}))["tasks"], json!([]));
    set_status(&bo, &id, "in_review");
    let task = updated(
        &ada,
        &id,
        json!({ "status": "todo", "reason": "no test yet" }),
    );
    let description = task["description"].as_str().unwrap();
    assert!(description.starts_with("GET /health\n\n[20"), "{task}");
    assert!(
        description.ends_with(" ada, in_review -> todo] no test yet"),
        "{task}"
    );
    set_status(&bo, &id, "in_progress");
    set_status(&bo, &id, "in_review");
    let task = set_status(&ada, &id, "done");
    assert_eq!(task["version"], 7, "{task}");
    let (told_bo, told_ada) = (notifications(&bo), notifications(&ada));
    assert!(
        told_bo[0].1.starts_with(&format!("Task {id} is yours now")),
        "{told_bo:?}"
    );
    assert!(
        told_bo[1].1.contains("sent back") && told_bo[1].1.contains("no test yet"),
        "{told_bo:?}"
    );
    assert_eq!((told_bo.len(), told_ada.len()), (2, 2));
    assert!(
        told_ada
            .iter()
            .all(|(from, text)| from == "bo" && text.contains("waits for your review")),
        "{told_ada:?}"
    );
}

#[test]
fn assignee_is_notified_of_a_task_and_creator_of_its_end() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let id = create_task(&ada, "one", json!({ "assigned_to": "bo" }));
    updated(&ada, &id, json!({ "assigned_to": "cy" }));
    assert_eq!((notifications(&bo).len(), notifications(&cy).len()), (2, 1));
    let left = format!("Task {id} is cy's now, leave it: one");
    assert_eq!(notifications(&bo)[1], ("ada".into(), left));
    updated(
        &cy,
        &id,
        json!({ "status": "cancelled", "reason": "not needed" }),
    );
    let notices = notifications(&ada);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0].1.contains("was cancelled: one") && notices[0].1.contains("not needed"),
        "{notices:?}"
    );
    // Somebody else reviews it and finds it good: that is the end its creator waits for.
    let done = create_task(&ada, "two", json!({ "assigned_to": "bo" }));
    set_status(&bo, &done, "in_progress");
    set_status(&bo, &done, "in_review");
    set_status(&cy, &done, "done");
    let notices = notifications(&ada);
    assert_eq!(notices.len(), 3, "{notices:?}");
    assert_eq!(notices[1].0, "bo");
    assert!(
        notices[1].1.contains("waits for your review"),
        "{notices:?}"
    );
    assert_eq!(notices[2].0, "cy");
    assert!(notices[2].1.contains("is done: two"), "{notices:?}");
    // Nobody is told of what he did himself.
    let own = create_task(&ada, "own", json!({ "assigned_to": "ada" }));
    set_status(&ada, &own, "in_progress");
    set_status(&ada, &own, "cancelled");
    assert_eq!(notifications(&ada).len(), 3);
}

#[test]
fn task_keeps_all_fields_and_the_list_filters_by_them() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let first = create_task(
        &ada,
        "write  the\nguide",
        json!({ "description": "About claims. ÜBER ἈΡΧΉ" }),
    );
    let second = create_task(
        &ada,
        "fix the login",
        json!({ "assigned_to": "bo", "files_owned": ["src/a.rs", "file:./src/a.rs"], "priority": "urgent",
                "depends_on": [first, first] }),
    );
    create_task(&bo, "of another project", json!({}));
    let listed = ada.call("list_tasks", json!({}));
    assert_eq!(titles(&listed), ["fix the login", "write the guide"]);
    assert_eq!(
        listed["counts"],
        json!({ "todo": 2, "in_progress": 0, "in_review": 0, "done": 0, "cancelled": 0 })
    );
    let task = &listed["tasks"][0];
    let keys: Vec<&String> = task.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "task_id",
            "title",
            "description",
            "status",
            "assigned_to",
            "files_owned",
            "priority",
            "depends_on",
            "created_by",
            "created_at",
            "updated_at",
            "version",
            "project"
        ]
    );
    let file = format!("file:{}/src/a.rs", ada.folder.display());
    assert_eq!(
        (
            &task["files_owned"],
            &task["depends_on"],
            &task["created_by"]
        ),
        (&json!([file]), &json!([first]), &json!("ada"))
    );
    // What is assigned to somebody is his, whatever project it belongs to.
    assert_eq!(
        titles(&bo.call("list_tasks", json!({}))),
        ["fix the login", "of another project"]
    );
    let found = |arguments: Value| {
        let listed = ada.call("list_tasks", arguments);
        titles(&listed).join("|")
    };
    assert_eq!(found(json!({ "assigned_to": "bo" })), "fix the login");
    assert_eq!(found(json!({ "assigned_to": "" })), "write the guide");
    assert_eq!(found(json!({ "query": "CLAIMS guide" })), "write the guide");
    assert_eq!(
        found(json!({ "query": "über ἀρχή", "limit": 1 })),
        "write the guide"
    );
    assert_eq!(found(json!({ "query": second })), "fix the login");
    assert_eq!(found(json!({ "query": "guide login" })), "");
    assert_eq!(found(json!({ "status": "done" })), "");
    assert_eq!(found(json!({ "limit": 1 })), "fix the login");
    let (code, _) = refused(&ada.call("list_tasks", json!({ "assigned_to": "nobody" })));
    assert_eq!(code, "unknown_peer");
    assert_eq!(ada.call("mesh_status", json!({}))["tasks"], 3);
}

#[test]
fn create_task_returns_an_open_task_with_the_same_title() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = world.session("bo");
    let id = create_task(&ada, "Fix the login-form!", json!({}));
    let again = ada.call(
        "create_task",
        json!({ "title": "  fix THE login   form", "assigned_to": "bo" }),
    );
    assert_eq!(
        (&again["created"], &again["task"]["task_id"]),
        (&json!(false), &json!(id))
    );
    assert!(again["task"]["assigned_to"].is_null() && notifications(&bo).is_empty());
    create_task(&bo, "fix the login form", json!({}));
    let other = create_task(&ada, "another", json!({}));
    let (code, message) = refused(&update(
        &ada,
        &other,
        json!({ "title": "FIX the login form" }),
    ));
    assert_eq!(code, "conflict");
    assert!(message.contains(&id), "{message}");
    set_status(&ada, &id, "cancelled");
    create_task(&ada, "fix the login form", json!({}));
}

#[test]
fn ten_processes_creating_the_same_task_create_one() {
    let world = World::new();
    let ada = world.session("ada");
    let seats: Vec<Session> = (0..9).map(|_| world.session("ada")).collect();
    let all: Vec<&Session> = seats.iter().chain([&ada]).collect();
    let start = std::sync::Barrier::new(all.len());
    let created: Vec<Value> = std::thread::scope(|scope| {
        let running: Vec<_> = all
            .iter()
            .map(|session| {
                scope.spawn(|| {
                    session.call("list_peers", json!({}));
                    start.wait();
                    session.call("create_task", json!({ "title": "the same" }))
                })
            })
            .collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let new = created.iter().filter(|one| one["created"] == true).count();
    assert_eq!(new, 1, "{created:?}");
    let id = &created[0]["task"]["task_id"];
    assert!(
        id.is_string() && created.iter().all(|one| &one["task"]["task_id"] == id),
        "{created:?}"
    );
    assert_eq!(titles(&ada.call("list_tasks", json!({}))), ["the same"]);
}

#[test]
fn invalid_task_transition_is_refused_with_the_allowed_ones() {
    let world = World::new();
    let ada = world.session("ada");
    let id = create_task(&ada, "one", json!({}));
    let (code, message) = refused(&update(&ada, &id, json!({ "status": "done" })));
    assert_eq!(code, "conflict");
    assert!(
        message.ends_with("it goes to in_progress or cancelled"),
        "{message}"
    );
    set_status(&ada, &id, "in_progress");
    set_status(&ada, &id, "todo");
    set_status(&ada, &id, "in_progress");
    set_status(&ada, &id, "in_review");
    let (code, message) = refused(&update(&ada, &id, json!({ "status": "todo" })));
    assert_eq!(code, "invalid_argument");
    assert!(message.contains("\"reason\""), "{message}");
    set_status(&ada, &id, "done");
    for more in [
        json!({ "status": "todo", "reason": "again" }),
        json!({ "title": "other" }),
    ] {
        assert_eq!(refused(&update(&ada, &id, more)).0, "conflict");
    }
}

#[test]
fn stale_task_update_is_refused_with_the_current_version() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let id = create_task(&ada, "one", json!({}));
    let first = json!({ "priority": "high", "expected_version": 1 });
    assert_eq!(updated(&ada, &id, first.clone())["version"], 2);
    let (code, message) = refused(&update(&bo, &id, first));
    assert_eq!(code, "conflict");
    assert!(message.ends_with("has version 2, not 1"), "{message}");
    // What is so already is no change.
    let same = updated(&bo, &id, json!({ "priority": "high" }));
    assert_eq!(same["version"], 2);
    assert_eq!(history(&ada).len(), 2);
}

#[test]
fn open_dependencies_block_a_task_and_cycles_are_refused() {
    let world = World::new();
    let ada = world.session("ada");
    let first = create_task(&ada, "first", json!({}));
    let second = create_task(&ada, "second", json!({ "depends_on": [first] }));
    let third = create_task(&ada, "third", json!({ "depends_on": [second] }));
    let (code, message) = refused(&update(&ada, &second, json!({ "status": "in_progress" })));
    assert_eq!(code, "conflict");
    assert!(message.contains(&first), "{message}");
    for ids in [json!([third]), json!([first]), json!([second, third])] {
        let result = update(&ada, &first, json!({ "depends_on": ids }));
        assert_eq!(refused(&result).0, "conflict", "{ids}");
    }
    let unknown = "01JZZZZZZZZZZZZZZZZZZZZZZZ";
    let result = update(&ada, &first, json!({ "depends_on": [unknown] }));
    assert_eq!(refused(&result).0, "not_found");
    set_status(&ada, &first, "in_progress");
    set_status(&ada, &first, "cancelled");
    set_status(&ada, &second, "in_progress");
    assert_eq!(
        ada.call("delete_task", json!({ "task_id": second }))["deleted"],
        true
    );
    set_status(&ada, &third, "in_progress");
}

#[test]
fn starting_a_task_claims_its_free_files_until_its_end() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let path = |name: &str| format!("{}/{name}", ada.folder.display());
    let file = |name: &str| format!("file:{}", path(name));
    let (free, held, own) = (file("free.rs"), file("held.rs"), file("own.rs"));
    ada.call("claim", json!({ "resource": held }));
    bo.call("claim", json!({ "resource": own }));
    let id = create_task(
        &ada,
        "one",
        json!({ "files_owned": [path("free.rs"), path("held.rs"), path("own.rs")] }),
    );
    let result = update(&bo, &id, json!({ "status": "in_progress" }));
    assert_eq!(result["task"]["assigned_to"], "bo", "{result}");
    let who = |at: usize| {
        let one = &result["claims"][at];
        (
            one["resource"].clone(),
            one["status"].clone(),
            one["peer"].clone(),
        )
    };
    assert_eq!(who(0), (json!(free), json!("granted"), Value::Null));
    assert_eq!(who(1), (json!(held), json!("held_by"), json!("ada")));
    assert_eq!(who(2), (json!(own), json!("granted"), Value::Null));
    let holder = |resource: &str| {
        let listed = ada.call("claims", json!({ "resource": resource }));
        listed["claims"][0]["holders"][0]["peer"].clone()
    };
    assert_eq!((holder(&free), holder(&own)), (json!("bo"), json!("bo")));
    set_status(&bo, &id, "in_review");
    assert_eq!(holder(&free), "bo", "review is not the end");
    // Whoever stands in line gets it when the task ends, and keeps it.
    ada.call("claim", json!({ "resource": free, "wait": "queue" }));
    set_status(&ada, &id, "done");
    assert_eq!(
        (holder(&free), holder(&own), holder(&held)),
        (json!("ada"), json!("bo"), json!("ada"))
    );
}

#[test]
fn rejection_reassignment_and_deletion_release_task_files() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let path = format!("{}/a.rs", ada.folder.display());
    let is_free = || {
        let listed = ada.call("claims", json!({ "resource": format!("file:{path}") }));
        listed["claims"] == json!([])
    };
    let id = create_task(&ada, "one", json!({ "files_owned": [path] }));
    let begin = || {
        set_status(&bo, &id, "in_progress");
        assert!(!is_free());
    };
    begin();
    set_status(&bo, &id, "todo");
    assert!(is_free());
    begin();
    updated(&ada, &id, json!({ "assigned_to": "" }));
    assert!(is_free());
    set_status(&ada, &id, "todo");
    begin();
    ada.call("delete_task", json!({ "task_id": id }));
    assert!(is_free());
    // Who moves the task of somebody else takes nothing for himself.
    let id = create_task(
        &ada,
        "two",
        json!({ "files_owned": [path], "assigned_to": "bo" }),
    );
    let result = update(&ada, &id, json!({ "status": "in_progress" }));
    assert!(result["claims"].is_null() && is_free(), "{result}");
}

#[test]
fn bulk_update_changes_each_task_fully_or_not_at_all() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let first = create_task(&ada, "first", json!({}));
    let second = create_task(&ada, "second", json!({}));
    let result = bo.call(
        "bulk_update_tasks",
        json!({ "updates": [
            { "task_id": first, "priority": "low", "status": "in_progress" },
            { "task_id": second, "title": "renamed", "status": "done" },
            { "task_id": "no id", "priority": "low" },
            { "task_id": first, "urgency": "high" },
            { "title": "of nothing" },
            { "task_id": second, "assigned_to": "bo" },
            { "task_id": second, "description": "key: sk-ant-api03-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" },
        ] }),
    );
    let ids = |key: &str| -> Vec<Value> {
        let list = result[key].as_array().unwrap();
        list.iter().map(|one| one["task_id"].clone()).collect()
    };
    assert_eq!(ids("updated"), [json!(first), json!(second)], "{result}");
    assert_eq!(
        ids("refused"),
        [
            json!(second),
            json!("no id"),
            json!(first),
            json!(""),
            json!(second)
        ],
        "in the order given: {result}"
    );
    let unknown = &result["refused"][2]["error"]["message"];
    assert!(
        unknown
            .as_str()
            .unwrap()
            .starts_with("\"urgency\": unknown parameter `urgency`"),
        "{unknown}"
    );
    let codes: Vec<&Value> = result["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["error"]["code"])
        .collect();
    assert_eq!(
        codes,
        [
            "conflict",
            "invalid_argument",
            "invalid_argument",
            "invalid_argument",
            "secret"
        ],
        "{result}"
    );
    let listed = ada.call("list_tasks", json!({}));
    assert_eq!(titles(&listed), ["second", "first"], "{listed}");
    assert_eq!(listed["tasks"][0]["assigned_to"], "bo");
    let many: Vec<Value> = (0..101)
        .map(|_| json!({ "task_id": first, "priority": "low" }))
        .collect();
    let result = ada.call("bulk_update_tasks", json!({ "updates": many }));
    assert_eq!(refused(&result).0, "invalid_argument");
}

#[test]
fn stale_or_project_complete_todo_tasks_are_cancelled() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ids: Vec<String> = ["one", "two", "three"]
        .iter()
        .map(|title| create_task(&bo, title, json!({ "assigned_to": "ada" })))
        .collect();
    let others = create_task(&ada, "of another project", json!({}));
    set_status(&ada, &ids[0], "in_progress");
    let stale = |session: &Session, seconds: u32| {
        session.call(
            "cancel_stale_tasks",
            json!({ "older_than_seconds": seconds, "reason": "the plan changed" }),
        )
    };
    assert_eq!(stale(&bo, 3600), json!({ "cancelled": [] }));
    let older = "UPDATE task SET updated_at_ms = updated_at_ms - 7200000 WHERE id = ?1";
    world.rows().execute(older, [&ids[1]]).unwrap();
    assert_eq!(stale(&bo, 3600), json!({ "cancelled": [ids[1]] }));
    let result = bo.call(
        "events",
        json!({ "action": "emit", "type": "project.complete", "data": {} }),
    );
    assert!(result["error"].is_null(), "{result}");
    let status = |id: &str| {
        let listed = ada.call("list_tasks", json!({ "query": id }));
        listed["tasks"][0]["status"].clone()
    };
    assert_eq!(status(&ids[0]), "in_progress");
    assert_eq!(
        (status(&ids[1]), status(&ids[2])),
        (json!("cancelled"), json!("cancelled"))
    );
    assert_eq!(status(&others), "todo");
    let notices = notifications(&ada);
    assert_eq!(notices.len(), 5, "{notices:?}");
    assert!(notices[3].1.contains("the plan changed"), "{notices:?}");
}

#[test]
fn hundreds_of_tasks_are_cancelled_in_batches() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let first = create_task(&bo, "one", json!({}));
    let more = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 449)
        INSERT INTO task (id, project, title, fingerprint, description, status, priority, created_by, created_by_name, files_owned,
                          depends_on, created_at_ms, updated_at_ms, version)
        SELECT printf('01K0000000000000000000%04d', n), project, title || n, fingerprint || n, description, status, priority,
               created_by, created_by_name, files_owned, depends_on, created_at_ms, updated_at_ms, version
        FROM n, task WHERE id = ?1";
    let project = "UPDATE task SET project = ?1";
    let rows = world.rows();
    rows.execute(more, [&first]).unwrap();
    rows.execute(project, [ada.folder.to_str().unwrap()])
        .unwrap();
    let emitted = ada.call(
        "events",
        json!({ "action": "emit", "type": "project.complete", "data": {} }),
    );
    assert!(emitted["error"].is_null(), "{emitted}");
    let left = "SELECT count(*) FROM task WHERE status <> 'cancelled'";
    let left: i64 = rows.query_row(left, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    // Each transaction tells in one message what it did.
    assert_eq!(notifications(&bo).len(), 3);
}

#[test]
fn every_task_change_is_a_short_event_that_wakes_waiters() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let wait = bo.start(
        "events",
        json!({ "action": "wait", "types": ["task.*"], "timeout_seconds": 60 }),
    );
    wait_until("the wait stands", || {
        let count = "SELECT count(*) FROM wait WHERE event_types IS NOT NULL";
        world
            .rows()
            .query_row(count, [], |row| row.get::<_, i64>(0))
            .unwrap()
            == 1
    });
    let id = create_task(&ada, "one", json!({ "description": "a long text" }));
    let came = wait.result();
    assert_eq!(came["events"][0]["subject"], json!(id), "{came}");
    updated(
        &ada,
        &id,
        json!({ "status": "in_progress", "priority": "low", "description": "another long text" }),
    );
    ada.call("delete_task", json!({ "task_id": id }));
    let history = history(&bo);
    let kinds: Vec<&str> = history.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["task.created", "task.updated", "task.deleted"]);
    assert_eq!(
        history[1].1,
        json!({
            "status": { "from": "todo", "to": "in_progress" },
            "priority": { "from": "normal", "to": "low" },
            "assigned_to": { "from": null, "to": "ada" },
            "description": true,
        })
    );
    let log = bo.call("events", json!({ "after": 0 })).to_string();
    assert!(!log.contains("long text"), "{log}");
}

#[test]
fn only_the_creator_or_a_person_can_delete_a_task() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let id = create_task(&ada, "one", json!({ "assigned_to": "bo" }));
    let delete = |session: &Session| session.call("delete_task", json!({ "task_id": id }));
    assert_eq!(refused(&delete(&bo)).0, "not_yours");
    assert_eq!(delete(&ada), json!({ "deleted": true }));
    assert_eq!(refused(&delete(&ada)).0, "not_found");
    let notices = notifications(&bo);
    assert!(notices[1].1.contains("was deleted"), "{notices:?}");
}

#[test]
fn peer_list_shows_the_current_task_of_each_peer() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let current = || {
        let peers = ada.call("list_peers", json!({}))["peers"].clone();
        let is_bo = |peer: &&Value| peer["peer"] == "bo";
        peers.as_array().unwrap().iter().find(is_bo).unwrap()["current_task"].clone()
    };
    let id = create_task(&bo, "one", json!({ "assigned_to": "bo" }));
    assert_eq!(current(), Value::Null);
    set_status(&bo, &id, "in_progress");
    assert_eq!(current(), format!("one ({id})"));
    set_status(&bo, &id, "in_review");
    assert_eq!(current(), Value::Null);
}

#[test]
fn oversized_secret_or_useless_task_is_refused_and_not_stored() {
    let world = World::new();
    let ada = world.session("ada");
    let id = create_task(&ada, "one", json!({}));
    let code = |arguments: Value| refused(&ada.call("create_task", arguments)).0;
    let secret = format!("sk-ant-api03-{}", "a".repeat(95));
    assert_eq!(code(json!({ "title": "" })), "invalid_argument");
    assert_eq!(
        code(json!({ "title": "x".repeat(501) })),
        "invalid_argument"
    );
    assert_eq!(code(json!({ "title": secret })), "secret");
    assert_eq!(
        code(json!({ "title": "t", "description": secret })),
        "secret"
    );
    assert_eq!(
        code(json!({ "title": "t", "description": "x".repeat(65_537) })),
        "too_large"
    );
    assert_eq!(
        code(json!({ "title": "t", "assigned_to": "nobody" })),
        "unknown_peer"
    );
    assert_eq!(
        code(json!({ "title": "t", "priority": "huge" })),
        "invalid_argument"
    );
    assert_eq!(
        code(json!({ "title": "t", "files_owned": [""] })),
        "invalid_argument"
    );
    assert_eq!(
        code(json!({ "title": "t", "depends_on": ["x"] })),
        "invalid_argument"
    );
    assert_eq!(
        code(json!({ "title": "t", "status": "done" })),
        "invalid_argument"
    );
    let message = |tool: &str, arguments: Value| refused(&ada.call(tool, arguments)).1;
    assert_eq!(
        message("create_task", json!({ "title": "t", "files_owned": [""] })),
        "\"files_owned\" has an empty path"
    );
    assert!(
        message("list_tasks", json!({ "assigned_to": "two words" }))
            .starts_with("\"assigned_to\" ")
    );
    assert!(message("update_task", json!({ "task_id": "x" })).starts_with("\"task_id\" "));
    assert_eq!(
        message("update_task", json!({ "task_id": id })),
        "nothing to change is given beside the task"
    );
    let code = |more: Value| refused(&update(&ada, &id, more)).0;
    assert_eq!(code(json!({})), "invalid_argument");
    assert_eq!(code(json!({ "reason": "why" })), "invalid_argument");
    assert_eq!(
        code(json!({ "status": "cancelled", "reason": secret })),
        "secret"
    );
    assert_eq!(
        code(json!({ "status": "cancelled", "reason": "x".repeat(4_097) })),
        "too_large"
    );
    let listed = ada.call("list_tasks", json!({}));
    assert_eq!(titles(&listed), ["one"]);
    assert_eq!(listed["tasks"][0]["version"], 1);
}

#[test]
fn long_task_description_is_truncated_only_in_lists() {
    let world = World::new();
    let ada = world.session("ada");
    let long = "y".repeat(3_000);
    let id = create_task(&ada, "long", json!({ "description": long }));
    create_task(&ada, "short", json!({}));
    let chars = |listed: &Value| {
        listed["tasks"][0]["description"]
            .as_str()
            .unwrap()
            .chars()
            .count()
    };
    let listed = ada.call("list_tasks", json!({}));
    assert_eq!(chars(&listed), 1_001);
    assert!(listed["hint"].is_string());
    let alone = ada.call("list_tasks", json!({ "query": id }));
    assert_eq!(chars(&alone), 3_000);
}

#[test]
fn only_tasks_ended_long_ago_are_reclaimed() {
    let world = World::new();
    let ada = world.session("ada");
    let (ended, open) = (
        create_task(&ada, "ended", json!({})),
        create_task(&ada, "open", json!({})),
    );
    set_status(&ada, &ended, "cancelled");
    let older = "UPDATE task SET created_at_ms = 1, updated_at_ms = 1, ended_at_ms = CASE WHEN ended_at_ms IS NULL THEN NULL ELSE 1 END";
    world.rows().execute(older, []).unwrap();
    let gone = world.cli(&world.home(), &["gc", "--json"]).json();
    assert_eq!(gone["reclaimed"]["tasks"], 1, "{gone}");
    let listed = ada.call("list_tasks", json!({}));
    assert_eq!(listed["tasks"][0]["task_id"], json!(open));
    assert_eq!(titles(&listed).len(), 1);
}

#[test]
fn task_with_a_full_description_can_be_rejected_and_cancelled() {
    let world = World::new();
    let [ada, bo] = ["ada", "bo"].map(|name| world.session(name));
    let full = "x".repeat(65_536);
    let reviewed = create_task(
        &ada,
        "review me",
        json!({ "description": full, "assigned_to": "bo" }),
    );
    // The longest reasons there are, until the first ones have no room.
    for round in 1..=6 {
        set_status(&bo, &reviewed, "in_progress");
        set_status(&bo, &reviewed, "in_review");
        let reason = format!("round {round}{}", " no".repeat(1_300));
        updated(
            &ada,
            &reviewed,
            json!({ "status": "todo", "reason": reason }),
        );
    }
    let listed = ada.call("list_tasks", json!({ "query": reviewed }));
    let description = listed["tasks"][0]["description"].as_str().unwrap();
    let (given, reasons) = description.split_at(full.len());
    assert_eq!(given, full, "what was given is never cut");
    assert!(
        reasons.starts_with("\n\n[earlier reasons cut: 2]\n\n["),
        "{reasons:.80}"
    );
    for round in 1..=6 {
        let is_there = reasons.contains(&format!("] round {round} no"));
        assert_eq!(is_there, round > 2, "{round}");
    }
    create_task(&ada, "in its way", json!({}));
    let stale = ada.call(
        "cancel_stale_tasks",
        json!({ "older_than_seconds": 0, "reason": "over" }),
    );
    assert_eq!(
        stale["cancelled"].as_array().map(Vec::len),
        Some(2),
        "{stale}"
    );
}
