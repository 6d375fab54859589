//! Topics: who hears of them. A topic is there as long as somebody subscribes to it or its messages are kept.
use super::message::check_addressable;
use super::{Mesh, SessionHandle};
use crate::model::{Refusal, Result, Topic};
use crate::platform::id::PeerId;
use crate::store::Tx;

/// What to do with topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubscriptionAction {
    /// Hear of them from now on.
    #[default]
    Subscribe,
    /// Hear of them no more.
    Unsubscribe,
    /// Only look.
    List,
}

/// A topic and who hears of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSubscribers {
    /// Its name.
    pub topic: String,
    /// Who subscribes to it, by name.
    pub subscribers: Vec<String>,
}

impl Mesh {
    /// Subscribes a mailbox to topics, or ends that. Returns them, or without any all there are, with who hears of them.
    pub fn subscribe(
        &mut self,
        me: &SessionHandle,
        what: SubscriptionAction,
        topics: &[Topic],
    ) -> Result<Vec<TopicSubscribers>> {
        check_addressable(me)?;
        if what == SubscriptionAction::List {
            return self.read(|tx, _| topic_subscribers(tx, topics));
        }
        if topics.is_empty() {
            return Err(Refusal::argument("\"topics\" names no topic").into());
        }
        self.write(|tx, _, _| {
            for topic in topics {
                if what == SubscriptionAction::Subscribe {
                    tx.subscribe(me.peer, topic)?;
                } else {
                    tx.unsubscribe(me.peer, topic)?;
                }
            }
            topic_subscribers(tx, topics)
        })
    }
}

fn topic_subscribers(tx: &Tx, topics: &[Topic]) -> Result<Vec<TopicSubscribers>> {
    let mut names: Vec<String> = Vec::new();
    for topic in topics {
        if !names.iter().any(|name| name == topic.as_str()) {
            names.push(topic.as_str().into());
        }
    }
    if names.is_empty() {
        names = tx.topics()?;
    }
    let audience = |topic: String| -> Result<TopicSubscribers> {
        let subscribers = tx.subscribers(&topic)?;
        Ok(TopicSubscribers {
            topic,
            subscribers: subscribers.into_iter().map(|(_, name)| name).collect(),
        })
    };
    names.into_iter().map(audience).collect()
}

/// Subscribes a mailbox to what its project's file names. What cannot be a topic there is passed over.
pub(in crate::mesh) fn subscribe_project_topics(
    tx: &Tx,
    peer: PeerId,
    topics: &[String],
) -> Result<()> {
    const TOPICS_MAX: usize = 64;
    for topic in topics.iter().take(TOPICS_MAX) {
        if let Ok(topic) = Topic::parse(topic) {
            tx.subscribe(peer, &topic)?;
        }
    }
    Ok(())
}
