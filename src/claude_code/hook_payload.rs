//! The JSON that Claude Code sends to a hook on stdin, field by field; [`HookEvent`](super::HookEvent) is what hooks work
//! with.
//!
//! Unknown fields are ignored, and any field that may be missing in some version is optional.
use serde::Deserialize;
use serde_json::Value;

/// The JSON object on a hook's stdin.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(expecting = "an object")]
pub struct HookPayload {
    /// The name of the event.
    #[serde(rename = "hook_event_name")]
    pub event_name: String,
    /// Claude Code's id of the session.
    pub session_id: Option<String>,
    /// `SessionEnd`: `clear`, `resume`, `prompt_input_exit` or `other`.
    pub reason: Option<String>,
    /// The turn, as the Codex CLI names it.
    pub turn_id: Option<String>,
    /// `UserPromptSubmit`: the text, typed or posted.
    pub prompt: Option<String>,
    /// The prompt that started the turn.
    pub prompt_id: Option<String>,
    /// `PreToolUse`: the name of the tool.
    pub tool_name: Option<String>,
    /// `PreToolUse`: its arguments; only those that name a file or a shell command.
    pub tool_input: Option<ToolInput>,
    /// The working directory of the session.
    pub cwd: Option<String>,
    /// `Stop`: a Stop hook has already continued this turn.
    pub stop_hook_active: Option<bool>,
    /// `Stop`: the last text of the model. A `Value`, so that another type in a later version does not fail the event.
    pub last_assistant_message: Option<Value>,
    /// The same, as Gemini CLI names it.
    pub prompt_response: Option<Value>,
}

/// The arguments of a tool that edits a file or runs a shell command.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(expecting = "an object")]
pub struct ToolInput {
    /// `Edit`, `Write`, `MultiEdit`.
    pub file_path: Option<String>,
    /// `NotebookEdit`.
    pub notebook_path: Option<String>,
    /// `Bash`.
    pub command: Option<String>,
}
