//! `claude-mesh ask`: asks a question, shows how far it has come while it waits, and prints the answer.
//!
//! Stopping leaves the question open: it is not lost with the terminal that asked it.
#[cfg(feature = "remote")]
pub(super) mod at_hub;

use std::time::Duration;

use clap::{Args, ValueEnum};
use owo_colors::OwoColorize;

use super::format::bold_name;
use super::peer::{askable, describe_throttle};
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::duration::format_elapsed_ms;
use crate::cli::error::{CliError, Failure, UsageError};
use crate::cli::pending_ask::{AskWaitOutcome, PendingAsk};
use crate::cli::progress::ProgressLine;
use crate::cli::{duration, print, prior_answers, question_json, text_input};
use crate::mesh::{AskedQuestion, PriorAnswerQuery, QuestionDraft, QuestionStatus};
use crate::model::elapsed::format_ago;
use crate::model::peer::Address;
use crate::model::{QuestionState, Refusal};
use crate::platform::text;
use crate::store::Question;

/// Ask a session and wait for its answer
///
/// The answer is printed on stdout, everything else on stderr. Ctrl-C or a timeout leave the question open:
/// `claude-mesh inbox` shows the answer when it comes. NAME is a peer of `claude-mesh peers`, `NAME/any` any session of
/// its project, `person` the person at this machine.
#[derive(Debug, Args)]
#[command(
    override_usage = "claude-mesh ask [OPTIONS] NAME QUESTION\n       claude-mesh ask [OPTIONS] <--all|--repo> QUESTION",
    after_help = "\
Exit status: 0 answered; 1 refused or declined; 3 no answer (timed out, no session there, stopped with Ctrl-C).

Examples:
  claude-mesh ask backend 'which port does the API use?'
  claude-mesh ask backend 'why does this fail?' --context build.log
  git diff | claude-mesh ask frontend 'does this break you?' --context - --timeout 10m
  claude-mesh ask backend 'are you sure?' --prefer session
  claude-mesh ask --repo 'may I force-push main?'"
)]
pub(super) struct AskArgs {
    /// Whom to ask; left out with --all and --repo.
    #[arg(value_name = "NAME")]
    first: String,
    /// What to ask.
    #[arg(value_name = "QUESTION")]
    second: Option<String>,
    /// A file to put beside the question; `-` reads stdin.
    #[arg(long, value_name = "FILE")]
    context: Option<String>,
    /// How long to wait for the answer, for example 90s, 5m, 1h.
    #[arg(long, default_value = "5m", value_name = "SPAN", value_parser = duration::timeout)]
    timeout: Duration,
    /// Ask everybody in this mesh who can be asked.
    #[arg(long, conflicts_with = "repo")]
    all: bool,
    /// Ask everybody in this repository, all its worktrees included.
    #[arg(long)]
    repo: bool,
    /// Who answers: a fork of the session may where its person allows it (live), or only the session itself.
    #[arg(long, value_name = "WHO", conflicts_with = "known")]
    prefer: Option<PreferArg>,
    /// Only show what was answered earlier to such a question: wakes no session, leaves nothing open.
    #[arg(long, conflicts_with_all = ["all", "repo", "context", "timeout"])]
    known: bool,
}

/// Who is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PreferArg {
    /// The session, or a fork of it: the default.
    Live,
    /// The session itself.
    Session,
}

/// Asks one peer or many.
pub(super) fn ask(context: &CliContext, args: &AskArgs) -> CommandResult {
    let (name, question) = name_and_question(args)?;
    if let (true, Some(name)) = (args.known, name) {
        return prior_answers::show_prior_answers(context, &one(context, name)?, question);
    }
    let question_context = match &args.context {
        Some(path) => Some(text_input::read("context", path)?),
        None => None,
    };
    let to = match name {
        Some(name) => vec![one(context, name)?],
        None => resolve_all(context, args.repo)?,
    };
    let draft = QuestionDraft {
        context: question_context.as_deref(),
        session_only: args.prefer == Some(PreferArg::Session),
        ..QuestionDraft::of(question)
    };
    let mut pending_ask = PendingAsk::start(context, &to, &draft)?;
    if name.is_some() {
        pending_ask.one(args.timeout)
    } else {
        pending_ask.all(args.timeout)
    }
}

