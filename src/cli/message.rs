//! `claude-mesh post` and `claude-mesh messages`: posts and reads messages, and manages the subscriptions to topics.
#[cfg(feature = "remote")]
pub(super) mod at_hub;

use std::time::Duration;

use clap::{Args, ValueEnum};
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::format::{bold_name, indent};
use super::peer::with_peer_suggestions;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CliContext, SessionGuard};
use crate::cli::error::Failure;
use crate::cli::{duration, print, text_input};
use crate::mesh::{MessageDraft, MessageFilter, MessageList, SubscriptionAction, TopicSubscribers};
use crate::model::elapsed::format_ago;
use crate::model::message::SentTo;
use crate::model::{MessageType, Recipient, Refusal, Topic};
use crate::platform::id::MessageId;
use crate::store::Message;
use crate::tools::output;

/// Leave a message for a session, for everybody or for a topic
///
/// TO is a peer of `claude-mesh peers`, `NAME/any`, `*` for everybody, or `#topic`. The command does not wait for a reply;
/// to get one, use `claude-mesh ask`. Text and json are mentioned at the next prompt there; command and alert wake an idle
/// session.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh post backend 'the staging database moves at noon'
  claude-mesh post '*' --type alert 'main is frozen until I say so'
  git log -5 --oneline | claude-mesh post '#releases' --subject 'what is in 1.4' -")]
pub(super) struct PostArgs {
    /// The recipient.
    to: String,
    /// The text; `-` or nothing reads stdin.
    #[arg(default_value = "-")]
    body: String,
    /// The subject, on one line.
    #[arg(long)]
    subject: Option<String>,
    /// The type; command and alert wake.
    #[arg(long = "type", value_enum, default_value = "text")]
    kind: MessageTypeArg,
    /// When it expires, for example after 90s, 2h, 7d.
    #[arg(long, value_name = "SPAN", value_parser = duration::span)]
    ttl: Option<Duration>,
    /// The message it answers.
    #[arg(long, value_name = "MESSAGE_ID")]
    reply_to: Option<String>,
    /// An idempotency key: posting again with the same key stores nothing.
    #[arg(long)]
    key: Option<String>,
    /// Post a text that looks like a secret; only a person may.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum MessageTypeArg {
    Text,
    Json,
    Command,
    Alert,
}

impl From<MessageTypeArg> for MessageType {
    fn from(kind: MessageTypeArg) -> Self {
        match kind {
            MessageTypeArg::Text => Self::Text,
            MessageTypeArg::Json => Self::Json,
            MessageTypeArg::Command => Self::Command,
            MessageTypeArg::Alert => Self::Alert,
        }
    }
}

/// Show your messages; mark them as read; choose topics
///
/// Without options: what is unread, oldest first. Listing does not mark messages as read; `--read` with an id does, up to
/// that message.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh messages
  claude-mesh messages --all --from backend
  claude-mesh messages --topic ops           messages to a topic, also without a subscription
  claude-mesh messages --read 01KXYZ…        mark all up to this one as read
  claude-mesh messages --subscribe ops       get the messages to a topic from now on
  claude-mesh messages --topics              every topic with its subscribers")]
pub(super) struct MessagesArgs {
    /// Also messages of this topic; may be given several times.
    #[arg(long, value_name = "TOPIC")]
    topic: Vec<String>,
    /// Also messages that you have read.
    #[arg(long)]
    all: bool,
    /// Only messages of this peer.
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// The maximum number, 1 to 100.
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// Only messages after this one.
    #[arg(long, value_name = "MESSAGE_ID")]
    after: Option<String>,
    /// Mark everything up to this message as read.
    #[arg(long, value_name = "MESSAGE_ID", group = "action", conflicts_with_all = ["topic", "all", "from", "after"])]
    read: Option<String>,
    /// Subscribe to a topic; may be given several times.
    #[arg(long, value_name = "TOPIC", group = "action", conflicts_with_all = ["topic", "all", "from", "after"])]
    subscribe: Vec<String>,
    /// Unsubscribe from a topic; may be given several times.
    #[arg(long, value_name = "TOPIC", group = "action", conflicts_with_all = ["topic", "all", "from", "after"])]
    unsubscribe: Vec<String>,
    /// List the topics with their subscribers.
    #[arg(long, group = "action", conflicts_with_all = ["topic", "all", "from", "after"])]
    topics: bool,
}

