//! `claude-mesh log`: prints the event log as sentences, shows a question in full, and erases its texts.
use clap::Args;
use owo_colors::OwoColorize;
use serde_json::json;

use super::format::bold_name;
use super::peer::with_peer_suggestions;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::{CliContext, SessionGuard};
use crate::cli::duration;
use crate::cli::duration::Since;
use crate::cli::erase_residue::EraseResidue;
use crate::cli::error::Failure;
use crate::cli::{event_format, events, print};
use crate::mesh::{EraseOutcome, Mesh};
use crate::model::elapsed::format_ago;
use crate::model::event::{EventFilter, EventPatterns};
use crate::model::{Error, Event, Refusal};
use crate::platform::clock::rfc3339;
use crate::platform::id::QuestionId;
use crate::tools::output;

/// Print what happened: who asked, was woken, answered; or erase a question
///
/// Without --since the last 24 hours. Commands of people appear as person@host; that they join and leave is omitted from the
/// text. Texts are shown to a person only.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  claude-mesh log
  claude-mesh log -f
  claude-mesh log --since 7d --peer backend
  claude-mesh log --since 2026-11-20T15:00:00Z --json
  claude-mesh log --known --since 30d    how often earlier answers were used, and by whom
  claude-mesh log --question 01KXYZ…     one question in full, with its answer
  claude-mesh log --forget 01KXYZ…       remove its text everywhere; in a session's shell only what it asked")]
pub(super) struct LogArgs {
    /// Print new events as they happen, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// Where to begin: a duration before now (1h, 7d) or an RFC 3339 time.
    #[arg(long, default_value = "24h", value_parser = duration::since, value_name = "WHEN")]
    since: Since,
    /// Only events of one peer: what it did, asked or was asked.
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// Show one question in full.
    #[arg(long, value_name = "QUESTION_ID", conflicts_with_all = ["follow", "peer"])]
    question: Option<String>,
    /// Remove a question, its context and its answer from the database.
    #[arg(long, value_name = "QUESTION_ID", conflicts_with_all = ["follow", "peer", "question"])]
    forget: Option<String>,
    /// Count how often an asker got earlier answers because the peer could not answer.
    #[arg(long, conflicts_with_all = ["follow", "peer", "question", "forget"])]
    known: bool,
}

/// How many events are read at a time.
const EVENTS_PER_PAGE: usize = 500;

/// Prints or follows the event log, shows a question, or erases it.
pub(super) fn log(context: &CliContext, args: &LogArgs) -> CommandResult {
    if let Some(id) = &args.forget {
        return forget(context, id);
    }
    if let Some(id) = &args.question {
        return question(context, id);
    }
    if args.known {
        return crate::cli::prior_answers::print_prior_answer_counts(context, args.since);
    }
    let mut printer = LogPrinter {
        context,
        peer: args.peer.as_ref().map(|name| name.trim().to_lowercase()),
        since: args.since,
        since_ms: None,
        after: 0,
        printed_count: 0,
    };
    if args.follow {
        return events::follow(context, &EventPatterns::default(), |mesh| {
            printer.read(mesh)
        });
    }
    let Some(mut mesh) = context.open_existing()? else {
        return if context.json {
            Ok(CommandStatus::Done)
        } else {
            context.report_no_mesh(&json!({}))
        };
    };
    printer.read(&mut mesh)?;
    printer.finish(&mut mesh)
}

struct LogPrinter<'a> {
    context: &'a CliContext,
    peer: Option<String>,
    since: Since,
    since_ms: Option<i64>,
    after: i64,
    printed_count: usize,
}

