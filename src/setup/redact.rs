//! Redacts what looks like a secret in a text that is shown: `~/.claude.json` has keys and tokens, and a diff shows the lines
//! around a change.

/// A shorter word is not taken for a token.
const TOKEN_LENGTH_MIN: usize = 16;

/// A key that contains one of these has a secret value.
const SECRET_KEYS: [&str; 9] = [
    "token",
    "secret",
    "password",
    "passwd",
    "apikey",
    "api_key",
    "auth",
    "credential",
    "cookie",
];

/// Returns a JSON text in which strings that look like secrets are replaced by `…`.
///
/// A string is a secret if its key says so, or if it is 16 characters or more with letters and digits and not a path. In
/// doubt it is redacted. A broken text is redacted as far as its quotes go.
pub fn redact(text: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut rest = text;
    let mut key = String::new();
    while let Some(open) = rest.find('"') {
        let (before, quoted) = rest.split_at(open + 1);
        redacted.push_str(before);
        let end = find_string_end(quoted);
        let (content, after) = quoted.split_at(end);
        rest = after;
        let is_key = after.trim_start_matches('"').trim_start().starts_with(':');
        if is_key {
            key = content.to_lowercase();
        }
        let secret =
            !is_key && !content.is_empty() && (is_secret_key(&key) || looks_like_secret(content));
        redacted.push_str(if secret { "…" } else { content });
        if let Some(after) = rest.strip_prefix('"') {
            redacted.push('"');
            rest = after;
        }
    }
    redacted.push_str(rest);
    redacted
}

fn find_string_end(quoted: &str) -> usize {
    let mut escaped = false;
    let end = quoted.find(|c| {
        let is_closing = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        is_closing
    });
    end.unwrap_or(quoted.len())
}

fn is_secret_key(key: &str) -> bool {
    key.ends_with("key") || SECRET_KEYS.iter().any(|word| key.contains(word))
}

fn looks_like_secret(content: &str) -> bool {
    let has_password = |word: &str| {
        word.split_once("://").is_some_and(|(_, rest)| {
            rest.split('/')
                .next()
                .is_some_and(|host| host.contains('@'))
        })
    };
    let is_token = |word: &str| {
        word.len() >= TOKEN_LENGTH_MIN
            && !word.starts_with(['/', '~', '.', '$'])
            && !word.contains("://")
            && word.contains(|c: char| c.is_ascii_digit())
            && word.contains(|c: char| c.is_ascii_alphabetic())
    };
    content
        .split_whitespace()
        .any(|word| has_password(word) || is_token(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_foreign_settings_lines_are_redacted() {
        for (line, redacted) in [
            (r#""token": "short""#, r#""token": "…""#),
            (r#""GITHUB_TOKEN": "x y""#, r#""GITHUB_TOKEN": "…""#),
            (
                r#""header": "Bearer sk-ant-0123456789abcdef""#,
                r#""header": "…""#,
            ),
            (
                r#""approved": ["a", "0123456789abcdefghij"]"#,
                r#""approved": ["a", "…"]"#,
            ),
            (
                r#""url": "https://ada:hunter2@example.org/x""#,
                r#""url": "…""#,
            ),
            (r#""primaryApiKey":"abc\"def""#, r#""primaryApiKey":"…""#),
        ] {
            assert_eq!(redact(line), redacted);
        }
    }

    #[test]
    fn own_settings_lines_are_not_redacted() {
        for line in [
            r#""command": "/home/ada/.cargo/bin2/claude-mesh-session-start","#,
            r#""CLAUDE_MESH_PROJECT_PATH": "${CLAUDE_PROJECT_DIR:-.}""#,
            r#""allow": ["mcp__claude-mesh", "mcp__claude-mesh__reply_to_peer"]"#,
            r#""timeout": 10 } "broken"#,
        ] {
            assert_eq!(redact(line), line);
        }
    }
}
