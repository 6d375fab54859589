//! Statements on messages and subscriptions: posted, listed, read, mentioned.
//!
//! A message is one row for all its readers. A peer sees what is addressed to it, what was posted to everybody since the peer
//! exists, and what was posted to a topic since the peer subscribed. Ids of peers and of messages come from one sequence, so
//! `message.id > peer.id` means that the message is younger.
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

use rusqlite::{named_params, params};

use super::engine::{self, OptionalExtension, Row};
use super::schema::FORK_SCHEMA;
use super::transaction::{NewPending, Tx};
use crate::model::message::{EVERYONE, MessageType, SHORT_BODY_CHARS_MAX, SentTo, Topic};
use crate::platform::id::{MessageId, PeerId, SessionId};

/// A stored message.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Message {
    /// Its id; ids grow in the order in which messages were stored.
    pub id: MessageId,
    /// The name that its sender had then.
    pub from: String,
    pub to: SentTo,
    pub kind: MessageType,
    pub subject: Option<String>,
    /// Its text; only the beginning if read by `Tx::unmentioned_messages`.
    pub body: String,
    /// The size of the whole text.
    pub bytes: u32,
    pub in_reply_to: Option<MessageId>,
    pub posted_at_ms: i64,
    pub expires_at_ms: Option<i64>,
}

impl Message {
    fn from_row(row: &Row) -> engine::Result<Self> {
        let topic: Option<String> = row.get("topic")?;
        let to = match topic {
            None => SentTo::Peer(row.get::<_, Option<String>>("to_name")?.unwrap_or_default()),
            Some(topic) if topic == EVERYONE => SentTo::Everyone,
            Some(topic) => SentTo::Topic(topic),
        };
        Ok(Self {
            id: row.get("id")?,
            from: row.get("from_name")?,
            to,
            kind: MessageType::of(row.get_ref("type")?.as_str()?).unwrap_or_default(),
            subject: row.get("subject")?,
            body: row.get("body")?,
            bytes: row.get("bytes")?,
            in_reply_to: row.get("in_reply_to")?,
            posted_at_ms: row.get("posted_at_ms")?,
            expires_at_ms: row.get("expires_at_ms")?,
        })
    }

    /// Returns the text if it is short enough to be printed beside a prompt.
    pub fn short_body(&self) -> Option<&str> {
        (self.body.chars().count() <= SHORT_BODY_CHARS_MAX).then_some(self.body.as_str())
    }
}

/// The target of a new message.
#[expect(missing_docs, reason = "the other variant names say it")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageTarget<'a> {
    Peer(PeerId),
    /// A topic; `*` is everybody.
    Topic(&'a str),
}

/// The values of a new message.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug)]
pub struct NewMessage<'a> {
    pub from: PeerId,
    pub from_name: &'a str,
    pub to: MessageTarget<'a>,
    pub kind: MessageType,
    pub subject: Option<&'a str>,
    pub body: &'a str,
    pub in_reply_to: Option<MessageId>,
    /// The sender's own key, under which the message is stored only once.
    pub idempotency_key: Option<&'a str>,
    pub ttl_ms: Option<i64>,
}

/// The message that was stored before under an idempotency key.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug)]
pub struct IdempotencyMatch {
    pub id: MessageId,
    /// Its target, if it is a peer.
    pub to_peer: Option<PeerId>,
    /// Its target, if it is a topic.
    pub topic: Option<String>,
    /// Whether all other values are the same.
    pub is_identical: bool,
}

/// Which messages to list.
#[derive(Debug, Clone, Default)]
pub struct MessageListing<'a> {
    /// Only messages after this id; empty for all.
    pub after: String,
    /// Topics to list in addition to the subscribed ones.
    pub topics: &'a [Topic],
    /// Only messages of this sender.
    pub from: Option<PeerId>,
    /// Only messages of a sender that had this name.
    pub from_name: Option<&'a str>,
    /// The number of messages at most.
    pub limit: u32,
}

