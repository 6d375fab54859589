//! Messages: posting, listing, reading, subscribing. Nobody waits for a message, and listing moves nothing.
use serde_json::json;

use super::{Mesh, Rings, Sitting};
use crate::mesh::peer::directory::{find, resolve, unknown};
use crate::mesh::peer::liveness::Around;
use crate::mesh::question::ask::check_text;
use crate::mesh::retention;
use crate::model::message::{
    BROADCASTS_A_MINUTE, EVERYONE, KEY_CHARS_MAX, MessageType, Recipient, SUBJECT_CHARS_MAX,
    SentTo, Topic,
};
use crate::model::peer::Address;
use crate::model::validate::check_secret;
use crate::model::{EventKind, Liveness, PeerKind, Refusal, Result};
use crate::platform::id::MessageId;
use crate::store::{Keyed, Listing, Message, NewMessage, Peer, Session, Target, Tx};

/// Longest time of use of a message, in seconds: a year.
pub const TTL_SECONDS_MAX: u32 = 31_536_000;
/// New messages that one prompt can mention at most.
const MENTIONED_MAX: u32 = 100;
const MINUTE_MS: i64 = 60_000;

/// A message to post.
#[derive(Debug, Clone, Copy)]
pub struct Posting<'a> {
    /// Whom it is for.
    pub to: &'a Recipient,
    /// Its text.
    pub body: &'a str,
    /// What it is.
    pub kind: MessageType,
    /// What it is about.
    pub subject: Option<&'a str>,
    /// How long it is of use.
    pub ttl_seconds: Option<u32>,
    /// Which message it follows.
    pub in_reply_to: Option<MessageId>,
    /// A mark by which the same message is not stored twice.
    pub idempotency_key: Option<&'a str>,
    /// A text that looks like a secret is passed all the same; a person's right only.
    pub force: bool,
}

impl<'a> Posting<'a> {
    /// Returns the plainest message.
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

/// What came of posting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    /// The message.
    pub id: MessageId,
    /// How many mailboxes it is for.
    pub recipients: usize,
    /// Which of them no session sits at that can be reached now.
    pub offline: Vec<String>,
}

/// Which messages to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct Selection<'a> {
    /// Topics beside what comes by itself.
    pub topics: &'a [Topic],
    /// Also what was read.
    pub all: bool,
    /// Only of this sender.
    pub from: Option<&'a str>,
    /// So many at most.
    pub limit: u32,
    /// Those after this one.
    pub after: Option<MessageId>,
}

/// A look into a mailbox.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// Up to which message the mailbox has read.
    pub cursor: Option<String>,
    /// How many it has not read, the named topics included.
    pub unread: u32,
}

/// What of a mailbox has been neither read nor mentioned.
#[derive(Debug, Clone, Default)]
pub struct NewMail {
    /// The oldest of it, each with the beginning of its text.
    pub messages: Vec<Message>,
    /// How many there are in all.
    pub count: u32,
}

/// How far a mailbox has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkedRead {
    /// Up to which message.
    pub cursor: String,
    /// How many it has not read.
    pub remaining: u32,
}

/// A mailbox that a message is for, and who may sit there.
pub(in crate::mesh) struct Addressee {
    peer: Peer,
    sessions: Vec<Session>,
}

impl Mesh {
    /// Stores a message. Only a command or an alert wakes those it is for.
    pub fn post(&mut self, me: &Sitting, posting: &Posting) -> Result<Posted> {
        check(me, posting)?;
        let (id, addressees, sweep_is_due) = self.write(|tx, around, rings| {
            let (id, addressees) = post(tx, around, rings, me, posting)?;
            Ok((id, addressees, retention::is_due(tx)?))
        })?;
        // It is stored, whatever becomes of the rest; and who lives is looked up where nobody waits for the lock.
        self.sweep_on_the_way(sweep_is_due);
        if addressees.iter().any(|one| self.has_died(one)) {
            let _ = self.record_deaths();
        }
        let away = addressees
            .iter()
            .filter(|one| one.peer.kind == PeerKind::Session && !self.is_reached(one));
        Ok(Posted {
            id,
            recipients: addressees.len(),
            offline: away.map(|one| one.peer.name.to_string()).collect(),
        })
    }

    fn is_reached(&self, addressee: &Addressee) -> bool {
        let now = self.now();
        let askable = |session: &Session| self.around.is_askable(session, &now);
        addressee.sessions.iter().any(askable)
    }

    fn has_died(&self, Addressee { peer, sessions }: &Addressee) -> bool {
        let now = self.now();
        let liveness = |session: &Session| self.around.liveness(session, peer.ttl_ms, &now);
        sessions
            .iter()
            .any(|session| liveness(session) == Liveness::Dead)
    }

