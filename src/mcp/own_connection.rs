//! Accepts connections of programs of the same user only.
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

/// The pause after a connection that could not be accepted, because all descriptors are in use for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
