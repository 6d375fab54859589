//! What comes before a client has opened a session, by a handshake or by its first full request: only requests count.
//!
//! The library takes anything else there for a broken handshake and ends. A client whose probe timed out sends its
//! cancellation just then, and goes on.
use rmcp::RoleServer;
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, GetMeta, ProtocolVersion};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::watch;

/// A transport that passes over notices and answers until a session is open, and that says when nothing more will come.
pub(super) struct PreInitFilter<T> {
    inner: T,
    is_open: bool,
    stdin_closed: watch::Sender<bool>,
}

impl<T> PreInitFilter<T> {
    /// `stdin` is told when the client has closed it.
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

/// Returns whether the library takes this request for the beginning of a session.
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
