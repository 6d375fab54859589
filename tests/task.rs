//! Stories of tasks: who creates, begins, reviews and ends them, who is told, and what is refused.
use serde_json::{Value, json};

use crate::world::{Session, World, within};

#[track_caller]
fn creates(session: &Session, title: &str, more: Value) -> String {
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
fn goes(session: &Session, id: &str, status: &str) -> Value {
    updated(session, id, json!({ "status": status }))
}

#[track_caller]
fn refused(result: &Value) -> (String, String) {
    let error = &result["error"];
    let text = |key: &str| error[key].as_str().unwrap_or_else(|| panic!("{result}"));
    (text("code").to_owned(), text("message").to_owned())
}

/// Returns sender and text of what a mailbox has been told, oldest first.
fn told(session: &Session) -> Vec<(String, String)> {
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
fn a_task_goes_from_its_creator_to_its_assignee_through_review_and_back_until_it_is_done() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let id = creates(
        &ada,
        "add a health check",
        json!({ "description": "GET /health", "assigned_to": "bo", "priority": "high" }),
    );
    let waiting = bo.call("poll_inbox", json!({}))["tasks"].clone();
    assert_eq!(
        waiting,
        json!([{ "task_id": id, "title": "add a health check", "priority": "high", "from": "ada" }])
    );
    let task = goes(&bo, &id, "in_progress");
    assert_eq!(
        (&task["status"], &task["version"]),
        (&json!("in_progress"), &json!(2))
    );
    assert_eq!(bo.call("poll_inbox", json!({}))["tasks"], json!([]));
    goes(&bo, &id, "in_review");
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
    goes(&bo, &id, "in_progress");
    goes(&bo, &id, "in_review");
    let task = goes(&ada, &id, "done");
    assert_eq!(task["version"], 7, "{task}");
    let (told_bo, told_ada) = (told(&bo), told(&ada));
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
fn the_assignee_is_told_of_a_task_and_the_creator_of_its_end() {
    let world = World::new();
    let (ada, bo, cy) = (
        world.session("ada"),
        world.session("bo"),
        world.session("cy"),
    );
    let id = creates(&ada, "one", json!({ "assigned_to": "bo" }));
    updated(&ada, &id, json!({ "assigned_to": "cy" }));
    assert_eq!((told(&bo).len(), told(&cy).len()), (1, 1));
    updated(
        &cy,
        &id,
        json!({ "status": "cancelled", "reason": "not needed" }),
    );
    let news = told(&ada);
    assert_eq!(news.len(), 1, "{news:?}");
    assert!(
        news[0].1.contains("was cancelled: one") && news[0].1.contains("not needed"),
        "{news:?}"
    );
    // Somebody else reviews it and finds it good: that is the end its creator waits for.
    let done = creates(&ada, "two", json!({ "assigned_to": "bo" }));
    goes(&bo, &done, "in_progress");
    goes(&bo, &done, "in_review");
    goes(&cy, &done, "done");
    let news = told(&ada);
    assert_eq!(news.len(), 3, "{news:?}");
    assert_eq!(news[1].0, "bo");
    assert!(news[1].1.contains("waits for your review"), "{news:?}");
    assert_eq!(news[2].0, "cy");
    assert!(news[2].1.contains("is done: two"), "{news:?}");
    // Nobody is told of what he did himself.
    let own = creates(&ada, "own", json!({ "assigned_to": "ada" }));
    goes(&ada, &own, "in_progress");
    goes(&ada, &own, "cancelled");
    assert_eq!(told(&ada).len(), 3);
}

#[test]
fn a_task_has_all_its_fields_and_is_listed_by_project_status_assignee_and_words() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let first = creates(
        &ada,
        "write  the\nguide",
        json!({ "description": "About claims." }),
    );
    let second = creates(
        &ada,
        "fix the login",
        json!({ "assigned_to": "bo", "files_owned": ["src/a.rs", "file:./src/a.rs"], "priority": "urgent",
                "depends_on": [first, first] }),
    );
    creates(&bo, "of another project", json!({}));
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
    assert_eq!(found(json!({ "query": "CLAIMS guide" })), "write the guide");
    assert_eq!(found(json!({ "query": second })), "fix the login");
    assert_eq!(found(json!({ "query": "guide login" })), "");
    assert_eq!(found(json!({ "status": "done" })), "");
    assert_eq!(found(json!({ "limit": 1 })), "fix the login");
    let (code, _) = refused(&ada.call("list_tasks", json!({ "assigned_to": "nobody" })));
    assert_eq!(code, "unknown_peer");
    assert_eq!(ada.call("mesh_status", json!({}))["tasks"], 3);
}

#[test]
fn an_open_task_with_the_same_title_comes_back_instead_of_a_second_one() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = world.session("bo");
    let id = creates(&ada, "Fix the login-form!", json!({}));
    let again = ada.call(
        "create_task",
        json!({ "title": "  fix THE login   form", "assigned_to": "bo" }),
    );
    assert_eq!(
        (&again["created"], &again["task"]["task_id"]),
        (&json!(false), &json!(id))
    );
    assert!(again["task"]["assigned_to"].is_null() && told(&bo).is_empty());
    creates(&bo, "fix the login form", json!({}));
    let other = creates(&ada, "another", json!({}));
    let (code, message) = refused(&update(
        &ada,
        &other,
        json!({ "title": "FIX the login form" }),
    ));
    assert_eq!(code, "conflict");
    assert!(message.contains(&id), "{message}");
    goes(&ada, &id, "cancelled");
    creates(&ada, "fix the login form", json!({}));
}