pub(super) fn post(context: &CliContext, args: &PostArgs) -> CommandResult {
    if args.force {
        context.require_person("--force")?;
    }
    let to = Recipient::parse(&args.to).map_err(|_| {
        let message = format!(
            "{:?} is no peer, no #topic and not *",
            crate::platform::text::one_line(&args.to)
        );
        Failure::argument(
            message,
            "`claude-mesh peers` lists them; nothing was posted",
        )
    })?;
    let in_reply_to = args.reply_to.as_deref().map(message_id).transpose()?;
    let body = body_text(args)?;
    let Some(mesh) = context.open_existing()? else {
        return Err(unknown_peer_refusal(&args.to).into());
    };
    let mut session = context.register(mesh)?;
    let posting = MessageDraft {
        kind: args.kind.into(),
        subject: args.subject.as_deref(),
        ttl_seconds: args.ttl.map(ttl_seconds),
        in_reply_to,
        idempotency_key: args.key.as_deref(),
        force: args.force,
        ..MessageDraft::of(&to, &body)
    };
    let posted = match session.mesh.post(&session.me, &posting) {
        Err(error) => return Err(with_peer_suggestions(&mut session.mesh, error)?),
        posted => posted?,
    };
    if context.json {
        print::json(&output::posted(&posted))?;
        return Ok(CommandStatus::Done);
    }
    let recipients_note = match (&to, posted.recipients) {
        (Recipient::Peer(_), _) => String::new(),
        (_, 0) => " for nobody yet".into(),
        (_, 1) => " for 1 peer".into(),
        (_, more) => format!(" for {more} peers"),
    };
    let offline_note = match posted.offline.as_slice() {
        [] => String::new(),
        names => format!("; offline, get it later: {}", names.join(", ")),
    };
    print::line(&format!(
        "posted{recipients_note}{offline_note}  {}",
        posted.id.to_string().dimmed()
    ))?;
    Ok(CommandStatus::Done)
}

/// Returns the text of the message, which may come from stdin.
fn body_text(args: &PostArgs) -> Result<String, Failure> {
    text_input::read_typed("message", &args.body)
}

fn ttl_seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)
}

/// Lists messages, marks them as read, or changes subscriptions.
pub(super) fn messages(context: &CliContext, args: &MessagesArgs) -> CommandResult {
    let read = args.read.as_deref().map(message_id).transpose()?;
    let Some(mesh) = context.open_existing()? else {
        return match read {
            Some(id) => Err(Refusal::UnknownMessage { id: id.to_string() }.into()),
            None => context.report_no_mesh(&json!({ "messages": [], "cursor": null, "unread": 0 })),
        };
    };
    let mut session = context.register(mesh)?;
    if let Some(id) = read {
        return mark_read(context, &mut session, id);
    }
    if args.topics {
        return topic_subscribers(context, &mut session, SubscriptionAction::List, &[]);
    }
    if !args.subscribe.is_empty() {
        return topic_subscribers(
            context,
            &mut session,
            SubscriptionAction::Subscribe,
            &args.subscribe,
        );
    }
    if !args.unsubscribe.is_empty() {
        return topic_subscribers(
            context,
            &mut session,
            SubscriptionAction::Unsubscribe,
            &args.unsubscribe,
        );
    }
    list(context, &mut session, args)
}

fn list(context: &CliContext, session: &mut SessionGuard, args: &MessagesArgs) -> CommandResult {
    let topics = topics(&args.topic)?;
    let wanted = MessageFilter {
        topics: &topics,
        all: args.all,
        from: args.from.as_deref().map(str::trim),
        limit: args.limit,
        after: args.after.as_deref().map(message_id).transpose()?,
    };
    let listed = match session.mesh.messages(&session.me, &wanted) {
        Err(error) => return Err(with_peer_suggestions(&mut session.mesh, error)?),
        listed => listed?,
    };
    if context.json {
        let messages: Vec<Value> = listed.messages.iter().map(output::message).collect();
        print::json(
            &json!({ "messages": messages, "cursor": listed.cursor, "unread": listed.unread }),
        )?;
        return Ok(CommandStatus::Done);
    }
    let now_ms = session.mesh.now().wall_ms;
    for message in &listed.messages {
        print_message(context, message, now_ms)?;
    }
    print_footer(session, args, &listed)
}

