//! Names of peers: from the folder, from the project file, chosen, and kept when a folder moves.
use serde_json::{Value, json};

use crate::peer::{end_session, peers};
use crate::support::{Session, World};

// Requirement: Ask 7, Beyond 9
#[test]
fn project_file_names_the_peer_and_renaming_keeps_it() {
    let world = World::new();
    let ada = world.session("ada");
    world.write(
        "srv/.claude-mesh.json",
        r#"{"name": "backend", "role": "API"}"#,
    );
    let srv = world.session("srv");
    assert_eq!(peers(&ada, json!({}))[0]["role"], "API");
    assert_eq!(srv.name(), "backend");
    end_session(srv);
    ada.call(
        "ask_peer",
        json!({ "to": "backend", "question": "which port?" }),
    );
    world.write("srv/.claude-mesh.json", r#"{"name": "core"}"#);
    let srv = world.session("srv");
    assert_eq!(srv.name(), "core");
    assert_eq!(srv.questions().len(), 1);
    let seen = &peers(&ada, json!({}))[0];
    assert_eq!(seen["aliases"], json!(["backend"]));
    let by_old_name = ada.start(
        "ask_peer",
        json!({ "to": "backend", "question": "still you?" }),
    );
    by_old_name.wait_for_progress("core: stored");
    let other = world.session("elsewhere/backend");
    assert_eq!(
        other.name(),
        "backend.elsewhere",
        "an old name is never given to another peer"
    );
}

#[test]
fn same_named_projects_are_distinguished_by_parent_folder() {
    let world = World::new();
    let (first, second) = (world.session("one/api"), world.session("two/api"));
    assert_eq!(
        (first.name().as_str(), second.name().as_str()),
        ("api", "api.two")
    );
    end_session(first);
    end_session(second);
    let second = world.session("two/api");
    assert_eq!(
        second.name(),
        "api.two",
        "the name is kept while the other session is absent"
    );
}

// Requirement: Sharing 1, Beyond 9
#[test]
fn worktree_has_a_separate_peer() {
    let world = World::new();
    let git = |arguments: &[&str]| {
        let ran = world
            .command("git", &world.project("shop"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
    };
    git(&["init", "-q", "-b", "main"]);
    git(&[
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "first",
    ]);
    git(&["worktree", "add", "-q", "-b", "fix", "../hotfix"]);
    let (main, hotfix) = (world.session("shop"), world.session("hotfix"));
    assert_eq!(
        (main.name().as_str(), hotfix.name().as_str()),
        ("shop", "shop.hotfix")
    );
    world.session("other").call("register", json!({}));
    let in_repo = peers(&main, json!({ "scope": "repo" }));
    assert_eq!(in_repo.len(), 1);
    assert_eq!(
        (&in_repo[0]["peer"], &in_repo[0]["git_branch"]),
        (&json!("shop.hotfix"), &json!("fix"))
    );
}

// Requirement: Peers 7
#[test]
fn moved_project_keeps_its_peer_state_tasks_and_memories() {
    let world = World::new();
    let ada = world.session("ada");
    let api = world.session("old/api");
    for namespace in ["default", "build"] {
        api.call(
            "state",
            json!({ "action": "set", "key": "k", "value": namespace, "namespace": namespace }),
        );
    }
    api.call("create_task", json!({ "title": "add a health check" }));
    api.call(
        "remember",
        json!({ "text": "the seals are rotated", "key": "seals" }),
    );
    end_session(api);
    ada.call(
        "ask_peer",
        json!({ "to": "api", "question": "which port?" }),
    );
    std::fs::create_dir(world.home().join("new")).unwrap();
    std::fs::rename(world.home().join("old/api"), world.home().join("new/api")).unwrap();
    let moved = world.session("new/api");
    assert_eq!(moved.name(), "api");
    for namespace in ["default", "build"] {
        let get = json!({ "action": "get", "key": "k", "namespace": namespace });
        assert_eq!(moved.call("state", get)["value"], namespace);
    }
    let tasks = moved.call("list_tasks", json!({}));
    assert_eq!(tasks["tasks"][0]["title"], "add a health check", "{tasks}");
    // Twice: later memories are stored beside it.
    moved.call("remember", json!({ "text": "seals again" }));
    let found = moved.call("recall", json!({ "query": "seal", "scope": "project" }));
    assert_eq!(found["memories"].as_array().unwrap().len(), 2, "{found}");
    assert_eq!(moved.questions().len(), 1);
}

#[test]
fn client_session_name_is_an_alias_while_it_is_set() {
    let world = World::new();
    let ada = world.session("ada");
    let register = |session: &Session, name: &str| {
        let path = world
            .home()
            .join(format!(".claude/sessions/{}.json", session.pid()));
        session.register("idle");
        let mut entry: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        (entry["name"], entry["nameSource"]) = (name.into(), "user".into());
        std::fs::write(path, entry.to_string()).unwrap();
    };
    let (api, web) = (
        world.bare_session("api", &[]),
        world.bare_session("web", &[]),
    );
    register(&api, "Blue");
    api.discover();
    api.call("mesh_status", json!({}));
    let ask = ada.start("ask_peer", json!({ "to": "blue", "question": "you?" }));
    ask.wait_for_progress("api: stored");
    register(&web, "blue");
    web.discover();
    web.call("mesh_status", json!({}));
    let refused = ada.call("ask_peer", json!({ "to": "blue", "question": "you two?" }));
    assert_eq!(refused["error"]["code"], "ambiguous_peer");
    assert!(
        refused["error"]["message"]
            .as_str()
            .unwrap()
            .contains("api, web"),
        "{refused}"
    );
}

// Requirement: Peers 2
#[test]
fn unique_peer_id_prefix_names_its_peer() {
    let world = World::new();
    let ada = world.session("ada");
    let bo = world.session("bo");
    let id = bo.call("register", json!({}))["you"]["peer_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let ask = ada.start("ask_peer", json!({ "to": id[..25], "question": "you?" }));
    ask.wait_for_progress("bo: stored");
    let refused = ada.call("ask_peer", json!({ "to": id[..6], "question": "who?" }));
    assert_eq!(refused["error"]["code"], "ambiguous_peer");
}

#[test]
fn folders_of_any_script_get_ascii_peer_names() {
    let world = World::new();
    for (folder, name) in [
        ("数据", "shu-ju"),
        ("登录", "deng-lu"),
        ("Über", "uber"),
        ("a/…", "project"),
    ] {
        assert_eq!(world.session(folder).name(), name);
    }
    // A file without a name keeps the name of the folder.
    for text in ["", " ", "*"] {
        world.write(
            "shop/.claude-mesh.json",
            &json!({ "name": text, "role": "sells" }).to_string(),
        );
        let shop = world.session("shop");
        assert_eq!(shop.name(), "shop", "{text:?}");
        shop.kill();
    }
}

#[test]
fn chosen_name_without_a_letter_is_refused_without_an_alias() {
    let world = World::new();
    let ada = world.session("ada");
    for name in ["", "*", " - ", "…"] {
        let error = ada.call("register", json!({ "name": name }))["error"].clone();
        assert_eq!(error["code"], "invalid_argument", "{name:?}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.starts_with("\"name\" needs a letter or a digit, got ")
                && message.contains("a-z, 0-9"),
            "{message}"
        );
    }
    let you = ada.call("register", json!({ "name": "ünï" }))["you"].clone();
    assert_eq!(
        (&you["peer"], &you["aliases"]),
        (&json!("uni"), &json!(["ada"]))
    );
}

#[test]
fn peer_keeps_a_name_from_the_earlier_ascii_only_rule() {
    let world = World::new();
    world.session("Über").kill();
    let rows = world.rows();
    rows.execute_batch("UPDATE peer SET name = 'ber', wanted = 'ber' WHERE name = 'uber'")
        .unwrap();
    let (first, second) = (world.session("Über"), world.session("Über"));
    assert_eq!(
        (first.name(), second.name()),
        ("ber".into(), "ber-2".into())
    );
    for session in [first, second] {
        session.kill();
    }
    std::fs::create_dir(world.home().join("new")).unwrap();
    std::fs::rename(world.home().join("Über"), world.home().join("new/Über")).unwrap();
    assert_eq!(
        world.session("new/Über").name(),
        "ber",
        "a moved folder keeps the peer"
    );
}
