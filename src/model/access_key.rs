//! Defines the access keys of the hub: who holds one, what it may do, and why one is refused.
use std::fmt;

use super::peer::PeerName;
use super::refusal::Refusal;
use crate::platform::id::KeyId;
use crate::platform::text::cut_chars;

/// The longest name of a host, in characters.
pub const HOST_NAME_MAX: usize = 253;

/// What a key may do. Each scope includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyScope {
    /// Read only.
    Read,
    /// What a session may do.
    Write,
    /// What a person may do.
    Admin,
}

impl KeyScope {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// Parses a scope that a caller gave.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            "admin" => Ok(Self::Admin),
            _ => Err(Refusal::argument(format!(
                "\"scope\" is one of read, write and admin, got {:?}",
                cut_chars(text, 60)
            ))),
        }
    }

    /// Returns the scope of a stored word; of an unknown one the least.
    pub(crate) fn of(word: &str) -> Self {
        Self::parse(word).unwrap_or(Self::Read)
    }
}

impl fmt::Display for KeyScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// As whom the requests of a key act.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyHolder {
    /// The peer of that name. It need not exist yet.
    Peer(PeerName),
    /// The peers of that host.
    Host(String),
    /// A browser in which the person is signed in.
    Board,
}

impl KeyHolder {
    /// Parses the name of a host that a caller gave.
    pub fn parse_host(text: &str) -> Result<Self, Refusal> {
        let is_valid = (1..=HOST_NAME_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if is_valid {
            return Ok(Self::Host(text.to_owned()));
        }
        Err(Refusal::argument(format!(
            "\"host\" has 1 to {HOST_NAME_MAX} letters, digits, \".\", \"_\" and \"-\", got {:?}",
            cut_chars(text, 60)
        )))
    }

    /// Returns the stored word for what kind of holder it is.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Peer(_) => "peer",
            Self::Host(_) => "host",
            Self::Board => "board",
        }
    }

    /// Returns the name of the peer or of the host; of a board `board`.
    pub fn name(&self) -> &str {
        match self {
            Self::Peer(name) => name.as_str(),
            Self::Host(host) => host,
            Self::Board => "board",
        }
    }

    /// Returns the holder of a stored kind and name; `None` of an unknown kind.
    pub(crate) fn from_stored(kind: &str, name: String) -> Option<Self> {
        match kind {
            "peer" => Some(Self::Peer(PeerName::from_stored(name))),
            "host" => Some(Self::Host(name)),
            "board" => Some(Self::Board),
            _ => None,
        }
    }
}

/// An access key as it is stored. Its text is known to its holder only.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessKey {
    pub id: KeyId,
    pub holder: KeyHolder,
    pub scope: KeyScope,
    /// The folder of the project that it was created in.
    pub project: Option<String>,
    pub created_at_ms: i64,
    /// When it expires, in wall milliseconds; `None` if it does not.
    pub expires_at_ms: Option<i64>,
    pub revoked_at_ms: Option<i64>,
    /// When it was last used, to the minute.
    pub last_used_at_ms: Option<i64>,
}

impl AccessKey {
    /// Returns why the key is not valid at this time, in wall milliseconds; `None` if it is.
    pub fn problem(&self, now_ms: i64) -> Option<KeyProblem> {
        if self.revoked_at_ms.is_some() {
            return Some(KeyProblem::Revoked);
        }
        let is_expired = self.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms);
        is_expired.then_some(KeyProblem::Expired)
    }
}

/// Why the text of a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// No key has that text.
    #[error("this mesh has no such key")]
    Unknown,
    /// Its time is over.
    #[error("the key has expired")]
    Expired,
    /// It was revoked.
    #[error("the key was revoked")]
    Revoked,
}

/// Why the token of a sign-in link is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LinkProblem {
    /// No link has that token.
    #[error("there is no such sign-in link")]
    Unknown,
    /// It was used before.
    #[error("the sign-in link was used already")]
    Used,
    /// Its time is over.
    #[error("the sign-in link has expired")]
    Expired,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_includes_those_before_it() {
        assert!(KeyScope::Read < KeyScope::Write && KeyScope::Write < KeyScope::Admin);
        for scope in [KeyScope::Read, KeyScope::Write, KeyScope::Admin] {
            assert_eq!(KeyScope::parse(scope.as_str()), Ok(scope));
        }
        assert!(KeyScope::parse("Admin").is_err());
        assert_eq!(KeyScope::of("root"), KeyScope::Read);
    }

    #[test]
    fn host_name_has_no_spaces_and_no_slashes() {
        assert_eq!(
            KeyHolder::parse_host("build-2.lan"),
            Ok(KeyHolder::Host("build-2.lan".into()))
        );
        for bad in ["", "a b", "a/b", "ü", &"x".repeat(HOST_NAME_MAX + 1)] {
            assert!(KeyHolder::parse_host(bad).is_err(), "{bad}");
        }
    }
}
