//! `RemoteJoin`: what a program on another host gives to register its session, and what it gets.
use serde::{Deserialize, Serialize};

use crate::mesh::peer::join_request::JoinRequest;
use crate::mesh::remote_session::snapshot::StartFacts;
use crate::mesh::session::SessionHandle;
use crate::model::{PeerKind, Refusal, Result};
use crate::platform::id::SessionId;
use crate::platform::process::ProcessKey;
use crate::platform::project_facts::ProjectFacts;
use crate::store::ProcessLocation;

/// The revision of what a hub and a program on another host say to each other.
pub const REMOTE_REVISION: u32 = 1;
/// The code of the refusal of a hub that ends: what waits there is to be sent again.
pub const HUB_ENDING: &str = "hub_ending";
/// The longest text about the client, in bytes.
const TEXT_BYTES_MAX: usize = 1024;

/// A session on another host that registers. Pid, boot and pid namespace are those of its host.
#[expect(
    missing_docs,
    reason = "the fields are those of JoinRequest and ProcessLocation"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteJoin {
    pub boot: String,
    pub pid_namespace: String,
    pub pid: i32,
    pub started: i64,
    #[serde(default)]
    pub instance: u32,
    pub project: ProjectFacts,
    #[serde(default)]
    pub agent: Option<String>,
    #[serde(default)]
    pub client_session: Option<String>,
    #[serde(default)]
    pub given_name: Option<String>,
    /// Why no line can be posted to the inbox of its client; `None` if one can.
    #[serde(default)]
    pub inbox_problem: Option<String>,
    /// Whether it is a `claude -p` run.
    #[serde(default)]
    pub headless: bool,
    /// Whether it is a command of the person at its host.
    #[serde(default)]
    pub person: bool,
    /// Whether others can ask it; a headless run without a mailbox cannot be asked.
    #[serde(default = "default_has_mailbox")]
    pub has_mailbox: bool,
}

fn default_has_mailbox() -> bool {
    true
}

/// A registered session, as its host sees it.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteJoined {
    pub session: SessionId,
    /// The name of its peer.
    pub name: String,
    /// How long it lives after its last request, in milliseconds.
    pub lease_ms: i64,
    /// The number of the last verb that was carried out for it; the next one has one more.
    pub applied_verb: i64,
    /// What the text at the start of the session says.
    #[serde(default)]
    pub start: StartFacts,
}

impl RemoteJoin {
    /// Returns the request to register a session of that host; refuses one that is unusable.
    pub fn into_request(self, host: &str) -> Result<JoinRequest> {
        let texts = [
            ("boot", Some(&self.boot)),
            ("pid_namespace", Some(&self.pid_namespace)),
            ("agent", self.agent.as_ref()),
            ("client_session", self.client_session.as_ref()),
            ("given_name", self.given_name.as_ref()),
            ("inbox_problem", self.inbox_problem.as_ref()),
        ];
        for (name, text) in texts {
            if text.is_some_and(|text| text.len() > TEXT_BYTES_MAX || text.contains('\0')) {
                let problem = format!("\"{name}\" has at most {TEXT_BYTES_MAX} bytes");
                return Err(Refusal::argument(problem).into());
            }
        }
        let process = ProcessKey {
            pid: self.pid,
            started: self.started,
        };
        let project = self.project.into_project(host).map_err(Refusal::argument)?;
        let kind = match self {
            Self { person: true, .. } => PeerKind::Person,
            Self {
                has_mailbox: true, ..
            } => PeerKind::Session,
            _ => PeerKind::Run,
        };
        let mut request = JoinRequest::of(process, kind, Some(project));
        request.other_host = Some(ProcessLocation {
            host: host.to_owned(),
            boot: self.boot,
            pid_namespace: self.pid_namespace,
            process,
            instance: self.instance,
        });
        request.agent = self.agent;
        request.client_session = self.client_session;
        request.given_name = self.given_name;
        request.headless = self.headless;
        request.has_server = kind != PeerKind::Person;
        Ok(request.instance(self.instance))
    }
}

impl RemoteJoined {
    /// Returns what the program of a registered session gets.
    pub(in crate::mesh) fn of(handle: &SessionHandle, lease_ms: i64, applied_verb: i64) -> Self {
        Self {
            session: handle.session,
            name: handle.name.to_string(),
            lease_ms,
            applied_verb,
            start: StartFacts::default(),
        }
    }
}
