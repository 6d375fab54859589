//! Builds and recognizes the wake line that wakes an idle session through the inbox socket of Claude Code.
//!
//! Connecting to the socket is up to the server (`mcp::inbox_waker`).

/// The words by which the prompt hook recognizes a wake line.
const WAKE_LINE_MARK: &str = "claude-mesh doorbell";
/// Letters and digits of a nonce.
const NONCE_LENGTH: usize = 10;

/// Returns the frames that post a wake line into the inbox socket of a session: the authentication, if there is a
/// token, and a message that Claude Code shows as sent by `from`. The message has no sender address, so that no model
/// answers there.
pub fn wake_line_frames(token: Option<&str>, nonce: &str, from: &str, text: &str) -> String {
    let mut lines = String::new();
    if let Some(token) = token {
        lines += &serde_json::json!({ "type": "auth", "token": token }).to_string();
        lines.push('\n');
    }
    let content = wake_line_text(nonce, from, text);
    let message = serde_json::json!({
        "type": "user",
        "message": { "role": "user", "content": content },
        "priority": "next",
    });
    lines += &message.to_string();
    lines.push('\n');
    lines
}

/// Returns the prompt that a wake line is for the model, and by which the prompt hook recognizes it.
pub fn wake_line_text(nonce: &str, from: &str, text: &str) -> String {
    format!(
        "<cross-session-message from-name=\"{from}\">\n{WAKE_LINE_MARK} {nonce}: {text}\n</cross-session-message>"
    )
}

/// Returns the nonce of the wake line in a prompt, or `None` if the prompt is not a wake line.
pub fn wake_line_nonce(prompt: &str) -> Option<&str> {
    let start = prompt.trim_start().strip_prefix("<cross-session-message")?;
    let (_, rest) = start.split_once(WAKE_LINE_MARK)?;
    let nonce = rest.trim_start().split(':').next()?;
    (nonce.len() == NONCE_LENGTH && nonce.bytes().all(|b| b.is_ascii_alphanumeric()))
        .then_some(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wake_line_is_recognized_by_its_nonce() {
        let lines = wake_line_frames(Some("word"), "0123456789", "ada", "a question waits");
        let posted: Vec<serde_json::Value> = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(posted[0]["token"], "word");
        let prompt = posted[1]["message"]["content"].as_str().unwrap();
        assert_eq!(wake_line_nonce(prompt), Some("0123456789"));
        assert_eq!(
            wake_line_nonce("claude-mesh doorbell 0123456789: typed"),
            None
        );
        assert_eq!(
            wake_line_nonce("<cross-session-message from-name=\"x\">hello"),
            None
        );
    }
}
