//! Finds the caller of a request by its key, and refuses requests without a valid one.
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::hub::api_error::ApiError;
use crate::hub::caller::Caller;
use crate::hub::host_caller::HostCaller;
use crate::hub::hub_mesh::HubMesh;
use crate::hub::mesh_path::NamedMesh;
use crate::hub::state::Hub;
use crate::model::access_key::{AccessKey, KeyHolder, KeyProblem};

/// Adds the [`Caller`] to a request, as an extension.
pub(super) async fn authenticate(
    State(hub): State<Arc<Hub>>,
    mut request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (headers, extensions) = (request.headers(), request.extensions());
    let named = extensions.get::<NamedMesh>().cloned();
    let address = hub.safety().client_address(extensions, headers);
    let text = bearer(headers).ok_or_else(|| ApiError::unauthorized("the request has no key"))?;
    let found = match find_key(&hub, text).await? {
        Ok(found) => found,
        Err(problem) => {
            hub.safety().slow_down(address, &hub.now()).await?;
            return Err(ApiError::unauthorized(&problem.to_string()));
        }
    };
    if is_remote_route(request.uri().path()) {
        let caller = find_host(&hub, found, request.headers())?;
        request.extensions_mut().insert(caller);
    } else {
        let caller = find_caller(&hub, found, named).await?;
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

/// Returns whether a route is one for the sessions of other hosts, which needs the key of a host.
fn is_remote_route(path: &str) -> bool {
    path == "/v1/remote" || path.starts_with("/v1/remote/")
}

/// Returns the host of a key.
fn find_host(
    hub: &Hub,
    (key, mesh): (AccessKey, Arc<HubMesh>),
    headers: &HeaderMap,
) -> Result<HostCaller, ApiError> {
    hub.safety().host_rate.count(key.id)?;
    record_use(hub, &key, &mesh);
    HostCaller::new(hub, &mesh, &key, headers)?.ok_or_else(|| {
        let message = format!("the key is one of a {}, not of a host", key.holder.kind());
        let hint = "`claude-mesh key create --host NAME` makes the key of a host.";
        ApiError::forbidden(&message, hint)
    })
}

/// Returns who makes the requests of a key, in the mesh that the path names.
async fn find_caller(
    hub: &Hub,
    (key, own_mesh): (AccessKey, Arc<HubMesh>),
    named: Option<NamedMesh>,
) -> Result<Caller, ApiError> {
    hub.safety().key_rate.count(key.id)?;
    record_use(hub, &key, &own_mesh);
    let mesh = match named {
        None => own_mesh,
        Some(NamedMesh(name)) if name == own_mesh.location.name => own_mesh,
        Some(NamedMesh(name)) if key.holder == KeyHolder::Board => hub
            .mesh(&name)?
            .ok_or_else(|| ApiError::not_found(&format!("no mesh called {name:?}")))?,
        Some(_) => return Err(ApiError::not_found("the key belongs to another mesh")),
    };
    Caller::new(hub, mesh, key).await
}

/// Records that a key is used, at most once a minute. The request does not wait for it: the file may be locked.
fn record_use(hub: &Hub, key: &AccessKey, mesh: &Arc<HubMesh>) {
    if !hub.key_uses().is_due(key.id, hub.now().monotonic_ms) {
        return;
    }
    let (id, mesh) = (key.id, Arc::clone(mesh));
    tokio::spawn(async move {
        // The time of the last use is for people to look at; the next minute brings another.
        let _ = mesh.with_mesh(|mesh| mesh.touch_key(id)).await;
    });
}

/// Returns the key of this text and its mesh, or why it is refused. Most keys are of a mesh that is open; only for others
/// the walls are read.
async fn find_key(
    hub: &Hub,
    text: &str,
) -> Result<Result<(AccessKey, Arc<HubMesh>), KeyProblem>, ApiError> {
    let mut problem = KeyProblem::Unknown;
    let opened = hub.opened_meshes();
    if let Some(found) = find_key_in(&opened, text, &mut problem).await? {
        return Ok(Ok(found));
    }
    let mut others = hub.meshes()?;
    others.retain(|mesh| !opened.iter().any(|other| Arc::ptr_eq(mesh, other)));
    let found = find_key_in(&others, text, &mut problem).await?;
    Ok(found.ok_or(problem))
}

async fn find_key_in(
    meshes: &[Arc<HubMesh>],
    text: &str,
    problem: &mut KeyProblem,
) -> Result<Option<(AccessKey, Arc<HubMesh>)>, ApiError> {
    for mesh in meshes {
        match mesh.verify_key(text).await? {
            Ok(key) => return Ok(Some((key, Arc::clone(mesh)))),
            Err(KeyProblem::Unknown) => {}
            Err(other) => *problem = other,
        }
    }
    Ok(None)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}
