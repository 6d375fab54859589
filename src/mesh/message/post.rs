//! Posts messages: to a peer, to the subscribers of a topic, or to everyone.
use serde_json::json;

use crate::mesh::check_text::check_text;
use crate::mesh::connection::Mesh;
use crate::mesh::context::{ReadContext, WriteContext};
use crate::mesh::peer::address::{find_peer, resolve_address};
use crate::mesh::retention;
use crate::mesh::session::SessionHandle;
use crate::model::message::{
    BROADCASTS_A_MINUTE, EVERYONE, KEY_CHARS_MAX, MessageType, Recipient, SUBJECT_CHARS_MAX, SentTo,
};
use crate::model::peer::Address;
use crate::model::text_checks::check_secret;
use crate::model::{EventKind, Liveness, PeerKind, Refusal, Result};
use crate::platform::id::MessageId;
use crate::store::{IdempotencyMatch, MessageTarget, NewMessage, Peer, Session};

/// The longest time to live of a message, in seconds: a year.
pub const MESSAGE_TTL_SECONDS_MAX: u32 = 31_536_000;
const MINUTE_MS: i64 = 60_000;

/// A message to post.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Copy)]
pub struct MessageDraft<'a> {
    pub to: &'a Recipient,
    pub body: &'a str,
    pub kind: MessageType,
    pub subject: Option<&'a str>,
    /// After how many seconds it expires.
    pub ttl_seconds: Option<u32>,
    /// The message that it replies to.
    pub in_reply_to: Option<MessageId>,
    /// A key of the sender: the same message is not stored twice under it.
    pub idempotency_key: Option<&'a str>,
    /// Accepts a text that looks like a secret; works for a person only.
    pub force: bool,
}

impl<'a> MessageDraft<'a> {
    /// Returns a plain text message.
    pub fn of(to: &'a Recipient, body: &'a str) -> Self {
        Self {
            to,
            body,
            kind: MessageType::Text,
            subject: None,
            ttl_seconds: None,
            in_reply_to: None,
            idempotency_key: None,
            force: false,
        }
    }
}

/// The result of posting a message.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostOutcome {
    pub id: MessageId,
    /// How many peers receive it.
    pub recipients: usize,
    /// The names of the recipients without a session that can be reached now.
    pub offline: Vec<String>,
}

/// A recipient with its sessions.
pub(in crate::mesh) struct RecipientPeer {
    peer: Peer,
    sessions: Vec<Session>,
}

impl RecipientPeer {
    fn of(read: ReadContext, peer: Peer) -> Result<Self> {
        let sessions = read.tx.live_sessions_at(peer.id)?;
        Ok(Self { peer, sessions })
    }
}

/// Where a new message goes.
#[derive(Clone, Copy)]
pub(in crate::mesh) enum Destination<'a> {
    Peer(&'a Peer),
    Topic(&'a str),
    Everyone,
}

impl<'a> Destination<'a> {
    pub(in crate::mesh) fn target(self) -> MessageTarget<'a> {
        match self {
            Self::Peer(peer) => MessageTarget::Peer(peer.id),
            Self::Topic(topic) => MessageTarget::Topic(topic),
            Self::Everyone => MessageTarget::Topic(EVERYONE),
        }
    }

    fn sent_to(self) -> SentTo {
        match self {
            Self::Peer(peer) => SentTo::Peer(peer.name.to_string()),
            Self::Topic(topic) => SentTo::Topic(topic.into()),
            Self::Everyone => SentTo::Everyone,
        }
    }
}

