//! `state`.
use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{arguments, results};
use super::{Call, Effect, Entry as Tool};
use crate::mcp::result_budget::{CHARS_MAX, ResultBudget};
use crate::mesh::{EntryKey, EntryRange, NewValue};
use crate::model::Result;
use crate::model::state::{Entry, Namespace, TTL_SECONDS_MAX};
use crate::tools::output;

pub(super) const TOOLS: [Tool; 1] = [Tool {
    set: "state",
    name: "state",
    description: "Shares small values between sessions. A key lives in this project; namespace `shared` is the whole mesh, any other lies within the project. get returns {value, version, …}; version 0: none. set with the version you read as expected_version (0: must not exist) returns `conflict` with the current entry if somebody was faster. list: by prefix, after a key.",
    schema: arguments::schema::<State>,
    effect: Effect::Writes,
    always_load: false,
    large_result: true,
}];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct State {
    action: Action,
    key: Option<String>,
    /// any JSON
    #[serde(default, deserialize_with = "arguments::any_value")]
    value: Option<Value>,
    namespace: Option<String>,
    expected_version: Option<u32>,
    ttl_seconds: Option<u32>,
    prefix: Option<String>,
    after: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Action {
    Get,
    Set,
    List,
    Delete,
}

impl Action {
    /// Returns its word and what it takes.
    fn accepted_parameters(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Get => ("get", &["key", "namespace"]),
            Self::Set => (
                "set",
                &[
                    "key",
                    "value",
                    "namespace",
                    "expected_version",
                    "ttl_seconds",
                ],
            ),
            Self::List => ("list", &["namespace", "prefix", "after"]),
            Self::Delete => ("delete", &["key", "namespace", "expected_version"]),
        }
    }
}

/// Returns as many entries as a result carries, and where to go on.
fn entries_body(namespace: &Namespace, entries: &[Entry], more: bool) -> Value {
    let (shown, cut) = ResultBudget::new().take_prefix(entries.iter().map(output::entry));
    let mut body = output::entries(namespace, &entries[..shown.len()], cut || more);
    if cut || more {
        let last = shown.last().map(|entry| &entry["key"]);
        let hint = format!(
            "Call it again with \"after\": {} for the rest.",
            json!(last)
        );
        results::mark_truncated(&mut body, &hint);
    }
    body
}

pub(super) async fn state(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let State {
        action,
        key,
        value,
        namespace,
        expected_version,
        ttl_seconds,
        prefix,
        after,
    } = arguments::read(arguments)?;
    let (action_name, accepted_parameters) = action.accepted_parameters();
    let given = [
        ("key", key.is_some()),
        ("value", value.is_some()),
        ("namespace", namespace.is_some()),
        ("expected_version", expected_version.is_some()),
        ("ttl_seconds", ttl_seconds.is_some()),
        ("prefix", prefix.is_some()),
        ("after", after.is_some()),
    ];
    arguments::allow_only(action_name, accepted_parameters, &given)?;
    if ttl_seconds.is_some() {
        arguments::check_range("ttl_seconds", ttl_seconds, 1..=TTL_SECONDS_MAX, 1)?;
    }
    let expected_version = expected_version.map(i64::from);
    if matches!(action, Action::List) {
        let (prefix, after) = (prefix.unwrap_or_default(), after.unwrap_or_default());
        return call
            .verb(|at| {
                let namespace = Namespace::of(&at.project.path, namespace.as_deref())?;
                let (entries, more) = at.mesh.entries(
                    &namespace,
                    &EntryRange {
                        prefix: &prefix,
                        after: &after,
                        bytes_max: CHARS_MAX,
                    },
                )?;
                Ok(results::ok(&entries_body(&namespace, &entries, more)))
            })
            .await;
    }
    let key = arguments::require(action_name, "key", key)?;
    let value = match action {
        Action::Set => arguments::require(action_name, "value", value)?,
        _ => Value::Null,
    };
    call.verb(|at| {
        let namespace = Namespace::of(&at.project.path, namespace.as_deref())?;
        let body = match action {
            Action::Set => {
                let new = NewValue {
                    value: &value,
                    expected_version,
                    ttl_seconds,
                };
                output::entry(&at.mesh.set_entry(
                    &at.me,
                    EntryKey {
                        namespace: &namespace,
                        key: &key,
                    },
                    &new,
                )?)
            }
            Action::Delete => {
                let deleted = at.mesh.delete_entry(
                    &at.me,
                    EntryKey {
                        namespace: &namespace,
                        key: &key,
                    },
                    expected_version,
                )?;
                output::deletion(&namespace, &key, deleted)
            }
            Action::Get | Action::List => output::entry(&at.mesh.entry(&namespace, &key)?),
        };
        Ok(results::ok(&body))
    })
    .await
}
