//! Runs a real Claude Code without network: its model is a script on this machine, and its API key is invalid.
//!
//! `claude-mesh demo --real` uses it. The tests with the real client include this folder by `#[path]`, so that both run
//! under the same rules; therefore nothing here uses another part of the crate.

pub(crate) mod scripted_api;
pub(crate) mod scripted_response;

use serde_json::{Value, json};

const API_KEY: &str = "sk-ant-api03-not-a-key-not-a-key-not-a-key";

/// Returns a `~/.claude.json` with which Claude Code skips its first-run dialogs.
pub(crate) fn onboarded_config() -> Value {
    json!({
        "hasCompletedOnboarding": true, "lastOnboardingVersion": "9.9.9", "theme": "dark", "numStartups": 5,
        "hasSeenTasksHint": true, "bypassPermissionsModeAccepted": true, "autoUpdates": false,
        "customApiKeyResponses": {"approved": [&API_KEY[API_KEY.len() - 20..]], "rejected": []},
        "projects": {}, "mcpServers": {},
    })
}

/// Returns the project entry of `~/.claude.json` for a trusted folder.
pub(crate) fn trusted_project_config() -> Value {
    json!({"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true})
}

/// Returns the environment variables with which the client connects to the model at `api` and to nothing else.
pub(crate) fn environment(api: &str) -> Vec<(&'static str, String)> {
    // Nothing listens on port 1.
    let closed_proxy = "http://127.0.0.1:1";
    let mut environment = vec![
        ("ANTHROPIC_API_KEY", API_KEY),
        ("ANTHROPIC_BASE_URL", api),
        ("HTTP_PROXY", closed_proxy),
        ("HTTPS_PROXY", closed_proxy),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let switches = [
        "DISABLE_AUTOUPDATER",
        "DISABLE_TELEMETRY",
        "DISABLE_ERROR_REPORTING",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        // The marketplace is fetched by ssh, which ignores the proxy variables.
        "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL",
    ];
    environment.extend(switches.map(|name| (name, "1")));
    environment
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}
