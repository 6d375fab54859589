//! Parses and prints the durations and times of the command line: `90s`, `5m`, `2h`, `30d`, or an RFC 3339 time.
use std::time::Duration;

use jiff::fmt::friendly::{Designator, FractionalUnit, Spacing, SpanPrinter};
use jiff::{SignedDuration, Span, SpanRelativeTo};

use crate::platform::clock;

/// Where a list of past things begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    Ago(Duration),
    /// Wall time in milliseconds.
    At(i64),
}

impl Since {
    /// Returns the beginning as wall time in milliseconds.
    pub(super) fn wall_ms(self, now_ms: i64) -> i64 {
        match self {
            Self::Ago(span) => {
                now_ms.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX))
            }
            Self::At(ms) => ms,
        }
    }
}

/// Parses a duration of whole seconds, at most ten years. A number without a unit counts seconds.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    const SECONDS_MAX: u64 = 3_650 * 86_400;
    let span = match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => text.parse().ok().and_then(unsigned_duration),
    };
    match span {
        Some(span) if span.subsec_nanos() == 0 && span.as_secs() <= SECONDS_MAX => Ok(span),
        Some(span) if span.as_secs() > SECONDS_MAX => {
            Err(format!("{text:?} is longer than ten years"))
        }
        _ => Err(format!(
            "expected a duration such as 90s, 5m, 2h or 30d, got {text:?}"
        )),
    }
}

/// Returns `None` for a negative duration, and for months and years, which have no fixed length.
fn unsigned_duration(span: Span) -> Option<Duration> {
    let relative = SpanRelativeTo::days_are_24_hours();
    Duration::try_from(span.to_duration(relative).ok()?).ok()
}

/// Parses how long to wait: from 1 second to 7 days, after which a question expires anyway.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let span = span(text)?;
    if (1..=7 * 86_400).contains(&span.as_secs()) {
        Ok(span)
    } else {
        Err("expected from 1s to 7d".into())
    }
}

/// Parses a beginning: a duration before now, or an RFC 3339 time.
pub(super) fn since(text: &str) -> Result<Since, String> {
    if let Some(ms) = clock::parse_rfc3339(text) {
        return Ok(Since::At(ms));
    }
    span(text).map(Since::Ago).map_err(|_| {
        format!(
            "expected a duration such as 1h or a time such as 2026-11-20T15:07:01Z, got {text:?}"
        )
    })
}

/// Formats a measured time, less precisely the longer it is: `412 ms`, `1.2 s`, `12 s`, `3 m 5 s`.
pub(super) fn format_elapsed_ms(ms: i64) -> String {
    const PRINTER: SpanPrinter = SpanPrinter::new()
        .spacing(Spacing::BetweenUnitsAndDesignators)
        .designator(Designator::HumanTime);
    const TENTHS: SpanPrinter = PRINTER
        .fractional(Some(FractionalUnit::Second))
        .precision(Some(1));
    match ms {
        ..=0 => "under 1 ms".into(),
        1..=999 => PRINTER.duration_to_string(&SignedDuration::from_millis(ms)),
        1_000..=9_999 => TENTHS.duration_to_string(&SignedDuration::from_millis(ms)),
        _ => PRINTER.duration_to_string(&SignedDuration::from_secs(ms / 1_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_in_seconds_minutes_hours_and_days() {
        for (text, seconds) in [
            ("90", 90),
            ("0", 0),
            ("90s", 90),
            ("5m", 300),
            ("5min", 300),
            ("2h", 7_200),
            ("1d", 86_400),
            ("1h 30m", 5_400),
            ("2w", 14 * 86_400),
            ("3650d", 3_650 * 86_400),
        ] {
            assert_eq!(span(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in [
            "",
            "m",
            "-5m",
            "5m ago",
            "1mo",
            "1y",
            "1.5s",
            "500ms",
            "99999999999999999999",
            "9999999d",
            "ü",
        ] {
            assert!(span(text).is_err(), "{text}");
        }
        assert_eq!(
            span("4000d"),
            Err("\"4000d\" is longer than ten years".into())
        );
        assert!(timeout("0").is_err() && timeout("8d").is_err());
    }

    #[test]
    fn since_accepts_a_duration_or_a_timestamp() {
        assert_eq!(since("1h").unwrap().wall_ms(7_200_000), 3_600_000);
        assert_eq!(since("1970-01-01T00:00:01Z").unwrap().wall_ms(0), 1_000);
        assert!(since("yesterday").is_err());
    }

    #[test]
    fn elapsed_times_are_printed_with_their_unit() {
        for (ms, text) in [
            (0, "under 1 ms"),
            (412, "412 ms"),
            (1_000, "1.0 s"),
            (1_270, "1.2 s"),
            (12_345, "12 s"),
            (185_000, "3 m 5 s"),
        ] {
            assert_eq!(format_elapsed_ms(ms), text);
        }
    }
}
