//! The form of the text of an access key: `cmk_`, the id of the key, `_`, 32 random bytes in base64url.
use crate::platform::id::KeyId;

/// What the text of a key begins with.
pub(crate) const PREFIX: &str = "cmk_";
/// The length of an id, and of the random bytes in base64.
const ID_CHARS: usize = 26;
const RANDOM_CHARS: usize = 43;

/// Returns the id in the text of a key; `None` if it is no such text.
pub(crate) fn id_of_key_text(text: &str) -> Option<KeyId> {
    let rest = text.strip_prefix(PREFIX)?;
    let (id, random) = rest.split_once('_')?;
    let is_base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if id.len() != ID_CHARS || random.len() != RANDOM_CHARS || !random.bytes().all(is_base64) {
        return None;
    }
    id.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_of_a_key_has_an_id() {
        let id = KeyId::from(ulid::Ulid::from_parts(1_800_000_000_000, 7));
        let text = format!("cmk_{id}_{}", "aZ0-_".repeat(9).split_at(43).0);
        assert_eq!(id_of_key_text(&text), Some(id));
        for other in [
            "",
            "cmk_",
            "cmk__",
            &text[1..],
            &text[..73],
            &format!("{text}x"),
            &text.replacen('0', "ü", 1),
            &format!("{}\n", &text[..73]),
        ] {
            assert_eq!(id_of_key_text(other), None, "{other}");
        }
    }
}