/// Prints a message.
pub(super) fn print_message(
    context: &CliContext,
    message: &Message,
    now_ms: i64,
) -> Result<(), Failure> {
    let to = match &message.to {
        SentTo::Peer(_) => String::new(),
        SentTo::Everyone => " to everybody".into(),
        SentTo::Topic(topic) => format!(" to #{topic}"),
    };
    let kind = match message.kind {
        MessageType::Text => String::new(),
        kind => format!(", {}", kind.as_str()),
    };
    let subject = match &message.subject {
        Some(subject) => format!(
            ": {}",
            context.sanitize_foreign(&crate::platform::text::one_line(subject))
        ),
        None => String::new(),
    };
    print::line(&format!(
        "{}  {}{to}, {}{kind}{subject}",
        message.id,
        bold_name(&crate::platform::text::one_line(&message.from)),
        format_ago(now_ms - message.posted_at_ms),
    ))?;
    print::line(&indent(&context.sanitize_foreign(&message.body)))?;
    Ok(())
}

fn print_footer(
    session: &SessionGuard,
    args: &MessagesArgs,
    listed: &MessageList,
) -> CommandResult {
    let Some(last) = listed.messages.last() else {
        let what = if args.all { "" } else { "unread " };
        print::line(&format!("no {what}messages for {}", session.me.name))?;
        return Ok(CommandStatus::Done);
    };
    let full = u32::try_from(listed.messages.len()).is_ok_and(|count| count == args.limit);
    if full {
        let more = format!(
            "claude-mesh messages --after {} shows what follows",
            last.id
        );
        print::line(&more.dimmed().to_string())?;
    }
    let done = format!("claude-mesh messages --read {} marks them as read", last.id);
    print::line(&done.dimmed().to_string())?;
    Ok(CommandStatus::Done)
}

fn mark_read(context: &CliContext, session: &mut SessionGuard, id: MessageId) -> CommandResult {
    let marked = session.mesh.mark_read(&session.me, id)?;
    if context.json {
        print::json(&json!({ "cursor": marked.cursor, "remaining": marked.remaining }))?;
    } else {
        print::line(&match marked.remaining {
            0 => "everything is read".to_owned(),
            more => format!("{more} unread"),
        })?;
    }
    Ok(CommandStatus::Done)
}

fn topic_subscribers(
    context: &CliContext,
    session: &mut SessionGuard,
    what: SubscriptionAction,
    names: &[String],
) -> CommandResult {
    let found = session.mesh.subscribe(&session.me, what, &topics(names)?)?;
    if context.json {
        print::json(&output::topic_subscribers(&found))?;
        return Ok(CommandStatus::Done);
    }
    for TopicSubscribers { topic, subscribers } in &found {
        let who = match subscribers.as_slice() {
            [] => "nobody".to_owned(),
            names => names.join(", "),
        };
        print::line(&format!("{}  {who}", bold_name(&format!("#{topic}"))))?;
    }
    if found.is_empty() {
        print::line("no topic has a subscriber")?;
    }
    Ok(CommandStatus::Done)
}

fn topics(names: &[String]) -> Result<Vec<Topic>, Failure> {
    let parsed = names.iter().map(|name| Topic::parse(name));
    Ok(parsed.collect::<Result<_, _>>()?)
}

fn message_id(text: &str) -> Result<MessageId, Failure> {
    let unknown = || Refusal::UnknownMessage { id: text.into() };
    Ok(text.trim().parse().map_err(|_| unknown())?)
}

/// Returns the refusal of a name where there is no mesh yet.
pub(super) fn unknown_peer_refusal(to: &str) -> Refusal {
    Refusal::UnknownPeer {
        name: to.into(),
        nearest: Vec::new(),
        present: Vec::new(),
    }
}
