//! Text that looks like a secret: private keys and the tokens of well-known providers. A short list on purpose: a false
//! alarm stops real work, and what it does not know a person still sees in the log.

/// The word a token begins with, what may follow, how many characters at least, and what it is called.
type Token = (&'static str, fn(char) -> bool, usize, &'static str);

/// The tokens of well-known providers.
const TOKENS: [Token; 22] = [
    ("sk-ant-", word, 24, "an Anthropic key"),
    ("sk-proj-", word, 24, "an OpenAI key"),
    ("sk-svcacct-", word, 24, "an OpenAI key"),
    ("sk-or-v1-", word, 24, "an OpenRouter key"),
    ("ghp_", alphanumeric, 36, "a GitHub token"),
    ("gho_", alphanumeric, 36, "a GitHub token"),
    ("ghu_", alphanumeric, 36, "a GitHub token"),
    ("ghs_", alphanumeric, 36, "a GitHub token"),
    ("ghr_", alphanumeric, 36, "a GitHub token"),
    ("github_pat_", word, 40, "a GitHub token"),
    ("glpat-", word, 20, "a GitLab token"),
    ("AKIA", upper, 16, "an AWS access key"),
    ("ASIA", upper, 16, "an AWS access key"),
    ("AIza", word, 35, "a Google API key"),
    ("xoxb-", word, 20, "a Slack token"),
    ("xoxp-", word, 20, "a Slack token"),
    ("sk_live_", alphanumeric, 20, "a Stripe key"),
    ("rk_live_", alphanumeric, 20, "a Stripe key"),
    ("npm_", alphanumeric, 36, "an npm token"),
    ("pypi-", word, 40, "a PyPI token"),
    ("hf_", alphanumeric, 30, "a Hugging Face token"),
    ("dop_v1_", alphanumeric, 40, "a DigitalOcean token"),
];

/// Returns what kind of secret a text seems to contain, or `None`.
pub fn looks_like(text: &str) -> Option<&'static str> {
    if text.contains("-----BEGIN ") && text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    TOKENS
        .iter()
        .find(|(prefix, follows, least, _)| has_token(text, prefix, *follows, *least))
        .map(|(.., name)| *name)
}

fn has_token(text: &str, prefix: &str, follows: fn(char) -> bool, least: usize) -> bool {
    text.match_indices(prefix).any(|(at, _)| {
        let begins = !text[..at].ends_with(|c: char| c.is_alphanumeric());
        let rest = &text[at + prefix.len()..];
        begins && rest.chars().take_while(|&c| follows(c)).count() >= least && !is_placeholder(rest)
    })
}

/// `xxxx…` and `****` stand in documents for a token.
fn is_placeholder(rest: &str) -> bool {
    let mut chars = rest.chars();
    let first = chars.next();
    chars.take(11).all(|c| Some(c) == first)
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn alphanumeric(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn upper(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Put together at run time, so that no scanner takes this file for a leak.
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
                looks_like(&format!("use {} please", token(prefix, 40))),
                Some(name)
            );
        }
        assert_eq!(
            looks_like(&format!("AKIA{}", "ABCDEFGHIJKLMNOP")),
            Some("an AWS access key")
        );
        let key = format!("-----BEGIN {}PRIVATE KEY-----\nMII", "OPENSSH ");
        assert_eq!(looks_like(&key), Some("a private key"));
    }

    #[test]
    fn talk_about_secrets_is_not_one() {
        for text in [
            "which variable holds the key, ANTHROPIC_API_KEY?",
            "it begins with sk-ant- and lies in the vault",
            "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "task_sk-ant-",
            "the commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        ] {
            assert_eq!(looks_like(text), None, "{text}");
        }
    }
}
