//! A running hub: the real program `claude-mesh serve` on a port that the system chose, and a small HTTP client.
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use claude_mesh::mesh::{KeyDraft, Mesh};
use claude_mesh::model::PeerName;
use claude_mesh::model::access_key::{KeyHolder, KeyScope};
use serde_json::{Value, json};
use ureq::http;

use super::hub_store::HubStore;
use super::{WAIT_TIMEOUT, World, program};

/// A hub of a world. It is killed when this is dropped.
pub(crate) struct Hub {
    process: Child,
    url: String,
    home: PathBuf,
    store: HubStore,
    client: ureq::Agent,
}

impl Hub {
    /// Starts a hub and waits until it accepts requests.
    #[track_caller]
    pub(crate) fn start(world: &World) -> Self {
        Self::start_with(world, &[])
    }

    /// Starts a hub with further arguments of `claude-mesh serve`.
    #[track_caller]
    pub(crate) fn start_with(world: &World, arguments: &[&str]) -> Self {
        let command = world.command(program("claude-mesh"), &world.home());
        Self::spawn(command, world.home(), arguments)
    }

    /// Starts a hub whose mesh is in a schema of a server.
    #[track_caller]
    pub(crate) fn start_on(world: &World, store: &str) -> Self {
        let command = world.command(program("claude-mesh"), &world.home());
        Self::spawn_with(
            command,
            world.home(),
            HubStore::Server(store.to_owned()),
            &[],
        )
    }

    /// Starts a hub by a command with the environment of any home.
    #[track_caller]
    pub(crate) fn spawn(command: Command, home: PathBuf, arguments: &[&str]) -> Self {
        let store = HubStore::of(&home);
        Self::spawn_with(command, home, store, arguments)
    }

    #[track_caller]
    fn spawn_with(
        mut command: Command,
        home: PathBuf,
        store: HubStore,
        arguments: &[&str],
    ) -> Self {
        let default: &[&str] = if arguments.contains(&"--addr") {
            &[]
        } else {
            &["--addr", "127.0.0.1:0"]
        };
        let log = std::fs::File::create(home.join("hub-stderr.log")).unwrap();
        let mut process = command
            .arg("serve")
            .args(store.arguments())
            // Tests ask again and again until something has happened.
            .args(["--json", "--rate", "1000000"])
            .args(default)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let stdout = process.stdout.as_mut().unwrap();
        let mut started = serde_json::Deserializer::from_reader(stdout).into_iter();
        let Some(Ok(Value::Object(started))) = started.next() else {
            let log = std::fs::read_to_string(home.join("hub-stderr.log"));
            panic!("the hub did not start: {log:?}")
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(2 * WAIT_TIMEOUT))
            .build();
        Self {
            process,
            url: started["url"].as_str().unwrap().to_owned(),
            store,
            home,
            client: config.into(),
        }
    }

