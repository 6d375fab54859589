//! Defines the entries of the shared state. They have a file of their own because a refusal can carry one.
use serde_json::Value;

/// A key of the shared state with its value.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateEntry {
    /// The name of its namespace.
    pub namespace: String,
    pub key: String,
    /// The value; also `null` where the entry does not exist.
    pub value: Value,
    /// Counts the changes; 0 where the entry does not exist.
    pub version: i64,
    /// Who set it, and when, in wall milliseconds.
    pub updated: Option<(String, i64)>,
    /// When it expires, in wall milliseconds.
    pub expires_at_ms: Option<i64>,
}

impl StateEntry {
    /// Returns the entry of a key that does not exist.
    pub(crate) fn absent(namespace: &str, key: &str) -> Self {
        Self {
            namespace: namespace.into(),
            key: key.into(),
            value: Value::Null,
            version: 0,
            updated: None,
            expires_at_ms: None,
        }
    }

    /// Returns whether there is a value.
    pub fn exists(&self) -> bool {
        self.version > 0
    }
}
