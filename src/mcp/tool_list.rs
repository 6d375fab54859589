//! Builds the list of tools in the form of MCP, for the server and the tests of its size.
use rmcp::model::{MetaObject, Tool, ToolAnnotations};
use serde_json::json;

use crate::tools::{Effect, ToolEntry, entries};

/// Returns the tools of these sets; `None` is all. The set `ask` is always there.
pub fn tool_list(sets: Option<&[String]>) -> Vec<Tool> {
    let wanted =
        |set: &str| set == "ask" || sets.is_none_or(|sets| sets.iter().any(|wanted| wanted == set));
    entries()
        .filter(|entry| wanted(entry.set))
        .map(to_tool)
        .collect()
}

fn to_tool(entry: &ToolEntry) -> Tool {
    // Hints equal to the default of the protocol are omitted: every session reads every byte of the list.
    let hints = match entry.effect {
        Effect::Reads => ToolAnnotations::new().read_only(true),
        Effect::Idempotent => ToolAnnotations::new().destructive(false).idempotent(true),
        Effect::Writes => ToolAnnotations::new().destructive(false),
    };
    let hints = hints.open_world(false);
    let tool = Tool::new(entry.name, entry.description, (entry.schema)()).with_annotations(hints);
    let mut meta = MetaObject::new();
    if entry.always_load {
        meta.0.insert("anthropic/alwaysLoad".into(), json!(true));
    }
    if entry.large_result {
        // More than twice the limit of `CHARS_MAX`, because a single text over the limit is returned all the same.
        meta.0
            .insert("anthropic/maxResultSizeChars".into(), json!(500_000));
    }
    if meta.0.is_empty() {
        return tool;
    }
    tool.with_meta(meta)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::{CHARS_MAX, INSTRUCTIONS};

    #[test]
    fn tool_list_stays_within_its_size_budget() {
        let bytes = |tools: &[Tool]| serde_json::to_string(tools).unwrap().len();
        let (tools, ask) = (tool_list(None), tool_list(Some(&[])));
        assert!(bytes(&tools) < 14_000, "the list has {}", bytes(&tools));
        assert!(bytes(&ask) < 5_000, "the ask set has {}", bytes(&ask));
        for tool in &tools {
            let description = tool.description.as_deref().unwrap_or_default();
            assert!(
                (40..=600).contains(&description.chars().count()),
                "{}: {}",
                tool.name,
                description.len()
            );
        }
        assert!(INSTRUCTIONS.chars().count() <= 2_000);
    }

    #[test]
    fn tools_with_long_results_declare_their_size_limit() {
        let says_so = |tool: &&Tool| {
            let meta = tool.meta.as_ref();
            let chars = meta.and_then(|meta| meta.0.get("anthropic/maxResultSizeChars"));
            chars.is_some_and(|chars| chars.as_u64() > Some(CHARS_MAX as u64))
        };
        let tools = tool_list(None);
        let large_result: Vec<&str> = tools.iter().filter(says_so).map(|it| &*it.name).collect();
        let mut expected = vec!["list_peers", "ask_peer", "await_reply", "poll_inbox"];
        expected.extend(["list_messages", "claim", "claims", "recall", "state"]);
        expected.extend([
            "create_task",
            "update_task",
            "list_tasks",
            "bulk_update_tasks",
        ]);
        expected.push("events");
        assert_eq!(large_result, expected);
    }

    #[test]
    fn ask_tools_are_listed_for_every_tool_set() {
        assert_eq!(tool_list(Some(&["nothing".to_owned()])).len(), 7);
        assert_eq!(tool_list(Some(&["messages".to_owned()])).len(), 11);
        assert_eq!(tool_list(Some(&["claims".to_owned()])).len(), 10);
        assert_eq!(tool_list(Some(&["tasks".to_owned()])).len(), 13);
    }
}
