//! Checks each text before it is stored: its size, and whether it looks like a secret.
use super::refusal::Refusal;
use super::secret;

/// Refuses a text of more than `bytes_max` bytes.
pub fn check_size(parameter: &str, text: &str, bytes_max: usize) -> Result<(), Refusal> {
    if text.len() <= bytes_max {
        return Ok(());
    }
    Err(Refusal::TooLarge {
        parameter: quoted(parameter),
        bytes: text.len(),
        bytes_max,
    })
}

/// Refuses a text that looks like a secret.
pub fn check_secret(parameter: &str, text: &str) -> Result<(), Refusal> {
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
}
