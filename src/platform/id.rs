//! Typed ids. All are ULIDs, minted by the store; a plain `String` is something a person typed.
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use ulid::Ulid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ulid);

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
    };
}

id! {
    /// A named mailbox.
    PeerId
}
id! {
    /// One running client process that sits, or sat, at a peer.
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
    /// A claim, or a place in line for one.
    ClaimId
}
id! {
    /// One version of a memory.
    MemoryId
}
id! {
    /// One blocking call that waits: for answers, for a turn in a line, for events.
    WaitId
}
id! {
    /// A task.
    TaskId
}
