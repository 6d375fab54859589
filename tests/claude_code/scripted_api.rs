//! The scripted Messages API of the demo, for scripts that check what they see: a panic in one fails its test.
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use claude_mesh::cli::claude_sandbox::scripted_api as rehearsed;
pub(crate) use claude_mesh::cli::claude_sandbox::scripted_response::{Block, call, say};
pub(crate) use rehearsed::Request;

/// A session's model and what it has been sent so far.
#[derive(Clone)]
pub(crate) struct ScriptedApi(rehearsed::ScriptedApi);

impl ScriptedApi {
    /// Listens in the network of the calling thread; the threads end with the test program.
    pub(crate) fn listen(
        script: impl Fn(&Request) -> Vec<Block> + Send + Sync + 'static,
    ) -> ScriptedApi {
        let script = move |request: &Request| {
            let said = catch_unwind(AssertUnwindSafe(|| script(request)));
            said.map_err(|panic| panic_text(panic.as_ref()))
        };
        ScriptedApi(rehearsed::ScriptedApi::listen(script).expect("loopback is up"))
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// Returns what the model has been sent so far, side errands left out.
    pub(crate) fn conversation(&self) -> Vec<Request> {
        self.0.conversation()
    }

    /// Waits until `found` finds something in the conversation, and returns it.
    #[track_caller]
    pub(crate) fn wait_until<T>(
        &self,
        timeout: Duration,
        found: impl FnMut(&[Request]) -> Option<T>,
    ) -> T {
        match self.0.wait_until(timeout, found) {
            Ok(Some(answer)) => answer,
            Ok(None) => panic!(
                "not within {timeout:?}; the model got {:#?}",
                self.conversation()
            ),
            Err(reason) => panic!("the script broke: {reason}"),
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the script panicked").to_owned()
}