/// What is pending for a peer and one of its sessions.
#[expect(clippy::struct_excessive_bools, reason = "five independent flags")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PendingFlags {
    /// Open questions.
    pub questions: bool,
    /// Answers that no call waited for.
    pub answers: bool,
    /// Messages that have not been mentioned.
    pub mail: bool,
    /// Grants that the session has not been notified of.
    pub grants: bool,
    /// Answers of its forks of which the session was not notified.
    pub fork_answers: bool,
}

const MESSAGE_COLUMNS: &str = "m.id, m.from_name, p.name AS to_name, m.topic, m.type, m.subject, m.in_reply_to, m.posted_at_ms, m.expires_at_ms, octet_length(m.body) AS bytes";
/// The key of the row in `meta` with the id of the last message: a hook need not query the table if nothing was posted.
pub(super) const LAST_MESSAGE_KEY: &str = "last_message";
const WAKING_FILTER: &str = "AND m.type IN ('alert', 'command')";

/// Selects the ids that peer `:peer` sees after an id, that have not expired at `:now`, and that match `extra_filter`.
///
/// A cross join keeps its order. With the statistics of a big mesh SQLite would read all messages to find those of a topic.
fn visible_ids_sql(after: &str, extra_filter: &str) -> String {
    let filter_sql = filter_sql(extra_filter);
    format!(
        "SELECT m.id FROM message m WHERE m.to_peer = :peer AND m.id > {after} {filter_sql}
         UNION ALL SELECT m.id FROM message m WHERE m.topic = '{EVERYONE}' AND m.id > max({after}, :peer) {filter_sql}
         UNION ALL SELECT m.id FROM subscription s CROSS JOIN message m ON m.topic = s.topic
             WHERE s.peer_id = :peer AND m.id > max({after}, s.since) {filter_sql}"
    )
}

/// Selects the same and the messages of the topics in the JSON list `:topics`, also those older than a subscription.
fn visible_ids_with_topics_sql(after: &str, extra_filter: &str) -> String {
    let not_named_filter = "AND s.topic NOT IN (SELECT value FROM json_each(:topics))";
    format!(
        "{} {not_named_filter}
         UNION ALL SELECT m.id FROM json_each(:topics) t CROSS JOIN message m ON m.topic = t.value WHERE m.id > {after} {}",
        visible_ids_sql(after, extra_filter),
        filter_sql(extra_filter)
    )
}

/// The conditions that every visible message meets.
fn filter_sql(extra_filter: &str) -> String {
    format!(
        "AND m.from_peer <> :peer AND (m.expires_at_ms IS NULL OR m.expires_at_ms > :now) {extra_filter}"
    )
}

const UNREAD_AFTER: &str = "(SELECT mail_read FROM peer WHERE id = :peer)";
const UNMENTIONED_AFTER: &str =
    "(SELECT max(mail_read, mail_mentioned) FROM peer WHERE id = :peer)";

/// Returns a JSON list with each topic once, so that no message is listed twice.
fn topics_json(topics: &[Topic]) -> String {
    let topics: BTreeSet<&Topic> = topics.iter().collect();
    serde_json::to_string(&topics).expect("texts can be written as JSON")
}

