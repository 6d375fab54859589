//! A call that has not returned yet.

use super::Session;
use super::shared::result;
use serde_json::{Value, json};

/// A call that has not returned yet.
pub(crate) struct InFlight<'a> {
    pub(super) session: &'a Session,
    pub(crate) id: i64,
}

impl InFlight<'_> {
    /// Waits for the result and returns the JSON object in it.
    #[track_caller]
    pub(crate) fn result(&self) -> Value {
        result(&self.session.answer(self.id))
    }

    /// Returns whether the call has not returned yet.
    pub(crate) fn is_open(&self) -> bool {
        let lines = self.session.output.lines.lock().unwrap();
        lines.0.iter().all(|line| line["id"] != self.id)
    }

    /// Cancels the call, as Esc does.
    pub(crate) fn cancel(&self) {
        let notice = json!({
            "jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": { "requestId": self.id, "reason": "AbortError: user-cancel" },
        });
        self.session.line(&notice.to_string());
    }

    /// Waits until the call has sent a progress notice that contains `text`.
    #[track_caller]
    pub(crate) fn wait_for_progress(&self, text: &str) -> String {
        let id = self.id;
        let line = self.session.wait_for(|line| {
            line["method"] == "notifications/progress"
                && line["params"]["progressToken"] == id
                && line["params"]["message"]
                    .as_str()
                    .is_some_and(|message| message.contains(text))
        });
        line["params"]["message"].as_str().unwrap().to_owned()
    }
}
