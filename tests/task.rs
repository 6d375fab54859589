//! Tasks: who creates, starts, reviews and ends them, and who is notified.
use claude_mesh::mesh::{TaskChange, TaskFields};
use claude_mesh::model::TaskStatus;
use serde_json::{Value, json};

use crate::support::{MeshFixture, Session, World, wait_until};
use crate::support::{create_task, refused, set_status, update, updated};

/// Returns sender and text of the notifications of a peer, oldest first.
pub(crate) fn notifications(session: &Session) -> Vec<(String, String)> {
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

pub(crate) fn titles(listed: &Value) -> Vec<&str> {
    let tasks = listed["tasks"].as_array().unwrap();
    tasks
        .iter()
        .map(|task| task["title"].as_str().unwrap())
        .collect()
}

/// Returns the types of the task events with the changed fields.
pub(crate) fn history(session: &Session) -> Vec<(String, Value)> {
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

// Requirement: Tasks 5, Tasks 7
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
    let (notified_bo, notified_ada) = (notifications(&bo), notifications(&ada));
    assert!(
        notified_bo[0]
            .1
            .starts_with(&format!("Task {id} is yours now")),
        "{notified_bo:?}"
    );
    assert!(
        notified_bo[1].1.contains("sent back") && notified_bo[1].1.contains("no test yet"),
        "{notified_bo:?}"
    );
    assert_eq!((notified_bo.len(), notified_ada.len()), (2, 2));
    assert!(
        notified_ada
            .iter()
            .all(|(from, text)| from == "bo" && text.contains("waits for your review")),
        "{notified_ada:?}"
    );
}

// Requirement: Peers 5
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
    // Another peer reviews and accepts it: that is the end its creator waits for.
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
    // No peer is notified of its own changes.
    let own = create_task(&ada, "own", json!({ "assigned_to": "ada" }));
    set_status(&ada, &own, "in_progress");
    set_status(&ada, &own, "cancelled");
    assert_eq!(notifications(&ada).len(), 3);
}

// Requirement: Tasks 6, Tasks 9, Tasks 13
#[test]
fn task_keeps_all_fields() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let [first, _] = create_guide_and_login(&ada);
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
    // A task belongs to its assignee, whatever its project.
    assert_eq!(
        titles(&bo.call("list_tasks", json!({}))),
        ["fix the login", "of another project"]
    );
}

// Requirement: Tasks 6, Tasks 9, Tasks 13
#[test]
fn task_list_filters_by_fields_and_words() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let [_, second] = create_guide_and_login(&ada);
    create_task(&bo, "of another project", json!({}));
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

/// Creates two tasks with all fields, the second for `bo` and dependent on the first. Returns their ids.
fn create_guide_and_login(ada: &Session) -> [String; 2] {
    let first = create_task(
        ada,
        "write  the\nguide",
        json!({ "description": "About claims. ÜBER ἈΡΧΉ" }),
    );
    let second = create_task(
        ada,
        "fix the login",
        json!({ "assigned_to": "bo", "files_owned": ["src/a.rs", "file:./src/a.rs"], "priority": "urgent",
                "depends_on": [first, first] }),
    );
    [first, second]
}

// Requirement: Tasks 8
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

// Requirement: Tasks 8, Tasks 9
#[test]
fn ten_processes_creating_the_same_task_create_one() {
    let world = World::new();
    let ada = world.session("ada");
    let sessions: Vec<Session> = (0..9).map(|_| world.session("ada")).collect();
    let all: Vec<&Session> = sessions.iter().chain([&ada]).collect();
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
    assert_eq!(holder(&free), "bo", "a task in review keeps its files");
    // The next peer in the queue gets it when the task ends, and keeps it.
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
    // A peer that changes the status of another's task gets no claim.
    let id = create_task(
        &ada,
        "two",
        json!({ "files_owned": [path], "assigned_to": "bo" }),
    );
    let result = update(&ada, &id, json!({ "status": "in_progress" }));
    assert!(result["claims"].is_null() && is_free(), "{result}");
}

// Requirement: Tasks 11
#[test]
fn every_task_change_is_a_short_event_that_wakes_waiters() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let wait = bo.start(
        "events",
        json!({ "action": "wait", "types": ["task.*"], "timeout_seconds": 60 }),
    );
    wait_until("the wait is stored", || {
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

// Requirement: Peers 7
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

/// What `task board` draws is one moment: a task that moves while it is read is in one column.
#[test]
fn tasks_by_status_are_those_of_one_moment() {
    const STATUSES: [TaskStatus; 2] = [TaskStatus::Todo, TaskStatus::InProgress];
    let fixture = MeshFixture::new();
    let mut mesh = fixture.mesh();
    let ada = mesh.register(&fixture.join_request("ada", 1)).unwrap();
    let project = fixture.place.path().join("ada");
    let fields = TaskFields {
        title: Some("one".into()),
        ..TaskFields::default()
    };
    let id = mesh.create_task(&ada, &project, &fields).unwrap().task.id;
    let mut mover = fixture.mesh();
    std::thread::scope(|scope| {
        let moving = scope.spawn(move || {
            for step in 1..=200 {
                let change = TaskChange {
                    status: Some(STATUSES[step % 2]),
                    ..TaskChange::of(id)
                };
                mover.update_task(&ada, &change).unwrap();
            }
        });
        while !moving.is_finished() {
            let found = mesh.tasks_by_status(&project, &STATUSES, 10).unwrap();
            assert_eq!(found.tasks.len(), 1, "{:?}", found.counts);
        }
    });
}
