//! Waits for answers of the server on the thread of the caller.
use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};

/// The runtime of one connection. It runs only while a caller waits.
#[derive(Debug)]
pub(super) struct ConnectionRuntime(Option<Runtime>);

/// How often the runtime gets to send and to receive what nobody waits for.
const FLUSHING_YIELDS: usize = 3;

impl ConnectionRuntime {
    pub(super) fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self(Some(runtime)))
    }

    /// Sends and receives what is there, without waiting.
    pub(super) fn receive(&self) {
        self.wait(flush());
    }

    /// Begins a future whose outcome nobody reads, and sends what it has to send.
    pub(super) fn begin(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.wait(async {
            tokio::spawn(future);
            flush().await;
        });
    }

    /// Waits for a future. A thread of a runtime with several threads tells it that it blocks; beside a runtime of one thread,
    /// another thread waits, because that one allows no second runtime on its own.
    pub(super) fn wait<F>(&self, future: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        let runtime = self.0.as_ref().expect("only its end takes it");
        let flavor = Handle::try_current().map(|handle| handle.runtime_flavor());
        match flavor {
            Err(_) => runtime.block_on(future),
            Ok(RuntimeFlavor::MultiThread) => {
                tokio::task::block_in_place(|| runtime.block_on(future))
            }
            Ok(_) => std::thread::scope(|scope| {
                let waiting = scope.spawn(|| runtime.block_on(future));
                waiting
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }),
        }
    }
}

impl Drop for ConnectionRuntime {
    /// A runtime may not be waited for where another one works.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Lets the other tasks and the network have their turns.
async fn flush() {
    for _ in 0..FLUSHING_YIELDS {
        tokio::task::yield_now().await;
    }
}