impl Mesh {
    /// Stores a message. Only a command or an alert wakes its recipients.
    pub fn post(&mut self, me: &SessionHandle, draft: &MessageDraft) -> Result<PostOutcome> {
        check_draft(me, draft)?;
        if let Recipient::Peer(address) = draft.to {
            self.expect_target(address.name(), |tx, peer| drop(tx.live_sessions_at(peer)));
        }
        let (id, recipients, is_sweep_due) = self.write(|write| {
            let (id, recipients) = post(write, me, draft)?;
            Ok((id, recipients, retention::is_sweep_due(write.read())?))
        })?;
        #[cfg(feature = "postgres")]
        if let (Recipient::Peer(address), [one]) = (draft.to, &recipients[..]) {
            self.note_target(address.name(), one.peer.id);
        }
        // The message is stored in any case. Liveness is looked up here, where nobody waits for the lock.
        self.sweep_if_due(is_sweep_due);
        let now = self.now();
        let mut has_dead_session = false;
        let mut offline = Vec::new();
        for RecipientPeer { peer, sessions } in &recipients {
            let mut is_reachable = false;
            for session in sessions {
                match self.host.liveness(session, peer.ttl_ms, &now) {
                    Liveness::Dead => has_dead_session = true,
                    Liveness::Alive => is_reachable |= self.host.is_served(session, &now),
                    Liveness::Stale => {}
                }
            }
            if peer.kind == PeerKind::Session && !is_reachable {
                offline.push(peer.name.to_string());
            }
        }
        if has_dead_session {
            let _ = self.record_dead_sessions();
        }
        Ok(PostOutcome {
            id,
            recipients: recipients.len(),
            offline,
        })
    }
}

pub(in crate::mesh) fn check_message_exists(read: ReadContext, id: MessageId) -> Result<()> {
    if read.tx.has_message(id)? {
        Ok(())
    } else {
        Err(Refusal::UnknownMessage { id: id.to_string() }.into())
    }
}

/// Checks sizes, forms and secrets before anything is stored.
fn check_draft(me: &SessionHandle, draft: &MessageDraft) -> Result<()> {
    let force = draft.force && me.kind == PeerKind::Person;
    check_text("body", draft.body, 1, force)?;
    if draft.kind == MessageType::Json
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(draft.body)
    {
        return Err(
            Refusal::argument(format!("\"body\" of type json does not parse: {error}")).into(),
        );
    }
    if let Some(subject) = draft.subject {
        check_length("subject", subject, SUBJECT_CHARS_MAX)?;
        if !force {
            check_secret("subject", subject)?;
        }
    }
    if let Some(key) = draft.idempotency_key {
        check_length("idempotency_key", key, KEY_CHARS_MAX)?;
    }
    match draft.ttl_seconds {
        Some(ttl) if !(1..=MESSAGE_TTL_SECONDS_MAX).contains(&ttl) => Err(Refusal::argument(
            format!("\"ttl_seconds\" must be from 1 to {MESSAGE_TTL_SECONDS_MAX}, got {ttl}"),
        )
        .into()),
        _ => Ok(()),
    }
}

fn check_length(parameter: &str, text: &str, max_chars: usize) -> Result<()> {
    match text.chars().count() {
        0 => Err(Refusal::argument(format!("\"{parameter}\" is empty")).into()),
        length if length > max_chars => Err(Refusal::argument(format!(
            "\"{parameter}\" may have {max_chars} characters at most, got {length}"
        ))
        .into()),
        _ => Ok(()),
    }
}

fn post(
    write: &mut WriteContext,
    me: &SessionHandle,
    draft: &MessageDraft,
) -> Result<(MessageId, Vec<RecipientPeer>)> {
    let new = |to| NewMessage {
        from: me.peer,
        from_name: me.name.as_str(),
        to,
        kind: draft.kind,
        subject: draft.subject,
        body: draft.body,
        in_reply_to: draft.in_reply_to,
        idempotency_key: draft.idempotency_key,
        ttl_ms: draft.ttl_seconds.map(|seconds| i64::from(seconds) * 1000),
    };
    if let Some(key) = draft.idempotency_key
        && let Some(keyed) = write
            .tx
            .find_message_by_idempotency_key(&new(MessageTarget::Topic(EVERYONE)), key)?
    {
        if !keyed.is_identical || !has_same_recipient(write.read(), &keyed, draft.to)? {
            return Err(Refusal::conflict(format!(
                "this idempotency_key belongs to another message of yours: {}",
                keyed.id
            ))
            .into());
        }
        let target = match (keyed.to_peer, &keyed.topic) {
            (Some(peer), _) => MessageTarget::Peer(peer),
            (None, topic) => MessageTarget::Topic(topic.as_deref().unwrap_or(EVERYONE)),
        };
        return Ok((keyed.id, recipients(write.read(), me, target)?));
    }
    if let Some(id) = draft.in_reply_to {
        check_message_exists(write.read(), id)?;
    }
    let peer;
    let destination = match draft.to {
        Recipient::Peer(address) => {
            peer = resolve_address(write, me, address)?;
            Destination::Peer(&peer)
        }
        Recipient::Topic(topic) => Destination::Topic(topic.as_str()),
        Recipient::Everyone => {
            check_broadcast_rate(write.read(), me)?;
            Destination::Everyone
        }
    };
    store_message(write, me, &new(destination.target()), destination)
}

