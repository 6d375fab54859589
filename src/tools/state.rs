//! The tool `state`: gets, sets, lists and deletes the entries that sessions share, with compare-and-set.
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::mesh::NewValue;
use crate::model::Result;
use crate::model::state::{EntryKey, EntryRange, Namespace, StateEntry, TTL_SECONDS_MAX};
use crate::tools::arguments::Action;
use crate::tools::call::{Operation, single_step};
use crate::tools::entry::{Effect, JsonObject, ToolEntry};
use crate::tools::result_budget::{CHARS_MAX, ResultBudget};
use crate::tools::{arguments, output, results, schema};

pub(super) const TOOLS: [ToolEntry; 1] = [ToolEntry {
    set: "state",
    name: "state",
    description: "Shares small values between sessions. A key belongs to this project; namespace `shared` is the whole mesh, any other is within the project. get returns {value, version, …}; version 0: none. set with the version you read as expected_version (0: must not exist) returns `conflict` with the current entry if another was faster. list: by prefix, after a key.",
    schema: schema::schema_of::<StateParams>,
    handler: state,
    effect: Effect::Writes,
    always_load: false,
    large_result: true,
}];

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StateParams {
    action: StateActionParam,
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
enum StateActionParam {
    Get,
    Set,
    List,
    Delete,
}

impl StateActionParam {
    fn rules(self) -> Action {
        let (name, parameters): (_, &[_]) = match self {
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
        };
        Action { name, parameters }
    }
}

/// Returns as many entries as a result carries, and how to get the rest.
fn entries_body(namespace: &Namespace, entries: &[StateEntry], more: bool) -> Value {
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

fn state(arguments: JsonObject) -> Result<Operation> {
    let StateParams {
        action,
        key,
        value,
        namespace,
        expected_version,
        ttl_seconds,
        prefix,
        after,
    } = arguments::read(arguments)?;
    let rules = action.rules();
    rules.allow_only(&[
        ("key", key.is_some()),
        ("value", value.is_some()),
        ("namespace", namespace.is_some()),
        ("expected_version", expected_version.is_some()),
        ("ttl_seconds", ttl_seconds.is_some()),
        ("prefix", prefix.is_some()),
        ("after", after.is_some()),
    ])?;
    if ttl_seconds.is_some() {
        arguments::check_range("ttl_seconds", ttl_seconds, 1..=TTL_SECONDS_MAX, 1)?;
    }
    if matches!(action, StateActionParam::List) {
        return Ok(list(namespace, prefix, after));
    }
    let key = rules.require("key", key)?;
    let value = match action {
        StateActionParam::Set => rules.require("value", value)?,
        _ => Value::Null,
    };
    let expected_version = expected_version.map(i64::from);
    Ok(single_step(move |call| {
        let namespace = Namespace::of(call.project.shared_scope(), namespace.as_deref())?;
        let at = EntryKey::of(&namespace, &key);
        Ok(match action {
            StateActionParam::Set => {
                let new = NewValue {
                    value: &value,
                    expected_version,
                    ttl_seconds,
                };
                output::entry(&call.mesh.set_entry(&call.me, at, &new)?)
            }
            StateActionParam::Delete => {
                let deleted = call.mesh.delete_entry(&call.me, at, expected_version)?;
                output::deletion(&namespace, &key, deleted)
            }
            StateActionParam::Get | StateActionParam::List => {
                output::entry(&call.mesh.entry(&namespace, &key)?)
            }
        })
    }))
}

fn list(namespace: Option<String>, prefix: Option<String>, after: Option<String>) -> Operation {
    let (prefix, after) = (prefix.unwrap_or_default(), after.unwrap_or_default());
    single_step(move |call| {
        let namespace = Namespace::of(call.project.shared_scope(), namespace.as_deref())?;
        let range = EntryRange {
            prefix: &prefix,
            after: &after,
            bytes_max: CHARS_MAX,
        };
        let (entries, more) = call.mesh.entries(&namespace, &range)?;
        Ok(entries_body(&namespace, &entries, more))
    })
}
