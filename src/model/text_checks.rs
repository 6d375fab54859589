//! Checks each text before it is stored: its size, a character that cannot be stored, and whether it looks like a secret.
use super::refusal::Refusal;
use super::secret;

/// Refuses a text of more than `bytes_max` bytes, and one that cannot be stored.
pub fn check_size(parameter: &str, text: &str, bytes_max: usize) -> Result<(), Refusal> {
    check_length(parameter, text, bytes_max)?;
    check_characters(parameter, text)
}

/// Refuses a text of more than `bytes_max` bytes.
pub fn check_length(parameter: &str, text: &str, bytes_max: usize) -> Result<(), Refusal> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    Err(Refusal::TooLarge {
        parameter: quoted(parameter),
        bytes: text.len(),
        bytes_max,
    })
}

/// Refuses a text with U+0000: PostgreSQL stores none, and where a mesh is makes no difference to what it stores.
pub fn check_characters(parameter: &str, text: &str) -> Result<(), Refusal> {
    if !text.contains('\0') {
        return Ok(());
    }
    Err(Refusal::argument(format!(
        "{} contains the character U+0000, which cannot be stored; leave it out",
        quoted(parameter)
    )))
}

/// Refuses a text that looks like a secret, and one that cannot be stored.
pub fn check_secret(parameter: &str, text: &str) -> Result<(), Refusal> {
    check_characters(parameter, text)?;
    match secret::secret_kind(text) {
        None => Ok(()),
        Some(secret_kind) => Err(Refusal::Secret {
            parameter: quoted(parameter),
            secret_kind,
        }),
    }
}

fn quoted(parameter: &str) -> String {
    format!("\"{parameter}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_error_quotes_the_parameter_name() {
        let error_text = |outcome: Result<(), Refusal>| outcome.unwrap_err().to_string();
        assert!(error_text(check_size("value", "abc", 2)).starts_with("\"value\" has 3 bytes"));
        let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(3));
        assert!(
            error_text(check_secret("key", &token)).starts_with("\"key\" contains what looks like")
        );
        assert_eq!(check_size("value", "ab", 2), Ok(()));
    }

    #[test]
    fn text_with_the_character_nul_is_refused() {
        for outcome in [check_size("text", "a\0b", 9), check_secret("key", "a\0")] {
            let refusal = outcome.unwrap_err().to_string();
            assert!(
                refusal.contains("contains the character U+0000"),
                "{refusal}"
            );
        }
    }
}
