//! Listens for programs of the same user, and accepts connections of no others.
use std::path::PathBuf;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use crate::platform::process::ProcessKey;
use crate::platform::session_socket::SocketFile;

/// The pause after a connection that could not be accepted, because all descriptors are in use for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens at the path of the client process, once that is known. Returns the listener and its file, or why there is none; `None`
/// if the client is never known.
pub(crate) async fn listen_for_client(
    mut client_process: watch::Receiver<Option<ProcessKey>>,
    path: impl Fn(ProcessKey) -> PathBuf,
) -> Option<Result<(UnixListener, SocketFile), String>> {
    let known = client_process.wait_for(Option::is_some).await;
    let process = known.ok().and_then(|known| *known)?;
    let listening = SocketFile::listen(path(process));
    Some(listening.map(|(listener, file)| {
        let listener = UnixListener::from_std(listener).expect("the runtime watches sockets");
        (listener, file)
    }))
}

/// Returns the next connection of a program of this user.
pub(crate) async fn accept_own(listener: &UnixListener) -> UnixStream {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let is_own = stream
            .peer_cred()
            .is_ok_and(|peer| peer.uid() == rustix::process::geteuid().as_raw());
        if is_own {
            return stream;
        }
    }
}
