//! Which calls wait, and for how long: such a call is one request that the hub holds, and is sent again after a break until its
//! own time is over.
use std::time::Duration;

use serde_json::Value;

use crate::platform::clock::rfc3339;
use crate::tools::JsonObject;

/// How long a call waits that names no time.
const DEFAULT_SECONDS: u64 = 300;

/// The wait of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallWait {
    parameter: &'static str,
    pub(super) duration: Duration,
}

impl CallWait {
    /// Returns the wait of a call; `None` if it does not wait.
    pub(super) fn of(tool: &str, arguments: &JsonObject) -> Option<Self> {
        let is = |name: &str, value: &str| arguments.get(name).is_some_and(|given| given == value);
        let (parameter, default) = match tool {
            "ask_peer" | "await_reply" => ("timeout_seconds", DEFAULT_SECONDS),
            "events" if is("action", "wait") => ("timeout_seconds", DEFAULT_SECONDS),
            "claim" if is("wait", "queue") => ("wait_seconds", 0),
            _ => return None,
        };
        let seconds = arguments
            .get(parameter)
            .map_or(Some(default), Value::as_u64)?;
        (seconds > 0).then_some(Self {
            parameter,
            duration: Duration::from_secs(seconds),
        })
    }

    /// Returns the arguments of a repetition: they name what is left of the time. A call that names an idempotency key keeps its
    /// arguments, by which the hub recognizes it.
    pub(super) fn shortened(
        &self,
        tool: &str,
        arguments: &JsonObject,
        (left, began_ms): (Duration, i64),
    ) -> JsonObject {
        let mut shortened = arguments.clone();
        let seconds = left.as_secs().max(1);
        shortened.insert(self.parameter.into(), seconds.into());
        // Without a place to begin at it would miss what happened during the break.
        if tool == "events" && !arguments.contains_key("after") && !arguments.contains_key("since")
        {
            shortened.insert("since".into(), rfc3339(began_ms).into());
        }
        shortened
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wait_of(tool: &str, arguments: &Value) -> Option<u64> {
        let wait = CallWait::of(tool, arguments.as_object().unwrap());
        wait.map(|wait| wait.duration.as_secs())
    }

    #[test]
    fn only_calls_that_wait_have_a_time() {
        for (tool, arguments, expected) in [
            ("ask_peer", json!({}), Some(300)),
            ("ask_peer", json!({ "timeout_seconds": 5 }), Some(5)),
            ("ask_peer", json!({ "timeout_seconds": "5" }), None),
            ("await_reply", json!({}), Some(300)),
            ("events", json!({ "action": "wait" }), Some(300)),
            ("events", json!({ "action": "read" }), None),
            ("claim", json!({ "wait": "queue" }), None),
            (
                "claim",
                json!({ "wait": "queue", "wait_seconds": 9 }),
                Some(9),
            ),
            ("claim", json!({ "wait_seconds": 9 }), None),
            ("post", json!({ "timeout_seconds": 5 }), None),
        ] {
            assert_eq!(wait_of(tool, &arguments), expected, "{tool} {arguments}");
        }
    }

    #[test]
    fn repetition_names_what_is_left_and_where_it_began() {
        let arguments = json!({ "action": "wait", "timeout_seconds": 60 });
        let arguments = arguments.as_object().unwrap();
        let wait = CallWait::of("events", arguments).unwrap();
        let left = Duration::from_millis(20_500);
        let repeated = wait.shortened("events", arguments, (left, 0));
        let expected = json!({
            "action": "wait", "timeout_seconds": 20, "since": "1970-01-01T00:00:00.000Z",
        });
        assert_eq!(Value::Object(repeated), expected);
    }
}
