//! What a hub still does for calls whose responses it has sent; it does not end before that is done.
use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

/// The work that goes on behind responses.
#[derive(Clone, Default)]
pub(super) struct BackgroundWork(Arc<watch::Sender<usize>>);

impl BackgroundWork {
    /// Begins a work.
    pub(super) fn begin(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.send_modify(|count| *count += 1);
        let all = self.clone();
        tokio::spawn(async move {
            work.await;
            all.0.send_modify(|count| *count -= 1);
        });
    }

    /// Waits until all that has begun is done.
    pub(super) async fn done(&self) {
        let mut count = self.0.subscribe();
        let _ = count.wait_for(|count| *count == 0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_when_the_last_one_is() {
        let work = BackgroundWork::default();
        work.done().await;
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        work.begin(async { drop(finished.await) });
        work.begin(async {});
        let mut done = std::pin::pin!(work.done());
        tokio::select! {
            biased;
            () = &mut done => panic!("one still goes on"),
            () = tokio::task::yield_now() => {}
        }
        finish.send(()).unwrap();
        done.await;
    }
}
