//! How a hub starts, is found, and ends: its port, its socket, `hub.json`, signals, crashes, the board command.
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Hub, World, start_command, wait_until};

/// What `hub.json` says.
fn record(world: &World) -> Value {
    let content = std::fs::read(world.home().join(".claude-mesh/hub.json")).unwrap();
    serde_json::from_slice(&content).unwrap()
}

fn socket(world: &World) -> PathBuf {
    world.home().join(".claude-mesh/hub.sock")
}

/// Sends a request to the socket of the hub. Returns the response as text; `None` if nobody answers.
fn ask_socket(world: &World, path: &str, key: &str) -> Option<String> {
    let mut stream = UnixStream::connect(socket(world)).ok()?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    write!(stream, "{head}Authorization: Bearer {key}\r\n\r\n").ok()?;
    let mut response = String::new();
    stream.read_to_string(&mut response).ok()?;
    Some(response)
}

/// Runs a command that must be refused. Returns its message.
#[track_caller]
fn refusal(world: &World, arguments: &[&str]) -> String {
    let output = world.cli(&world.home(), &[arguments, &["--json"]].concat());
    assert_eq!(output.code, Some(1), "{output:?}");
    output.json()["error"]["message"].as_str().unwrap().into()
}

#[test]
fn port_in_use_is_refused_with_its_owner() {
    let world = World::new();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap().to_string();
    let message = refusal(&world, &["serve", "--addr", &address]);
    assert!(message.contains(&address), "{message}");
    if cfg!(target_os = "linux") {
        let owner = format!("it is process {}", std::process::id());
        assert!(message.contains(&owner), "{message}");
    }
    assert!(!world.home().join(".claude-mesh/hub.json").exists());
}

#[test]
fn second_hub_of_a_folder_is_refused() {
    let world = World::new();
    let hub = Hub::start(&world);
    let message = refusal(&world, &["serve", "--addr", "127.0.0.1:0"]);
    assert_eq!(message, format!("a hub runs already at {}", hub.url()));
    assert!(ask_socket(&world, "/health", "").unwrap().contains(" 200 "));
    assert_eq!(record(&world)["pid"], hub.pid());
}

#[test]
fn exposed_address_needs_tls_or_an_option() {
    let world = World::new();
    let message = refusal(&world, &["serve", "--addr", "0.0.0.0:0"]);
    assert!(message.contains("other machines"), "{message}");
    let hub = Hub::start_with(&world, &["--insecure-http"]);
    assert!(hub.terminate());
}

