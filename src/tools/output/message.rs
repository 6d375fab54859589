//! Messages and topics as JSON.
use serde_json::{Value, json};

use crate::mesh::{PostOutcome, TopicSubscribers};
use crate::platform::clock::rfc3339;
use crate::store::Message;

/// Returns a message.
pub fn message(message: &Message) -> Value {
    json!({
        "message_id": message.id,
        "from": message.from,
        "to": message.to,
        "type": message.kind,
        "subject": message.subject,
        "body": message.body,
        "posted_at": rfc3339(message.posted_at_ms),
        "expires_at": message.expires_at_ms.map(rfc3339),
        "in_reply_to": message.in_reply_to,
    })
}

/// Returns the result of posting a message.
pub fn posted(posted: &PostOutcome) -> Value {
    json!({ "message_id": posted.id, "recipients": posted.recipients, "offline": posted.offline })
}

/// Returns topics with their subscribers.
pub fn topic_subscribers(topic_subscribers: &[TopicSubscribers]) -> Value {
    let one = |audience: &TopicSubscribers| json!({ "topic": audience.topic, "subscribers": audience.subscribers });
    json!({ "topics": topic_subscribers.iter().map(one).collect::<Vec<_>>() })
}
