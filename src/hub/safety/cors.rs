//! Lets web pages of other servers call the hub, if the user has named them: by default none.
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, Method, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

use crate::hub::safety::Safety;

/// How long a browser may keep what a page may do.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Adds to the routes what the permitted origins need.
pub(in crate::hub) fn with_cors<S>(router: Router<S>, safety: &Safety) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    if safety.cors_origins.is_empty() {
        return router;
    }
    let headers = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        header::IF_MATCH,
        HeaderName::from_static("idempotency-key"),
        HeaderName::from_static("last-event-id"),
        HeaderName::from_static("mcp-protocol-version"),
    ];
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::list(safety.cors_origins.clone()))
        .allow_methods([
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers(headers)
        .expose_headers([header::ETAG, header::RETRY_AFTER])
        .max_age(MAX_AGE);
    router.layer(cors)
}
