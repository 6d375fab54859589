//! Walls around a mesh at a hub: `wall FOLDER URL`, `join`, `leave`, and what other commands say there.
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use claude_mesh::model::access_key::{KeyHolder, KeyScope};
use serde_json::{Value, json};

use super::fixture::{CliFixture, finding};
use crate::support::{Hub, ProcessOutput, World, program, wait_until};

/// The text of a key that no hub knows.
const FOREIGN_KEY: &str =
    "cmk_01K00000000000000000000000_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A hub with a home of its own, and the key of a laptop.
struct HubOfTeam {
    hub: Hub,
    key: String,
    _world: World,
}

impl HubOfTeam {
    fn start() -> Self {
        Self::start_with(World::new(), &[])
    }

    fn start_with(world: World, arguments: &[&str]) -> Self {
        let hub = Hub::start_with(&world, arguments);
        let holder = KeyHolder::Host("laptop".into());
        let key = hub.key_of(holder, KeyScope::Write, "keys");
        Self {
            hub,
            key,
            _world: world,
        }
    }

    /// Returns the files of the hub on another machine: key and certificate.
    fn files(&self, world: &World) -> [PathBuf; 2] {
        let name = self
            .hub
            .url()
            .split_once("://")
            .unwrap()
            .1
            .replace(':', "_");
        let folder = world.home().join(".claude-mesh/keys");
        [format!("{name}.key"), format!("{name}.pem")].map(|name| folder.join(name))
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

/// Runs a command with this text on its stdin.
fn run_with_stdin(fixture: &CliFixture, arguments: &[&str], text: &str) -> ProcessOutput {
    let mut child = fixture
        .world
        .command(program("claude-mesh"), &fixture.folder)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    ProcessOutput::of(&child.wait_with_output().unwrap())
}

/// Returns whether nothing was stored for any hub.
fn is_untouched(world: &World) -> bool {
    let home = world.home().join(".claude-mesh");
    let keys = std::fs::read_dir(home.join("keys")).map_or(0, Iterator::count);
    keys == 0 && !home.join("config.json").exists()
}

#[test]
fn wall_with_a_url_stores_key_and_entry_until_it_is_removed() {
    let fixture = CliFixture::new();
    let team = HubOfTeam::start();
    let (url, world) = (team.hub.url(), &fixture.world);
    let [key_file, _] = team.files(world);
    let given = world.write("key.txt", &format!("  {}\n\n", team.key));
    let given = given.to_str().unwrap();
    let set = fixture.run_ok(&["wall", "../work", &format!("{url}/"), "--key-file", given]);
    let expected = format!("~/work and all below: the mesh at {url}\n");
    assert!(set.starts_with(&expected), "{set}");
    assert!(set.contains("this machine is laptop there"), "{set}");
    let stored = std::fs::read_to_string(&key_file).unwrap();
    assert_eq!(stored, format!("{}\n", team.key));
    assert_eq!(
        (mode(&key_file), mode(key_file.parent().unwrap())),
        (0o600, 0o700)
    );

    let walls = fixture.run(&["wall", "--json"]).json();
    let work = world.home().join("work");
    assert_eq!(walls["walls"], json!([{ "folder": work, "url": url }]));
    assert_eq!(walls["here"]["name"], "default");
    let inside = world.project("work/api");
    let here = world.cli(&inside, &["wall", "--json"]).json()["here"].clone();
    let authority = url.split_once("://").unwrap().1;
    let config = world.home().join(".claude-mesh/config.json");
    let decided_by = format!("{} for {}", config.display(), work.display());
    let expected = json!({ "name": authority, "url": url, "decided_by": decided_by });
    assert_eq!(here, expected);

    let other = fixture.run_ok(&["wall", "../play", url]);
    assert!(
        other.contains("~/play"),
        "the stored key is used again: {other}"
    );
    fixture.run_ok(&["wall", "../work", "default"]);
    assert!(key_file.exists(), "the other wall still uses it");
    let removed = fixture.run_ok(&["wall", "../play", "own"]);
    assert!(removed.contains(&format!("(it was {url})")), "{removed}");
    assert!(removed.contains("which nothing uses any more"), "{removed}");
    assert!(!key_file.exists());
}

#[test]
fn join_reads_the_key_from_stdin_and_leave_undoes_it() {
    let fixture = CliFixture::new();
    let team = HubOfTeam::start();
    let [key_file, _] = team.files(&fixture.world);
    let joined = run_with_stdin(&fixture, &["join", team.hub.url(), "--json"], &team.key);
    assert_eq!(joined.code, Some(0), "{joined:?}");
    let joined = joined.json();
    assert_eq!(joined["place"]["url"], team.hub.url());
    assert_eq!(joined["folder"], json!(fixture.world.home()));
    assert!(!joined.to_string().contains("cmk_"), "{joined}");
    let here = fixture.run(&["wall", "--json"]).json()["here"].clone();
    assert_eq!(here["url"], team.hub.url());
    let left = fixture.run_ok(&["leave"]);
    assert!(
        left.starts_with("~ and all below: mesh default (it was http"),
        "{left}"
    );
    assert!(!key_file.exists());
    assert_eq!(fixture.run_refused(&["leave"]).0, "not_found");
}

#[test]
fn unusable_url_key_or_certificate_changes_nothing() {
    let fixture = CliFixture::new();
    let team = HubOfTeam::start();
    let url = team.hub.url();
    let key = fixture.world.write("key.txt", &team.key);
    let foreign = fixture.world.write("foreign.txt", FOREIGN_KEY);
    let private = "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----\n";
    let private = fixture.world.write("private.pem", private);
    let [key, foreign, private] = [&key, &foreign, &private].map(|path| path.to_str().unwrap());
    let with_password = url.replace("http://", "http://ada:hunter2@");
    let cases: [(&str, &[&str], &str); 8] = [
        (url, &[], "stdin is not an access key"),
        (url, &["--key-file", private], "not an access key"),
        (url, &["--key-file", "/none"], "cannot read the key"),
        (url, &["--key-file", foreign], "nothing was changed"),
        (url, &["--certificate", private], "not a certificate"),
        (&with_password, &[], "user or a password"),
        ("http://mesh.example", &[], "--insecure-http"),
        ("ftp://mesh.example", &[], "begins with https://"),
    ];
    for (url, options, says) in cases {
        for command in [&["join"][..], &["wall", "../work"]] {
            let (code, said) = fixture.run_refused(&[command, &[url], options].concat());
            assert_eq!(code, "invalid_argument", "{said}");
            assert!(said.contains(says), "{said}");
            for secret in ["hunter2", "cmk_01K"] {
                assert!(!said.contains(secret), "{said}");
            }
        }
        assert!(is_untouched(&fixture.world), "{says}");
    }
    let silent = fixture.run_refused(&["join", "https://127.0.0.1:1", "--key-file", key]);
    assert_eq!(silent.0, "storage");
    assert!(
        silent.1.contains("127.0.0.1:1 cannot be reached"),
        "{silent:?}"
    );
    assert!(is_untouched(&fixture.world));
    let named = fixture.run_refused(&["wall", "../work", "acme", "--key-file", key]);
    assert!(named.1.contains("are for the URL of a hub"), "{named:?}");
}

#[test]
fn map_that_cannot_be_written_keeps_the_former_key() {
    let fixture = CliFixture::new();
    let team = HubOfTeam::start();
    let [key_file, _] = team.files(&fixture.world);
    let given = fixture.world.write("key.txt", &team.key);
    let join = [
        "join",
        team.hub.url(),
        "--key-file",
        given.to_str().unwrap(),
    ];
    let config = fixture.world.write(".claude-mesh/config.json", "{");
    let private = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    private(config.parent().unwrap(), 0o700);
    private(&config, 0o600);
    let (code, said) = fixture.run_refused(&join);
    assert_eq!(code, "storage", "{said}");
    assert!(!key_file.exists(), "the new key is removed");
    std::fs::write(&key_file, FOREIGN_KEY).unwrap();
    private(&key_file, 0o600);
    fixture.run_refused(&join);
    let kept = std::fs::read_to_string(&key_file).unwrap();
    assert_eq!(kept, FOREIGN_KEY, "the former key is put back");
}

#[test]
fn pinned_certificate_is_stored_and_any_other_is_refused() {
    let fixture = CliFixture::new();
    let home = World::new();
    let certified =
        [0, 1].map(|_| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap());
    let [own, other] = [0, 1].map(|at| certified[at].cert.pem());
    let certificate = home.write("hub.pem", &own);
    let private_key = home.write("hub.key", &certified[0].signing_key.serialize_pem());
    let arguments = [
        "--tls-cert",
        certificate.to_str().unwrap(),
        "--tls-key",
        private_key.to_str().unwrap(),
    ];
    let team = HubOfTeam::start_with(home, &arguments);
    let key = fixture.world.write("key.txt", &team.key);
    let other = fixture.world.write("other.pem", &other);
    let join = ["join", team.hub.url(), "--key-file", key.to_str().unwrap()];
    let [certificate, other] = [&certificate, &other].map(|path| path.to_str().unwrap());
    let with = |path| [&join[..], &["--certificate", path]].concat();
    let (_, said) = fixture.run_refused(&join);
    assert!(said.contains("certificate"), "{said}");
    let (_, said) = fixture.run_refused(&with(other));
    assert!(said.contains("certificate"), "{said}");
    assert!(is_untouched(&fixture.world));
    fixture.run_ok(&with(certificate));
    let [_, pinned] = team.files(&fixture.world);
    assert_eq!(std::fs::read_to_string(&pinned).unwrap(), own);
    fixture.run_ok(&join);
    assert!(pinned.exists(), "joining again keeps it");
    fixture.run_ok(&["leave"]);
    assert!(!pinned.exists());
}

#[test]
fn wall_names_the_servers_that_keep_their_former_mesh() {
    let fixture = CliFixture::new();
    let team = HubOfTeam::start();
    let world = &fixture.world;
    let _inside = world.session("work/api");
    let _outside = world.session("play");
    let key = world.write("key.txt", &team.key);
    let arguments = [
        "wall",
        "../work",
        team.hub.url(),
        "--key-file",
        key.to_str().unwrap(),
    ];
    let set = fixture.run(&[&arguments[..], &["--json"]].concat()).json();
    let running = set["running"].as_array().unwrap();
    assert_eq!(running.len(), 1, "{set}");
    assert_eq!(running[0]["program"], "claude-mesh-server");
    assert_eq!(running[0]["folder"], json!(world.home().join("work/api")));
    let again = fixture.run_ok(&arguments);
    assert!(
        !again.contains("former mesh"),
        "nothing has changed: {again}"
    );
    let back = fixture.run_ok(&["wall", "../work", "default"]);
    let says = "runs with its former mesh until it is restarted: claude-mesh-server (process ";
    assert!(back.contains(says), "{back}");
}

#[test]
fn status_says_which_hub_it_is_and_how_far_away() {
    let fixture = CliFixture::new();
    let team = HubOfTeam::start();
    run_with_stdin(&fixture, &["join", team.hub.url()], &team.key);
    let status: Value = serde_json::from_str(&fixture.run_ok(&["--json", "status"])).unwrap();
    assert_eq!(status["url"], team.hub.url());
    assert_eq!(
        (&status["mesh"], &status["host"]),
        (&json!("default"), &json!("laptop"))
    );
    assert!(status["round_trip_ms"].as_f64().unwrap() > 0.0, "{status}");
    let said = fixture.run_ok(&["status"]);
    assert!(
        said.contains("not here") && said.contains(team.hub.url()),
        "{said}"
    );
    let url = team.hub.url().to_owned();
    team.hub.kill();
    let (code, said) = fixture.run_refused(&["status"]);
    assert_eq!(code, "storage", "{said}");
    assert!(said.contains(&url), "{said}");
}

#[test]
fn commands_on_a_file_refuse_a_mesh_at_a_hub_and_name_it() {
    let fixture = CliFixture::new();
    let team = HubOfTeam::start();
    assert_eq!(
        run_with_stdin(&fixture, &["join", team.hub.url()], &team.key).code,
        Some(0)
    );
    for command in [
        vec!["log"],
        vec!["gc"],
        vec!["quiet", "1h"],
        vec!["key", "list"],
    ] {
        let (code, said) = fixture.run_refused(&command);
        assert_eq!(code, "unsupported", "{said}");
        assert!(said.contains(team.hub.url()), "{said}");
    }
    let keys = fixture.run_ok(&["key", "--mesh", "default", "list"]);
    assert!(keys.starts_with("no keys"), "{keys}");
    fixture.run_ok(&["install", "--dry-run"]);
    assert!(
        !fixture.database().exists(),
        "no file of a mesh was created"
    );
}

#[test]
fn doctor_checks_key_and_programs_for_a_mesh_at_a_hub() {
    let mut fixture = CliFixture::new();
    let team = HubOfTeam::start();
    let [key_file, _] = team.files(&fixture.world);
    assert_eq!(
        run_with_stdin(&fixture, &["join", team.hub.url()], &team.key).code,
        Some(0)
    );
    let found = fixture.run(&["doctor", "--json"]).json();
    let here = finding(&found, &format!("the mesh here is at {}", team.hub.url()));
    assert_eq!(here["severity"], "ok");
    assert_eq!(
        finding(&found, "key for the hub: ~/.claude-mesh/keys/")["severity"],
        "ok"
    );
    assert_eq!(finding(&found, "claude-mesh-remote 0.")["severity"], "ok");

    std::fs::set_permissions(&key_file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let old = b"#!/bin/sh\necho 'config.json cannot be used' >&2\nexit 1\n";
    fixture.world.executable("old/claude-mesh", old);
    fixture.world.executable("older/claude-mesh-server", old);
    let folder = |name: &str| fixture.world.home().join(name).display().to_string();
    let path = format!("{}:{}:/usr/bin:/bin", folder("old"), folder("older"));
    fixture.world.set("PATH", &path);
    let found = fixture.run(&["doctor", "--json"]).json();
    for text in [
        "others can read the key for the hub",
        "~/old/claude-mesh refuses the map of walls",
        "~/older/claude-mesh-server is older than hubs",
    ] {
        assert_eq!(finding(&found, text)["severity"], "problem", "{text}");
    }
    std::fs::remove_file(&key_file).unwrap();
    let found = fixture.run(&["doctor", "--json"]).json();
    assert_eq!(
        finding(&found, "there is no key for the hub")["severity"],
        "problem"
    );
}

#[test]
fn doctor_says_where_a_hub_is_set_without_effect() {
    let fixture = CliFixture::new();
    let setting = r#"{ "env": { "CLAUDE_MESH_URL": "https://mesh.example" } }"#;
    fixture.world.write("own/.claude/settings.json", setting);
    let found = fixture.run(&["doctor", "--json"]).json();
    let text = "CLAUDE_MESH_URL in ~/own/.claude/settings.json has no effect";
    assert_eq!(finding(&found, text)["severity"], "note");
    assert_eq!(finding(&found, "mesh default here")["severity"], "ok");
    let mut inside = CliFixture::new();
    inside.world.set("CLAUDE_MESH_URL", "https://mesh.example");
    inside.world.set("CLAUDECODE", "1");
    let found = inside.run(&["doctor", "--json"]).json();
    let text = "CLAUDE_MESH_URL in the environment of a session has no effect";
    assert_eq!(finding(&found, text)["severity"], "note");
    assert_eq!(
        inside.run(&["wall", "--json"]).json()["here"]["name"],
        "default"
    );
}

/// The command runs when its parents have ended, so that the tests may run below Claude Code.
#[test]
fn hub_of_the_environment_counts_outside_claude_code() {
    let mut fixture = CliFixture::new();
    fixture
        .world
        .set("CLAUDE_MESH_URL", "https://Mesh.example:443/");
    fixture.world.set("PROGRAM", program("claude-mesh"));
    let script = "above=$$; \
         (while kill -0 $above 2>/dev/null; do sleep 0.01; done; \
          \"$PROGRAM\" wall --json > part; mv part out) &";
    let status = fixture
        .world
        .command("/bin/sh", &fixture.folder)
        .args(["-c", script])
        .status();
    assert!(status.unwrap().success());
    let out = fixture.folder.join("out");
    wait_until("the command has ended", || out.exists());
    let printed: serde_json::Value = serde_json::from_slice(&std::fs::read(&out).unwrap()).unwrap();
    assert_eq!(printed["here"]["url"], "https://mesh.example");
    assert_eq!(
        printed["here"]["decided_by"],
        "CLAUDE_MESH_URL in the environment"
    );
}