#[test]
fn record_and_socket_serve_programs_of_the_user() {
    let world = World::new();
    let hub = Hub::start(&world);
    let record = record(&world);
    assert_eq!(record["url"], hub.url());
    let key = record["key"].as_str().unwrap();
    for file in ["hub.json", "hub.sock"] {
        let metadata = world.home().join(".claude-mesh").join(file).metadata();
        let mode = metadata.unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let response = ask_socket(&world, "/v1/status", key).unwrap();
    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    let count = "SELECT count(*) FROM peer WHERE name = 'http-local'";
    let peers: i64 = world.rows().query_row(count, [], |row| row.get(0)).unwrap();
    assert_eq!(peers, 1);
    assert!(hub.terminate());
    assert!(!world.home().join(".claude-mesh/hub.json").exists());
    assert!(!socket(&world).exists());
    let hub = Hub::start(&world);
    assert_eq!(hub.get("/v1/status", key).0, 401, "its key ended with it");
}

#[test]
fn hub_starts_again_after_it_was_killed() {
    let world = World::new();
    let hub = Hub::start(&world);
    let before = record(&world);
    hub.kill();
    assert!(socket(&world).exists() && ask_socket(&world, "/health", "").is_none());
    let hub = Hub::start(&world);
    assert!(ask_socket(&world, "/health", "").unwrap().contains(" 200 "));
    let old_key = before["key"].as_str().unwrap();
    assert_eq!(hub.get("/v1/status", old_key).0, 401);
    let key = record(&world)["key"].as_str().unwrap().to_owned();
    assert_eq!(hub.get("/v1/status", &key).0, 200);
}

#[test]
fn idle_hub_ends_by_itself() {
    let world = World::new();
    let mut hub = start_command(
        &world,
        &world.home(),
        &["serve", "--addr", "127.0.0.1:0", "--idle-exit", "1s"],
    );
    assert!(hub.wait().unwrap().success());
    assert!(!socket(&world).exists());
}

/// A hub that `claude-mesh board` has started. It is killed when this is dropped.
struct BackgroundHub(i32);

impl Drop for BackgroundHub {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_raw(self.0).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

fn post_token(url: &str, token: &str) -> (u16, Value) {
    let client: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let request = ureq::http::Request::post(format!("{url}/v1/board/sign-in"))
        .header("Content-Type", "application/json")
        .body(json!({ "token": token }).to_string())
        .unwrap();
    let mut response = client.run(request).unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_str(&text).unwrap())
}

#[test]
fn board_starts_a_hub_and_its_link_signs_in() {
    let world = World::new();
    let first = world.cli(&world.home(), &["board", "--json"]);
    assert_eq!(first.code, Some(0), "{first:?}");
    let pid = i32::try_from(record(&world)["pid"].as_i64().unwrap()).unwrap();
    let _hub = BackgroundHub(pid);
    let link = first.json()["url"].as_str().unwrap().to_owned();
    let (url, token) = link.split_once("/#token=").unwrap();
    let (status, body) = post_token(url, token);
    assert_eq!(status, 200, "{body}");
    assert!(body["key"].as_str().unwrap().starts_with("cmk_"), "{body}");
    let second = world.cli(&world.home(), &["board", "--print"]).out;
    assert!(second.starts_with(&format!("{url}/#token=")), "{second}");
    assert_eq!(record(&world)["pid"], pid, "it uses the hub that runs");
    let refused = post_token(url, token);
    assert_eq!(refused.0, 401, "{refused:?}");
}

#[test]
fn browser_gets_the_link_by_a_private_file() {
    let mut world = World::new();
    let hub = Hub::start(&world);
    let seen = world.home().join("seen");
    let script = format!(
        "#!/bin/sh\nstat -c %a \"$1\" > {seen}.new; echo \"$1\" >> {seen}.new; cat \"$1\" >> {seen}.new\nmv {seen}.new {seen}\n",
        seen = seen.display()
    );
    let browser = world.executable("browser", script.as_bytes());
    world.set("BROWSER", browser.to_str().unwrap());
    let opened = world.cli(&world.home(), &["board"]);
    assert_eq!(opened.code, Some(0), "{opened:?}");
    assert!(!opened.out.contains("token="), "{opened:?}");
    wait_until("the browser has opened the page", || seen.exists());
    let seen = std::fs::read_to_string(seen).unwrap();
    let (mode, rest) = seen.split_once('\n').unwrap();
    let (path, page) = rest.split_once('\n').unwrap();
    assert_eq!(mode, "600");
    let token = page.split("#token=").nth(1).unwrap();
    let token = token.split('"').next().unwrap();
    assert_eq!(post_token(hub.url(), token).0, 200);
    assert!(!PathBuf::from(path).exists(), "the link was used");
}

#[test]
fn squatted_port_gets_no_link() {
    let world = World::new();
    let hub = Hub::start(&world);
    let url = hub.url().to_owned();
    hub.kill();
    let squatter = TcpListener::bind(url.strip_prefix("http://").unwrap()).unwrap();
    squatter.set_nonblocking(true).unwrap();
    let output = world.cli(&world.home(), &["board", "--json"]);
    let pid = i32::try_from(record(&world)["pid"].as_i64().unwrap()).unwrap();
    let _hub = BackgroundHub(pid);
    let link = output.json()["url"].as_str().unwrap().to_owned();
    assert!(!link.starts_with(&format!("{url}/")), "{link}");
    let error = squatter.accept().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "nobody came");
}