    /// Returns messages of a mailbox; moves nothing.
    pub fn messages(&mut self, me: &Sitting, wanted: &Selection) -> Result<Listed> {
        check_mailbox(me)?;
        self.read(|tx, around| {
            let cursor = tx.mail_read(me.peer)?;
            let mut listing = Listing {
                after: wanted.after.map_or_else(String::new, |id| id.to_string()),
                topics: wanted.topics,
                limit: wanted.limit,
                ..Listing::default()
            };
            if !wanted.all {
                listing.after = listing.after.max(cursor.clone());
            }
            let name = wanted.from.map(str::to_lowercase);
            if let Some(name) = &name {
                listing.from = find(tx, name)?.map(|peer| peer.id);
                // Runs and forgotten peers have no mailbox any more, but what they wrote carries their name.
                listing.from_name = listing.from.is_none().then_some(name);
            }
            let messages = tx.messages(me.peer, &listing)?;
            if let (Some(name), true) = (listing.from_name, messages.is_empty()) {
                check_sender(tx, around, me, &listing, name)?;
            }
            Ok(Listed {
                messages,
                unread: tx.count_unread(me.peer, wanted.topics)?,
                cursor: Some(cursor).filter(|cursor| !cursor.is_empty()),
            })
        })
    }

    /// Returns how many messages a mailbox has not read.
    pub fn unread(&mut self, me: &Sitting) -> Result<u32> {
        self.read(|tx, _| {
            Ok(if me.has_mailbox() && tx.has_rooms() {
                tx.count_unread(me.peer, &[])?
            } else {
                0
            })
        })
    }

    /// Returns what of a mailbox has been neither read nor mentioned.
    pub fn new_mail(&mut self, me: &Sitting) -> Result<NewMail> {
        self.read(|tx, _| {
            let messages = tx.unmentioned(me.peer, MENTIONED_MAX)?;
            let all = u32::try_from(messages.len()).unwrap_or(MENTIONED_MAX);
            let count = if all < MENTIONED_MAX {
                all
            } else {
                tx.count_unmentioned(me.peer)?
            };
            Ok(NewMail { messages, count })
        })
    }

    /// Notes up to which message a mailbox has read; never backwards.
    pub fn mark_read(&mut self, me: &Sitting, up_to: MessageId) -> Result<MarkedRead> {
        check_mailbox(me)?;
        self.write(|tx, _, _| {
            check_exists(tx, up_to)?;
            tx.set_mail_read(me.peer, up_to)?;
            Ok(MarkedRead {
                cursor: tx.mail_read(me.peer)?,
                remaining: tx.count_unread(me.peer, &[])?,
            })
        })
    }
}

pub(in crate::mesh) fn check_mailbox(me: &Sitting) -> Result<()> {
    if me.has_mailbox() {
        return Ok(());
    }
    let problem = "this run has no mailbox: it can post messages, but gets none".into();
    Err(Refusal::Unsupported { problem }.into())
}

fn check_exists(tx: &Tx, id: MessageId) -> Result<()> {
    if tx.has_message(id)? {
        Ok(())
    } else {
        Err(Refusal::NoMessage { id: id.to_string() }.into())
    }
}

/// A name that is nobody's, and under which nothing was ever written here, is a mistake.
fn check_sender(
    tx: &Tx,
    around: &Around,
    me: &Sitting,
    listing: &Listing,
    name: &str,
) -> Result<()> {
    let ever = Listing {
        after: String::new(),
        limit: 1,
        ..listing.clone()
    };
    if tx.messages(me.peer, &ever)?.is_empty() {
        return Err(unknown(tx, around, Some(me), name)?.into());
    }
    Ok(())
}

/// Sizes, forms and secrets are checked before anything is stored.
fn check(me: &Sitting, posting: &Posting) -> Result<()> {
    let force = posting.force && me.kind == PeerKind::Person;
    check_text("body", posting.body, 1, force)?;
    if posting.kind == MessageType::Json
        && let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(posting.body)
    {
        return Err(
            Refusal::argument(format!("\"body\" of type json does not parse: {error}")).into(),
        );
    }
    if let Some(subject) = posting.subject {
        check_length("subject", subject, SUBJECT_CHARS_MAX)?;
        if !force {
            check_secret("subject", subject)?;
        }
    }
    if let Some(key) = posting.idempotency_key {
        check_length("idempotency_key", key, KEY_CHARS_MAX)?;
    }
    match posting.ttl_seconds {
        Some(ttl) if !(1..=TTL_SECONDS_MAX).contains(&ttl) => Err(Refusal::argument(format!(
            "\"ttl_seconds\" must be from 1 to {TTL_SECONDS_MAX}, got {ttl}"
        ))
        .into()),
        _ => Ok(()),
    }
}

fn check_length(parameter: &str, text: &str, most: usize) -> Result<()> {
    match text.chars().count() {
        0 => Err(Refusal::argument(format!("\"{parameter}\" is empty")).into()),
        length if length > most => Err(Refusal::argument(format!(
            "\"{parameter}\" may have {most} characters at most, got {length}"
        ))
        .into()),
        _ => Ok(()),
    }
}

