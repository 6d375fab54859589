//! Lists the messages of a peer, and records how far it has read. Listing marks nothing.
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::message::post::check_message_exists;
use crate::mesh::peer::address::{find_peer, unknown_peer_refusal};
use crate::mesh::session::SessionHandle;
use crate::model::{Result, Topic};
use crate::platform::id::MessageId;
use crate::store::{Message, MessageListing};

/// New messages that one prompt can mention at most.
const MENTIONED_MAX: u32 = 100;

/// Which messages to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct MessageFilter<'a> {
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
pub struct MessageList {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// Up to which message the mailbox has read.
    pub cursor: Option<String>,
    /// How many it has not read, the named topics included.
    pub unread: u32,
}

/// What of a mailbox has been neither read nor mentioned.
#[derive(Debug, Clone, Default)]
pub struct UnmentionedMail {
    /// The oldest of it, each with the beginning of its text.
    pub messages: Vec<Message>,
    /// How many there are in all.
    pub count: u32,
}

/// How far a mailbox has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadProgress {
    /// Up to which message.
    pub cursor: String,
    /// How many it has not read.
    pub remaining: u32,
}

impl Mesh {
    /// Returns messages of a mailbox; moves nothing.
    pub fn messages(&mut self, me: &SessionHandle, filter: &MessageFilter) -> Result<MessageList> {
        me.check_addressable()?;
        self.read(|read| {
            let cursor = read.tx.mail_read_up_to(me.peer)?;
            let mut listing = MessageListing {
                after: filter.after.map_or_else(String::new, |id| id.to_string()),
                topics: filter.topics,
                limit: filter.limit,
                ..MessageListing::default()
            };
            if !filter.all {
                listing.after = listing.after.max(cursor.clone());
            }
            let name = filter.from.map(str::to_lowercase);
            if let Some(name) = &name {
                listing.from = find_peer(read, name)?.map(|peer| peer.id);
                // Runs and forgotten peers have no mailbox any more, but what they wrote carries their name.
                listing.from_name = listing.from.is_none().then_some(name);
            }
            let messages = read.tx.messages(me.peer, &listing)?;
            if let (Some(name), true) = (listing.from_name, messages.is_empty()) {
                check_known_sender(read, me, &listing, name)?;
            }
            Ok(MessageList {
                messages,
                unread: read.tx.count_unread(me.peer, filter.topics)?,
                cursor: Some(cursor).filter(|cursor| !cursor.is_empty()),
            })
        })
    }

    /// Returns how many messages a mailbox has not read.
    pub fn unread(&mut self, me: &SessionHandle) -> Result<u32> {
        self.read(|read| {
            Ok(if me.is_addressable() && read.tx.schema_at_least(2) {
                read.tx.count_unread(me.peer, &[])?
            } else {
                0
            })
        })
    }

    /// Returns what of a mailbox has been neither read nor mentioned.
    pub fn unmentioned_mail(&mut self, me: &SessionHandle) -> Result<UnmentionedMail> {
        self.read(|read| {
            let messages = read.tx.unmentioned_messages(me.peer, MENTIONED_MAX)?;
            let all = u32::try_from(messages.len()).unwrap_or(MENTIONED_MAX);
            let count = if all < MENTIONED_MAX {
                all
            } else {
                read.tx.count_unmentioned(me.peer)?
            };
            Ok(UnmentionedMail { messages, count })
        })
    }

    /// Notes up to which message a mailbox has read; never backwards.
    pub fn mark_read(&mut self, me: &SessionHandle, up_to: MessageId) -> Result<ReadProgress> {
        me.check_addressable()?;
        self.write(|verb| {
            check_message_exists(verb.read(), up_to)?;
            verb.tx.set_mail_read(me.peer, up_to)?;
            Ok(ReadProgress {
                cursor: verb.tx.mail_read_up_to(me.peer)?,
                remaining: verb.tx.count_unread(me.peer, &[])?,
            })
        })
    }
}

/// A name that is nobody's, and under which nothing was ever written here, is a mistake.
fn check_known_sender(
    read: ReadContext,
    me: &SessionHandle,
    listing: &MessageListing,
    name: &str,
) -> Result<()> {
    let any_time = MessageListing {
        after: String::new(),
        limit: 1,
        ..listing.clone()
    };
    if read.tx.messages(me.peer, &any_time)?.is_empty() {
        return Err(unknown_peer_refusal(read, Some(me), name)?.into());
    }
    Ok(())
}
