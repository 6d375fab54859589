//! The scripted Messages API of `demo`, for scripts with assertions: a panic in a script fails its test.
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use claude_mesh::platform::{Clock, SystemClock};

use super::claude_sandbox::scripted_api;
use super::claude_sandbox::scripted_api::{blocks_of, joined_text};

pub(crate) use super::claude_sandbox::scripted_response::{Block, call, say};
pub(crate) use scripted_api::Request;

/// The model of a session, with the requests received so far.
#[derive(Clone)]
pub(crate) struct ScriptedApi(scripted_api::ScriptedApi);

impl ScriptedApi {
    /// Listens in the network of the calling thread; the threads end with the test program.
    pub(crate) fn listen(
        script: impl Fn(&Request) -> Vec<Block> + Send + Sync + 'static,
    ) -> ScriptedApi {
        let script = move |request: &Request| {
            let said = catch_unwind(AssertUnwindSafe(|| script(request)));
            said.map_err(|panic| panic_text(panic.as_ref()))
        };
        let now_ms = || SystemClock::new().now().wall_ms;
        ScriptedApi(scripted_api::ScriptedApi::listen(script, now_ms).expect("loopback is up"))
    }

    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// Returns the requests of the conversation so far, without auxiliary requests.
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

impl Request {
    /// Returns how many responses of the model precede this request.
    pub(crate) fn turn(&self) -> usize {
        let messages = self.messages().iter();
        messages
            .filter(|message| message["role"] == "assistant")
            .count()
    }

    /// Returns how often the whole conversation contains a text.
    pub(crate) fn count(&self, text: &str) -> usize {
        let blocks = self.messages().iter();
        let blocks = blocks.flat_map(|message| blocks_of(&message["content"]));
        blocks
            .map(|block| match block["type"].as_str() {
                Some("tool_result") => joined_text(&block["content"]).matches(text).count(),
                _ => block["text"].as_str().unwrap_or("").matches(text).count(),
            })
            .sum()
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the script panicked").to_owned()
}
