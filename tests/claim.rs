//! Claims: who holds a resource, who waits for it, and when the next ticket is granted.
use std::os::unix::ffi::OsStringExt;

use serde_json::{Value, json};

use crate::support::git;
use crate::support::{Session, World, wait_until};

/// Calls `claim` and returns the result.
#[track_caller]
pub(crate) fn claim(session: &Session, resource: &str, more: Value) -> Value {
    session.call("claim", claim_arguments(resource, more))
}

pub(crate) fn claim_arguments(resource: &str, more: Value) -> Value {
    let mut arguments = json!({ "resource": resource });
    let all = arguments.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    arguments
}

/// Claims a resource, which must be granted, and returns the fencing token.
#[track_caller]
pub(crate) fn claim_granted(session: &Session, resource: &str, more: Value) -> i64 {
    let result = claim(session, resource, more);
    assert_eq!(result["status"], "granted", "{result}");
    result["fence"].as_i64().unwrap()
}

#[track_caller]
pub(crate) fn release(session: &Session, resource: &str) -> Value {
    session.call("release", json!({ "resource": resource }))
}

/// Returns the only entry of a resource.
#[track_caller]
pub(crate) fn claim_entry(session: &Session, resource: &str) -> Value {
    let listed = session.call("claims", json!({ "resource": resource }));
    listed["claims"][0].clone()
}

/// Returns the names of the holders of a resource and of its queue.
#[track_caller]
pub(crate) fn holder_and_queue_names(
    session: &Session,
    resource: &str,
) -> (Vec<String>, Vec<String>) {
    let claim_entry = claim_entry(session, resource);
    let of = |list: &Value| -> Vec<String> {
        let list = list.as_array().cloned().unwrap_or_default();
        let name = |one: &Value| one["peer"].as_str().unwrap().to_owned();
        list.iter().map(name).collect()
    };
    (of(&claim_entry["holders"]), of(&claim_entry["queue"]))
}

pub(crate) fn owned(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

/// Arguments that queue and return at once.
pub(crate) fn queue_at_once() -> Value {
    json!({ "wait": "queue" })
}

/// Arguments that queue and wait.
pub(crate) fn queue_and_wait() -> Value {
    json!({ "wait": "queue", "wait_seconds": 60 })
}

// Requirement: Mesh 5
#[test]
fn exclusive_claim_denies_others_and_renews_in_place() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let first = claim(&ada, "deploy", json!({ "note": "release 2.1" }));
    assert_eq!(first["status"], "granted");
    assert_eq!(
        (&first["fence"], &first["mode"]),
        (&json!(1), &json!("exclusive"))
    );
    assert_eq!(first["renewed"], false);
    let denied = claim(&bo, "deploy", json!({}));
    assert_eq!(denied["status"], "denied");
    let holder = &denied["holders"][0];
    assert_eq!(
        (&holder["peer"], &holder["note"]),
        (&json!("ada"), &json!("release 2.1"))
    );
    let ends_ms = |of: &Value| {
        let at: jiff::Timestamp = of["lease_expires_at"].as_str().unwrap().parse().unwrap();
        at.as_millisecond()
    };
    let apart_ms = (ends_ms(holder) - ends_ms(&first)).abs();
    assert_eq!(apart_ms, 0, "the lease ends at one time for all");
    for _ in 0..20 {
        let seen = &claim_entry(&bo, "deploy")["holders"][0];
        assert_eq!(seen["lease_expires_at"], first["lease_expires_at"]);
    }
    let again = claim(&ada, "deploy", json!({ "lease_seconds": 3600 }));
    assert_eq!(again["renewed"], true);
    assert_eq!(
        (&again["claim_id"], &again["fence"]),
        (&first["claim_id"], &first["fence"])
    );
    assert!(again["lease_expires_at"].as_str() > first["lease_expires_at"].as_str());
    let bo_waits = claim(&bo, "deploy", queue_at_once());
    assert_eq!(
        (&bo_waits["status"], &bo_waits["queue_position"]),
        (&json!("queued"), &json!(1))
    );
    let rejoined = claim(&bo, "deploy", queue_at_once());
    assert_eq!(
        rejoined["claim_id"], bo_waits["claim_id"],
        "the ticket keeps its position"
    );
}

