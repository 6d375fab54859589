//! Types of parameters that several tools take, each with its deserialization and its schema.
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::json;

use crate::mesh::{IfOffline, PeerScope, SubscriptionAction};
use crate::model::memory::MemoryScope;
use crate::model::{ClaimMode, MessageType, Priority, TaskStatus};

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
                    Err(serde::de::Error::invalid_length(
                        texts.len(),
                        &"1 to 16 texts",
                    ))
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

/// A value that a parameter names by one of a few words.
pub(super) trait Choice: Sized + Copy + 'static {
    const NAME: &'static str;
    const WORDS: &'static [&'static str];
    const VALUES: &'static [Self];
}

macro_rules! choices {
    ($($type:ident { $($word:literal => $value:ident),+ })+) => {
        $(impl Choice for $type {
            const NAME: &'static str = stringify!($type);
            const WORDS: &'static [&'static str] = &[$($word),+];
            const VALUES: &'static [Self] = &[$(Self::$value),+];
        })+
    };
}

choices! {
    IfOffline { "queue" => Queue, "wait" => Wait }
    PeerScope { "mesh" => Mesh, "machine" => Machine, "repo" => Repo, "directory" => Directory }
    SubscriptionAction { "subscribe" => Subscribe, "unsubscribe" => Unsubscribe, "list" => List }
    MemoryScope { "project" => Project, "mesh" => Mesh }
    ClaimMode { "exclusive" => Exclusive, "shared" => Shared }
    MessageType { "text" => Text, "json" => Json, "command" => Command, "alert" => Alert }
}

/// A parameter that takes one of the words of `T`.
#[derive(Debug, Clone, Copy)]
pub(super) struct OneOf<T>(pub(super) T);

impl<'de, T: Choice> Deserialize<'de> for OneOf<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct WordVisitor<T>(PhantomData<T>);
        impl<T: Choice> Visitor<'_> for WordVisitor<T> {
            type Value = OneOf<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: serde::de::Error>(
                self,
                text: &str,
            ) -> std::result::Result<OneOf<T>, E> {
                let at = T::WORDS.iter().position(|word| *word == text);
                at.map(|at| OneOf(T::VALUES[at]))
                    .ok_or_else(|| E::unknown_variant(text, T::WORDS))
            }
        }
        deserializer.deserialize_str(WordVisitor(PhantomData))
    }
}

impl<T: Choice> JsonSchema for OneOf<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::NAME.into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": T::WORDS })
    }
}

/// The schema that lists the words of a status or of a priority. The list of tools has each only once, where it is
/// needed most; elsewhere an unknown word is refused with the known ones.
pub(super) struct EnumSchema<T>(PhantomData<T>);

macro_rules! impl_enum_schema {
    ($of:ty) => {
        impl JsonSchema for EnumSchema<$of> {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($of).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "enum": <$of>::ALL })
            }
        }
    };
}
impl_enum_schema!(TaskStatus);
impl_enum_schema!(Priority);
