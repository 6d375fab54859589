//! The arguments of a call, read strictly: an unknown parameter or a wrong type is refused by name.
use std::str::FromStr;

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::{Value, json};

use crate::model::{Refusal, Result};
use crate::platform::id::QuestionId;
use crate::platform::text::cut_chars;

/// Reads the arguments of a tool.
pub(super) fn read<T: DeserializeOwned>(arguments: Option<JsonObject>) -> Result<T> {
    let value = Value::Object(arguments.unwrap_or_default());
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let problem = rephrase_serde_error(&error.into_inner().to_string());
        let problem = if path == "." {
            problem
        } else {
            format!("\"{}\": {problem}", cut(&path))
        };
        Refusal::argument(problem).into()
    })
}

/// Checks a number against its limits.
pub(super) fn check_range(
    parameter: &str,
    value: Option<u32>,
    limits: std::ops::RangeInclusive<u32>,
    default: u32,
) -> Result<u32> {
    let value = value.unwrap_or(default);
    if limits.contains(&value) {
        return Ok(value);
    }
    Err(Refusal::argument(format!(
        "\"{parameter}\" must be from {} to {}, got {value}",
        limits.start(),
        limits.end()
    ))
    .into())
}

/// Refuses a parameter that the action does not take; `given` names those that came.
pub(super) fn allow_only(
    action: &str,
    accepted_parameters: &[&str],
    given: &[(&str, bool)],
) -> Result<()> {
    match given
        .iter()
        .find(|(name, received)| *received && !accepted_parameters.contains(name))
    {
        None => Ok(()),
        Some((name, _)) => Err(Refusal::argument(format!(
            "\"{name}\" does not belong to action \"{action}\", which takes {}",
            match accepted_parameters {
                [] => "no other parameter".to_owned(),
                _ => accepted_parameters.join(", "),
            }
        ))
        .into()),
    }
}

/// Returns a parameter that the action cannot do without.
pub(super) fn require<T>(action: &str, name: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| {
        Refusal::argument(format!("missing parameter `{name}` of action \"{action}\"")).into()
    })
}

/// Reads a value that may be `null`, which is another thing than none.
pub(super) fn any_value<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Reads a question id.
pub(super) fn question_id(text: &str) -> Result<QuestionId> {
    id("question_id", text, "ask_peer and poll_inbox")
}

/// Reads an id as the tools of `given_by` give it.
pub(super) fn id<T: FromStr>(parameter: &str, text: &str, given_by: &str) -> Result<T> {
    text.trim().parse().map_err(|_| {
        Refusal::argument(format!(
            "\"{parameter}\" must be an id as {given_by} give it, got {:?}",
            cut(text)
        ))
        .into()
    })
}

/// Returns as much of foreign text as a message repeats.
pub(super) fn cut(text: &str) -> &str {
    cut_chars(text, 60)
}

/// The library's words for types, said for everyone. A wrong value may be of any length; its beginning is enough.
fn rephrase_serde_error(problem: &str) -> String {
    let (received, expected) = problem
        .rfind(", expected ")
        .map_or((problem, ""), |at| problem.split_at(at));
    let excerpt = cut_chars(received, 120);
    let end = if excerpt.len() < received.len() {
        "…"
    } else {
        ""
    };
    let number = match received.strip_prefix("invalid value: integer `") {
        Some(digits) if digits.starts_with('-') => "expected 0 or more",
        Some(_) => "expected a smaller number",
        None => "expected a whole number",
    };
    format!("{excerpt}{end}{expected}")
        .replace("expected u32", number)
        .replace("expected u64", number)
        .replace("expected a sequence", "expected a list")
        .replace("expected a boolean", "expected true or false")
        .replace("expected a string", "expected a text")
        .replace("expected string or map", "expected a text")
        .replace("expected a map", "expected an object")
        .replace("there are no fields", "this tool takes none")
        .replace("unknown field", "unknown parameter")
        .replace("unknown variant", "unknown value")
        .replace("missing field", "missing parameter")
        .replace("invalid length", "wrong number of items:")
        .replace("floating point ", "the number ")
        .replace("integer ", "the number ")
        .replace("invalid type: sequence", "wrong type: a list")
        .replace("invalid type: map", "wrong type: an object")
        .replace("invalid type: boolean ", "wrong type: ")
        .replace("invalid type: string", "wrong type: the text")
        .replace("invalid type:", "wrong type:")
        .replace("invalid value:", "wrong value:")
}

