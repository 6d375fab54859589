//! Recognizes text that looks like a secret, for refusing to store it: private keys and the tokens of well-known providers.
//! The list is short on purpose, because a false alarm stops real work.

/// The prefix of a token, the characters that may follow, how many at least, and the name in messages.
type TokenPattern = (&'static str, fn(char) -> bool, usize, &'static str);

/// The tokens of well-known providers.
const TOKENS: [TokenPattern; 22] = [
    ("sk-ant-", is_word_char, 24, "an Anthropic key"),
    ("sk-proj-", is_word_char, 24, "an OpenAI key"),
    ("sk-svcacct-", is_word_char, 24, "an OpenAI key"),
    ("sk-or-v1-", is_word_char, 24, "an OpenRouter key"),
    ("ghp_", is_ascii_letter_or_digit, 36, "a GitHub token"),
    ("gho_", is_ascii_letter_or_digit, 36, "a GitHub token"),
    ("ghu_", is_ascii_letter_or_digit, 36, "a GitHub token"),
    ("ghs_", is_ascii_letter_or_digit, 36, "a GitHub token"),
    ("ghr_", is_ascii_letter_or_digit, 36, "a GitHub token"),
    ("github_pat_", is_word_char, 40, "a GitHub token"),
    ("glpat-", is_word_char, 20, "a GitLab token"),
    ("AKIA", is_upper_or_digit, 16, "an AWS access key"),
    ("ASIA", is_upper_or_digit, 16, "an AWS access key"),
    ("AIza", is_word_char, 35, "a Google API key"),
    ("xoxb-", is_word_char, 20, "a Slack token"),
    ("xoxp-", is_word_char, 20, "a Slack token"),
    ("sk_live_", is_ascii_letter_or_digit, 20, "a Stripe key"),
    ("rk_live_", is_ascii_letter_or_digit, 20, "a Stripe key"),
    ("npm_", is_ascii_letter_or_digit, 36, "an npm token"),
    ("pypi-", is_word_char, 40, "a PyPI token"),
    ("hf_", is_ascii_letter_or_digit, 30, "a Hugging Face token"),
    (
        "dop_v1_",
        is_ascii_letter_or_digit,
        40,
        "a DigitalOcean token",
    ),
];

/// Returns the kind of secret that a text seems to contain, or `None`.
pub fn secret_kind(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    TOKENS
        .iter()
        .find(|(prefix, is_token_char, min_length, _)| {
            has_token(text, prefix, *is_token_char, *min_length)
        })
        .map(|(.., name)| *name)
}

fn has_token(text: &str, prefix: &str, is_token_char: fn(char) -> bool, min_length: usize) -> bool {
    text.match_indices(prefix).any(|(at, _)| {
        let starts_word = !text[..at].ends_with(|c: char| c.is_alphanumeric());
        let rest = &text[at + prefix.len()..];
        starts_word
            && rest.chars().take_while(|&c| is_token_char(c)).count() >= min_length
            && !is_placeholder(rest)
    })
}

/// Returns whether the text is a placeholder such as `xxxx…` or `****`.
fn is_placeholder(rest: &str) -> bool {
    let mut chars = rest.chars();
    let first = chars.next();
    chars.take(11).all(|c| Some(c) == first)
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn is_ascii_letter_or_digit(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn is_upper_or_digit(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Assembled at run time, so that no scanner takes this file for a leak.
    fn token(prefix: &str, length: usize) -> String {
        format!(
            "{prefix}{}",
            "aB3dE5gH7jK9"
                .repeat(8)
                .chars()
                .take(length)
                .collect::<String>()
        )
    }

    #[test]
    fn tokens_and_private_keys_are_recognised() {
        for (prefix, name) in [
            ("sk-ant-api03-", "an Anthropic key"),
            ("ghp_", "a GitHub token"),
            ("AIza", "a Google API key"),
        ] {
            assert_eq!(
                secret_kind(&format!("use {} please", token(prefix, 40))),
                Some(name)
            );
        }
        assert_eq!(
            secret_kind(&format!("AKIA{}", "ABCDEFGHIJKLMNOP")),
            Some("an AWS access key")
        );
        let key = format!("-----BEGIN {}PRIVATE KEY-----\nMII", "OPENSSH ");
        assert_eq!(secret_kind(&key), Some("a private key"));
    }

    #[test]
    fn text_about_secrets_is_not_a_secret() {
        for text in [
            "which variable holds the key, ANTHROPIC_API_KEY?",
            "it begins with sk-ant- and lies in the vault",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "task_sk-ant-",
            "the commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        ] {
            assert_eq!(secret_kind(text), None, "{text}");
        }
    }
}
