//! Lists the messages of a peer, and records how far it has read. Listing marks nothing.
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::message::post::check_message_exists;
use crate::mesh::peer::address::{find_peer, unknown_peer_refusal};
use crate::mesh::session::SessionHandle;
use crate::model::{Result, Topic};
use crate::platform::id::MessageId;
use crate::store::{Message, MessageListing};

/// How many new messages one prompt mentions at most.
const MENTIONED_MAX: u32 = 100;

/// Which messages to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct MessageFilter<'a> {
    /// Topics beside those that the peer subscribes to.
    pub topics: &'a [Topic],
    /// Also messages that were read.
    pub all: bool,
    /// Only messages of this sender.
    pub from: Option<&'a str>,
    /// How many at most.
    pub limit: u32,
    /// Only messages after this one.
    pub after: Option<MessageId>,
}

/// The messages of a peer.
#[derive(Debug, Clone)]
pub struct MessageList {
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// The last message that the peer has read.
    pub cursor: Option<String>,
    /// How many it has not read, including the named topics.
    pub unread: u32,
}

/// The messages of a peer that were neither read nor mentioned.
#[derive(Debug, Clone, Default)]
pub struct UnmentionedMail {
    /// The oldest of them, each with the beginning of its text.
    pub messages: Vec<Message>,
    /// How many there are in all.
    pub count: u32,
}

/// How far a peer has read its messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadProgress {
    /// The last message that it has read.
    pub cursor: String,
    /// How many it has not read.
    pub remaining: u32,
}

impl Mesh {
    /// Returns messages of a peer. Marks nothing as read.
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
                // Headless runs and removed peers are no peers any more, but their messages carry their names.
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

    /// Returns how many messages a peer has not read.
    pub fn unread(&mut self, me: &SessionHandle) -> Result<u32> {
        self.read(|read| {
            Ok(if me.is_addressable() && read.tx.schema_at_least(2) {
                read.tx.count_unread(me.peer, &[])?
            } else {
                0
            })
        })
    }

    /// Returns the messages of a peer that were neither read nor mentioned.
    pub fn unmentioned_mail(&mut self, me: &SessionHandle) -> Result<UnmentionedMail> {
        self.read(|read| unmentioned_mail(read, me))
    }

    /// Records that a peer has read its messages up to this one. The position never moves backwards.
    pub fn mark_read(&mut self, me: &SessionHandle, up_to: MessageId) -> Result<ReadProgress> {
        me.check_addressable()?;
        self.write(|write| {
            check_message_exists(write.read(), up_to)?;
            write.tx.set_mail_read(me.peer, up_to)?;
            Ok(ReadProgress {
                cursor: write.tx.mail_read_up_to(me.peer)?,
                remaining: write.tx.count_unread(me.peer, &[])?,
            })
        })
    }
}

/// Refuses a name that no peer has and no message here carries.
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

pub(in crate::mesh) fn unmentioned_mail(
    read: ReadContext,
    me: &SessionHandle,
) -> Result<UnmentionedMail> {
    let messages = read.tx.unmentioned_messages(me.peer, MENTIONED_MAX)?;
    let all = u32::try_from(messages.len()).unwrap_or(MENTIONED_MAX);
    let count = if all < MENTIONED_MAX {
        all
    } else {
        read.tx.count_unmentioned(me.peer)?
    };
    Ok(UnmentionedMail { messages, count })
}
