//! Walls: what lies behind one does not exist for anybody else.
use serde_json::json;

use crate::world::World;

#[test]
fn a_wall_holds_against_a_thousand_attempts_to_list_ask_and_read_across_it() {
    let world = World::new();
    let home = world.home();
    world.project("clients");
    std::fs::create_dir_all(home.join(".claude-mesh")).unwrap();
    private(&home.join(".claude-mesh"), 0o700);
    let config = world.write(
        ".claude-mesh/config.json",
        r#"{"meshes": {"~/clients/acme/**": "acme"}}"#,
    );
    private(&config, 0o600);
    let inside = world.session("clients/acme/api");
    let inside_too = world.session("clients/acme/web");
    // What a repository commits cannot choose its mesh.
    world.write(
        "outside/.claude-mesh.json",
        r#"{"name": "outside", "mesh": "acme", "MESH_DB_PATH": "/x"}"#,
    );
    let outside = world.session("outside");
    let peer_id = inside.call("register", json!({}))["you"]["peer_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let ask = inside.start(
        "ask_peer",
        json!({ "to": "web", "question": "the secret plan?" }),
    );
    ask.wait_for_progress("web: stored");
    let question = inside_too.next_question();
    let mut refused = 0;
    for attempt in 0..125 {
        assert_eq!(
            outside.call("list_peers", json!({ "include_stale": true }))["peers"],
            json!([])
        );
        assert_eq!(
            outside.call("poll_inbox", json!({}))["questions"],
            json!([])
        );
        for (tool, arguments) in [
            (
                "ask_peer",
                json!({ "to": "api", "question": format!("{attempt}") }),
            ),
            (
                "ask_peer",
                json!({ "to": "web/any", "question": format!("{attempt}") }),
            ),
            (
                "ask_peer",
                json!({ "to": peer_id, "question": format!("{attempt}") }),
            ),
            ("await_reply", json!({ "question_id": question })),
            ("poll_inbox", json!({ "question_id": question })),
            (
                "reply_to_peer",
                json!({ "question_id": question, "answer": "forged" }),
            ),
        ] {
            let result = outside.call(tool, arguments);
            let code = result["error"]["code"].as_str().unwrap();
            assert!(
                ["unknown_peer", "not_found"].contains(&code),
                "{tool}: {result}"
            );
            assert!(!result.to_string().contains("secret plan"));
            refused += 1;
        }
    }
    assert_eq!(refused + 2 * 125, 1_000);
    inside_too.replies(&question, "kept");
    assert_eq!(ask.result()["answer"], "kept");
}

#[test]
fn mesh_db_path_beats_the_walls_and_the_env_file_counts_for_hooks_and_server_alike() {
    let mut world = World::new();
    let elsewhere = world.home().join("elsewhere/team.db");
    world.set("MESH_DB_PATH", elsewhere.to_str().unwrap());
    let ada = world.session("ada");
    let status = ada.call("mesh_status", json!({}));
    assert_eq!(status["path"], elsewhere.to_str().unwrap());
    assert!(elsewhere.exists() && !world.database().exists());
    assert!(
        world.home().join("elsewhere/team.db.d/sessions").exists(),
        "bells and locks follow the file"
    );
    world.environment.clear();
    let folder = world.home().join(".claude-mesh");
    let _ = std::fs::create_dir_all(&folder);
    private(&folder, 0o700);
    world.write(
        ".claude-mesh/.env",
        &format!("MESH_DB_PATH={}\n", elsewhere.display()),
    );
    let bo = world.session("bo");
    assert_eq!(bo.call("list_peers", json!({}))["peers"][0]["peer"], "ada");
}

fn private(path: &std::path::Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