/// Returns name and question; with `--all` and `--repo` the only argument is the question.
fn name_and_question(args: &AskArgs) -> Result<(Option<&str>, &str), Failure> {
    let error = |message: &str| {
        Failure::from(UsageError {
            command: Some("ask"),
            kind: clap::error::ErrorKind::MissingRequiredArgument,
            message: message.to_owned(),
        })
    };
    match (args.all || args.repo, &args.second) {
        (false, Some(question)) => Ok((Some(&args.first), question)),
        (true, None) => Ok((None, &args.first)),
        (false, None) => Err(error("the question is missing: `ask NAME QUESTION`")),
        (true, Some(_)) => Err(error(
            "with --all or --repo no NAME is given, only the question",
        )),
    }
}

/// Returns the address of one peer. Without a mesh there are no peers, and asking does not create one.
fn one(context: &CliContext, name: &str) -> Result<Address, Failure> {
    let address = Address::parse(name).map_err(|_| {
        let message = format!("{:?} cannot be the name of a peer", text::one_line(name));
        let hint = "`claude-mesh peers` lists them; nothing was asked";
        Failure::argument(message, hint)
    })?;
    if context.open_existing()?.is_some() {
        return Ok(address);
    }
    Err(Refusal::UnknownPeer {
        name: name.into(),
        nearest: Vec::new(),
        present: Vec::new(),
    }
    .into())
}

/// Returns the addresses of all to ask, and prints them.
fn resolve_all(context: &CliContext, repo: bool) -> Result<Vec<Address>, Failure> {
    let Some(mut mesh) = context.open_existing()? else {
        return Err(no_askable_session_error(repo));
    };
    let own = context.speaker_name(&mut mesh)?;
    let names: Vec<_> = askable(context, &mut mesh, repo)?
        .into_iter()
        .filter(|name| Some(name) != own.as_ref())
        .collect();
    if names.is_empty() {
        return Err(no_askable_session_error(repo));
    }
    let list: Vec<&str> = names.iter().map(crate::model::PeerName::as_str).collect();
    if !context.json {
        print::line(&format!("asking {}: {}", list.len(), list.join(", ")))?;
    }
    list.into_iter()
        .map(|name| Ok(Address::parse(name)?))
        .collect()
}

fn no_askable_session_error(repo: bool) -> Failure {
    let place = if repo { "this repository" } else { "this mesh" };
    let message = format!("no session in {place} can be asked now");
    let hint = "`claude-mesh peers --all` shows who belongs to it; nothing was asked";
    CliError::new("unknown_peer", message, hint).into()
}

