//! Sends the progress notifications of a call that waits, so that a client sees that the call is alive.
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::RequestContext;

use crate::platform::Moment;
use crate::tools::ProgressReport;

/// A waiting call sends progress at least this often.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// The progress notifications of one call: at once, at every change, and every ten seconds.
pub(super) struct Progress<'a> {
    context: &'a RequestContext<RoleServer>,
    token: Option<ProgressToken>,
    last_facts: Option<String>,
    last_report_monotonic_ms: i64,
    reports_sent: f64,
}

impl<'a> Progress<'a> {
    pub(super) fn new(context: &'a RequestContext<RoleServer>) -> Self {
        Self {
            token: context.meta.get_progress_token(),
            context,
            last_facts: None,
            last_report_monotonic_ms: 0,
            reports_sent: 0.0,
        }
    }

    /// Returns whether the client asked for progress.
    pub(super) fn is_wanted(&self) -> bool {
        self.token.is_some()
    }

    /// Sends a notification if the facts are new or it is due. Returns how long until the next is due.
    pub(super) async fn send_if_due(
        &mut self,
        now: Moment,
        report: Option<ProgressReport>,
    ) -> Duration {
        let (Some(token), Some(ProgressReport { facts, message })) = (&self.token, report) else {
            return PROGRESS_INTERVAL;
        };
        let interval_ms = i64::try_from(PROGRESS_INTERVAL.as_millis()).unwrap_or(i64::MAX);
        let facts = Some(facts);
        if facts != self.last_facts
            || now.monotonic_ms - self.last_report_monotonic_ms >= interval_ms
        {
            self.reports_sent += 1.0;
            let notification = ProgressNotificationParam::new(token.clone(), self.reports_sent)
                .with_message(message);
            let _ = self.context.peer.notify_progress(notification).await;
            (self.last_facts, self.last_report_monotonic_ms) = (facts, now.monotonic_ms);
        }
        let due_in_ms = self.last_report_monotonic_ms + interval_ms - now.monotonic_ms;
        Duration::from_millis(u64::try_from(due_in_ms.max(1)).unwrap_or(1))
    }
}
