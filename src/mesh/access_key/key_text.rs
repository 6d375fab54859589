//! The texts of keys and tokens: makes them of random bytes of the operating system, reads their ids, and hashes them.
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::model::Result;
use crate::platform::id::KeyId;
use crate::platform::{Fault, FaultKind};

/// What the text of a key begins with.
const PREFIX: &str = "cmk_";
/// The random bytes of a key or of a token.
const RANDOM_BYTES: usize = 32;
/// The length of an id, and of the random bytes in base64.
const ID_CHARS: usize = 26;
const RANDOM_CHARS: usize = 43;

/// Returns 32 random bytes as 43 characters of base64url.
pub(in crate::mesh) fn random_token() -> Result<String> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        let problem = format!("the operating system gives no random bytes: {error}");
        Fault::new(FaultKind::Other, problem, "nothing was changed")
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Returns the text of a new key: `cmk_<id>_<random>`.
pub(in crate::mesh) fn new_key_text(id: KeyId) -> Result<String> {
    Ok(format!("{PREFIX}{id}_{}", random_token()?))
}

/// Returns the id in the text of a key; `None` if it is no such text.
pub(in crate::mesh) fn id_of_key_text(text: &str) -> Option<KeyId> {
    let rest = text.strip_prefix(PREFIX)?;
    let (id, random) = rest.split_once('_')?;
    if id.len() != ID_CHARS || random.len() != RANDOM_CHARS {
        return None;
    }
    id.parse().ok()
}

/// Returns the SHA-256 of a text.
pub(in crate::mesh) fn sha256(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_key_contains_its_id() {
        let id = KeyId::from(ulid::Ulid::from_parts(1_800_000_000_000, 7));
        let text = new_key_text(id).unwrap();
        assert_eq!(text.len(), 74, "{text}");
        assert_eq!(id_of_key_text(&text), Some(id));
        assert_ne!(text, new_key_text(id).unwrap());
    }

    #[test]
    fn other_texts_have_no_key_id() {
        let id = KeyId::from(ulid::Ulid::from_parts(1_800_000_000_000, 7));
        let text = new_key_text(id).unwrap();
        for other in [
            "",
            "cmk_",
            "cmk__",
            &text[1..],
            &text[..73],
            &format!("{text}x"),
            &text.replacen('0', "ü", 1),
        ] {
            assert_eq!(id_of_key_text(other), None, "{other}");
        }
    }

    /// The example of FIPS 180.
    #[test]
    fn hash_is_sha256() {
        assert_eq!(sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
