//! An event exactly as Claude Code sends it. Unknown fields are ignored; what may be missing in some version is optional.
use serde::Deserialize;
use serde_json::Value;

/// The JSON object on a hook's stdin.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(expecting = "an object")]
pub struct HookPayload {
    /// Which event.
    pub hook_event_name: String,
    /// Claude Code's id of the session.
    pub session_id: Option<String>,
    /// `SessionEnd`: `clear`, `resume`, `prompt_input_exit` or `other`.
    pub reason: Option<String>,
    /// `UserPromptSubmit`: the text, typed or posted.
    pub prompt: Option<String>,
    /// Which prompt the turn belongs to.
    pub prompt_id: Option<String>,
    /// `PreToolUse`: which tool.
    pub tool_name: Option<String>,
    /// `PreToolUse`: what it is called with, as far as it concerns us.
    pub tool_input: Option<ToolInput>,
    /// Where the session works.
    pub cwd: Option<String>,
    /// `Stop`: the turn goes on already because of a Stop hook.
    pub stop_hook_active: Option<bool>,
    /// `Stop`: what the model said last. A text; whatever else it may become must not cost the event.
    pub last_assistant_message: Option<Value>,
}

/// The parameters of a tool that edits a file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(expecting = "an object")]
pub struct ToolInput {
    /// `Edit`, `Write`, `MultiEdit`.
    pub file_path: Option<String>,
    /// `NotebookEdit`.
    pub notebook_path: Option<String>,
}
