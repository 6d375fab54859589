//! How a hub starts, is found, and ends: its port, its socket, `hub.json`, signals, crashes, the board command.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use claude_mesh::model::access_key::KeyScope;
use serde_json::{Value, json};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{Hub, WAIT_TIMEOUT, World, program, start_command, wait_until};

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
fn hub_with_a_certificate_speaks_tls_only() {
    let world = World::new();
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = world.write("hub.pem", &certified.cert.pem());
    let key = world.write("hub.key", &certified.signing_key.serialize_pem());
    let files = [certificate.to_str().unwrap(), key.to_str().unwrap()];
    let hub = Hub::start_with(&world, &["--tls-cert", files[0], "--tls-key", files[1]]);
    let address = hub.url().strip_prefix("https://").unwrap();
    let port = address.split(':').nth(1).unwrap();
    let request =
        format!("GET /health HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    let mut roots = RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    let _ = stream.read_to_string(&mut response);
    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");

    let mut plain = TcpStream::connect(address).unwrap();
    plain.write_all(request.as_bytes()).unwrap();
    let mut response = Vec::new();
    let _ = plain.read_to_end(&mut response);
    assert!(!String::from_utf8_lossy(&response).contains("HTTP/1.1"));
    assert!(hub.terminate());
    let swapped = ["serve", "--tls-cert", files[1], "--tls-key", files[0]];
    assert!(
        refusal(&world, &swapped).contains("hub.key"),
        "no certificate in it"
    );
}

// Requirement: Tasks 3
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

// Requirement: Tasks 2
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
fn log_of_a_hub_in_the_background_is_kept_small() {
    let world = World::new();
    let old = format!("{}\n", "x".repeat(1023)).repeat(1025);
    let log = world.write(".claude-mesh/hub.log", &old);
    let folder = log.parent().unwrap();
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).unwrap();
    let started = world.cli(&world.home(), &["board", "--print", "--json"]);
    assert_eq!(started.code, Some(0), "{started:?}");
    let record = record(&world);
    let _hub = BackgroundHub(i32::try_from(record["pid"].as_i64().unwrap()).unwrap());
    let url = format!("{}/v1/messages", record["url"].as_str().unwrap());
    let key = format!("Bearer {}", record["key"].as_str().unwrap());
    let request = ureq::post(&url).header("Authorization", &key);
    let request = request.header("Content-Type", "application/json");
    let posted = request.send(r#"{"to":"*","body":"hello"}"#).unwrap();
    assert_eq!(posted.status().as_u16(), 201);
    let content = || std::fs::read_to_string(&log).unwrap_or_default();
    wait_until("it is logged", || content().contains("POST /v1/messages"));
    assert!(content().len() < 1024, "{}", content());
    let kept = std::fs::read_to_string(folder.join("hub.log.1")).unwrap();
    assert!(kept.starts_with(&old), "nothing of the old file is lost");
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

fn signal(hub: &Hub, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(hub.pid()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Returns how many questions are stored.
fn questions(world: &World) -> usize {
    let count = "SELECT count(*) FROM question";
    let count: i64 = world.rows().query_row(count, [], |row| row.get(0)).unwrap();
    usize::try_from(count).unwrap()
}

#[test]
fn signal_ends_a_waiting_call_with_its_state() {
    let world = World::new();
    let hub = Hub::start(&world);
    let (ada, bo) = hub.ada_and_bo();
    hub.get("/v1/inbox", &bo);
    let (status, body) = std::thread::scope(|scope| {
        let question = json!({ "to": "bo", "question": "which port?" });
        let asked = scope.spawn(|| hub.post("/v1/questions?wait=600", &ada, question));
        wait_until("the question is stored", || questions(&world) == 1);
        signal(&hub, rustix::process::Signal::TERM);
        asked.join().unwrap()
    });
    assert!((200..300).contains(&status), "{status} {body}");
    assert_eq!(body["status"], "timed_out", "{body}");
    assert!(hub.terminate());
    let hub = Hub::start(&world);
    let path = format!("/v1/questions/{}", body["question_id"].as_str().unwrap());
    assert_eq!(hub.get(&path, &ada).1["state"], "open");
}

#[test]
fn answers_outlive_a_hub_killed_in_64_waits() {
    const WAITS: usize = 64;
    let world = World::new();
    let hub = Hub::start(&world);
    let bo = hub.key("bo", KeyScope::Write);
    hub.get("/v1/inbox", &bo);
    let keys: Vec<String> = (0..WAITS)
        .map(|number| hub.key(&format!("ada-{number}"), KeyScope::Write))
        .collect();
    let mut waiting: Vec<TcpStream> = keys.iter().map(|key| begin_to_ask(&hub, key)).collect();
    wait_until("all questions are stored", || questions(&world) == WAITS);
    hub.kill();
    for stream in &mut waiting {
        let mut response = Vec::new();
        // It ends without a response, and perhaps with an error.
        let _ = stream.read_to_end(&mut response);
        assert_eq!(String::from_utf8_lossy(&response), "");
    }
    let hub = Hub::start(&world);
    for key in &keys {
        let (_, list) = hub.get("/v1/questions", key);
        let id = list["questions"][0]["question_id"].as_str().unwrap();
        let path = format!("/v1/questions/{id}");
        let answer = json!({ "answer": format!("yes to {id}") });
        assert_eq!(hub.post(&format!("{path}/answer"), &bo, answer).0, 200);
        let (_, answered) = hub.get(&path, key);
        assert_eq!(answered["answer"], format!("yes to {id}"), "{answered}");
    }
}

/// Sends a question to bo and does not read the response.
fn begin_to_ask(hub: &Hub, key: &str) -> TcpStream {
    let address = hub.url().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
    let body = json!({ "to": "bo", "question": "may I?" }).to_string();
    write!(
        stream,
        "POST /v1/questions?wait=600 HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    stream
}

#[test]
fn replaced_database_is_used_by_a_running_hub() {
    let world = World::new();
    let hub = Hub::start(&world);
    let old = hub.key("ada", KeyScope::Write);
    assert_eq!(hub.get("/v1/status", &old).0, 200);
    for suffix in ["", "-wal", "-shm"] {
        let path = format!("{}{suffix}", world.database().display());
        std::fs::rename(&path, format!("{path}.old")).unwrap();
    }
    let new = hub.key("bo", KeyScope::Write);
    assert_eq!(hub.get("/v1/status", &new).0, 200);
    assert_eq!(hub.get("/v1/status", &old).0, 401);
    let message = json!({ "to": "*", "body": "hello" });
    assert_eq!(hub.post("/v1/messages", &new, message).0, 201);
}

// Requirement: Tasks 4
#[test]
fn service_is_installed_and_removed_with_systemctl() {
    let mut world = World::new();
    let calls = world.home().join("calls");
    let script = format!("#!/bin/sh\necho \"$*\" >> {}\n", calls.display());
    let systemctl = world.executable("bin/systemctl", script.as_bytes());
    let folder = systemctl.parent().unwrap().display();
    world.set("PATH", &format!("{folder}:/usr/bin:/bin"));
    let install = ["serve", "--install", "--addr", "127.0.0.1:4000", "--json"];
    let installed = world.cli(&world.home(), &install);
    assert_eq!(installed.code, Some(0), "{installed:?}");
    let unit = PathBuf::from(installed.json()["unit"].as_str().unwrap());
    let content = std::fs::read_to_string(&unit).unwrap();
    let start = format!(
        "ExecStart={} serve --addr=127.0.0.1:4000 --rate=100\n",
        program("claude-mesh")
    );
    assert!(content.contains(&start), "{content}");
    assert!(content.contains("\nRestart=on-failure\n"), "{content}");
    assert!(unit.ends_with(".config/systemd/user/claude-mesh-hub.service"));
    let removed = world.cli(&world.home(), &["serve", "--uninstall"]);
    assert_eq!(
        (removed.code, unit.exists()),
        (Some(0), false),
        "{removed:?}"
    );
    let calls = std::fs::read_to_string(calls).unwrap();
    let unit = "claude-mesh-hub.service";
    for expected in [
        format!("enable {unit}"),
        format!("restart {unit}"),
        format!("disable --now {unit}"),
    ] {
        assert!(calls.contains(&format!("--user {expected}\n")), "{calls}");
    }
    let again = world.cli(&world.home(), &["serve", "--uninstall"]);
    assert!(again.out.starts_with("nothing to do"), "{again:?}");
}

#[test]
fn install_without_systemd_changes_nothing() {
    let mut world = World::new();
    world.set("PATH", "/nowhere");
    let message = refusal(&world, &["serve", "--install"]);
    assert!(message.ends_with("there is no systemctl"), "{message}");
    assert!(!world.home().join(".config").exists());
}

#[test]
fn doctor_says_whether_a_hub_runs() {
    let world = World::new();
    let none = world.cli(&world.home(), &["doctor"]).out;
    assert!(none.contains("hub: none runs"), "{none}");
    let hub = Hub::start(&world);
    let found = world.cli(&world.home(), &["doctor"]).out;
    let expected = format!("hub: {} (process {})", hub.url(), hub.pid());
    assert!(found.contains(&expected), "{found}");
}
