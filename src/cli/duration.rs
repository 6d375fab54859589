//! Spans and times as they are typed: `90s`, `5m`, `2h`, `30d`, or an RFC 3339 time.
use std::time::Duration;

use crate::platform::clock;

/// A beginning: so long ago, or at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// So long ago.
    Ago(Duration),
    /// At a time, in wall milliseconds.
    At(i64),
}

impl Since {
    /// Returns the beginning in wall milliseconds.
    pub(super) fn wall_ms(self, now_ms: i64) -> i64 {
        match self {
            Self::Ago(span) => {
                now_ms.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
            }
            Self::At(ms) => ms,
        }
    }
}

/// Reads a span; a bare number counts seconds.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let invalid_span = || format!("expected a span such as 90s, 5m, 2h or 30d, got {text:?}");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(invalid_span()),
    };
    let count: u64 = digits.parse().map_err(|_| invalid_span())?;
    count
        .checked_mul(seconds)
        .filter(|seconds| *seconds <= 3_650 * 86_400)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("{text:?} is longer than ten years"))
}

/// Reads how long to wait: a span from 1 second to 7 days, after which a question expires anyway.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let span = span(text)?;
    if (1..=7 * 86_400).contains(&span.as_secs()) {
        Ok(span)
    } else {
        Err("expected from 1s to 7d".into())
    }
}

/// Reads a beginning: a span, or a time.
pub(super) fn since(text: &str) -> Result<Since, String> {
    if let Some(ms) = clock::parse_rfc3339(text) {
        return Ok(Since::At(ms));
    }
    span(text).map(Since::Ago).map_err(|_| {
        format!("expected a span such as 1h or a time such as 2026-11-20T15:07:01Z, got {text:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_in_seconds_minutes_hours_and_days() {
        for (text, seconds) in [
            ("90", 90),
            ("90s", 90),
            ("5m", 300),
            ("2h", 7_200),
            ("1d", 86_400),
        ] {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "m",
            "-5m",
            "5 m",
            "5w",
            "1.5h",
            "99999999999999999999",
            "9999999d",
            "ü",
        ] {
            assert!(span(text).is_err(), "{text}");
        }
        assert!(timeout("0").is_err() && timeout("8d").is_err());
    }

    #[test]
    fn since_accepts_a_duration_or_a_timestamp() {
        assert_eq!(since("1h").unwrap().wall_ms(7_200_000), 3_600_000);
        assert_eq!(since("1970-01-01T00:00:01Z").unwrap().wall_ms(0), 1_000);
        assert!(since("yesterday").is_err());
    }
}
