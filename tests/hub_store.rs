//! Hubs whose mesh is on a PostgreSQL server: several serve it together, and it outlives each of them.
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use claude_mesh::model::access_key::KeyScope;

use crate::support::{Hub, OtherHost, PostgresServer, World, print_to_stderr, wait_until};

/// Returns the URL of a schema for one test; `None`, loudly, without a server.
fn schema(name: &str) -> Option<String> {
    let Ok(server) = std::env::var("CLAUDE_MESH_TEST_POSTGRES") else {
        print_to_stderr("SKIPPED: CLAUDE_MESH_TEST_POSTGRES names no server");
        return None;
    };
    Some(format!("{server}?schema={name}_{}", std::process::id()))
}

#[test]
fn sessions_at_two_hubs_of_one_mesh_ask_each_other() {
    let Some(store) = schema("two_hubs") else {
        return;
    };
    let (one, two) = (World::new(), World::new());
    let (hub_one, hub_two) = (Hub::start_on(&one, &store), Hub::start_on(&two, &store));
    let (laptop, desk) = (
        OtherHost::new(&hub_one, "laptop"),
        OtherHost::new(&hub_two, "desk"),
    );
    let (web, api) = (laptop.join("/code/web", 10), desk.join("/code/api", 10));
    std::thread::scope(|scope| {
        let question = json!({ "to": "api", "question": "which port?" });
        let asked = scope.spawn(|| web.call("ask_peer", question));
        let id = api.next_question();
        let replied = api.call(
            "reply_to_peer",
            json!({ "question_id": id, "answer": "5433" }),
        );
        assert_eq!(replied["asker_waiting"], true, "{replied}");
        assert_eq!(asked.join().unwrap()["answer"], "5433");
    });
    let port = json!({ "resource": "port:1" });
    assert_eq!(web.call("claim", port.clone())["status"], "granted");
    assert_eq!(api.call("claim", port)["status"], "denied");
}

#[test]
fn session_goes_on_at_another_hub_with_its_claim() {
    let Some(store) = schema("next_hub") else {
        return;
    };
    let (one, two) = (World::new(), World::new());
    let hub_one = Hub::start_on(&one, &store);
    let hub_two = Hub::start_on(&two, &store);
    let laptop = OtherHost::new(&hub_one, "laptop");
    let web = laptop.join("/code/web", 10);
    assert_eq!(
        web.call("claim", json!({ "resource": "port:1" }))["status"],
        "granted"
    );
    let (id, key) = (web.id.clone(), laptop.key.clone());
    hub_one.kill();
    let laptop = OtherHost::with_key(&hub_two, key);
    let web = laptop.join("/code/web", 10);
    assert_eq!(web.id, id, "the same session");
    let desk = OtherHost::new(&hub_two, "desk");
    let api = desk.join("/code/api", 10);
    assert_eq!(
        api.call("claim", json!({ "resource": "port:1" }))["status"],
        "denied"
    );
    let claims = web.call("claims", json!({ "resource": "port:1" }));
    assert_eq!(claims["claims"][0]["holders"][0]["peer"], "web", "{claims}");
}

#[test]
fn revoked_key_is_refused_by_every_hub_within_seconds() {
    let Some(store) = schema("revoked") else {
        return;
    };
    let (one, two) = (World::new(), World::new());
    let (hub_one, hub_two) = (Hub::start_on(&one, &store), Hub::start_on(&two, &store));
    let laptop = OtherHost::new(&hub_one, "laptop");
    let at_two = OtherHost::with_key(&hub_two, laptop.key.clone());
    assert_eq!(at_two.send("/v1/remote", None, &[]).0, 200);
    let revoked = one.cli(&one.home(), &["key", "revoke", "laptop", "--store", &store]);
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    for host in [&laptop, &at_two] {
        wait_until("the key is refused", || {
            host.send("/v1/remote", None, &[]).0 == 401
        });
    }
}

