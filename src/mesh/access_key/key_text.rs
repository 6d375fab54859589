//! The texts of keys and tokens: makes them of random bytes of the operating system, and hashes them.
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::model::Result;
use crate::model::key_text::PREFIX;
use crate::platform::id::KeyId;
use crate::platform::{Fault, FaultKind};

/// The random bytes of a key or of a token.
const RANDOM_BYTES: usize = 32;

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

/// Returns the SHA-256 of a text.
pub(in crate::mesh) fn sha256(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::key_text::id_of_key_text;

    #[test]
    fn text_of_a_key_contains_its_id() {
        let id = KeyId::from(ulid::Ulid::from_parts(1_800_000_000_000, 7));
        let text = new_key_text(id).unwrap();
        assert_eq!(text.len(), 74, "{text}");
        assert_eq!(id_of_key_text(&text), Some(id));
        assert_ne!(text, new_key_text(id).unwrap());
    }

    /// The example of FIPS 180.
    #[test]
    fn hash_is_sha256() {
        assert_eq!(sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
