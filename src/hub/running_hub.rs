//! Asks whether a hub of this user runs: by its socket, which nobody else can have, so a program that has taken the port of a
//! hub is given nothing.
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::hub::hub_files::{StoreRecord, read_record, socket_path};

/// How long a hub may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// A hub that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningHub {
    /// Its URL for programs of this machine.
    pub url: String,
    /// The number of its process.
    pub pid: i32,
    /// Where its mesh is, if that is on a database server.
    pub store: Option<StoreRecord>,
}

/// Returns the hub that runs in this folder; `None` if none answers.
pub fn find_running_hub(mesh_home: &Path) -> Option<RunningHub> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let answer = async { tokio::time::timeout(ANSWER_TIMEOUT, is_healthy(mesh_home)).await };
    if runtime.block_on(answer) != Ok(Some(true)) {
        return None;
    }
    let record = read_record(mesh_home)?;
    Some(RunningHub {
        url: record.url,
        pid: record.pid,
        store: record.store,
    })
}

/// Asks for `GET /health`. Returns `None` if there is no answer.
async fn is_healthy(mesh_home: &Path) -> Option<bool> {
    let stream = UnixStream::connect(socket_path(mesh_home)).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    let request = Request::get("/health").header("host", "localhost");
    let response = sender.send_request(request.body(Body::empty()).ok()?).await;
    Some(response.ok()?.status().is_success())
}
