//! Serves the board page from the program itself: `/` and its files under `/assets/`, for browsers.
//!
//! The files are what `src/hub/page/` has, without a build step. They need no key and tell nothing of a mesh; the page reads
//! that with the key that it gets when it signs in.
use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::hub::api_error::ApiError;

/// One file of the page.
struct PageFile {
    name: &'static str,
    content: &'static [u8],
}

macro_rules! page_files {
    ($($name:literal),* $(,)?) => {
        [$(PageFile { name: $name, content: include_bytes!(concat!("page/", $name)) }),*]
    };
}

static FILES: [PageFile; 30] = page_files![
    "index.html",
    "style.css",
    "main.js",
    "actions.js",
    "api.js",
    "board.js",
    "claims_panel.js",
    "compose.js",
    "conversation_panel.js",
    "detail.js",
    "dom.js",
    "event_stream.js",
    "event_text.js",
    "events_panel.js",
    "glance_panel.js",
    "keyed_list.js",
    "keys.js",
    "live_time.js",
    "memory_panel.js",
    "mesh_data.js",
    "needs.js",
    "needs_panel.js",
    "notice.js",
    "prompt.js",
    "resource_name.js",
    "sessions_panel.js",
    "sign_in.js",
    "task_moves.js",
    "tasks_panel.js",
    "windowed_list.js",
];

/// One tag for all files: a page never runs with modules of two versions.
static ETAG: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for file in &FILES {
        hash.update(file.content);
    }
    let hash = hash.finalize();
    let number = hash[..8]
        .iter()
        .fold(0, |number: u64, byte| (number << 8) | u64::from(*byte));
    format!("\"{number:016x}\"")
});

/// Returns the routes of the page.
pub(super) fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(
            "/",
            get(|headers: HeaderMap| async move { file("index.html", &headers) }),
        )
        .route(
            "/assets/{file}",
            get(
                |Path(name): Path<String>, headers: HeaderMap| async move { file(&name, &headers) },
            ),
        )
}

fn file(name: &str, request: &HeaderMap) -> Response {
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        return ApiError::not_found(&format!("the page has no file {name:?}")).into_response();
    };
    let caching = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (
            header::ETAG,
            HeaderValue::from_str(&ETAG).expect("the tag is of hexadecimal digits"),
        ),
    ];
    let known = request.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == ETAG.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let content_type = HeaderValue::from_static(content_type(name));
    (
        caching,
        [(header::CONTENT_TYPE, content_type)],
        file.content,
    )
        .into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_file_of_the_page_is_served() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/hub/page");
        let in_folder: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            // Types are comments; no module loads them when the page runs.
            .filter(|name| name != "types.js")
            .collect();
        let served = FILES.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(in_folder, served);
    }

    #[test]
    fn page_has_no_markup_of_texts_and_no_inline_code() {
        for file in &FILES {
            let text = std::str::from_utf8(file.content).unwrap();
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "://cdn",
                " style=\"",
                " onclick=",
                "<script>",
                "<style",
            ] {
                assert!(!text.contains(forbidden), "{} has {forbidden}", file.name);
            }
        }
    }
}
