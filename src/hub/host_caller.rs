//! The caller of a request with the key of a host: it speaks for the sessions of that host, and for nothing else.
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use tokio::sync::watch;

use crate::hub::api_error::ApiError;
use crate::hub::hub_mesh::HubMesh;
use crate::hub::hub_session::CallerSession;
use crate::hub::remote_calls::RemoteCalls;
use crate::hub::state::Hub;
use crate::mesh::REMOTE_REVISION;
use crate::model::Refusal;
use crate::model::access_key::{AccessKey, KeyHolder, KeyScope};
use crate::platform::id::SessionId;

/// The header in which a program on another host says which revision of these routes it speaks.
const REVISION: &str = "claude-mesh-revision";

/// A host, by its key, and the mesh that the key is of.
#[derive(Clone)]
pub(super) struct HostCaller {
    key: AccessKey,
    host: Arc<str>,
    mesh: Arc<HubMesh>,
    stopping: watch::Receiver<bool>,
    calls: Arc<RemoteCalls>,
}

impl HostCaller {
    /// Returns the host of a key; `None` if it is not the key of a host. Refuses a program that is too old or too new.
    pub(super) fn new(
        hub: &Hub,
        mesh: &Arc<HubMesh>,
        key: &AccessKey,
        headers: &HeaderMap,
    ) -> Result<Option<Self>, ApiError> {
        let KeyHolder::Host(host) = &key.holder else {
            return Ok(None);
        };
        check_revision(headers)?;
        Ok(Some(Self {
            key: key.clone(),
            host: host.as_str().into(),
            mesh: Arc::clone(mesh),
            stopping: hub.stopping(),
            calls: Arc::clone(hub.remote_calls()),
        }))
    }

    pub(super) fn key(&self) -> &AccessKey {
        &self.key
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn mesh(&self) -> &Arc<HubMesh> {
        &self.mesh
    }

    /// Returns the calls of sessions on other hosts that run in this hub.
    pub(super) fn calls(&self) -> &RemoteCalls {
        &self.calls
    }

    /// Returns the flag that is set when the hub stops.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }

    /// Refuses a caller whose key has a lower scope.
    pub(super) fn require(&self, scope: KeyScope) -> Result<(), ApiError> {
        if self.key.scope >= scope {
            return Ok(());
        }
        let message = format!(
            "the key has the scope \"{}\"; this needs \"{scope}\"",
            self.key.scope
        );
        let hint =
            "`claude-mesh key create --host NAME --scope write` makes a key with that scope.";
        Err(ApiError::forbidden(&message, hint))
    }

    /// Returns a registered session of this host.
    pub(super) fn session(&self, id: SessionId) -> Result<CallerSession, ApiError> {
        self.mesh.find_remote(id, &self.host).ok_or_else(|| {
            ApiError::new(
                StatusCode::CONFLICT,
                "session_ended",
                "no session of this host with that id is registered at this hub",
                "Register it again, then repeat the request.",
            )
        })
    }
}

fn check_revision(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get(REVISION).and_then(|value| value.to_str().ok());
    let Some(given) = given.and_then(|text| text.parse::<u32>().ok()) else {
        let problem = format!("the header {REVISION} is missing; it is a number");
        return Err(Refusal::argument(problem).into());
    };
    // One revision back works.
    let side = match given {
        0 => Some("claude-mesh on that host is older than this hub; update it there"),
        given if given > REMOTE_REVISION => {
            Some("this hub is older than claude-mesh on that host; update the hub first")
        }
        given if given + 1 < REMOTE_REVISION => {
            Some("claude-mesh on that host is older than this hub; update it there")
        }
        _ => None,
    };
    side.map_or(Ok(()), |side| {
        let message = format!("revision {given} is not served here, but {REMOTE_REVISION}: {side}");
        Err(ApiError::new(
            StatusCode::CONFLICT,
            "revision",
            &message,
            "Update the older side; the versions of both are in `claude-mesh --version` and GET /health.",
        ))
    })
}
