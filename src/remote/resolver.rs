//! Resolves the name of a hub, so that an unknown name has an error of its own.
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiResolver, Name};
use thiserror::Error;
use tower::Service;

/// A name for which the system knows no address.
#[derive(Debug, Clone, Error)]
#[error("no address is known for {name:?}")]
pub struct UnresolvedName {
    /// The name.
    pub name: String,
    source: Arc<io::Error>,
}

/// The resolver of the system.
#[derive(Clone)]
pub(super) struct Resolver(GaiResolver);

impl Resolver {
    pub(super) fn new() -> Self {
        Self(GaiResolver::new())
    }
}

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = UnresolvedName;
    type Future = Pin<Box<dyn Future<Output = Result<GaiAddrs, UnresolvedName>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), UnresolvedName>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let text = name.as_str().to_owned();
        let resolving = self.0.call(name);
        Box::pin(async move {
            resolving.await.map_err(|error| UnresolvedName {
                name: text,
                source: Arc::new(error),
            })
        })
    }
}