fn post(
    tx: &Tx,
    around: &Around,
    rings: &mut Rings,
    me: &Sitting,
    posting: &Posting,
) -> Result<(MessageId, Vec<Addressee>)> {
    let new = |to| NewMessage {
        from: me.peer,
        from_name: me.name.as_str(),
        to,
        kind: posting.kind,
        subject: posting.subject,
        body: posting.body,
        in_reply_to: posting.in_reply_to,
        idempotency_key: posting.idempotency_key,
        ttl_ms: posting.ttl_seconds.map(|seconds| i64::from(seconds) * 1000),
    };
    if let Some(key) = posting.idempotency_key
        && let Some(keyed) = tx.message_keyed(&new(Target::Topic(EVERYONE)), key)?
    {
        if !keyed.same || !went_to(tx, &keyed, posting.to)? {
            return Err(Refusal::conflict(format!(
                "this idempotency_key stands for another message of yours, {}",
                keyed.id
            ))
            .into());
        }
        let target = match (keyed.to_peer, &keyed.topic) {
            (Some(peer), _) => Target::Peer(peer),
            (None, topic) => Target::Topic(topic.as_deref().unwrap_or(EVERYONE)),
        };
        return Ok((keyed.id, addressees(tx, me, target)?));
    }
    if let Some(id) = posting.in_reply_to {
        check_exists(tx, id)?;
    }
    let (target, sent_to) = match posting.to {
        Recipient::Peer(address) => {
            let peer = resolve(tx, around, rings, me, address)?;
            (Target::Peer(peer.id), SentTo::Peer(peer.name.to_string()))
        }
        Recipient::Topic(topic) => {
            let name = topic.as_str();
            (Target::Topic(name), SentTo::Topic(name.into()))
        }
        Recipient::Everyone => {
            check_rate(tx, me)?;
            (Target::Topic(EVERYONE), SentTo::Everyone)
        }
    };
    store(tx, rings, me, &new(target), &sent_to)
}

/// Stores a message, and rings for it if it wakes.
pub(in crate::mesh) fn store(
    tx: &Tx,
    rings: &mut Rings,
    me: &Sitting,
    new: &NewMessage,
    sent_to: &SentTo,
) -> Result<(MessageId, Vec<Addressee>)> {
    let id = tx.insert_message(new)?;
    let data = json!({ "to": sent_to, "type": new.kind, "bytes": new.body.len() });
    tx.append(
        EventKind::MessagePosted,
        Some(me.peer),
        &id.to_string(),
        &data,
    )?;
    let addressees = addressees(tx, me, new.to)?;
    if new.kind.wakes() {
        for addressee in &addressees {
            rings.add(addressee.sessions.iter().map(|session| session.id));
        }
    }
    Ok((id, addressees))
}

/// Returns whether what is stored went where the same call would go. Of several sessions of a project another may be the
/// first now.
fn went_to(tx: &Tx, keyed: &Keyed, to: &Recipient) -> Result<bool> {
    Ok(match (to, keyed.to_peer) {
        (Recipient::Everyone, None) => keyed.topic.as_deref() == Some(EVERYONE),
        (Recipient::Topic(topic), None) => keyed.topic.as_deref() == Some(topic.as_str()),
        (Recipient::Peer(address), Some(id)) => match (address, find(tx, address.name())?) {
            (_, Some(named)) if named.id == id => true,
            (Address::AnyOf(_), Some(named)) => {
                named.project.is_some()
                    && tx
                        .peer(id)?
                        .is_some_and(|peer| peer.project == named.project)
            }
            _ => false,
        },
        _ => false,
    })
}

fn addressees(tx: &Tx, me: &Sitting, target: Target) -> Result<Vec<Addressee>> {
    let with_sessions = |peer: Peer| -> Result<Addressee> {
        let sessions = tx.live_sessions_at(peer.id)?;
        Ok(Addressee { peer, sessions })
    };
    match target {
        Target::Peer(id) => tx.peer(id)?.into_iter().map(with_sessions).collect(),
        Target::Topic(EVERYONE) => {
            let mut sessions = tx.live_sessions()?;
            let others = tx
                .mailboxes()?
                .into_iter()
                .filter(|peer| peer.id != me.peer);
            Ok(others
                .map(|peer| Addressee {
                    sessions: sessions
                        .extract_if(.., |session| session.peer == peer.id)
                        .collect(),
                    peer,
                })
                .collect())
        }
        Target::Topic(topic) => {
            let mut found = Vec::new();
            for (id, _) in tx.subscribers(topic)? {
                if id != me.peer {
                    found.extend(tx.peer(id)?);
                }
            }
            found.into_iter().map(with_sessions).collect()
        }
    }
}

/// A peer that talks to everybody all the time is a fault of its program.
fn check_rate(tx: &Tx, me: &Sitting) -> Result<()> {
    let now_ms = tx.now.wall_ms;
    match tx.nth_broadcast(me.peer, now_ms - MINUTE_MS, BROADCASTS_A_MINUTE)? {
        Some(oldest_ms) => {
            let seconds = (oldest_ms + MINUTE_MS - now_ms + 999) / 1000;
            Err(Refusal::RateLimited {
                problem: format!(
                    "you have posted to everybody {BROADCASTS_A_MINUTE} times within a minute; \
                     again in {seconds} s"
                ),
            }
            .into())
        }
        None => Ok(()),
    }
}
