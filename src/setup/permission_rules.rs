//! Adds and removes the permission rules by which a session may call the tools of claude-mesh.
use serde_json::Value;

use super::json_items::PathStep;
use super::json_text::JsonText;
use super::parse_error::ParseError;

/// Lets a session call the tools without asking the user.
pub(crate) const ALLOW_RULE: &str = "mcp__claude-mesh";
/// Asks the user before an answer leaves; Claude Code prefers an ask rule to an allow rule.
pub(crate) const CONFIRM_RULE: &str = "mcp__claude-mesh__reply_to_peer";

/// Returns the path of a list of rules: `allow`, `ask` or `deny`.
pub(crate) fn rules_path(list: &str) -> [PathStep<'_>; 2] {
    ["permissions".into(), list.into()]
}

/// Returns the rules of one list.
pub(crate) fn rules(json: &JsonText, list: &str) -> Result<Vec<Value>, ParseError> {
    json.list(&rules_path(list))
}

/// Returns whether this rule is about the whole server.
pub(crate) fn covers_server(rule: &Value) -> bool {
    matches!(
        rule.as_str(),
        Some("mcp__claude-mesh" | "mcp__claude-mesh__*")
    )
}

/// Returns whether this rule is about a tool of claude-mesh, or all of them.
pub(crate) fn matches_own_tools(rule: &str) -> bool {
    rule == "mcp__claude-mesh"
        || rule.starts_with("mcp__claude-mesh__")
        || matches!(rule, "*" | "mcp__*")
}

/// Adds a rule, unless an equivalent one is there.
pub(crate) fn add_rule(json: &mut JsonText, list: &str, rule: &str) -> Result<(), ParseError> {
    let is_present = rules(json, list)?
        .iter()
        .any(|current| current == rule || (rule == ALLOW_RULE && covers_server(current)));
    if is_present {
        return Ok(());
    }
    json.push(&rules_path(list), &rule)
}

/// Removes a rule wherever it occurs in the list.
pub(crate) fn drop_rule(json: &mut JsonText, list: &str, rule: &str) -> Result<(), ParseError> {
    for (index, current) in rules(json, list)?.iter().enumerate().rev() {
        if current == rule {
            let [permissions, list] = rules_path(list);
            json.prune(&[permissions, list, index.into()])?;
        }
    }
    Ok(())
}