impl PendingAsk<'_> {
    /// Waits for one answer and prints it alone.
    fn one(&mut self, timeout: Duration) -> CommandResult {
        let asked = self.asked[0].clone();
        let Some(wait) = self.wait.clone() else {
            return self.report_undelivered(&asked);
        };
        let show_progress = print::stderr_is_terminal() && !self.context.json;
        if show_progress {
            let joined = if asked.joined {
                ", asked before and still open"
            } else {
                ""
            };
            print::err(&format!(
                "asked {} (question {}{joined}); Ctrl-C leaves it open\n",
                bold_name(asked.to.as_str()),
                asked.question
            ))?;
        }
        let mut line = ProgressLine::new(show_progress);
        let wait_outcome = self.wait(wait, timeout, |question_statuses, now_ms| {
            if let Some(question_status) = question_statuses.first() {
                line.show(
                    &question_status
                        .delivery
                        .line(question_status.peer.as_str(), now_ms),
                );
            }
        });
        line.clear();
        match wait_outcome? {
            AskWaitOutcome::Interrupted(interruption) => self.interrupted(&interruption),
            AskWaitOutcome::QuestionStatus(question_statuses) => {
                match question_statuses.into_iter().next() {
                    Some(question_status) => self.report_one(&question_status),
                    None => Ok(CommandStatus::NoAnswer),
                }
            }
        }
    }

    fn report_one(&mut self, question_status: &QuestionStatus) -> CommandResult {
        let waited_ms = self.waited_ms();
        let question = &question_status.question;
        let command_status = match question.state {
            QuestionState::Answered => CommandStatus::Done,
            QuestionState::Declined => CommandStatus::Refused,
            _ => CommandStatus::NoAnswer,
        };
        if self.context.json {
            let mut value =
                question_json::awaited_question(question_status, waited_ms, self.stop.is_set());
            if question.state == QuestionState::Open && !self.stop.is_set() {
                let asking = stored_question_query(question);
                prior_answers::add_prior_answers(&mut self.member, asking, &mut value)?;
            }
            print::json(&value)?;
            return Ok(command_status);
        }
        let answer = question.answer.as_deref().unwrap_or_default();
        match question.state {
            QuestionState::Answered => {
                if print::stderr_is_terminal() {
                    let fork = match question_status.fork {
                        Some(_) => "a fork of ",
                        None => "",
                    };
                    print::err(&format!(
                        "{fork}{} answered after {}:\n",
                        bold_name(question_status.peer.as_str()),
                        format_elapsed_ms(waited_ms)
                    ))?;
                }
                self.context.print_foreign(answer)?;
            }
            QuestionState::Declined => {
                let reason = self.context.sanitize_foreign(answer);
                print::err(&format!(
                    "claude-mesh: {} declined: {reason}\n",
                    question_status.peer
                ))?;
            }
            QuestionState::Open => self.report_left_open(question_status)?,
            QuestionState::Withdrawn | QuestionState::Expired => {
                print::err(&format!(
                    "claude-mesh: question {} was {}\n",
                    question.id,
                    question.state.as_str()
                ))?;
            }
        }
        Ok(command_status)
    }

    fn report_left_open(&mut self, question_status: &QuestionStatus) -> Result<(), Failure> {
        let now_ms = self.member.mesh().now().wall_ms;
        let why = if self.stop.is_set() {
            "stopped".to_owned()
        } else {
            format!("no answer within {}", format_elapsed_ms(self.waited_ms()))
        };
        print::err(&format!(
            "claude-mesh: {why}; {}\n{}: question {} stays open; `claude-mesh inbox` shows the answer when it comes\n",
            question_status
                .delivery
                .line(question_status.peer.as_str(), now_ms),
            "hint".cyan(),
            question_status.question.id,
        ))?;
        if !self.stop.is_set() {
            let asking = stored_question_query(&question_status.question);
            prior_answers::print_prior_answers(self.context, &mut self.member, asking)?;
        }
        Ok(())
    }

    fn report_undelivered(&mut self, asked: &AskedQuestion) -> CommandResult {
        let question = self.question.clone();
        let asking = PriorAnswerQuery {
            peer: asked.peer,
            question: &question,
            id: Some(asked.question),
        };
        if self.context.json {
            let mut value = self.stored(asked)?;
            prior_answers::add_prior_answers(&mut self.member, asking, &mut value)?;
            print::json(&value)?;
            return Ok(CommandStatus::NoAnswer);
        }
        if let Some(held) = asked.held {
            print::err(&format!(
                "claude-mesh: {} {}\n{}: question {} is stored, and {}; `claude-mesh inbox` shows the answer\n",
                asked.to,
                describe_throttle(held),
                "hint".cyan(),
                asked.question,
                if asked.to.is_person() {
                    "the person finds it in their inbox"
                } else {
                    "wakes the session when that ends"
                },
            ))?;
        } else if asked.to.is_person() {
            print::err(&format!(
                "claude-mesh: {} is not reachable: no board and no `claude-mesh inbox --follow` is open there, and no notification is set\n{}: question {} is stored, the person finds it in their inbox; `claude-mesh inbox` shows the answer\n",
                asked.to,
                "hint".cyan(),
                asked.question,
            ))?;
        } else {
            let now_ms = self.member.mesh().now().wall_ms;
            let same_project_note = if asked.same_project.is_empty() {
                String::new()
            } else {
                format!("; in that project now: {}", asked.same_project.join(", "))
            };
            print::err(&format!(
                "claude-mesh: no session at {} can be asked now (last seen {}){same_project_note}\n{}: question {} is stored, the next session there gets it; `claude-mesh inbox` shows the answer\n",
                asked.to,
                format_ago(now_ms - asked.last_seen_at_ms),
                "hint".cyan(),
                asked.question,
            ))?;
        }
        prior_answers::print_prior_answers(self.context, &mut self.member, asking)?;
        Ok(CommandStatus::NoAnswer)
    }
}

/// Returns the query for prior answers to a stored question, itself excluded.
fn stored_question_query(question: &Question) -> PriorAnswerQuery<'_> {
    PriorAnswerQuery {
        peer: question.target,
        question: &question.question,
        id: Some(question.id),
    }
}
