//! Drops everything but requests until the client has opened a protocol session, by a handshake or by its first full
//! request.
//!
//! The library takes anything else there for a broken handshake and ends. But a client whose probe timed out sends a
//! cancellation at that time, and continues.
use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, GetMeta, ProtocolVersion};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::watch;

/// A transport that drops notifications and responses until a protocol session is open, and signals the end of stdin.
pub(super) struct PreInitFilter<T> {
    inner: T,
    is_open: bool,
    stdin_closed: watch::Sender<bool>,
}

impl<T> PreInitFilter<T> {
    /// `stdin_closed` becomes true when the client has closed stdin.
    pub(super) fn new(inner: T, stdin_closed: watch::Sender<bool>) -> Self {
        Self {
            inner,
            is_open: false,
            stdin_closed,
        }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for PreInitFilter<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let Some(message) = self.inner.receive().await else {
                self.stdin_closed.send_replace(true);
                return None;
            };
            match &message {
                _ if self.is_open => return Some(message),
                ClientJsonRpcMessage::Request(request) => {
                    self.is_open = opens_session(&request.request);
                    return Some(message);
                }
                _ => {}
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

/// Returns whether this request opens a protocol session for the library.
fn opens_session(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        other => other
            .get_meta()
            .missing_required_keys(&ProtocolVersion::V_2026_07_28)
            .is_empty(),
    }
}