#[test]
fn ten_processes_that_create_the_same_task_at_once_create_one() {
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
fn a_step_that_is_not_allowed_is_refused_with_those_that_are() {
    let world = World::new();
    let ada = world.session("ada");
    let id = creates(&ada, "one", json!({}));
    let (code, message) = refused(&update(&ada, &id, json!({ "status": "done" })));
    assert_eq!(code, "conflict");
    assert!(
        message.ends_with("it goes to in_progress or cancelled"),
        "{message}"
    );
    goes(&ada, &id, "in_progress");
    goes(&ada, &id, "todo");
    goes(&ada, &id, "in_progress");
    goes(&ada, &id, "in_review");
    let (code, message) = refused(&update(&ada, &id, json!({ "status": "todo" })));
    assert_eq!(code, "invalid_argument");
    assert!(message.contains("\"reason\""), "{message}");
    goes(&ada, &id, "done");
    for more in [
        json!({ "status": "todo", "reason": "again" }),
        json!({ "title": "other" }),
    ] {
        assert_eq!(refused(&update(&ada, &id, more)).0, "conflict");
    }
}

#[test]
fn who_was_slower_is_told_the_version_and_changes_nothing() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let id = creates(&ada, "one", json!({}));
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
fn a_task_with_open_dependencies_cannot_start_and_none_waits_for_itself() {
    let world = World::new();
    let ada = world.session("ada");
    let first = creates(&ada, "first", json!({}));
    let second = creates(&ada, "second", json!({ "depends_on": [first] }));
    let third = creates(&ada, "third", json!({ "depends_on": [second] }));
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
    goes(&ada, &first, "in_progress");
    goes(&ada, &first, "cancelled");
    goes(&ada, &second, "in_progress");
    assert_eq!(
        ada.call("delete_task", json!({ "task_id": second }))["deleted"],
        true
    );
    goes(&ada, &third, "in_progress");
}

#[test]
fn who_begins_a_task_gets_its_free_files_and_gives_them_back_at_its_end() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let path = |name: &str| format!("{}/{name}", ada.folder.display());
    let file = |name: &str| format!("file:{}", path(name));
    let (free, held, own) = (file("free.rs"), file("held.rs"), file("own.rs"));
    ada.call("claim", json!({ "resource": held }));
    bo.call("claim", json!({ "resource": own }));
    let id = creates(
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
    goes(&bo, &id, "in_review");
    assert_eq!(holder(&free), "bo", "review is not the end");
    // Whoever stands in line gets it when the task ends, and keeps it.
    ada.call("claim", json!({ "resource": free, "wait": "queue" }));
    goes(&ada, &id, "done");
    assert_eq!(
        (holder(&free), holder(&own), holder(&held)),
        (json!("ada"), json!("bo"), json!("ada"))
    );
}

#[test]
fn what_a_task_took_goes_back_with_a_reject_a_new_assignee_and_a_deletion() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let path = format!("{}/a.rs", ada.folder.display());
    let is_free = || {
        let listed = ada.call("claims", json!({ "resource": format!("file:{path}") }));
        listed["claims"] == json!([])
    };
    let id = creates(&ada, "one", json!({ "files_owned": [path] }));
    let begin = || {
        goes(&bo, &id, "in_progress");
        assert!(!is_free());
    };
    begin();
    goes(&bo, &id, "todo");
    assert!(is_free());
    begin();
    updated(&ada, &id, json!({ "assigned_to": "" }));
    assert!(is_free());
    goes(&ada, &id, "todo");
    begin();
    ada.call("delete_task", json!({ "task_id": id }));
    assert!(is_free());
    // Who moves the task of somebody else takes nothing for himself.
    let id = creates(
        &ada,
        "two",
        json!({ "files_owned": [path], "assigned_to": "bo" }),
    );
    let result = update(&ada, &id, json!({ "status": "in_progress" }));
    assert!(result["claims"].is_null() && is_free(), "{result}");
}