// Requirement: Mesh 6
#[test]
fn exclusive_claim_waits_for_all_shared_holders() {
    let world = World::new();
    let [ada, bo, cy, di] = ["ada", "bo", "cy", "di"].map(|name| world.session(name));
    let shared = || json!({ "mode": "shared" });
    claim_granted(&ada, "docs", shared());
    claim_granted(&bo, "docs", shared());
    assert_eq!(claim(&cy, "docs", json!({}))["status"], "denied");
    assert_eq!(claim(&cy, "docs", queue_at_once())["status"], "queued");
    let di_asks = claim(&di, "docs", json!({ "mode": "shared", "wait": "queue" }));
    assert_eq!(
        di_asks["queue_position"], 2,
        "no claim is granted before the waiting one"
    );
    assert_eq!(
        claim(&di, "docs", json!({ "mode": "shared" }))["status"],
        "queued"
    );
    release(&ada, "docs");
    assert_eq!(
        holder_and_queue_names(&ada, "docs"),
        (owned(&["bo"]), owned(&["cy", "di"]))
    );
    assert_eq!(release(&bo, "docs")["promoted"], json!(["cy"]));
    assert_eq!(
        holder_and_queue_names(&ada, "docs"),
        (owned(&["cy"]), owned(&["di"]))
    );
}

// Requirement: Mesh 7
#[test]
fn fencing_token_increases_with_every_grant_and_promotion() {
    let world = World::new();
    let bo = world.session("bo");
    let ada = world.session("ada");
    assert_eq!(claim_granted(&ada, "deploy", json!({})), 1);
    claim(&bo, "deploy", queue_at_once());
    release(&ada, "deploy");
    assert_eq!(claim_entry(&bo, "deploy")["holders"][0]["fence"], 2);
    release(&bo, "deploy");
    assert_eq!(
        claim_entry(&bo, "deploy"),
        Value::Null,
        "the resource is free"
    );
    ada.kill();
    drop(bo);
    let cy = world.session("cy");
    assert_eq!(claim_granted(&cy, "deploy", json!({})), 3);
    assert_eq!(
        claim_granted(&cy, "another", json!({})),
        1,
        "each resource has its own fence"
    );
}

// Requirement: Mesh 8
#[test]
fn release_cancels_a_ticket_or_promotes_a_run_of_shared_ones() {
    let world = World::new();
    let [ada, bo, cy, di, ed] = ["ada", "bo", "cy", "di", "ed"].map(|name| world.session(name));
    claim_granted(&ada, "docs", json!({}));
    let share = json!({ "mode": "shared", "wait": "queue" });
    claim(&bo, "docs", share.clone());
    let leaving = claim(&ed, "docs", queue_at_once());
    claim(&cy, "docs", share.clone());
    claim(&di, "docs", queue_at_once());
    let out = ed.call("release", json!({ "claim_id": leaving["claim_id"] }));
    assert_eq!(
        out,
        json!({ "released": true, "was": "queued", "promoted": [] })
    );
    let out = release(&ada, "docs");
    assert_eq!(
        out,
        json!({ "released": true, "was": "held", "promoted": ["bo", "cy"] })
    );
    assert_eq!(
        holder_and_queue_names(&ada, "docs"),
        (owned(&["bo", "cy"]), owned(&["di"]))
    );
    let released_again = release(&ada, "docs");
    assert_eq!(
        released_again,
        json!({ "released": false, "was": "gone", "promoted": [] })
    );
    let others = claim_entry(&bo, "docs")["holders"][0]["claim_id"].clone();
    let refused = ada.call("release", json!({ "claim_id": others }));
    assert_eq!(refused["error"]["code"], "not_yours", "{refused}");
}

// Requirement: Mesh 6
#[test]
fn claim_upgrade_succeeds_only_for_the_sole_shared_holder() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let shared = || json!({ "mode": "shared" });
    let first = claim_granted(&ada, "docs", shared());
    assert!(
        claim_granted(&ada, "docs", json!({})) > first,
        "a new grant has a new fence"
    );
    assert_eq!(claim(&bo, "docs", shared())["status"], "denied");
    claim_granted(&ada, "docs", shared());
    claim_granted(&bo, "docs", shared());
    assert_eq!(claim(&ada, "docs", json!({}))["status"], "denied");
    assert_eq!(claim(&ada, "docs", queue_at_once())["status"], "queued");
    assert_eq!(
        holder_and_queue_names(&bo, "docs"),
        (owned(&["ada", "bo"]), owned(&["ada"]))
    );
    assert_eq!(release(&bo, "docs")["promoted"], json!(["ada"]));
    let claim_entry = claim_entry(&bo, "docs");
    assert_eq!(
        claim_entry["holders"].as_array().unwrap().len(),
        1,
        "{claim_entry}"
    );
    assert_eq!(claim_entry["holders"][0]["mode"], "exclusive");
}

