//! Subscribes peers to topics. A topic exists as long as it has a subscriber or a kept message.
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::session::SessionHandle;
use crate::model::{Refusal, Result, Topic};

/// What to do with topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubscriptionAction {
    /// Receive their messages from now on.
    #[default]
    Subscribe,
    /// Receive their messages no more.
    Unsubscribe,
    /// Only list the subscribers.
    List,
}

/// A topic and its subscribers.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSubscribers {
    pub topic: String,
    /// The names of its subscribers.
    pub subscribers: Vec<String>,
}

impl Mesh {
    /// Subscribes a peer to topics, or unsubscribes it. Returns these topics, or all if none is named, with their
    /// subscribers.
    pub fn subscribe(
        &mut self,
        me: &SessionHandle,
        what: SubscriptionAction,
        topics: &[Topic],
    ) -> Result<Vec<TopicSubscribers>> {
        me.check_addressable()?;
        if what == SubscriptionAction::List {
            return self.read(|read| topic_subscribers(read, topics));
        }
        if topics.is_empty() {
            return Err(Refusal::argument("\"topics\" names no topic").into());
        }
        self.write(|write| {
            for topic in topics {
                if what == SubscriptionAction::Subscribe {
                    write.tx.subscribe(me.peer, topic)?;
                } else {
                    write.tx.unsubscribe(me.peer, topic)?;
                }
            }
            topic_subscribers(write.read(), topics)
        })
    }
}

fn topic_subscribers(read: ReadContext, topics: &[Topic]) -> Result<Vec<TopicSubscribers>> {
    let mut names: Vec<String> = Vec::new();
    for topic in topics {
        if !names.iter().any(|name| name == topic.as_str()) {
            names.push(topic.as_str().into());
        }
    }
    if names.is_empty() {
        names = read.tx.topics()?;
    }
    let audience = |topic: String| -> Result<TopicSubscribers> {
        let subscribers = read.tx.subscribers(&topic)?;
        Ok(TopicSubscribers {
            topic,
            subscribers: subscribers.into_iter().map(|(_, name)| name).collect(),
        })
    };
    names.into_iter().map(audience).collect()
}
