//! Takes the name of a mesh from the front of a path: `/team/v1/peers` is `/v1/peers` of the mesh `team`.
use axum::extract::Request;
use axum::http::Uri;

/// The first segments of paths that name no mesh.
const ROUTES: [&str; 9] = [
    "v1", "mcp", "tasks", "chat", "events", "status", "health", "assets", "",
];

/// The mesh that a path names.
#[derive(Debug, Clone)]
pub(super) struct NamedMesh(pub(super) String);

/// Removes the name of a mesh from the path of a request and keeps it as an extension of it.
pub(super) fn take_mesh_name(mut request: Request) -> Request {
    let path = request.uri().path();
    let Some((name, rest)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return request;
    };
    let route = rest.split('/').next().unwrap_or_default();
    if ROUTES.contains(&name) || !ROUTES.contains(&route) {
        return request;
    }
    let query = request.uri().query().map(|query| format!("?{query}"));
    let shorter = format!("/{rest}{}", query.unwrap_or_default());
    let name = name.to_owned();
    if let Ok(uri) = shorter.parse::<Uri>() {
        *request.uri_mut() = uri;
        request.extensions_mut().insert(NamedMesh(name));
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(uri: &str) -> (String, Option<String>) {
        let request = Request::builder()
            .uri(uri)
            .body(axum::body::Body::empty())
            .unwrap();
        let request = take_mesh_name(request);
        let name = request.extensions().get::<NamedMesh>();
        (request.uri().to_string(), name.map(|name| name.0.clone()))
    }

    #[test]
    fn mesh_name_is_taken_only_from_in_front_of_a_route() {
        let named = |uri: &str, name: &str| (uri.to_owned(), Some(name.to_owned()));
        assert_eq!(taken("/team/v1/peers?a=b"), named("/v1/peers?a=b", "team"));
        assert_eq!(taken("/team/tasks/1"), named("/tasks/1", "team"));
        assert_eq!(taken("/v1/tasks"), ("/v1/tasks".into(), None));
        assert_eq!(taken("/tasks/v1"), ("/tasks/v1".into(), None));
        assert_eq!(taken("/team/other"), ("/team/other".into(), None));
        assert_eq!(taken("/team/"), named("/", "team"));
    }
}
