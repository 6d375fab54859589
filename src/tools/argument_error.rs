//! Why an argument could not be read, for the refusal that a model gets: what was wrong, what came, what was expected.
//!
//! serde's own error types make English sentences of these parts at once. Here each part is named in the words of the tools
//! before the sentence is made, so that a value of the caller stays as it is.
use std::fmt;

use serde::de::{Error as DeserializeError, Expected, Unexpected};

use crate::platform::text::cut_chars;

/// Characters of a wrong value that a refusal repeats.
const VALUE_CHARS_MAX: usize = 100;

/// Why an argument could not be read.
#[derive(Debug)]
pub(super) enum ArgumentError {
    WrongType { received: String, expected: String },
    WrongValue { received: String, expected: String },
    WrongLength { length: usize, expected: String },
    UnknownValue { received: String, known: Known },
    UnknownParameter { name: String, known: Known },
    MissingParameter(&'static str),
    Other(String),
}

type Known = &'static [&'static str];

impl std::error::Error for ArgumentError {}

impl DeserializeError for ArgumentError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected, expected: &dyn Expected) -> Self {
        Self::WrongType {
            received: received(unexpected),
            expected: self::expected(expected, "a whole number"),
        }
    }

    fn invalid_value(unexpected: Unexpected, expected: &dyn Expected) -> Self {
        let number = match unexpected {
            Unexpected::Signed(..0) => "0 or more",
            _ => "a smaller number",
        };
        Self::WrongValue {
            received: received(unexpected),
            expected: self::expected(expected, number),
        }
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::WrongLength {
            length,
            expected: self::expected(expected, "a whole number"),
        }
    }

    fn unknown_variant(variant: &str, known: Known) -> Self {
        Self::UnknownValue {
            received: cut(variant),
            known,
        }
    }

    fn unknown_field(field: &str, known: Known) -> Self {
        Self::UnknownParameter {
            name: cut(field),
            known,
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::MissingParameter(field)
    }
}

impl fmt::Display for ArgumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongType { received, expected } => {
                write!(f, "wrong type: {received}, expected {expected}")
            }
            Self::WrongValue { received, expected } => {
                write!(f, "wrong value: {received}, expected {expected}")
            }
            Self::WrongLength { length, expected } => {
                write!(f, "wrong number of items: {length}, expected {expected}")
            }
            Self::UnknownValue { received, known } => {
                write!(
                    f,
                    "unknown value `{received}`, {}",
                    list(known, "none is known")
                )
            }
            Self::UnknownParameter { name, known } => {
                write!(
                    f,
                    "unknown parameter `{name}`, {}",
                    list(known, "this tool takes none")
                )
            }
            Self::MissingParameter(name) => write!(f, "missing parameter `{name}`"),
            Self::Other(message) => f.write_str(&cut(message)),
        }
    }
}

/// Names the value that came.
fn received(unexpected: Unexpected) -> String {
    match unexpected {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(number) => format!("the number `{number}`"),
        Unexpected::Signed(number) => format!("the number `{number}`"),
        Unexpected::Float(number) => format!("the number `{number:?}`"),
        Unexpected::Str(text) => format!("the text {:?}", cut(text)),
        Unexpected::Unit => "null".into(),
        Unexpected::Seq => "a list".into(),
        Unexpected::Map => "an object".into(),
        other => other.to_string(),
    }
}

/// Names what serde expects; `number` is what it says of a whole number.
fn expected(expected: &dyn Expected, number: &str) -> String {
    match expected.to_string().as_str() {
        "u32" | "u64" => number.into(),
        "a sequence" => "a list".into(),
        "a boolean" => "true or false".into(),
        "a string" => "a text".into(),
        "a map" => "an object".into(),
        other => other.into(),
    }
}

fn list(known: Known, none: &str) -> String {
    let quoted: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => none.into(),
        [one] => format!("expected {one}"),
        [one, other] => format!("expected {one} or {other}"),
        _ => format!("expected one of {}", quoted.join(", ")),
    }
}

/// A wrong value may be of any length; its beginning is enough.
fn cut(text: &str) -> String {
    let excerpt = cut_chars(text, VALUE_CHARS_MAX);
    if excerpt.len() < text.len() {
        format!("{excerpt}…")
    } else {
        excerpt.to_owned()
    }
}
