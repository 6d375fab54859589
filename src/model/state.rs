//! Defines how entries of the shared state are named and listed, and checks keys, values and namespaces.
use std::path::Path;

use serde_json::Value;

use super::refusal::{Refusal, Result};
use crate::model::text_checks::{check_secret, check_size};
use crate::platform::text::cut_chars;

pub use super::state_entry::StateEntry;

/// The longest key in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// The longest name of a namespace in bytes.
pub const NAMESPACE_BYTES_MAX: usize = 128;
/// The largest value in bytes of compact JSON.
pub const VALUE_BYTES_MAX: usize = 65_536;
/// The longest time to live: a year.
pub const TTL_SECONDS_MAX: u32 = 31_536_000;
/// The namespace that the whole mesh shares.
pub const SHARED_NAMESPACE: &str = "shared";
/// The default namespace of a project.
pub const DEFAULT_NAMESPACE: &str = "default";

/// A namespace of keys, of the whole mesh or of one project.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// The folder of its project; `None` means the whole mesh.
    pub project: Option<String>,
    pub name: String,
}

impl Namespace {
    /// Returns the namespace that a session of `project` means by `name`.
    pub fn of(project: &Path, name: Option<&str>) -> Result<Self> {
        let name = name.unwrap_or(DEFAULT_NAMESPACE);
        check_identifier("namespace", name, NAMESPACE_BYTES_MAX)?;
        let project = (name != SHARED_NAMESPACE).then(|| project.to_string_lossy().into_owned());
        let name = name.to_owned();
        Ok(Self { project, name })
    }

    /// Returns the stored form: a JSON list, so that no name can be taken for one of another project.
    pub(crate) fn encoded(&self) -> String {
        let parts: Vec<&str> = self.project.iter().map(String::as_str).collect();
        Value::from([parts, vec![&self.name]].concat()).to_string()
    }

    /// Returns the prefix of the stored form of all namespaces of a project, and of no other.
    pub(crate) fn encoded_prefix(project: &str) -> String {
        let list = Value::from(vec![project]).to_string();
        format!("{},", &list[..list.len() - 1])
    }

    /// Returns the namespace of a stored form.
    pub(crate) fn from_encoded(encoded: &str) -> Self {
        let mut parts: Vec<String> = serde_json::from_str(encoded).unwrap_or_default();
        let name = parts.pop().unwrap_or_default();
        let project = parts.pop();
        Self { project, name }
    }
}

/// A key and the namespace that it belongs to.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the field names say it")]
pub struct EntryKey<'a> {
    pub namespace: &'a Namespace,
    pub key: &'a str,
}

impl<'a> EntryKey<'a> {
    /// Returns the key `key` of `namespace`.
    pub fn of(namespace: &'a Namespace, key: &'a str) -> Self {
        Self { namespace, key }
    }
}

/// Which entries of a namespace to list.
#[derive(Debug, Clone, Copy)]
pub struct EntryRange<'a> {
    /// How their keys begin.
    pub prefix: &'a str,
    /// The key after which the list begins.
    pub after: &'a str,
    /// How many bytes of keys and values to list at most; one entry is always listed.
    pub bytes_max: usize,
}

/// Refuses a key that is empty, too long, has control characters or looks like a secret.
pub fn check_key(key: &str) -> Result<()> {
    check_identifier("key", key, KEY_BYTES_MAX)?;
    Ok(check_secret("key", key)?)
}

/// Checks a value. Returns its stored form.
pub fn check_value(parameter: &str, value: &Value, bytes_max: usize) -> Result<String> {
    let text = value.to_string();
    check_size(parameter, &text, bytes_max)?;
    check_secret(parameter, &text)?;
    Ok(text)
}

fn check_identifier(parameter: &str, word: &str, bytes_max: usize) -> Result<()> {
    if (1..=bytes_max).contains(&word.len()) && !word.contains(char::is_control) {
        return Ok(());
    }
    Err(Refusal::argument(format!(
        "\"{parameter}\" must have 1 to {bytes_max} bytes and no control characters, \
         got {} bytes: {:?}",
        word.len(),
        cut_chars(word, 60)
    ))
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_namespaces_never_collide() {
        let of = |project: &str, name: Option<&str>| {
            Namespace::of(project.as_ref(), name).unwrap().encoded()
        };
        let all = [
            of("/a", None),
            of("/a", Some("b")),
            of("/a", Some("/a")),
            of("/a", Some("[\"/b\",\"default\"]")),
            of("/a", Some("\",\"")),
            of("/a\",\"b", None),
            of("/b", None),
            of("/b", Some("shared")),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one), "{one}");
            assert_eq!(&Namespace::from_encoded(one).encoded(), one);
            let in_a = Namespace::from_encoded(one).project.as_deref() == Some("/a");
            assert_eq!(
                one.starts_with(&Namespace::encoded_prefix("/a")),
                in_a,
                "{one}"
            );
        }
        assert_eq!(of("/a", Some("default")), all[0]);
        assert_eq!(of("/a", Some("shared")), of("/b", Some("shared")));
        assert!(Namespace::of("/a".as_ref(), Some("")).is_err());
        assert!(Namespace::of("/a".as_ref(), Some(&"x".repeat(129))).is_err());
    }

    #[test]
    fn state_value_size_is_measured_as_compact_json() {
        let value = serde_json::json!({ "a": [1, null] });
        assert_eq!(
            check_value("value", &value, 14).unwrap(),
            r#"{"a":[1,null]}"#
        );
        assert!(check_value("value", &value, 13).is_err());
    }
}
