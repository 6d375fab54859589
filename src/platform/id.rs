//! Defines a type for each kind of id. All are ULIDs made by the store; a plain `String` is what a person typed.
use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

        impl $name {
            /// Greater than every id that is given.
            pub const LAST: Self = Self(Ulid(u128::MAX));

            /// Returns the plain id.
            pub fn ulid(self) -> Ulid {
                self.0
            }
        }

        impl From<Ulid> for $name {
            fn from(ulid: Ulid) -> Self {
                Self(ulid)
            }
        }

        impl FromStr for $name {
            type Err = ulid::DecodeError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ulid::from_string(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(D::Error::custom)
            }
        }
    };
}

id! {
    /// A named mailbox.
    PeerId
}
id! {
    /// A client process that is or was registered at a peer.
    SessionId
}
id! {
    /// A question.
    QuestionId
}
id! {
    /// A message.
    MessageId
}
id! {
    /// A claim, or a ticket in its queue.
    ClaimId
}
id! {
    /// One version of a memory.
    MemoryId
}
id! {
    /// A blocking wait: for answers, for a claim, for events.
    WaitId
}
id! {
    /// A task.
    TaskId
}
id! {
    /// An access key.
    KeyId
}
