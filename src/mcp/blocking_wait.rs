//! One blocking call: its bell, its clock, its notices; and the wait for anything that one look can find.
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use tokio::sync::watch;

use super::tools::Call;
use crate::mcp::session_state::{At, CallWaiting, Shared};
use crate::mesh::Interruption;
use crate::model::Result;
use crate::platform::id::WaitId;

/// A call that waits says so at least this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// What a look found of something that is waited for.
pub(super) enum Seen<T> {
    /// It is there.
    There(T),
    /// It is not; this is said about it meanwhile.
    NotYet(String),
    /// It is not, and may be after so long, though nobody rings then.
    NotYetUntil(String, Duration),
}

/// How a wait for something else than answers ended.
pub(super) enum Came<T> {
    /// It came.
    There(T),
    /// The time is over.
    TimedOut,
    /// A question for this session came.
    Interrupted(Interruption),
    /// The client cancelled the call.
    Cancelled,
}

/// Waits until `look` finds what it looks for. A question for the session interrupts it, as any wait. Whatever happens, the
/// wait has its end.
pub(super) async fn wait_for<T>(
    call: &Call<'_>,
    wait: WaitId,
    at_most: Duration,
    look: impl FnMut(At<'_>) -> Result<Seen<T>>,
) -> Result<Came<T>> {
    let came = until_it_comes(call, wait, at_most, look).await;
    if !matches!(came, Ok(Came::Interrupted(_))) {
        call.shared.end_wait(&call.client, wait).await;
    }
    came
}

async fn until_it_comes<T>(
    call: &Call<'_>,
    wait: WaitId,
    at_most: Duration,
    mut look: impl FnMut(At<'_>) -> Result<Seen<T>>,
) -> Result<Came<T>> {
    let Call {
        shared,
        client,
        context,
    } = call;
    let mut vigil = Vigil::begin(shared, context, at_most);
    let mut progress = Progress::new(context);
    loop {
        vigil.listen();
        let (words, again) = match shared.same_seat(client, &mut look).await? {
            Seen::There(found) => return Ok(Came::There(found)),
            Seen::NotYet(words) => (words, None),
            Seen::NotYetUntil(words, again) => (words, Some(again)),
        };
        if let Some(interruption) = shared
            .same_seat(client, |at| at.mesh.interrupt_if_asked(&at.me, wait))
            .await?
        {
            return Ok(Came::Interrupted(interruption));
        }
        if vigil.is_over() {
            return Ok(Came::TimedOut);
        }
        let notice = progress.tell(words.clone(), || words, shared.now().monotonic_ms);
        let notice = async { notice.await.min(again.unwrap_or(Duration::MAX)) };
        match vigil.next(notice).await {
            Heard::Bell => {}
            Heard::ClientGone => return Ok(Came::TimedOut),
            Heard::Cancelled => return Ok(Came::Cancelled),
        }
    }
}

/// The bell and the clock of one blocking call.
pub(super) struct Vigil<'a> {
    shared: &'a Shared,
    context: &'a RequestContext<RoleServer>,
    rings: watch::Receiver<u64>,
    stdin_closed: watch::Receiver<bool>,
    until_ms: i64,
    _waiting: CallWaiting<'a>,
}

/// What ended a pause between two looks.
pub(super) enum Heard {
    /// The bell, or the time to look without one.
    Bell,
    /// Nobody reads the result any more; waiting on would only delay the end.
    ClientGone,
    /// The client cancelled the call.
    Cancelled,
}

impl<'a> Vigil<'a> {
    pub(super) fn begin(
        shared: &'a Shared,
        context: &'a RequestContext<RoleServer>,
        at_most: Duration,
    ) -> Self {
        let at_most_ms = i64::try_from(at_most.as_millis()).unwrap_or(i64::MAX / 2);
        Self {
            shared,
            context,
            rings: shared.rings(),
            stdin_closed: shared.stdin_closed().subscribe(),
            until_ms: shared.now().monotonic_ms + at_most_ms,
            _waiting: shared.begin_wait(),
        }
    }

    /// From now on a ring ends the next pause.
    pub(super) fn listen(&mut self) {
        self.rings.borrow_and_update();
    }

    fn left(&self) -> Duration {
        let left_ms = self.until_ms - self.shared.now().monotonic_ms;
        Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
    }

    pub(super) fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    /// Sends a notice, which says when the next is due, and waits.
    pub(super) async fn next(&mut self, notice: impl Future<Output = Duration>) -> Heard {
        // After the end of stdin a notice is never taken from us.
        let pause = tokio::select! {
            pause = notice => pause,
            () = closed(&mut self.stdin_closed) => Duration::ZERO,
        };
        let pause = pause.min(self.shared.pace()).min(self.left());
        tokio::select! {
            changed = self.rings.changed() => {
                if changed.is_err() {
                    tokio::time::sleep(pause).await;
                }
                Heard::Bell
            }
            () = tokio::time::sleep(pause) => Heard::Bell,
            () = closed(&mut self.stdin_closed) => Heard::ClientGone,
            () = self.context.ct.cancelled() => Heard::Cancelled,
        }
    }
}

async fn closed(stdin: &mut watch::Receiver<bool>) {
    let _ = stdin.wait_for(|closed| *closed).await;
}

/// The notices of one call: at once, at every change, and every ten seconds.
pub(super) struct Progress<'a, F> {
    context: &'a RequestContext<RoleServer>,
    token: Option<rmcp::model::ProgressToken>,
    said: Option<F>,
    said_at_ms: i64,
    count: f64,
}

impl<'a, F: PartialEq> Progress<'a, F> {
    pub(super) fn new(context: &'a RequestContext<RoleServer>) -> Self {
        Self {
            token: context.meta.get_progress_token(),
            context,
            said: None,
            said_at_ms: 0,
            count: 0.0,
        }
    }

    /// Says how it stands, if the facts are new or it is due by the monotonic clock. Returns how long until it is due again.
    pub(super) async fn tell(
        &mut self,
        facts: F,
        words: impl FnOnce() -> String,
        now_ms: i64,
    ) -> Duration {
        let Some(token) = &self.token else {
            return PROGRESS_EVERY;
        };
        let every_ms = i64::try_from(PROGRESS_EVERY.as_millis()).unwrap_or(i64::MAX);
        let facts = Some(facts);
        if facts != self.said || now_ms - self.said_at_ms >= every_ms {
            self.count += 1.0;
            let notice =
                ProgressNotificationParam::new(token.clone(), self.count).with_message(words());
            let _ = self.context.peer.notify_progress(notice).await;
            (self.said, self.said_at_ms) = (facts, now_ms);
        }
        Duration::from_millis(
            u64::try_from((self.said_at_ms + every_ms - now_ms).max(1)).unwrap_or(1),
        )
    }
}