impl LogPrinter<'_> {
    fn read(&mut self, mesh: &mut Mesh) -> Result<(), Failure> {
        let now_ms = mesh.now().wall_ms;
        let since_ms = *self
            .since_ms
            .get_or_insert_with(|| self.since.wall_ms(now_ms));
        loop {
            let page = mesh.events(&EventFilter {
                after: Some(self.after),
                since_ms: Some(since_ms),
                limit: EVENTS_PER_PAGE,
                types: EventPatterns::default(),
            })?;
            self.after = page.next;
            for event in &page.events {
                self.print_event(mesh, event)?;
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    fn print_event(&mut self, mesh: &mut Mesh, event: &Event) -> Result<(), Failure> {
        let question = match event.subject.parse::<QuestionId>() {
            Ok(id) => mesh.question_with_names(id)?,
            Err(_) => None,
        };
        let concerns = |peer: &String| {
            let between = question
                .as_ref()
                .is_some_and(|(_, asker, target)| asker == peer || target == peer);
            between
                || event.by == *peer
                || event.subject == *peer
                || event.data["to"].as_str() == Some(peer.as_str())
        };
        if self.peer.as_ref().is_some_and(|peer| !concerns(peer)) {
            return Ok(());
        }
        if self.context.json {
            self.printed_count += 1;
            return Ok(print::json_line(event)?);
        }
        let is_presence_event = matches!(
            event.kind.as_str(),
            "peer.joined" | "peer.left" | "peer.died"
        );
        if is_presence_event && event.by.starts_with("person@") {
            return Ok(());
        }
        self.printed_count += 1;
        let time = rfc3339(event.at_ms);
        let time = format!("{}Z", time.split('.').next().unwrap_or_default());
        let event_text = event_format::event_text(self.context, event, question.as_ref());
        Ok(print::line(&format!("{}  {event_text}", time.dimmed()))?)
    }

    fn finish(&self, mesh: &mut Mesh) -> CommandResult {
        if self.printed_count == 0
            && let Some(peer) = &self.peer
            && let Err(error) = mesh.questions(Some(peer), 1)
        {
            return Err(with_peer_suggestions(mesh, error)?);
        }
        if self.printed_count == 0 && !self.context.json {
            print::line("nothing happened since then; `--since 30d` goes further back")?;
        }
        Ok(CommandStatus::Done)
    }
}

fn question(context: &CliContext, id: &str) -> CommandResult {
    context.require_person("a question between others")?;
    let not_found = || Error::from(Refusal::UnknownQuestion { id: id.into() });
    let id: QuestionId = id.trim().parse().map_err(|_| not_found())?;
    let Some(mut mesh) = context.open_existing()? else {
        return Err(not_found().into());
    };
    let (question, asker, target) = mesh.question_with_names(id)?.ok_or_else(not_found)?;
    if context.json {
        print::json(&output::question_between(&question, &asker, &target))?;
        return Ok(CommandStatus::Done);
    }
    let now_ms = mesh.now().wall_ms;
    print::line(&format!(
        "{} asked {}, {} ({})",
        bold_name(&asker),
        bold_name(&target),
        format_ago(now_ms - question.asked_at_ms),
        question.state.as_str()
    ))?;
    print::line(&context.sanitize_foreign(&question.question))?;
    if let Some(text) = &question.context {
        print::line(&format!("\n{}", "context".bold()))?;
        print::line(&context.sanitize_foreign(text))?;
    }
    if let (Some(answer), Some(at_ms)) = (&question.answer, question.answered_at_ms) {
        print::line(&format!(
            "\n{} {}",
            "answer".bold(),
            format_ago(now_ms - at_ms)
        ))?;
        print::line(&context.sanitize_foreign(answer))?;
    }
    Ok(CommandStatus::Done)
}

fn forget(context: &CliContext, id: &str) -> CommandResult {
    let not_found = || Error::from(Refusal::UnknownQuestion { id: id.into() });
    let id: QuestionId = id.trim().parse().map_err(|_| not_found())?;
    let Some(mesh) = context.open_existing()? else {
        return Err(not_found().into());
    };
    let SessionGuard { mesh, me, .. } = &mut context.register(mesh)?;
    let (question, asker, target) = mesh.question_with_names(id)?.ok_or_else(not_found)?;
    let erase_residue = EraseResidue {
        in_database_files: mesh.erase_question(me, id)? == EraseOutcome::PartiallyErased,
        copies: mesh.backups_with_questions(),
    };
    let parts = [
        Some("its text"),
        question.context.as_ref().map(|_| "its context"),
        question.answer.as_ref().map(|_| "its answer"),
    ];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    if context.json {
        let removed: Vec<&str> = parts
            .iter()
            .map(|part| part.trim_start_matches("its "))
            .collect();
        let mut body = json!({
            "forgotten": true, "question_id": id, "from": asker, "to": target, "removed": removed,
        });
        erase_residue.add_to(&mut body);
        print::json(&body)?;
        return Ok(CommandStatus::Done);
    }
    print::line(&format!(
        "removed from {}: the question of {asker} to {target} with {}; the event log keeps its events, without the texts",
        context.shown(&context.location.database),
        parts.join(", ")
    ))?;
    if question.shown_times > 0 || question.answer.is_some() {
        print::line(
            "Claude Code's own transcript of a session still contains what was shown there",
        )?;
    }
    erase_residue.report(context)?;
    Ok(CommandStatus::Done)
}