// Requirement: Mesh 9
#[test]
fn claims_and_tickets_of_dead_sessions_are_reaped() {
    let world = World::new();
    let [ada, bo, cy] = ["ada", "bo", "cy"].map(|name| world.session(name));
    claim_granted(&ada, "deploy", json!({ "lease_seconds": 86_400 }));
    claim(&bo, "deploy", queue_at_once());
    claim(&cy, "deploy", queue_at_once());
    bo.kill();
    ada.kill();
    wait_until("the queue advances", || {
        holder_and_queue_names(&cy, "deploy") == (owned(&["cy"]), owned(&[]))
    });
    let reaped: i64 = world
        .rows()
        .query_row(
            "SELECT count(*) FROM event WHERE type = 'claim.reaped'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(reaped, 2);
}

#[test]
fn session_exit_releases_its_claims_and_wakes_the_next_waiter() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    claim_granted(&ada, "deploy", json!({ "lease_seconds": 86_400 }));
    let waiting_claim = bo.start("claim", claim_arguments("deploy", queue_and_wait()));
    waiting_claim.wait_for_progress("held by ada");
    ada.close_stdin();
    assert_eq!(waiting_claim.result()["status"], "granted");
}

// Requirement: Beyond 6
#[test]
fn waiting_claim_call_returns_when_it_is_promoted() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    claim_granted(&ada, "deploy", json!({}));
    let waiting_claim = bo.start("claim", claim_arguments("deploy", queue_and_wait()));
    waiting_claim.wait_for_progress("position 1 in the queue, held by ada");
    assert_eq!(release(&ada, "deploy")["promoted"], json!(["bo"]));
    let result = waiting_claim.result();
    assert_eq!(
        (&result["status"], &result["fence"]),
        (&json!("granted"), &json!(2))
    );
    let delivered: i64 = world
        .rows()
        .query_row("SELECT told FROM claim", [], |row| row.get(0))
        .unwrap();
    assert_eq!(delivered, 1, "the call has delivered the grant");
}

#[test]
fn promotion_without_a_waiting_call_stays_undelivered() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    let delivered = || -> Vec<i64> {
        let rows = world.rows();
        let mut delivered = rows.prepare("SELECT told FROM claim").unwrap();
        let delivered = delivered.query_map([], |row| row.get(0)).unwrap();
        delivered.map(Result::unwrap).collect()
    };
    claim_granted(&ada, "deploy", json!({}));
    claim(&bo, "deploy", queue_at_once());
    assert_eq!(delivered(), [1, 1]);
    release(&ada, "deploy");
    assert_eq!(delivered(), [0]);
    assert_eq!(claim(&bo, "deploy", json!({}))["renewed"], true);
    assert_eq!(delivered(), [1]);
}

// Requirement: Mesh 5
#[test]
fn claim_wait_timeout_keeps_the_ticket_and_names_the_holder() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    claim_granted(&ada, "deploy", json!({}));
    let out = claim(&bo, "deploy", json!({ "wait": "queue", "wait_seconds": 1 }));
    assert_eq!(
        (&out["status"], &out["queue_position"]),
        (&json!("queued"), &json!(1))
    );
    assert_eq!(out["holders"][0]["peer"], "ada");
    assert_eq!(holder_and_queue_names(&bo, "deploy").1, owned(&["bo"]));
}

#[test]
fn question_interrupts_a_claim_wait_and_keeps_the_ticket() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    claim_granted(&ada, "deploy", json!({}));
    let waiting_claim = bo.start("claim", claim_arguments("deploy", queue_and_wait()));
    waiting_claim.wait_for_progress("held by ada");
    let ask = ada.start("ask_peer", json!({ "to": "bo", "question": "which port?" }));
    let out = waiting_claim.result();
    assert_eq!(
        (&out["status"], &out["reason"]),
        (&json!("interrupted"), &json!("incoming_question"))
    );
    assert_eq!(out["questions"][0]["question"], "which port?");
    let ticket = &claim_entry(&bo, "deploy")["queue"][0];
    assert_eq!(ticket["claim_id"], out["claim_id"]);
    bo.send_reply(out["questions"][0]["question_id"].as_str().unwrap(), "5433");
    assert_eq!(ask.result()["answer"], "5433");
    let again = bo.start("claim", claim_arguments("deploy", queue_and_wait()));
    again.wait_for_progress("position 1 in the queue");
    release(&ada, "deploy");
    assert_eq!(again.result()["claim_id"], out["claim_id"]);
}

