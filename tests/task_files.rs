//! The files of tasks: who holds them when tasks overlap, when a task names other files, and when it gets another assignee.
use serde_json::{Value, json};

use crate::support::{Session, World};
use crate::support::{create_task, update};

/// Returns the field of a task that owns these files of the session's project.
fn owning(session: &Session, files: &[&str]) -> Value {
    json!({ "files_owned": paths(session, files) })
}

fn paths(session: &Session, files: &[&str]) -> Vec<String> {
    let path = |name: &&str| format!("{}/{name}", session.folder.display());
    files.iter().map(path).collect()
}

/// Updates a task, which must be allowed. Returns the resulting file claims.
#[track_caller]
fn update_files(session: &Session, id: &str, more: Value) -> Vec<(String, String)> {
    let result = update(session, id, more);
    assert!(result["task"].is_object(), "{result}");
    let claims = result["claims"].as_array().cloned().unwrap_or_default();
    let word = |text: &Value| text.as_str().unwrap_or_default().to_owned();
    claims
        .iter()
        .map(|claim| {
            let (_, name) = claim["resource"]
                .as_str()
                .unwrap()
                .rsplit_once('/')
                .unwrap();
            let who = [word(&claim["status"]), word(&claim["peer"])].join(" ");
            (name.to_owned(), who.trim_end().to_owned())
        })
        .collect()
}

/// Returns the holders of files of a project, as `name: peer`, as another session sees them.
fn held_files(session: &Session, project: &Session) -> Vec<String> {
    let listed = session.call(
        "claims",
        json!({ "prefix": format!("file:{}/", project.folder.display()) }),
    );
    let lines = listed["claims"].as_array().unwrap().iter();
    lines
        .map(|line| {
            let name = line["resource"]
                .as_str()
                .unwrap()
                .rsplit_once('/')
                .unwrap()
                .1;
            format!("{name}: {}", line["holders"][0]["peer"].as_str().unwrap())
        })
        .collect()
}

fn all_granted(names: &[&str]) -> Vec<(String, String)> {
    let pair = |name: &&str| ((*name).to_owned(), "granted".to_owned());
    names.iter().map(pair).collect()
}

#[test]
fn file_of_two_tasks_stays_claimed_until_both_have_ended() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let one = create_task(&ada, "one", owning(&ada, &["a.rs", "b.rs"]));
    let two = create_task(&ada, "two", owning(&ada, &["b.rs", "c.rs"]));
    update_files(&ada, &one, json!({ "status": "in_progress" }));
    assert_eq!(
        update_files(&ada, &two, json!({ "status": "in_progress" })),
        all_granted(&["b.rs", "c.rs"])
    );
    update_files(&ada, &two, json!({ "status": "in_review" }));
    update_files(&ada, &one, json!({ "status": "cancelled" }));
    assert_eq!(held_files(&bo, &ada), ["b.rs: ada", "c.rs: ada"]);
    let resource = format!("file:{}/b.rs", ada.folder.display());
    let line = bo.call("claims", json!({ "resource": resource }));
    let note = line["claims"][0]["holders"][0]["note"].as_str();
    assert_eq!(
        note,
        Some(format!("task {two}").as_str()),
        "the note names the task"
    );
    let three = create_task(&ada, "three", owning(&ada, &["b.rs"]));
    update_files(&ada, &three, json!({ "status": "in_progress" }));
    ada.call("delete_task", json!({ "task_id": two }));
    assert_eq!(held_files(&bo, &ada), ["b.rs: ada"]);
    update_files(&ada, &three, json!({ "assigned_to": "bo" }));
    assert_eq!(
        held_files(&bo, &ada),
        [""; 0],
        "the task has another assignee"
    );
}

#[test]
fn changed_task_files_release_old_claims_and_add_new_ones() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let one = create_task(&ada, "one", owning(&ada, &["a.rs", "b.rs", "c.rs"]));
    let two = create_task(&ada, "two", owning(&ada, &["b.rs"]));
    update_files(&ada, &one, json!({ "status": "in_progress" }));
    update_files(&ada, &two, json!({ "status": "in_progress" }));
    let taken = format!("file:{}/taken.rs", ada.folder.display());
    bo.call("claim", json!({ "resource": taken }));
    let files = paths(&ada, &["c.rs", "d.rs", "taken.rs"]);
    let mut wanted = all_granted(&["c.rs", "d.rs"]);
    wanted.push(("taken.rs".into(), "held_by bo".into()));
    assert_eq!(
        update_files(&ada, &one, json!({ "files_owned": files })),
        wanted
    );
    let all = ["b.rs: ada", "c.rs: ada", "d.rs: ada", "taken.rs: bo"];
    assert_eq!(
        held_files(&bo, &ada),
        all,
        "the second task still needs b.rs"
    );
    // The same with a change of status.
    let more = json!({ "files_owned": paths(&ada, &["e.rs"]), "status": "in_review" });
    assert_eq!(update_files(&ada, &one, more), all_granted(&["e.rs"]));
    assert_eq!(
        held_files(&bo, &ada),
        ["b.rs: ada", "e.rs: ada", "taken.rs: bo"]
    );
    // A peer that changes it for its assignee gets no claim.
    let more = json!({ "files_owned": paths(&ada, &["f.rs"]) });
    assert_eq!(update_files(&bo, &one, more), []);
    assert_eq!(held_files(&bo, &ada), ["b.rs: ada", "taken.rs: bo"]);
    update_files(&ada, &two, json!({ "status": "cancelled" }));
    let more = json!({ "files_owned": paths(&ada, &["g.rs"]), "status": "cancelled" });
    assert_eq!(update_files(&ada, &one, more), []);
    assert_eq!(
        held_files(&bo, &ada),
        ["taken.rs: bo"],
        "an ended task needs no files"
    );
}

#[test]
fn starting_a_task_keeps_an_existing_claim_queue_ticket() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let task = create_task(&ada, "one", owning(&ada, &["a.rs", "b.rs"]));
    let resource = format!("file:{}/a.rs", ada.folder.display());
    bo.call("claim", json!({ "resource": resource }));
    ada.call(
        "claim",
        json!({ "resource": resource, "mode": "shared", "lease_seconds": 60, "note": "to read", "wait": "queue" }),
    );
    let line = || {
        let line = bo.call("claims", json!({ "resource": resource }))["claims"][0].clone();
        (line["queue"].clone(), line["holders"][0]["peer"].clone())
    };
    let before = line();
    assert_eq!(before.0[0]["note"], "to read");
    let has = |name: &str, who: &str| (name.to_owned(), who.to_owned());
    assert_eq!(
        update_files(&ada, &task, json!({ "status": "in_progress" })),
        [has("a.rs", "held_by bo"), has("b.rs", "granted")]
    );
    assert_eq!(line(), before);
}
