//! `post`, `list_messages`, `mark_read` and `subscribe`.
use rmcp::model::{CallToolResult, JsonObject};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{arguments, results};
use super::{Call, Effect, Entry};
use crate::mcp::result_budget::ResultBudget;
use crate::mesh::{MESSAGE_TTL_SECONDS_MAX, MessageDraft, MessageFilter, SubscriptionAction};
use crate::model::{MessageType, Recipient, Refusal, Result, Topic};
use crate::platform::id::MessageId;
use crate::tools::output;

pub(super) const TOOLS: [Entry; 4] = [
    Entry {
        set: "messages",
        name: "post",
        description: "Leaves a message for a session, everybody (`*`) or a topic (`#ops`); nobody waits for it. Text and json are read when the peer next looks; command and alert wake an idle session: only for what cannot wait. For an answer use ask_peer. Who is offline finds it later.",
        schema: arguments::schema::<Post>,
        effect: Effect::Writes,
        always_load: false,
        large_result: false,
    },
    Entry {
        set: "messages",
        name: "list_messages",
        description: "Shows messages for you, oldest first: direct, to everybody, of topics you subscribe to or name. Looking moves nothing; when done mark_read the last message_id.",
        schema: arguments::schema::<ListMessages>,
        effect: Effect::Reads,
        always_load: false,
        large_result: true,
    },
    Entry {
        set: "messages",
        name: "mark_read",
        description: "Marks your messages up to this one as read; never backwards.",
        schema: arguments::schema::<MarkRead>,
        effect: Effect::Idempotent,
        always_load: false,
        large_result: false,
    },
    Entry {
        set: "messages",
        name: "subscribe",
        description: "Makes messages of topics come by themselves, or ends that. `list` without topics: every topic.",
        schema: arguments::schema::<Subscribe>,
        effect: Effect::Idempotent,
        always_load: false,
        large_result: false,
    },
];

/// Topics in one call.
const TOPICS_MAX: usize = 64;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Post {
    to: String,
    body: String,
    #[schemars(length(max = 200))]
    subject: Option<String>,
    r#type: Option<MessageTypeParam>,
    #[schemars(range(min = 1))]
    ttl_seconds: Option<u32>,
    in_reply_to: Option<String>,
    /// the same again stores nothing
    #[schemars(length(max = 128))]
    idempotency_key: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum MessageTypeParam {
    Text,
    Json,
    Command,
    Alert,
}

impl From<MessageTypeParam> for MessageType {
    fn from(word: MessageTypeParam) -> Self {
        match word {
            MessageTypeParam::Text => Self::Text,
            MessageTypeParam::Json => Self::Json,
            MessageTypeParam::Command => Self::Command,
            MessageTypeParam::Alert => Self::Alert,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ListMessages {
    topics: Option<Vec<String>>,
    filter: Option<Filter>,
    from: Option<String>,
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u32>,
    /// an id: only later ones
    after: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Filter {
    Unread,
    All,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MarkRead {
    up_to: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Subscribe {
    action: Option<Action>,
    topics: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Action {
    Subscribe,
    Unsubscribe,
    List,
}

pub(super) async fn post(call: &Call<'_>, arguments: Option<JsonObject>) -> Result<CallToolResult> {
    let post: Post = arguments::read(arguments)?;
    arguments::check_range(
        "ttl_seconds",
        post.ttl_seconds,
        1..=MESSAGE_TTL_SECONDS_MAX,
        1,
    )?;
    let to = Recipient::parse(&post.to)?;
    let in_reply_to = message_id("in_reply_to", post.in_reply_to.as_deref())?;
    let posting = MessageDraft {
        kind: post.r#type.map_or(MessageType::Text, Into::into),
        subject: post.subject.as_deref(),
        ttl_seconds: post.ttl_seconds,
        in_reply_to,
        idempotency_key: post.idempotency_key.as_deref(),
        ..MessageDraft::of(&to, &post.body)
    };
    let posted = call.verb(|at| at.mesh.post(&at.me, &posting)).await?;
    Ok(results::ok(&output::posted(&posted)))
}

pub(super) async fn list_messages(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let ListMessages {
        topics,
        filter,
        from,
        limit,
        after,
    } = arguments::read(arguments)?;
    let limit = arguments::check_range("limit", limit, 1..=100, 20)?;
    let topics = parse_topics(topics)?;
    let wanted = MessageFilter {
        topics: &topics,
        all: filter == Some(Filter::All),
        from: from.as_deref().map(str::trim),
        limit,
        after: message_id("after", after.as_deref())?,
    };
    let listed = call.verb(|at| at.mesh.messages(&at.me, &wanted)).await?;
    Ok(results::ok(&results::messages(&listed)))
}

pub(super) async fn mark_read(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let MarkRead { up_to } = arguments::read(arguments)?;
    let up_to = arguments::id("up_to", &up_to, "list_messages")?;
    let marked = call.verb(|at| at.mesh.mark_read(&at.me, up_to)).await?;
    Ok(results::ok(
        &json!({ "cursor": marked.cursor, "remaining": marked.remaining }),
    ))
}

pub(super) async fn subscribe(
    call: &Call<'_>,
    arguments: Option<JsonObject>,
) -> Result<CallToolResult> {
    let Subscribe { action, topics } = arguments::read(arguments)?;
    let topics = parse_topics(topics)?;
    let what = match action {
        None | Some(Action::Subscribe) => SubscriptionAction::Subscribe,
        Some(Action::Unsubscribe) => SubscriptionAction::Unsubscribe,
        Some(Action::List) => SubscriptionAction::List,
    };
    let topic_subscribers = call
        .verb(|at| at.mesh.subscribe(&at.me, what, &topics))
        .await?;
    let mut body = output::topic_subscribers(&topic_subscribers);
    if let Value::Array(topics) = body["topics"].take() {
        let (topics, left_out) = ResultBudget::new().take_prefix(topics);
        body["topics"] = topics.into();
        if left_out {
            results::mark_truncated(&mut body, "Name topics to see only those.");
        }
    }
    Ok(results::ok(&body))
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
