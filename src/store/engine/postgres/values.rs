//! Converts values between the types of rusqlite and those of PostgreSQL.
use rusqlite::types::Value;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::super::error::Result;
use super::super::expected::{ExpectedQuery, owned_value};
use super::super::params::Values;

type BoxedError = Box<dyn std::error::Error + Sync + Send>;

/// A value of a statement; it is sent as the type that the server has found for its place.
#[derive(Debug, PartialEq)]
pub(super) struct SentValue(Value);

/// Returns the values of a statement in the order of their numbers. `names` are those of the statement, if it has names.
pub(super) fn sent_values(values: &Values<'_>, names: &[String]) -> Result<Vec<SentValue>> {
    match values {
        Values::Positional(values) => values.iter().map(|value| sent_value(*value)).collect(),
        Values::Named(values) => names
            .iter()
            .map(|name| {
                let value = values.iter().find(|(candidate, _)| candidate == name);
                let (_, value) =
                    value.ok_or_else(|| rusqlite::Error::InvalidParameterName(name.to_owned()))?;
                sent_value(*value)
            })
            .collect(),
    }
}

fn sent_value(value: &dyn rusqlite::types::ToSql) -> Result<SentValue> {
    owned_value(value).map(SentValue)
}

/// Returns the values of an expected query in the order of their numbers.
pub(super) fn expected_values(query: &ExpectedQuery, names: &[String]) -> Result<Vec<SentValue>> {
    let values = &query.values;
    let value_of = |name: &String| {
        let value = values.iter().find(|(of, _)| of.as_ref() == Some(name));
        let (_, value) =
            value.ok_or_else(|| rusqlite::Error::InvalidParameterName(name.to_owned()))?;
        Ok(SentValue(value.clone()))
    };
    if values.iter().any(|(name, _)| name.is_some()) {
        names.iter().map(value_of).collect()
    } else {
        let values = values.iter();
        Ok(values.map(|(_, value)| SentValue(value.clone())).collect())
    }
}

/// Returns values as they are sent.
pub(super) fn references(values: &[SentValue]) -> Vec<&(dyn ToSql + Sync)> {
    values
        .iter()
        .map(|value| value as &(dyn ToSql + Sync))
        .collect()
}

impl ToSql for SentValue {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, BoxedError> {
        match (&self.0, ty) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Integer(number), &Type::INT8) => number.to_sql(ty, out),
            (Value::Integer(number), &Type::INT4) => i32::try_from(*number)?.to_sql(ty, out),
            (Value::Integer(number), &Type::BOOL) => (*number != 0).to_sql(ty, out),
            (Value::Real(number), &Type::FLOAT8) => number.to_sql(ty, out),
            (Value::Text(text), &Type::TEXT | &Type::VARCHAR | &Type::NAME) => text.to_sql(ty, out),
            (Value::Blob(bytes), &Type::BYTEA) => bytes.to_sql(ty, out),
            (value, ty) => Err(format!("{:?} is sent as {ty}", value.data_type()).into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A value that was received.
pub(super) struct ReceivedValue(pub(super) Value);

impl<'a> FromSql<'a> for ReceivedValue {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> std::result::Result<Self, BoxedError> {
        Ok(Self(match *ty {
            Type::INT8 => Value::Integer(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Integer(i32::from_sql(ty, raw)?.into()),
            Type::BOOL => Value::Integer(bool::from_sql(ty, raw)?.into()),
            Type::FLOAT4 => Value::Real(f32::from_sql(ty, raw)?.into()),
            Type::FLOAT8 => Value::Real(f64::from_sql(ty, raw)?),
            Type::TEXT | Type::VARCHAR | Type::NAME => Value::Text(String::from_sql(ty, raw)?),
            Type::BYTEA => Value::Blob(Vec::from_sql(ty, raw)?),
            _ => return Err(format!("a column has the type {ty}").into()),
        }))
    }

    fn from_sql_null(_: &Type) -> std::result::Result<Self, BoxedError> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
