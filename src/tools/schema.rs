//! The JSON schema of a tool's arguments, as small as possible: every byte is read by every session.
use schemars::JsonSchema;
use serde_json::Value;

use crate::tools::entry::JsonObject;

/// Returns the schema of a tool's arguments.
pub fn schema_of<T: JsonSchema>() -> JsonObject {
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
                // A parameter may have this name; the value of the keyword is never an object.
                if object.get(key).is_some_and(|value| !value.is_object()) {
                    object.shift_remove(key);
                }
            }
            // A call that violates one of these is refused with the parameter and its limit anyway.
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
                    && let Some(Value::Object(only_choice)) = choices.pop()
                {
                    object.shift_remove("anyOf");
                    object.extend(only_choice);
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
