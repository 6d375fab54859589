//! Waits for answers of the server on the thread of the caller.
use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};

/// The runtime of one connection. It runs only while a caller waits.
#[derive(Debug)]
pub(super) struct ConnectionRuntime(Runtime);

impl ConnectionRuntime {
    pub(super) fn new() -> std::io::Result<Self> {
        Builder::new_current_thread().enable_all().build().map(Self)
    }

    /// Waits for a future. A thread of a runtime with several threads tells it that it blocks; beside a runtime of one thread,
    /// another thread waits, because that one allows no second runtime on its own.
    pub(super) fn wait<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
        match flavor {
            Err(_) => self.0.block_on(future),
            Ok(RuntimeFlavor::MultiThread) => {
                tokio::task::block_in_place(|| self.0.block_on(future))
            }
            Ok(_) => std::thread::scope(|scope| {
                let waiting = scope.spawn(|| self.0.block_on(future));
                waiting
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }),
        }
    }
}
