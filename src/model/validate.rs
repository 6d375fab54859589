//! What every text goes through before it is stored, whichever parameter it comes by: is it small enough, is it a secret?
use super::refusal::Refusal;
use super::secret;

/// Refuses a text that is larger than the mesh carries.
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
    match secret::looks_like(text) {
        None => Ok(()),
        Some(looks_like) => Err(Refusal::Secret {
            parameter: quoted(parameter),
            looks_like,
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
    fn the_parameter_is_named_in_quotation_marks() {
        let told = |outcome: Result<(), Refusal>| outcome.unwrap_err().to_string();
        assert!(told(check_size("value", "abc", 2)).starts_with("\"value\" has 3 bytes"));
        let token = format!("ghp_{}", "aB3dE5gH7jK9".repeat(3));
        assert!(told(check_secret("key", &token)).starts_with("\"key\" contains what looks like"));
        assert_eq!(check_size("value", "ab", 2), Ok(()));
    }
}