#[test]
fn several_tasks_are_changed_at_once_each_in_full_or_not_at_all() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let first = creates(&ada, "first", json!({}));
    let second = creates(&ada, "second", json!({}));
    let result = bo.call(
        "bulk_update_tasks",
        json!({ "updates": [
            { "task_id": first, "priority": "low", "status": "in_progress" },
            { "task_id": second, "title": "renamed", "status": "done" },
            { "task_id": "no id", "priority": "low" },
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
        [json!(second), json!(second), json!("no id")],
        "{result}"
    );
    let codes: Vec<&Value> = result["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["error"]["code"])
        .collect();
    assert_eq!(
        codes,
        ["conflict", "secret", "invalid_argument"],
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
fn todo_tasks_left_alone_are_cancelled_and_all_of_them_when_the_project_is_complete() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let ids: Vec<String> = ["one", "two", "three"]
        .iter()
        .map(|title| creates(&bo, title, json!({ "assigned_to": "ada" })))
        .collect();
    let others = creates(&ada, "of another project", json!({}));
    goes(&ada, &ids[0], "in_progress");
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
    let news = told(&ada);
    assert_eq!(news.len(), 5, "{news:?}");
    assert!(news[3].1.contains("the plan changed"), "{news:?}");
}

#[test]
fn every_change_of_a_task_is_an_event_that_wakes_who_waits_for_it_and_carries_no_long_text() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let wait = bo.start(
        "events",
        json!({ "action": "wait", "types": ["task.*"], "timeout_seconds": 60 }),
    );
    within("the wait stands", || {
        let count = "SELECT count(*) FROM wait WHERE event_types IS NOT NULL";
        world
            .rows()
            .query_row(count, [], |row| row.get::<_, i64>(0))
            .unwrap()
            == 1
    });
    let id = creates(&ada, "one", json!({ "description": "a long text" }));
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
fn only_its_creator_or_a_person_deletes_a_task() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let id = creates(&ada, "one", json!({ "assigned_to": "bo" }));
    let delete = |session: &Session| session.call("delete_task", json!({ "task_id": id }));
    assert_eq!(refused(&delete(&bo)).0, "not_yours");
    assert_eq!(delete(&ada), json!({ "deleted": true }));
    assert_eq!(refused(&delete(&ada)).0, "not_found");
    let news = told(&bo);
    assert!(news[1].1.contains("was deleted"), "{news:?}");
}

#[test]
fn what_a_peer_works_on_is_seen_by_all() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let current = || {
        let peers = ada.call("list_peers", json!({}))["peers"].clone();
        let is_bo = |peer: &&Value| peer["peer"] == "bo";
        peers.as_array().unwrap().iter().find(is_bo).unwrap()["current_task"].clone()
    };
    let id = creates(&bo, "one", json!({ "assigned_to": "bo" }));
    assert_eq!(current(), Value::Null);
    goes(&bo, &id, "in_progress");
    assert_eq!(current(), format!("one ({id})"));
    goes(&bo, &id, "in_review");
    assert_eq!(current(), Value::Null);
}

#[test]
fn what_is_too_large_secret_or_of_no_use_is_refused_and_not_stored() {
    let world = World::new();
    let ada = world.session("ada");
    let id = creates(&ada, "one", json!({}));
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
fn a_long_description_is_cut_in_a_list_and_whole_when_it_is_asked_for() {
    let world = World::new();
    let ada = world.session("ada");
    let long = "y".repeat(3_000);
    let id = creates(&ada, "long", json!({ "description": long }));
    creates(&ada, "short", json!({}));
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
fn tasks_that_ended_long_ago_are_reclaimed_and_open_ones_never() {
    let world = World::new();
    let ada = world.session("ada");
    let (ended, open) = (
        creates(&ada, "ended", json!({})),
        creates(&ada, "open", json!({})),
    );
    goes(&ada, &ended, "cancelled");
    let older = "UPDATE task SET created_at_ms = 1, updated_at_ms = 1, ended_at_ms = CASE WHEN ended_at_ms IS NULL THEN NULL ELSE 1 END";
    world.rows().execute(older, []).unwrap();
    let gone = world.cli(&world.home(), &["gc", "--json"]).json();
    assert_eq!(gone["reclaimed"]["tasks"], 1, "{gone}");
    let listed = ada.call("list_tasks", json!({}));
    assert_eq!(listed["tasks"][0]["task_id"], json!(open));
    assert_eq!(titles(&listed).len(), 1);
}