#[test]
fn cancelled_claim_call_leaves_the_queue() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    claim_granted(&ada, "deploy", json!({}));
    let waiting_claim = bo.start("claim", claim_arguments("deploy", queue_and_wait()));
    waiting_claim.wait_for_progress("held by ada");
    waiting_claim.cancel();
    wait_until("the ticket is removed", || {
        holder_and_queue_names(&ada, "deploy").1.is_empty()
    });
}

// Requirement: Mesh 9
#[test]
fn expired_leases_promote_the_next_ticket_without_a_new_call() {
    let world = World::new();
    let [ada, bo, cy] = ["ada", "bo", "cy"].map(|name| world.session(name));
    claim_granted(&ada, "deploy", json!({ "lease_seconds": 1 }));
    let waiting_claim = claim(
        &bo,
        "deploy",
        json!({ "wait": "queue", "wait_seconds": 60, "lease_seconds": 1 }),
    );
    assert_eq!(waiting_claim["status"], "granted", "{waiting_claim}");
    claim(&cy, "deploy", queue_at_once());
    // From here on only the server of the queued session reads the claim.
    wait_until("the ticket is granted", || {
        let rows = world.rows();
        let held =
            "SELECT p.name FROM claim c JOIN peer p ON p.id = c.peer_id WHERE c.state = 'held'";
        rows.query_row(held, [], |row| row.get(0)) == Ok("cy".to_owned())
    });
}

#[test]
fn second_session_of_a_project_is_a_separate_claim_holder() {
    let world = World::new();
    let (one, two) = (world.session("ada"), world.session("ada"));
    claim_granted(&one, "file:a.rs", json!({}));
    let denied = claim(&two, "file:a.rs", json!({}));
    assert_eq!(denied["holders"][0]["peer"], "ada");
}

#[test]
fn file_claims_resolve_paths_and_separate_worktrees() {
    let world = World::new();
    world.write("shop/src/a.rs", "");
    let shop = world.home().join("shop");
    git(&world, &shop, &["init", "-q"]);
    git(&world, &shop, &["add", "."]);
    git(&world, &shop, &["commit", "-qm", "one"]);
    git(&world, &shop, &["worktree", "add", "-q", "../trees/hotfix"]);
    std::os::unix::fs::symlink("src", shop.join("short")).unwrap();
    let (ada, bo) = (world.session("shop"), world.session("trees/hotfix"));
    assert_eq!(
        bo.name(),
        "shop.hotfix",
        "a worktree of the same repository"
    );
    assert!(bo.folder.join("src/a.rs").exists());
    let canonical = world.home().join("shop/src/a.rs");
    claim_granted(&ada, "file:src/a.rs", json!({}));
    for same in [
        format!("file:{}", canonical.display()),
        "file:../shop/short/a.rs".into(),
        "file:./src/none/../a.rs".into(),
    ] {
        assert_eq!(claim(&ada, &same, json!({}))["renewed"], true, "{same}");
    }
    let listed = ada.call("claims", json!({ "prefix": "file:src/" }));
    assert_eq!(
        listed["claims"][0]["resource"],
        format!("file:{}", canonical.display())
    );
    claim_granted(&bo, "file:src/a.rs", json!({}));
    assert_eq!(
        claim(&bo, &format!("file:{}", canonical.display()), json!({}))["status"],
        "denied"
    );
}

// Requirement: Mesh 10
#[test]
fn list_peers_and_status_report_claims() {
    let world = World::new();
    let (ada, bo) = (world.session("ada"), world.session("bo"));
    claim_granted(&ada, "deploy", json!({}));
    claim_granted(&ada, "docs", json!({ "mode": "shared" }));
    let peers = bo.call("list_peers", json!({}));
    assert_eq!(
        peers["peers"][0]["claims"],
        json!([
            { "resource": "deploy", "mode": "exclusive", "fence": 1 },
            { "resource": "docs", "mode": "shared", "fence": 1 },
        ])
    );
    assert_eq!(bo.call("mesh_status", json!({}))["claims"], 2);
}

#[test]
fn claim_of_a_path_that_is_not_utf8_is_refused() {
    let world = World::new();
    let ada = world.session("ada");
    let target = std::ffi::OsString::from_vec(b"odd\xff".to_vec());
    std::os::unix::fs::symlink(target, ada.folder.join("link")).unwrap();
    let refused = claim(&ada, "file:link/a.rs", json!({}));
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("not UTF-8"), "{message}");
    assert_eq!(ada.call("claims", json!({})), json!({ "claims": [] }));
}
