//! The tools `post`, `list_messages`, `mark_read` and `subscribe`: messages to a session, to everybody or to a topic.
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::mesh::{
    MESSAGE_TTL_SECONDS_MAX, MessageDraft, MessageFilter, MessageList, SubscriptionAction,
};
use crate::model::{MessageType, Recipient, Refusal, Result, Topic};
use crate::platform::id::MessageId;
use crate::tools::call::{Operation, single_step};
use crate::tools::entry::{Effect, JsonObject, ToolEntry};
use crate::tools::parameters::OneOf;
use crate::tools::result_budget::ResultBudget;
use crate::tools::{arguments, output, results, schema};

pub(super) const TOOLS: [ToolEntry; 4] = [
    ToolEntry {
        set: "messages",
        name: "post",
        description: "Posts a message to a session, everybody (`*`) or a topic (`#ops`); no reply comes. Text and json are delivered at the next prompt; command and alert wake an idle session: only for what cannot wait. For an answer use ask_peer. Offline peers get it later.",
        schema: schema::schema_of::<PostParams>,
        handler: post,
        effect: Effect::Writes,
        always_load: false,
        large_result: false,
    },
    ToolEntry {
        set: "messages",
        name: "list_messages",
        description: "Lists messages for you, oldest first: direct, to everybody, of topics you subscribe to or name. They stay unread; when done mark_read the last message_id.",
        schema: schema::schema_of::<ListMessagesParams>,
        handler: list_messages,
        effect: Effect::Reads,
        always_load: false,
        large_result: true,
    },
    ToolEntry {
        set: "messages",
        name: "mark_read",
        description: "Marks your messages up to this one as read; never moves back.",
        schema: schema::schema_of::<MarkReadParams>,
        handler: mark_read,
        effect: Effect::Idempotent,
        always_load: false,
        large_result: false,
    },
    ToolEntry {
        set: "messages",
        name: "subscribe",
        description: "Subscribes to messages of topics, or unsubscribes. `list` without topics: all topics.",
        schema: schema::schema_of::<SubscribeParams>,
        handler: subscribe,
        effect: Effect::Idempotent,
        always_load: false,
        large_result: false,
    },
];

/// Topics in one call.
const TOPICS_MAX: usize = 64;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PostParams {
    to: String,
    body: String,
    #[schemars(length(max = 200))]
    subject: Option<String>,
    r#type: Option<OneOf<MessageType>>,
    #[schemars(range(min = 1))]
    ttl_seconds: Option<u32>,
    in_reply_to: Option<String>,
    /// a repeated one stores nothing
    #[schemars(length(max = 128))]
    idempotency_key: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListMessagesParams {
    topics: Option<Vec<String>>,
    filter: Option<FilterParam>,
    from: Option<String>,
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
    /// an id: only later ones
    after: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum FilterParam {
    Unread,
    All,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MarkReadParams {
    up_to: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SubscribeParams {
    action: Option<OneOf<SubscriptionAction>>,
    topics: Option<Vec<String>>,
}

fn post(arguments: JsonObject) -> Result<Operation> {
    let post: PostParams = arguments::read(arguments)?;
    arguments::check_range(
        "ttl_seconds",
        post.ttl_seconds,
        1..=MESSAGE_TTL_SECONDS_MAX,
        1,
    )?;
    let to = Recipient::parse(&post.to)?;
    let in_reply_to = message_id("in_reply_to", post.in_reply_to.as_deref())?;
    Ok(single_step(move |call| {
        let draft = MessageDraft {
            kind: post.r#type.map_or(MessageType::Text, |OneOf(kind)| kind),
            subject: post.subject.as_deref(),
            ttl_seconds: post.ttl_seconds,
            in_reply_to,
            idempotency_key: post.idempotency_key.as_deref(),
            ..MessageDraft::of(&to, &post.body)
        };
        Ok(output::posted(&call.mesh.post(&call.me, &draft)?))
    }))
}

fn list_messages(arguments: JsonObject) -> Result<Operation> {
    let ListMessagesParams {
        topics,
        filter,
        from,
        limit,
        after,
    } = arguments::read(arguments)?;
    let limit = arguments::check_range("limit", limit, 1..=100, 20)?;
    let topics = parse_topics(topics)?;
    let after = message_id("after", after.as_deref())?;
    Ok(single_step(move |call| {
        let wanted = MessageFilter {
            topics: &topics,
            all: filter == Some(FilterParam::All),
            from: from.as_deref().map(str::trim),
            limit,
            after,
        };
        Ok(messages_body(&call.mesh.messages(&call.me, &wanted)?))
    }))
}

/// Returns as many messages as a result carries.
fn messages_body(listed: &MessageList) -> Value {
    let (values, cut) =
        ResultBudget::new().take_prefix(listed.messages.iter().map(output::message));
    let last = values.last().map(|value| value["message_id"].clone());
    let mut body = json!({ "messages": values, "cursor": listed.cursor, "unread": listed.unread });
    if cut {
        let last = last.unwrap_or_default();
        let hint = format!("Call list_messages with \"after\": {last} for the rest.");
        results::mark_truncated(&mut body, &hint);
    }
    body
}

fn mark_read(arguments: JsonObject) -> Result<Operation> {
    let MarkReadParams { up_to } = arguments::read(arguments)?;
    let up_to = arguments::id("up_to", &up_to, "list_messages")?;
    Ok(single_step(move |call| {
        let marked = call.mesh.mark_read(&call.me, up_to)?;
        Ok(json!({ "cursor": marked.cursor, "remaining": marked.remaining }))
    }))
}

fn subscribe(arguments: JsonObject) -> Result<Operation> {
    let SubscribeParams { action, topics } = arguments::read(arguments)?;
    let topics = parse_topics(topics)?;
    let action = action.map_or(SubscriptionAction::Subscribe, |OneOf(action)| action);
    Ok(single_step(move |call| {
        let subscribers = call.mesh.subscribe(&call.me, action, &topics)?;
        let mut body = output::topic_subscribers(&subscribers);
        if let Value::Array(topics) = body["topics"].take() {
            let (topics, left_out) = ResultBudget::new().take_prefix(topics);
            body["topics"] = topics.into();
            if left_out {
                results::mark_truncated(&mut body, "Name topics to see only those.");
            }
        }
        Ok(body)
    }))
}

fn parse_topics(topics: Option<Vec<String>>) -> Result<Vec<Topic>> {
    let topics = topics.unwrap_or_default();
    if topics.len() > TOPICS_MAX {
        return Err(Refusal::argument(format!(
            "\"topics\" may name {TOPICS_MAX} at most, got {}",
            topics.len()
        ))
        .into());
    }
    Ok(topics
        .iter()
        .map(|topic| Topic::parse(topic))
        .collect::<std::result::Result<_, _>>()?)
}

fn message_id(parameter: &str, text: Option<&str>) -> Result<Option<MessageId>> {
    text.map(|text| arguments::id(parameter, text, "post and list_messages"))
        .transpose()
}