impl Tx<'_> {
    pub(crate) fn insert_message(&self, new: &NewMessage) -> engine::Result<MessageId> {
        let id = MessageId::from(self.next_id()?);
        self.note_new_pending(match new.to {
            MessageTarget::Peer(peer) => NewPending::Peer(peer),
            MessageTarget::Topic(_) => NewPending::Everyone,
        });
        let (to_peer, topic) = match new.to {
            MessageTarget::Peer(peer) => (Some(peer), None),
            MessageTarget::Topic(topic) => (None, Some(topic)),
        };
        self.sql
            .prepare_cached(
                "INSERT INTO message (id, from_peer, from_name, to_peer, topic, type, subject, body, in_reply_to, idempotency_key,
                                      posted_at_ms, expires_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .run(params![
                id, new.from, new.from_name, to_peer, topic, new.kind.as_str(), new.subject, new.body, new.in_reply_to,
                new.idempotency_key, self.now.wall_ms, new.ttl_ms.map(|ttl_ms| self.now.wall_ms.saturating_add(ttl_ms))
            ])?;
        self.set_meta(LAST_MESSAGE_KEY, &id.to_string())?;
        Ok(id)
    }

    /// Returns the message that this sender has stored under a key.
    pub(crate) fn find_message_by_idempotency_key(
        &self,
        new: &NewMessage,
        key: &str,
    ) -> engine::Result<Option<IdempotencyMatch>> {
        self.sql
            .prepare_cached(
                "SELECT id, to_peer, topic, type = ?3 AND subject IS NOT DISTINCT FROM ?4 AND body = ?5 AND in_reply_to IS NOT DISTINCT FROM ?6
                        AND (expires_at_ms - posted_at_ms) IS NOT DISTINCT FROM ?7 AS is_identical
                 FROM message WHERE from_peer = ?1 AND idempotency_key = ?2",
            )?
            .query_row(
                params![new.from, key, new.kind.as_str(), new.subject, new.body, new.in_reply_to, new.ttl_ms],
                |row| {
                    Ok(IdempotencyMatch {
                        id: row.get("id")?,
                        to_peer: row.get("to_peer")?,
                        topic: row.get("topic")?,
                        is_identical: row.get("is_identical")?,
                    })
                },
            )
            .optional()
    }

    pub(crate) fn has_message(&self, id: MessageId) -> engine::Result<bool> {
        self.sql
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM message WHERE id = ?1)")?
            .query_row([id], |row| row.get(0))
    }

    /// Returns when a peer's `nth` newest message to everybody since `since_ms` was posted.
    pub(crate) fn nth_newest_broadcast_at_ms(
        &self,
        from: PeerId,
        since_ms: i64,
        nth: u32,
    ) -> engine::Result<Option<i64>> {
        self.sql
            .prepare_cached(
                "SELECT posted_at_ms FROM message WHERE topic = '*' AND from_peer = ?1 AND posted_at_ms > ?2 AND posted_at_ms <= ?3
                 ORDER BY posted_at_ms DESC LIMIT 1 OFFSET ?4",
            )?
            .query_row(params![from, since_ms, self.now.wall_ms, nth - 1], |row| row.get(0))
            .optional()
    }

    /// Returns the messages that a peer sees, oldest first.
    pub(crate) fn messages(
        &self,
        peer: PeerId,
        listing: &MessageListing,
    ) -> engine::Result<Vec<Message>> {
        let visible_sql = visible_ids_with_topics_sql(
            ":after",
            "AND (CAST(:from AS TEXT) IS NULL OR m.from_peer = :from) AND (CAST(:from_name AS TEXT) IS NULL OR m.from_name = :from_name)",
        );
        self.sql
            .prepare_cached(&format!(
                "SELECT {MESSAGE_COLUMNS}, m.body FROM (SELECT id FROM ({visible_sql}) s ORDER BY id LIMIT :limit) v
                 CROSS JOIN message m ON m.id = v.id LEFT JOIN peer p ON p.id = m.to_peer ORDER BY m.id"
            ))?
            .query_map(
                named_params! {
                    ":peer": peer, ":after": listing.after, ":now": self.now.wall_ms, ":topics": topics_json(listing.topics),
                    ":from": listing.from, ":from_name": listing.from_name, ":limit": listing.limit,
                },
                Message::from_row,
            )?
            .collect()
    }

    /// Returns the newest messages of the mesh, for any recipient, newest first.
    #[cfg(feature = "hub")]
    pub(crate) fn newest_messages(&self, limit: u32) -> engine::Result<Vec<Message>> {
        if !self.schema_at_least(2) {
            return Ok(Vec::new());
        }
        let messages: engine::Result<Vec<Message>> = self
            .sql
            .prepare_cached(&format!(
                "SELECT {MESSAGE_COLUMNS}, m.body FROM (SELECT id FROM message WHERE expires_at_ms IS NULL OR expires_at_ms > ?1
                     ORDER BY id DESC LIMIT ?2) v
                 CROSS JOIN message m ON m.id = v.id LEFT JOIN peer p ON p.id = m.to_peer"
            ))?
            .query_map(params![self.now.wall_ms, limit], Message::from_row)?
            .collect();
        let mut messages = messages?;
        // A join promises no order, and SQLite would sort the rows with their texts.
        messages.sort_unstable_by_key(|message| std::cmp::Reverse(message.id));
        Ok(messages)
    }

    /// Returns the number of messages that a peer has not read, with these topics in addition to the subscribed ones.
    pub(crate) fn count_unread(&self, peer: PeerId, topics: &[Topic]) -> engine::Result<u32> {
        self.sql
            .prepare_cached(&format!(
                "SELECT count(*) FROM ({}) v",
                visible_ids_with_topics_sql(UNREAD_AFTER, "")
            ))?
            .query_row(
                named_params! { ":peer": peer, ":now": self.now.wall_ms, ":topics": topics_json(topics) },
                |row| row.get(0),
            )
    }

    /// Returns a peer's messages that were neither read nor mentioned, oldest first, each with the beginning of its text.
    pub(crate) fn unmentioned_messages(
        &self,
        peer: PeerId,
        limit: u32,
    ) -> engine::Result<Vec<Message>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT {MESSAGE_COLUMNS}, substr(m.body, 1, {}) AS body FROM (SELECT id FROM ({}) s ORDER BY id LIMIT :limit) v
                 CROSS JOIN message m ON m.id = v.id LEFT JOIN peer p ON p.id = m.to_peer ORDER BY m.id",
                SHORT_BODY_CHARS_MAX + 1,
                visible_ids_sql(UNMENTIONED_AFTER, "")
            ))?
            .query_map(
                named_params! { ":peer": peer, ":now": self.now.wall_ms, ":limit": limit },
                Message::from_row,
            )?
            .collect()
    }

    /// Returns the number of a peer's messages that were neither read nor mentioned.
    pub(crate) fn count_unmentioned(&self, peer: PeerId) -> engine::Result<u32> {
        self.sql
            .prepare_cached(&format!(
                "SELECT count(*) FROM ({}) v",
                visible_ids_sql(UNMENTIONED_AFTER, "")
            ))?
            .query_row(
                named_params! { ":peer": peer, ":now": self.now.wall_ms },
                |row| row.get(0),
            )
    }

    /// Returns the senders of the messages that wake a peer and were neither read nor mentioned, oldest first, at most a
    /// hundred.
    pub(crate) fn senders_of_waking_mail(&self, peer: PeerId) -> engine::Result<Vec<String>> {
        self.sql
            .prepare_cached(&format!(
                "SELECT from_name FROM message WHERE id IN ({}) ORDER BY id LIMIT 100",
                visible_ids_sql(UNMENTIONED_AFTER, WAKING_FILTER)
            ))?
            .query_map(
                named_params! { ":peer": peer, ":now": self.now.wall_ms },
                |row| row.get(0),
            )?
            .collect()
    }

    /// Returns what is pending for a session by one query: the first of every hook.
    pub(crate) fn pending_flags(
        &self,
        peer: PeerId,
        session: SessionId,
    ) -> engine::Result<PendingFlags> {
        if !self.schema_at_least(2) {
            return Ok(PendingFlags {
                questions: self.has_pending_questions(peer)?,
                answers: true,
                ..PendingFlags::default()
            });
        }
        let fork_answers = if self.schema_at_least(FORK_SCHEMA) {
            "EXISTS (SELECT 1 FROM fork WHERE session_id = ?2 AND reported = 0)"
        } else {
            "false"
        };
        let sql = format!("{PENDING_FLAGS_SQL}, {fork_answers} AS fork_answers");
        let mut pending_flags = self.sql.prepare_cached(&sql)?.query_row(
            params![peer, session, self.now.wall_ms],
            |row| {
                Ok(PendingFlags {
                    questions: row.get("questions")?,
                    answers: row.get("answers")?,
                    grants: row.get("grants")?,
                    fork_answers: row.get("fork_answers")?,
                    mail: false,
                })
            },
        )?;
        pending_flags.mail = self.has_posts_since_mention(peer)? && self.has_unmentioned(peer)?;
        Ok(pending_flags)
    }

    /// Returns whether any message was posted since messages were last mentioned to this peer.
    fn has_posts_since_mention(&self, peer: PeerId) -> engine::Result<bool> {
        self.sql
            .prepare_cached(
                "SELECT max(p.id, p.mail_read, p.mail_mentioned) < m.value AS has_posts FROM meta m JOIN peer p ON p.id = ?1 WHERE m.key = ?2",
            )?
            .query_row(params![peer, LAST_MESSAGE_KEY], |row| row.get(0))
            .optional()
            .map(|has_posts| has_posts == Some(true))
    }

    fn has_unmentioned(&self, peer: PeerId) -> engine::Result<bool> {
        self.sql.prepare_cached(&has_unmentioned_sql())?.query_row(
            named_params! { ":peer": peer, ":now": self.now.wall_ms },
            |row| row.get(0),
        )
    }

    /// Returns the last message that a peer has read; empty if none.
    pub(crate) fn mail_read_up_to(&self, peer: PeerId) -> engine::Result<String> {
        self.sql
            .prepare_cached("SELECT mail_read FROM peer WHERE id = ?1")?
            .query_row([peer], |row| row.get(0))
    }

    /// Sets the last message that a peer has read; never backwards.
    pub(crate) fn set_mail_read(&self, peer: PeerId, up_to: MessageId) -> engine::Result<()> {
        self.sql
            .prepare_cached("UPDATE peer SET mail_read = max(mail_read, ?2) WHERE id = ?1")?
            .run(params![peer, up_to])
    }

    /// Sets the last message that was mentioned to a peer; never backwards.
    pub(crate) fn set_mail_mentioned(&self, peer: PeerId, up_to: MessageId) -> engine::Result<()> {
        self.sql
            .prepare_cached(
                "UPDATE peer SET mail_mentioned = max(mail_mentioned, ?2) WHERE id = ?1",
            )?
            .run(params![peer, up_to])
    }

    /// Subscribes a peer to a topic from now on; an earlier subscription stays as it is.
    pub(crate) fn subscribe(&self, peer: PeerId, topic: &Topic) -> engine::Result<()> {
        self.note_new_pending(NewPending::Peer(peer));
        let subscribed = self
            .sql
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM subscription WHERE peer_id = ?1 AND topic = ?2)",
            )?
            .query_row(params![peer, topic.as_str()], |row| row.get(0))?;
        if subscribed {
            return Ok(());
        }
        let since = MessageId::from(self.next_id()?);
        self.sql
            .prepare_cached("INSERT INTO subscription (peer_id, topic, since) VALUES (?1, ?2, ?3)")?
            .run(params![peer, topic.as_str(), since])
    }

    /// Ends the subscription of a peer to a topic.
    pub(crate) fn unsubscribe(&self, peer: PeerId, topic: &Topic) -> engine::Result<()> {
        self.sql
            .prepare_cached("DELETE FROM subscription WHERE peer_id = ?1 AND topic = ?2")?
            .run(params![peer, topic.as_str()])
    }

    /// Returns the subscribers of a topic, by name.
    pub(crate) fn subscribers(&self, topic: &str) -> engine::Result<Vec<(PeerId, String)>> {
        self.sql
            .prepare_cached(
                "SELECT p.id, p.name FROM subscription s JOIN peer p ON p.id = s.peer_id WHERE s.topic = ?1 ORDER BY p.name",
            )?
            .query_map([topic], |row| Ok((row.get("id")?, row.get("name")?)))?
            .collect()
    }

    /// Returns the topics with a subscriber, by name, at most a thousand.
    pub(crate) fn topics(&self) -> engine::Result<Vec<String>> {
        self.sql
            .prepare_cached("SELECT DISTINCT topic FROM subscription ORDER BY topic LIMIT 1000")?
            .query_map([], |row| row.get(0))?
            .collect()
    }
}

/// Every hook is a new process and compiles this statement, so it is short.
const PENDING_FLAGS_SQL: &str = "SELECT EXISTS (SELECT 1 FROM question WHERE target_peer = ?1 AND state = 'open' AND expires_at_ms > ?3) AS questions,
    EXISTS (SELECT 1 FROM question WHERE asker_peer = ?1 AND answer_open = 1) AS answers,
    EXISTS (SELECT 1 FROM claim WHERE session_id = ?2 AND told = 0 AND state = 'held') AS grants";

fn has_unmentioned_sql() -> String {
    format!("SELECT EXISTS ({})", visible_ids_sql(UNMENTIONED_AFTER, ""))
}
