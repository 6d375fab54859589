//! Answers the mod of the session: what waits, and over a socket which tool calls are denied because of the claims of others.
//! Where the mesh is at a hub, no fork answers a question.
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::UnixListener;

use crate::hooks::HookMesh;
use crate::mcp;
use crate::platform::fault_log;
use crate::platform::session_socket::{SocketFile, guard_socket_path};
use crate::remote::hook_answer;
use crate::remote::link::{self, Link};

/// Returns the result of the call that is for the mod.
pub(super) fn report(link: &Link) -> Value {
    let mut mirror = link.mirror();
    let me = mirror.addressable();
    let inbox = me.as_ref().and_then(|me| mirror.inbox(me).ok());
    let socket = (*link.client_process().borrow())
        .map(|client| guard_socket_path(&link.settings.mesh_home, client));
    json!({
        "you": me.map(|me| me.name),
        "here": link.start().others.count(),
        "waiting": inbox.map_or(0, |inbox| inbox.questions.len()),
        "questions": [],
        "takes_line": false,
        "reads": false,
        "guard_socket": socket,
    })
}

/// Answers the mod for as long as the program runs, from the time on that the client process is known.
pub(super) async fn answer_guard(link: Arc<Link>) {
    let mut client_process = link.client_process();
    let Ok(Some(process)) = client_process.wait_for(Option::is_some).await.map(|it| *it) else {
        return;
    };
    let home = &link.settings.mesh_home;
    let (listener, _file) = match SocketFile::listen(guard_socket_path(home, process)) {
        Ok(listening) => listening,
        Err(problem) => return fault_log::append(home, link::PROGRAM, &problem),
    };
    let listener = UnixListener::from_std(listener).expect("the runtime watches sockets");
    let denying = Arc::clone(&link);
    mcp::serve_guard(&listener, move |event| {
        let denial = hook_answer::denial(&denying, event);
        async move { denial }
    })
    .await;
}
