//! What a hook prints, in the JSON that Claude Code understands.
use serde_json::{Value, json};

/// The effect of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookOutput {
    /// Adds text to the context of the model; at the end of a turn this continues the turn.
    Context(String),
    /// Shows a message to the user.
    Message(String),
    /// Drops a prompt, with a reason for the user; or continues a turn that ends, with a reason for the model.
    Block(String),
    /// Denies a tool call, with a reason for the model.
    Deny(String),
}

impl HookOutput {
    /// Returns the JSON object to print for the event of this name.
    pub fn to_json(&self, event: &str) -> String {
        let object: Value = match self {
            Self::Context(context) => json!({
                "hookSpecificOutput": { "hookEventName": event, "additionalContext": context },
            }),
            Self::Deny(reason) => json!({
                "hookSpecificOutput": {
                    "hookEventName": event,
                    "permissionDecision": "deny",
                    "permissionDecisionReason": reason,
                },
            }),
            Self::Message(message) => json!({ "systemMessage": message }),
            Self::Block(reason) => json!({ "decision": "block", "reason": reason }),
        };
        object.to_string()
    }
}