    /// Returns the address, such as `http://127.0.0.1:40123`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.process.id()).unwrap()
    }

    /// Returns what the hub has written to stderr.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.join("hub-stderr.log")).unwrap()
    }

    /// Opens the default mesh in this process.
    pub(crate) fn mesh(&self) -> Mesh {
        self.store.open()
    }

    /// Returns the number of rows of a table of the default mesh.
    pub(crate) fn count_rows(&self, table: &str) -> i64 {
        self.store.count_rows(table)
    }

    /// Creates a key of a peer, whose project is the folder of its name. Returns its text.
    pub(crate) fn key(&self, peer: &str, scope: KeyScope) -> String {
        let holder = KeyHolder::Peer(PeerName::parse_chosen(peer).unwrap());
        self.key_of(holder, scope, peer)
    }

    /// Creates the keys of two peers that may write.
    pub(crate) fn ada_and_bo(&self) -> (String, String) {
        let key = |peer| self.key(peer, KeyScope::Write);
        (key("ada"), key("bo"))
    }

    /// Creates the key of a signed-in board.
    pub(crate) fn board_key(&self) -> String {
        self.key_of(KeyHolder::Board, KeyScope::Admin, "")
    }

    /// Creates a key. Returns its text.
    pub(crate) fn key_of(&self, holder: KeyHolder, scope: KeyScope, project: &str) -> String {
        let project = self.home.join(project);
        std::fs::create_dir_all(&project).unwrap();
        let draft = KeyDraft {
            holder,
            scope,
            project: Some(project.to_string_lossy().into_owned()),
            lifetime: None,
        };
        self.mesh().create_key(&draft).unwrap().0
    }

    /// Returns status and body.
    pub(crate) fn get(&self, path: &str, key: &str) -> (u16, Value) {
        self.request("GET", path).key(key).send().parts()
    }

    pub(crate) fn post(&self, path: &str, key: &str, body: Value) -> (u16, Value) {
        self.request("POST", path).key(key).json(&body).parts()
    }

    pub(crate) fn put(&self, path: &str, key: &str, body: Value) -> (u16, Value) {
        self.request("PUT", path).key(key).json(&body).parts()
    }

    pub(crate) fn patch(&self, path: &str, key: &str, body: Value) -> (u16, Value) {
        self.request("PATCH", path).key(key).json(&body).parts()
    }

    pub(crate) fn delete(&self, path: &str, key: &str) -> (u16, Value) {
        self.request("DELETE", path).key(key).send().parts()
    }

    /// Begins a request with headers of its own.
    pub(crate) fn request(&self, method: &str, path: &str) -> HubRequest<'_> {
        let uri = format!("{}{path}", self.url);
        HubRequest {
            hub: self,
            request: http::Request::builder().method(method).uri(uri),
        }
    }

    /// Sends the signal by which a supervisor ends the hub.
    pub(crate) fn signal_end(&self) {
        let pid = rustix::process::Pid::from_raw(self.pid()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }

    /// Ends the hub as a supervisor does, and waits until it has ended. Returns whether it reported success.
    pub(crate) fn terminate(mut self) -> bool {
        self.signal_end();
        self.process.wait().unwrap().success()
    }

    /// Kills the hub at once, while others still use it.
    pub(crate) fn kill_by_signal(&self) {
        let pid = rustix::process::Pid::from_raw(self.pid()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }

    /// Kills the hub at once.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A request that is not sent yet.
pub(crate) struct HubRequest<'a> {
    hub: &'a Hub,
    request: http::request::Builder,
}

impl HubRequest<'_> {
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("Authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Sends the request without a body.
    #[track_caller]
    pub(crate) fn send(self) -> HubResponse {
        let writes = self.request.method_ref().is_some_and(|it| !it.is_safe());
        // Otherwise the client announces a body of unknown length.
        let mut sent = self.request;
        if writes {
            sent = sent.header("Content-Length", "0");
        }
        let request = sent.body(()).unwrap();
        HubResponse::read(self.hub.client.run(request).unwrap())
    }

    /// Sends the request with a JSON body.
    #[track_caller]
    pub(crate) fn json(self, body: &Value) -> HubResponse {
        self.header("Content-Type", "application/json")
            .bytes(body.to_string().as_bytes())
    }

    /// Sends the request with a JSON body; `None` if the connection breaks.
    pub(crate) fn try_json(self, body: &Value) -> Option<HubResponse> {
        let request = self.request.header("Content-Type", "application/json");
        let request = request.body(body.to_string()).unwrap();
        self.hub.client.run(request).ok().map(HubResponse::read)
    }

    /// Sends the request with these bytes as its body, also if its method usually has none.
    #[track_caller]
    pub(crate) fn bytes(self, body: &[u8]) -> HubResponse {
        let request = self.request.body(body.to_vec()).unwrap();
        let request = self
            .hub
            .client
            .configure_request(request)
            .allow_non_standard_methods(true)
            .build();
        HubResponse::read(self.hub.client.run(request).unwrap())
    }
}

/// A response that was read to its end.
#[derive(Debug)]
pub(crate) struct HubResponse {
    pub(crate) status: u16,
    headers: http::HeaderMap,
    pub(crate) text: String,
}

impl HubResponse {
    fn read(mut response: http::Response<ureq::Body>) -> Self {
        Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.body_mut().read_to_string().unwrap(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Returns the body as JSON; a text that is none as a string.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| json!(self.text))
    }

    pub(crate) fn parts(&self) -> (u16, Value) {
        (self.status, self.json())
    }
}
