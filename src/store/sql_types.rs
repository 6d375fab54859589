//! Converts between the id types and SQL text, and lists to JSON.
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::platform::id::{
    ClaimId, KeyId, MemoryId, MessageId, PeerId, QuestionId, SessionId, TaskId, WaitId,
};

macro_rules! impl_sql_for_ids {
    ($($id:ty),*) => {$(
        impl ToSql for $id {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.to_string().into())
            }
        }
        impl FromSql for $id {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_str()?.parse().map_err(FromSqlError::other)
            }
        }
    )*};
}
impl_sql_for_ids!(
    PeerId, SessionId, QuestionId, MessageId, ClaimId, MemoryId, WaitId, TaskId, KeyId
);

/// Returns a list as JSON, as `json_each` reads it.
pub(super) fn json_list(list: &[impl serde::Serialize]) -> String {
    serde_json::to_string(list).expect("texts and ids can be written as JSON")
}
