//! Reads the arguments of a call strictly, for all tools: an unknown parameter or a wrong type is refused by its name.
use std::str::FromStr;

use serde::Deserialize;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor,
};
use serde_json::Value;

use crate::model::{Refusal, Result};
use crate::platform::id::QuestionId;
use crate::platform::text::cut_chars;
use crate::tools::argument_error::ArgumentError;
use crate::tools::entry::JsonObject;

/// Reads the arguments of a tool.
pub fn read<T: DeserializeOwned>(arguments: JsonObject) -> Result<T> {
    let arguments = Argument(Value::Object(arguments));
    serde_path_to_error::deserialize(arguments).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.into_inner().to_string();
        let problem = if path == "." {
            problem
        } else {
            format!("\"{}\": {problem}", cut(&path))
        };
        Refusal::argument(problem).into()
    })
}

/// A JSON value as serde reads it, with errors in the words of the tools.
struct Argument(Value);

impl IntoDeserializer<'_, ArgumentError> for Argument {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Argument {
    type Error = ArgumentError;

    fn deserialize_any<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> std::result::Result<V::Value, ArgumentError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (None, Some(number), _) => visitor.visit_i64(number),
                (None, None, number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(list) => {
                visitor.visit_seq(SeqDeserializer::new(list.into_iter().map(Argument)))
            }
            Value::Object(object) => {
                let members = object
                    .into_iter()
                    .map(|(key, value)| (key, Argument(value)));
                visitor.visit_map(MapDeserializer::new(members))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> std::result::Result<V::Value, ArgumentError> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> std::result::Result<V::Value, ArgumentError> {
        visitor.visit_newtype_struct(self)
    }

    /// A choice is one text; no tool has choices with values of their own.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, ArgumentError> {
        let unexpected = match &self.0 {
            Value::String(text) => return visitor.visit_enum(text.as_str().into_deserializer()),
            Value::Null => Unexpected::Unit,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => Unexpected::Unsigned(number),
                (None, Some(number)) => Unexpected::Signed(number),
                (None, None) => Unexpected::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
        };
        Err(ArgumentError::invalid_type(unexpected, &"a text"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
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

/// An action of a tool that has several, and the parameters it takes.
#[derive(Clone, Copy)]
pub(super) struct Action {
    pub(super) name: &'static str,
    pub(super) parameters: &'static [&'static str],
}

impl Action {
    /// Refuses a parameter that the action does not take; `given` says which came.
    pub(super) fn allow_only(self, given: &[(&str, bool)]) -> Result<()> {
        let refused = given
            .iter()
            .find(|(name, received)| *received && !self.parameters.contains(name));
        let Some((name, _)) = refused else {
            return Ok(());
        };
        let accepted = match self.parameters {
            [] => "no other parameter".to_owned(),
            parameters => parameters.join(", "),
        };
        let action = self.name;
        Err(Refusal::argument(format!(
            "\"{name}\" does not belong to action \"{action}\", which takes {accepted}"
        ))
        .into())
    }

    /// Returns a parameter that the action needs.
    pub(super) fn require<T>(self, name: &str, value: Option<T>) -> Result<T> {
        let action = self.name;
        value.ok_or_else(|| {
            Refusal::argument(format!("missing parameter `{name}` of action \"{action}\"")).into()
        })
    }
}

/// Reads a value that may be `null`, which differs from an absent one.
pub(super) fn any_value<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Reads a question id.
pub(super) fn question_id(text: &str) -> Result<QuestionId> {
    id("question_id", text, "ask_peer and poll_inbox")
}

/// Reads an id as the tools of `given_by` return it.
pub(super) fn id<T: FromStr>(parameter: &str, text: &str, given_by: &str) -> Result<T> {
    text.trim().parse().map_err(|_| {
        Refusal::argument(format!(
            "\"{parameter}\" must be an id as {given_by} give it, got {:?}",
            cut(text)
        ))
        .into()
    })
}

/// Returns as much of a foreign text as a message repeats.
pub(super) fn cut(text: &str) -> &str {
    cut_chars(text, 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::parameters::OneOrMany;
    use serde_json::json;

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
        read::<Example>(object).unwrap_err().to_string()
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

    #[test]
    fn argument_error_repeats_the_value_of_the_caller_unchanged() {
        let text = "a string, expected u32: invalid type";
        assert_eq!(
            refused(json!({ "to": "a", "timeout_seconds": text })),
            format!("\"timeout_seconds\": wrong type: the text {text:?}, expected a whole number")
        );
    }
}