/// One text or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    /// Returns the texts, and whether they came as a list.
    pub(super) fn into_list(self) -> (Vec<String>, bool) {
        match self {
            Self::One(text) => (vec![text], false),
            Self::Many(list) => (list, true),
        }
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct OneOrManyVisitor;
        impl<'de> Visitor<'de> for OneOrManyVisitor {
            type Value = OneOrMany;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: serde::de::Error>(
                self,
                text: &str,
            ) -> std::result::Result<OneOrMany, E> {
                Ok(OneOrMany::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> std::result::Result<OneOrMany, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element::<String>()? {
                    texts.push(text);
                }
                if (1..=16).contains(&texts.len()) {
                    Ok(OneOrMany::Many(texts))
                } else {
                    Err(A::Error::invalid_length(texts.len(), &"1 to 16 texts"))
                }
            }
        }
        deserializer.deserialize_any(OneOrManyVisitor)
    }
}

impl JsonSchema for OneOrMany {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OneOrMany".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let list = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1, "maxItems": 16 });
        schemars::json_schema!({ "anyOf": [{ "type": "string" }, list] })
    }
}

/// Returns the schema of a tool's arguments, as small as it can be said: every byte is read by every session.
pub(super) fn schema<T: JsonSchema>() -> JsonObject {
    let mut schema = schemars::SchemaGenerator::default()
        .into_root_schema_for::<T>()
        .to_value();
    trim(&mut schema);
    match schema {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}

fn trim(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for key in ["$schema", "title", "format", "default"] {
                // A parameter may be called so; a keyword's value is never an object.
                if object.get(key).is_some_and(|value| !value.is_object()) {
                    object.shift_remove(key);
                }
            }
            // What no caller wants is refused by name and with its limit, whatever the schema says: an unknown parameter,
            // one that is too small or too long.
            for key in [
                "additionalProperties",
                "minimum",
                "maxLength",
                "maxItems",
                "minItems",
            ] {
                if object.get(key).is_some_and(|value| !value.is_object()) {
                    object.shift_remove(key);
                }
            }
            if let Some(Value::Array(types)) = object.get("type")
                && let Some(non_null_type) = types.iter().find(|name| *name != "null").cloned()
            {
                object.insert("type".into(), non_null_type);
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
                if choices.len() == 1
                    && let Some(Value::Object(allow_only)) = choices.pop()
                {
                    object.shift_remove("anyOf");
                    object.extend(allow_only);
                }
            }
            if let Some(Value::Array(variants)) = object.get_mut("enum") {
                variants.retain(|variant| !variant.is_null());
            }
            object.values_mut().for_each(trim);
        }
        Value::Array(list) => list.iter_mut().for_each(trim),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        #[expect(dead_code, reason = "only the reading is tested")]
        to: OneOrMany,
        #[expect(dead_code, reason = "only the reading is tested")]
        timeout_seconds: Option<u32>,
    }

    fn refused(arguments: Value) -> String {
        let Value::Object(object) = arguments else {
            panic!("an object")
        };
        read::<Example>(Some(object)).unwrap_err().to_string()
    }

    #[test]
    fn argument_error_names_the_wrong_parameter() {
        assert_eq!(
            refused(json!({ "to": "a", "timeout": 1 })),
            "\"timeout\": unknown parameter `timeout`, expected `to` or `timeout_seconds`"
        );
        assert_eq!(
            refused(json!({ "timeout_seconds": 1 })),
            "missing parameter `to`"
        );
        assert_eq!(
            refused(json!({ "to": "a", "timeout_seconds": "5" })),
            "\"timeout_seconds\": wrong type: the text \"5\", expected a whole number"
        );
        assert_eq!(
            refused(json!({ "to": 5 })),
            "\"to\": wrong type: the number `5`, expected a text or a list of texts"
        );
        assert_eq!(
            refused(json!({ "to": ["a", 1] })),
            "\"to[1]\": wrong type: the number `1`, expected a text"
        );
        assert_eq!(
            refused(json!({ "to": "a", "timeout_seconds": [5] })),
            "\"timeout_seconds\": wrong type: a list, expected a whole number"
        );
        assert_eq!(
            refused(json!({ "to": "a", "timeout_seconds": -1 })),
            "\"timeout_seconds\": wrong value: the number `-1`, expected 0 or more"
        );
        assert_eq!(
            refused(json!({ "to": "a", "timeout_seconds": 5_000_000_000_u64 })),
            "\"timeout_seconds\": wrong value: the number `5000000000`, expected a smaller number"
        );
    }

    #[test]
    fn argument_error_truncates_a_long_value() {
        let long = "y".repeat(5_000_000);
        for arguments in [
            json!({ "to": "a", "timeout_seconds": long }),
            json!({ "to": "a", long: 1 }),
        ] {
            let refused = refused(arguments);
            assert!(refused.len() < 400, "{} bytes", refused.len());
            assert!(refused.contains("timeout_seconds"), "{refused}");
        }
    }
}
