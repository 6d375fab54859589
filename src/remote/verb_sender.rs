//! Sends what hooks and waker of the session have done to the hub, in order, until the hub has it.
//!
//! Nothing is dropped because the hub is out of reach or refuses the key: it is sent again. Only a verb that the hub cannot
//! carry out is dropped, and logged.
use std::sync::Arc;

use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::platform::fault_log;
use crate::platform::id::SessionId;
use crate::remote::hub_error::HubError;
use crate::remote::link::{Link, PROGRAM, pause_after};
use crate::remote::mirror::ClientFacts;
use crate::remote::verb_queue::NumberedVerb;

/// Sends what is queued for as long as the program runs.
pub(super) async fn send_verbs(link: Arc<Link>) {
    let mut failures = 0;
    loop {
        match send_batch(&link).await {
            Ok(true) => failures = 0,
            Ok(false) => link.queued.notified().await,
            Err(error) => {
                failures += 1;
                tokio::time::sleep(pause_after(&error, failures)).await;
            }
        }
    }
}

/// What one request brings to the hub.
struct Batch {
    session: SessionId,
    facts: ClientFacts,
    verbs: Vec<NumberedVerb>,
}

/// Sends the oldest verbs and what the client does. Returns whether there was something to send.
async fn send_batch(link: &Link) -> Result<bool, HubError> {
    let mut registered = link.session();
    let Ok(Some(session)) = registered.wait_for(Option::is_some).await.map(|id| *id) else {
        return Ok(false);
    };
    let batch = {
        let mirror = link.mirror();
        Batch {
            session,
            facts: mirror.facts().clone(),
            verbs: mirror.unsent(),
        }
    };
    if batch.verbs.is_empty() && !link.mirror().has_unsent_facts() {
        return Ok(false);
    }
    match batch.send(link).await {
        Err(error) if is_refused(&error) && batch.verbs.len() > 1 => {
            batch.send_one_by_one(link).await?;
        }
        sent => batch.finish(link, sent)?,
    }
    Ok(true)
}

impl Batch {
    async fn send(&self, link: &Link) -> Result<(), HubError> {
        let path = format!("/v1/remote/sessions/{}/verbs", self.session);
        let body = json!({
            "activity": self.facts.activity,
            "waiting_hook": self.facts.waiting_hook,
            "verbs": self.verbs,
        });
        let client = link.client()?;
        let sent = client.call::<Value>(Method::POST, &path, Some(&body)).await;
        sent.map(drop)
    }

    /// Sends verbs of which the hub refuses one: it refuses that again, and carries out the others.
    async fn send_one_by_one(self, link: &Link) -> Result<(), HubError> {
        let Self {
            session,
            facts,
            verbs,
        } = self;
        for verb in verbs {
            let one = Self {
                session,
                facts: facts.clone(),
                verbs: vec![verb],
            };
            let sent = one.send(link).await;
            one.finish(link, sent)?;
        }
        Ok(())
    }

    /// Records what has become of a request.
    fn finish(&self, link: &Link, sent: Result<(), HubError>) -> Result<(), HubError> {
        let last = self.verbs.last().map(|verb| verb.number);
        match sent {
            Ok(()) => {
                let mut mirror = link.mirror();
                mirror.confirm_facts(self.facts.clone());
                if let Some(last) = last {
                    mirror.queue().confirm_sent(last);
                }
                Ok(())
            }
            Err(error) if is_refused(&error) && last.is_some() => {
                let problem = format!("the hub refuses what a hook has done: {error}");
                fault_log::append(&link.settings.mesh_home, PROGRAM, &problem);
                if let Some(last) = last {
                    link.mirror().queue().remove(last);
                }
                Ok(())
            }
            Err(error) => {
                if error.is_session_ended() {
                    link.session_ended(self.session);
                } else if !error.is_transient() {
                    link.forget_client();
                }
                Err(error)
            }
        }
    }
}

/// Returns whether the hub refuses what was sent, who sends it.
fn is_refused(error: &HubError) -> bool {
    matches!(error, HubError::Refused(refusal) if refusal.status == StatusCode::BAD_REQUEST)
}