/// Stores a message, and wakes its recipients if its kind does.
pub(in crate::mesh) fn store_message(
    write: &mut WriteContext,
    me: &SessionHandle,
    new: &NewMessage,
    destination: Destination,
) -> Result<(MessageId, Vec<RecipientPeer>)> {
    let recipients = match destination {
        Destination::Peer(peer) => vec![RecipientPeer::of(write.read(), peer.clone())?],
        _ => recipients(write.read(), me, new.to)?,
    };
    let id = write.tx.insert_message(new)?;
    let data = json!({ "to": destination.sent_to(), "type": new.kind, "bytes": new.body.len() });
    write.tx.append_event(
        EventKind::MessagePosted,
        Some(me.peer),
        &id.to_string(),
        &data,
    )?;
    for recipient in &recipients {
        // Mail that starts no turn of a session is shown to a person at once.
        if new.kind.wakes() || recipient.peer.kind == PeerKind::Person {
            write.wake(recipient.sessions.iter().map(|session| session.id));
        }
    }
    Ok((id, recipients))
}

/// Returns whether the stored message has the recipient that this call names. For `name/any`, that may be another
/// session of the project now.
fn has_same_recipient(read: ReadContext, keyed: &IdempotencyMatch, to: &Recipient) -> Result<bool> {
    Ok(match (to, keyed.to_peer) {
        (Recipient::Everyone, None) => keyed.topic.as_deref() == Some(EVERYONE),
        (Recipient::Topic(topic), None) => keyed.topic.as_deref() == Some(topic.as_str()),
        (Recipient::Peer(address), Some(id)) => match (address, find_peer(read, address.name())?) {
            (_, Some(named)) if named.id == id => true,
            (Address::AnyOf(_), Some(named)) => {
                named.project.is_some()
                    && read
                        .tx
                        .peer(id)?
                        .is_some_and(|peer| peer.project == named.project)
            }
            _ => false,
        },
        _ => false,
    })
}

fn recipients(
    read: ReadContext,
    me: &SessionHandle,
    target: MessageTarget,
) -> Result<Vec<RecipientPeer>> {
    let with_sessions = |peer| RecipientPeer::of(read, peer);
    match target {
        MessageTarget::Peer(id) => read.tx.peer(id)?.into_iter().map(with_sessions).collect(),
        MessageTarget::Topic(EVERYONE) => {
            let mut sessions = read.tx.live_sessions()?;
            let others = read
                .tx
                .addressable_peers()?
                .into_iter()
                .filter(|peer| peer.id != me.peer);
            Ok(others
                .map(|peer| RecipientPeer {
                    sessions: sessions
                        .extract_if(.., |session| session.peer == peer.id)
                        .collect(),
                    peer,
                })
                .collect())
        }
        MessageTarget::Topic(topic) => {
            let mut found = Vec::new();
            for (id, _) in read.tx.subscribers(topic)? {
                if id != me.peer {
                    found.extend(read.tx.peer(id)?);
                }
            }
            found.into_iter().map(with_sessions).collect()
        }
    }
}

/// Limits broadcasts: a program that sends them in a loop is faulty.
fn check_broadcast_rate(read: ReadContext, me: &SessionHandle) -> Result<()> {
    let now_ms = read.tx.now.wall_ms;
    match read
        .tx
        .nth_newest_broadcast_at_ms(me.peer, now_ms - MINUTE_MS, BROADCASTS_A_MINUTE)?
    {
        Some(oldest_ms) => {
            let seconds = (oldest_ms + MINUTE_MS - now_ms + 999) / 1000;
            Err(Refusal::RateLimited {
                problem: format!(
                    "you have posted to everyone {BROADCASTS_A_MINUTE} times within a minute; \
                     try again in {seconds} s"
                ),
            }
            .into())
        }
        None => Ok(()),
    }
}
