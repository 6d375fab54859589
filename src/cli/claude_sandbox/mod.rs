//! A real Claude Code that is alone with this machine: its model is a script, its key opens nothing, nobody outside is spoken to.
//!
//! *Purpose:* `claude-mesh demo --real` and the tests with the real client play by these same rules.
//! *Why not otherwise:* it is public only for those tests, and no part of the library's interface.

pub mod scripted_api;
pub mod scripted_response;

use serde_json::{Value, json};

const API_KEY: &str = "sk-ant-api03-not-a-key-not-a-key-not-a-key";

/// Returns what `~/.claude.json` holds of a person who has answered all first questions of Claude Code.
pub fn onboarded_config() -> Value {
    json!({
        "hasCompletedOnboarding": true, "lastOnboardingVersion": "9.9.9", "theme": "dark", "numStartups": 5,
        "hasSeenTasksHint": true, "bypassPermissionsModeAccepted": true, "autoUpdates": false,
        "customApiKeyResponses": {"approved": [&API_KEY[API_KEY.len() - 20..]], "rejected": []},
        "projects": {}, "mcpServers": {},
    })
}

/// Returns what it holds of a project whose folder that person trusts.
pub fn trusted_project_config() -> Value {
    json!({"hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true})
}

/// Returns what the client's environment says so that it speaks to the model at `api` and to nobody else.
pub fn environment(api: &str) -> Vec<(&'static str, String)> {
    // Port 1 is the one nobody listens on.
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
        // It asks the forge for plugins by ssh, which knows no proxies.
        "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL",
    ];
    environment.extend(switches.map(|name| (name, "1")));
    environment
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
}
