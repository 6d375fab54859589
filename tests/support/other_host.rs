//! A host whose sessions reach the mesh through a hub: the requests that its programs send.
use claude_mesh::model::access_key::{KeyHolder, KeyScope};
use serde_json::{Value, json};

use super::Hub;

/// A host, by its key.
pub(crate) struct OtherHost<'a> {
    hub: &'a Hub,
    pub(crate) key: String,
}

impl<'a> OtherHost<'a> {
    pub(crate) fn new(hub: &'a Hub, name: &str) -> Self {
        let holder = KeyHolder::Host(name.to_owned());
        Self {
            hub,
            key: hub.key_of(holder, KeyScope::Write, "keys"),
        }
    }

    /// Returns a host that has this key already.
    pub(crate) fn with_key(hub: &'a Hub, key: String) -> Self {
        Self { hub, key }
    }

    /// Sends a request; a body makes it a POST.
    pub(crate) fn send(
        &self,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let method = if body.is_some() { "POST" } else { "GET" };
        let mut request = self.hub.request(method, path).key(&self.key);
        if headers
            .iter()
            .all(|(name, _)| *name != "claude-mesh-revision")
        {
            request = request.header("claude-mesh-revision", "1");
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        match body {
            Some(body) => request.json(body),
            None => request.send(),
        }
        .parts()
    }

    /// Calls a tool for a session; `None` if the connection breaks.
    pub(crate) fn try_call(
        &self,
        session: &str,
        tool: &str,
        arguments: &Value,
        key: &str,
    ) -> Option<Value> {
        let path = format!("/v1/remote/sessions/{session}/tools/{tool}");
        let request = self.hub.request("POST", &path).key(&self.key);
        let request = request
            .header("claude-mesh-revision", "1")
            .header("idempotency-key", key);
        Some(request.try_json(&json!({ "arguments": arguments }))?.json())
    }

    /// Registers the session of a process in a folder of the host.
    pub(crate) fn join(&self, folder: &str, pid: i32) -> OtherHostSession<'_> {
        self.join_with(folder, pid, json!({}))
    }

    /// Registers a session with further facts of its project.
    pub(crate) fn join_with(&self, folder: &str, pid: i32, facts: Value) -> OtherHostSession<'_> {
        let name = folder.rsplit('/').next().unwrap();
        let mut project = json!({ "path": folder, "start": folder, "name": name });
        for (key, value) in facts.as_object().unwrap() {
            project[key] = value.clone();
        }
        let join = json!({
            "boot": "boot", "pid_namespace": "pid:[1]", "pid": pid, "started": 7, "project": project, "agent": "claude-code 2.1.329",
        });
        let (status, joined) = self.send("/v1/remote/sessions", Some(&join), &[]);
        assert_eq!(status, 200, "{joined}");
        OtherHostSession {
            host: self,
            id: joined["session"].as_str().unwrap().to_owned(),
            name: joined["name"].as_str().unwrap().to_owned(),
        }
    }
}

/// A registered session of such a host.
pub(crate) struct OtherHostSession<'a> {
    pub(crate) host: &'a OtherHost<'a>,
    pub(crate) id: String,
    pub(crate) name: String,
}

impl OtherHostSession<'_> {
    /// Calls a tool, under an idempotency key of its own; returns its result or its error object.
    pub(crate) fn call(&self, tool: &str, arguments: Value) -> Value {
        let key = format!("{tool}-{}", fastrand::u64(..));
        self.call_once(tool, arguments, &key).1
    }

    /// Calls a tool under an idempotency key. Returns status and body.
    pub(crate) fn call_once(&self, tool: &str, arguments: Value, key: &str) -> (u16, Value) {
        let path = format!("/v1/remote/sessions/{}/tools/{tool}", self.id);
        let body = json!({ "arguments": arguments });
        self.host
            .send(&path, Some(&body), &[("idempotency-key", key)])
    }

    /// Ends the session.
    pub(crate) fn leave(&self) {
        let path = format!("/v1/remote/sessions/{}?reason=closed", self.id);
        let left = self
            .host
            .hub
            .request("DELETE", &path)
            .key(&self.host.key)
            .header("claude-mesh-revision", "1")
            .send();
        assert_eq!(left.parts(), (200, json!({ "unregistered": true })));
    }

    /// Opens the stream of the session.
    pub(crate) fn open_stream(&self) -> super::EventStream {
        let path = format!("/v1/remote/sessions/{}/stream", self.id);
        let revision = [("claude-mesh-revision", "1".to_owned())];
        super::EventStream::request(self.host.hub, &path, &self.host.key, &revision)
    }

    /// Returns the id of the question that waits for it.
    pub(crate) fn next_question(&self) -> String {
        let mut found = None;
        super::wait_until("a question waits", || {
            let inbox = self.call("poll_inbox", json!({}));
            found = inbox["questions"][0]["question_id"]
                .as_str()
                .map(str::to_owned);
            found.is_some()
        });
        found.unwrap()
    }
}
