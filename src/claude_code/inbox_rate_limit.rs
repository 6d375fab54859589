//! Limits how fast a server posts lines into the inbox of its session: Claude Code drops lines over its own limit without
//! an error.

/// Lines that may be posted at once. Claude Code accepts 30 from one sender.
const INBOX_BURST_LINES: i64 = 25;
/// After this time one more line may be posted.
const INBOX_REFILL_INTERVAL_MS: i64 = 2_000;

/// How many lines an inbox still accepts from this process; stricter than the limit of Claude Code.
#[derive(Debug, Default)]
pub struct InboxRateLimit {
    /// When the full burst is available again.
    replenished_at_monotonic_ms: i64,
}

impl InboxRateLimit {
    /// Returns the time until the inbox accepts a line; 0 means now.
    pub fn wait_ms(&self, now_monotonic_ms: i64) -> i64 {
        let missing_ms = self.replenished_at_monotonic_ms - now_monotonic_ms;
        (missing_ms - (INBOX_BURST_LINES - 1) * INBOX_REFILL_INTERVAL_MS).max(0)
    }

    /// Records a posted line.
    pub fn record_post(&mut self, now_monotonic_ms: i64) {
        self.replenished_at_monotonic_ms =
            self.replenished_at_monotonic_ms.max(now_monotonic_ms) + INBOX_REFILL_INTERVAL_MS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simulates the limit of Claude Code: 30 lines, refilled by half a line per second.
    #[test]
    fn inbox_rate_limit_drops_no_line_and_adds_no_extra_delay() {
        let mut rate_limit = InboxRateLimit::default();
        let (mut now_ms, mut taken_at_ms, mut remaining) = (1_000_000, 1_000_000, 30.0_f64);
        for line in 1..=500_i64 {
            now_ms += rate_limit.wait_ms(now_ms) + line % 3;
            rate_limit.record_post(now_ms);
            #[expect(clippy::cast_precision_loss, reason = "some seconds")]
            let refilled = (now_ms - taken_at_ms) as f64 * 0.5 / 1000.0;
            remaining = (remaining + refilled).min(30.0);
            assert!(remaining >= 1.0, "line {line} is dropped");
            (remaining, taken_at_ms) = (remaining - 1.0, now_ms);
        }
        let took_ms = now_ms - 1_000_000;
        assert!((475 * 2_000..476 * 2_000).contains(&took_ms), "{took_ms}");
        assert_eq!(rate_limit.wait_ms(now_ms + 60_000), 0);
    }
}