/// A store that cannot be used is refused with what is wrong; the password is in no message.
#[test]
fn unusable_store_is_refused_with_the_reason() {
    let world = World::new();
    let password = "postgres://mesh:secret@127.0.0.1/mesh";
    for (url, expected) in [
        ("mysql://h/d", "postgres://"),
        (password, "password"),
        (
            "postgres://mesh@127.0.0.1:1/mesh?sslmode=disable",
            "127.0.0.1",
        ),
    ] {
        let output = world.cli(
            &world.home(),
            &["serve", "--addr", "127.0.0.1:0", "--store", url],
        );
        assert_ne!(output.code, Some(0), "{url}");
        let said = format!("{}{}", output.out, output.err);
        assert!(said.contains(expected), "{url}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
}

/// The first hub forgets the session after its own lease of two minutes, and must not end it.
#[test]
fn session_that_moved_to_another_hub_keeps_its_claims() {
    const LONGER_THAN_THE_LEASE: Duration = Duration::from_secs(135);
    let Some(store) = schema("moved") else {
        return;
    };
    let (one, two) = (World::new(), World::new());
    let (hub_one, hub_two) = (Hub::start_on(&one, &store), Hub::start_on(&two, &store));
    let laptop = OtherHost::new(&hub_one, "laptop");
    let id = laptop.join("/code/web", 10).id;
    let laptop = OtherHost::with_key(&hub_two, laptop.key);
    let web = laptop.join("/code/web", 10);
    let claim = json!({ "resource": "port:1", "lease_seconds": 600 });
    assert_eq!(web.call("claim", claim)["status"], "granted");
    let stream = web.open_stream();
    std::thread::sleep(LONGER_THAN_THE_LEASE);
    assert_eq!(laptop.join("/code/web", 10).id, id, "the same session");
    let claims = web.call("claims", json!({ "resource": "port:1" }));
    assert_eq!(claims["claims"][0]["holders"][0]["peer"], "web", "{claims}");
    drop(stream);
}

/// Returns the URL with another user and without a schema.
fn url_of(server: &str, user: &str) -> String {
    server.replace("mesh@", &format!("{user}@"))
}

/// Writes a file of passwords for the role `locked`.
fn write_pass_file(world: &World, name: &str, password: &str) -> std::path::PathBuf {
    let path = world.write(name, &format!("*:*:mesh:locked:{password}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Runs `claude-mesh` with the passwords of a file. Returns all that it has printed.
#[track_caller]
fn refusal_of(world: &World, command: &[&str], pass_file: &Path) -> String {
    let output = world
        .command(crate::support::program("claude-mesh"), &world.home())
        .args(command)
        .env("PGPASSFILE", pass_file)
        .output()
        .unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let said = format!("{out}{err}");
    assert!(!output.status.success(), "{command:?}: {said}");
    said
}

#[test]
fn every_command_says_why_a_server_cannot_be_used() {
    let Some(schema) = schema("refused") else {
        return;
    };
    let (server, name) = schema.split_once("?schema=").unwrap();
    let url = server.to_owned();
    let admin = PostgresServer { url }.admin();
    let (newer, foreign) = (format!("{name}_newer"), format!("{name}_foreign"));
    let world = World::new();
    let of_newer = format!("{server}?schema={newer}");
    let listed = world.cli(&world.home(), &["key", "list", "--store", &of_newer]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    admin.execute(&format!(
        "UPDATE {newer}.meta SET value = '99' WHERE key = 'min_reader';
         CREATE SCHEMA {foreign}; CREATE TABLE {foreign}.invoice (id INT)"
    ));
    let pass_file = write_pass_file(&world, "pgpass", "hunter2");
    let of_user = |user| format!("{}?schema={name}", url_of(server, user));
    let cases = [
        (of_user("reader"), "right|may not"),
        (of_newer, "knows up to"),
        (format!("{server}?schema={foreign}"), "another program"),
        (of_user("locked"), "PGPASSFILE"),
        (format!("{server}?schema=Team"), "lowercase"),
        ("db.example/mesh".to_owned(), "postgres://"),
    ];
    world.cli(&world.home(), &["state", "set", "a", "1"]);
    for (url, expected) in &cases {
        for command in [
            vec!["serve", "--addr", "127.0.0.1:0", "--store", url],
            vec!["key", "list", "--store", url],
            vec!["doctor", "--store", url],
            vec!["move", "--to", url],
        ] {
            let said = refusal_of(&world, &command, &pass_file);
            let is_said = expected.split('|').any(|words| said.contains(words));
            assert!(is_said, "{command:?}: {said}");
            let has_hint = said.contains("hint") || command[0] == "doctor";
            assert!(has_hint && !said.contains("hunter2"), "{command:?}: {said}");
        }
    }
    let created =
        format!("SELECT count(*) FROM pg_tables WHERE schemaname IN ('{name}', '{foreign}')");
    assert_eq!(admin.text(&created), "1", "nothing was created");
    admin.execute(&format!(
        "SET client_min_messages TO warning; DROP SCHEMA {newer} CASCADE; DROP SCHEMA {foreign} CASCADE"
    ));
}

#[test]
fn mesh_in_a_file_and_mesh_on_a_server_exclude_each_other() {
    let world = World::new();
    for command in [
        vec!["key", "list", "--mesh", "team"],
        vec!["key", "--mesh", "team", "list"],
        vec!["backup", "copy.db", "--mesh", "team"],
    ] {
        let store = ["--store", "postgres://mesh@127.0.0.1:1/mesh"];
        let ran = world.cli(&world.home(), &[command.as_slice(), &store].concat());
        assert!(matches!(ran.code, Some(1 | 2)), "{command:?}: {ran:?}");
        assert!(ran.err.contains("cannot be used with"), "{ran:?}");
    }
}

/// Returns what a hub says of itself to programs of its user.
fn hub_record(home: &Path) -> Value {
    let text = std::fs::read(home.join(".claude-mesh/hub.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn hubs_of_one_mesh_have_local_keys_of_their_own() {
    let Some(store) = schema("local_keys") else {
        return;
    };
    let (one, two) = (World::new(), World::new());
    let hub_one = Hub::start_on(&one, &store);
    let key_of = |world: &World| {
        let record = hub_record(&world.home());
        record["key"].as_str().unwrap().to_owned()
    };
    let first = key_of(&one);
    let hub_two = Hub::start_on(&two, &store);
    let second = key_of(&two);
    let status = |hub: &Hub, key: &str| hub.get("/v1/status", key).0;
    assert_eq!(status(&hub_one, &first), 200);
    assert_eq!(status(&hub_two, &second), 200);
    hub_two.kill();
    let hub_two = Hub::start_on(&two, &store);
    let third = key_of(&two);
    assert_eq!(status(&hub_one, &first), 200);
    assert_eq!(status(&hub_one, &second), 401, "its hub was killed");
    assert_eq!(status(&hub_one, &third), 200);
    assert!(hub_two.terminate());
    wait_until("the key of the hub that has ended is refused", || {
        status(&hub_one, &third) == 401
    });
    assert_eq!(status(&hub_one, &first), 200);
}

#[test]
fn status_of_a_hub_names_the_server_without_its_user() {
    let Some(store) = schema("status") else {
        return;
    };
    let world = World::new();
    let hub = Hub::start_on(&world, &store);
    let (status, body) = hub.get("/v1/status", &hub.key("ada", KeyScope::Read));
    assert_eq!(
        (status, &body["engine"]),
        (200, &json!("postgres")),
        "{body}"
    );
    let shown = store.replace("mesh@", "");
    assert_eq!(body["path"], shown, "{body}");
}

#[test]
fn board_signs_in_at_the_mesh_of_a_hub_on_a_server() {
    let Some(store) = schema("board") else {
        return;
    };
    let (server, name) = store.split_once("?schema=").unwrap();
    let admin = PostgresServer {
        url: server.to_owned(),
    };
    let admin = admin.admin();
    admin.execute(&format!("CREATE SCHEMA {name} AUTHORIZATION locked"));
    let world = World::new();
    let pass_file = write_pass_file(&world, "passwords", "correct");
    let mut command = world.command(crate::support::program("claude-mesh"), &world.home());
    command.env("PGPASSFILE", &pass_file);
    let url = format!("{}?schema={name}", url_of(server, "locked"));
    let hub = Hub::spawn(command, world.home(), &["--store", &url]);
    assert!(!hub_record(&world.home()).to_string().contains("correct"));
    let printed = world.cli(&world.home(), &["board", "--print", "--json"]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let link = printed.json()["url"].as_str().unwrap().to_owned();
    let (_, token) = link.split_once("#token=").unwrap();
    let sign_in = hub.request("POST", "/v1/board/sign-in");
    let (status, body) = sign_in.json(&json!({ "token": token })).parts();
    assert_eq!(status, 200, "{body}");
    let key = body["key"].as_str().unwrap();
    assert_eq!(hub.get("/v1/board/status", key).0, 200);
    assert!(!world.database().exists(), "no mesh in a file is made");
    drop(hub);
    admin.execute(&format!(
        "SET client_min_messages TO warning; DROP SCHEMA {name} CASCADE"
    ));
}
