//! `claude-mesh ask`: a question, a live line while it is on its way, the answer.
//!
//! Stopping leaves the question open: what was asked is not lost with the terminal it was asked from.
use std::time::Duration;

use clap::Args;
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::format::bold_name;
use super::peer::{askable, describe_throttle};
use crate::cli::context::CliContext;
use crate::cli::duration::format_elapsed_ms;
use crate::cli::error::{CliError, Failure, UsageError};
use crate::cli::multi_ask_output::ReplyTable;
use crate::cli::outcome::{CommandResult, CommandStatus};
use crate::cli::progress::{ProgressLine, StopFlag};
use crate::cli::{duration, print, prior_answers, text_input, view};
use crate::mesh::{
    AskedQuestion, IfOffline, Interruption, Member, QuestionStatus, Wait, WaitOutcome,
};
use crate::model::elapsed::format_ago;
use crate::model::peer::Address;
use crate::model::{QuestionState, Refusal};
use crate::platform::text;
use crate::tools::output;

/// Ask a session and wait for its answer
///
/// The answer is printed on stdout, everything else on stderr. Ctrl-C or a timeout leave the question open:
/// `claude-mesh inbox` shows the answer when it comes. NAME is a peer of `claude-mesh peers`, `NAME/any` any session of
/// its project.
#[derive(Debug, Args)]
#[command(
    override_usage = "claude-mesh ask [OPTIONS] NAME QUESTION\n       claude-mesh ask [OPTIONS] <--all|--repo> QUESTION",
    after_help = "\
Exit status: 0 answered; 1 refused or declined; 3 no answer (timed out, nobody there, stopped with Ctrl-C).

Examples:
  claude-mesh ask backend 'which port does the API use?'
  claude-mesh ask backend 'why does this fail?' --context build.log
  git diff | claude-mesh ask frontend 'does this break you?' --context - --timeout 10m
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
    /// Only show what was answered earlier to such a question: wakes nobody, leaves nothing open.
    #[arg(long, conflicts_with_all = ["all", "repo", "context", "timeout"])]
    known: bool,
}

/// Asks one peer or many.
pub(super) fn ask(desk: &CliContext, args: &AskArgs) -> CommandResult {
    let (name, question) = name_and_question(args)?;
    if let (true, Some(name)) = (args.known, name) {
        return prior_answers::show_prior_answers(desk, &one(desk, name)?, question);
    }
    let context = match &args.context {
        Some(path) => Some(text_input::read("context", path)?),
        None => None,
    };
    let to = match name {
        Some(name) => vec![one(desk, name)?],
        None => resolve_all(desk, args.repo)?,
    };
    let mut pending_ask = PendingAsk::start(desk, &to, question, context.as_deref())?;
    if name.is_some() {
        pending_ask.one(args.timeout)
    } else {
        pending_ask.all(args.timeout)
    }
}

/// With `--all` and `--repo` the only word is the question.
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

/// One address; where no mesh is, nobody has a name, and asking makes none.
fn one(desk: &CliContext, name: &str) -> Result<Address, Failure> {
    let address = Address::parse(name).map_err(|_| {
        let message = format!("{:?} cannot be the name of a peer", text::one_line(name));
        let hint = "`claude-mesh peers` lists them; nothing was asked";
        Failure::argument(message, hint)
    })?;
    if desk.open_existing()?.is_some() {
        return Ok(address);
    }
    Err(Refusal::UnknownPeer {
        name: name.into(),
        nearest: Vec::new(),
        present: Vec::new(),
    }
    .into())
}

/// Everybody to ask, told before they are asked.
fn resolve_all(desk: &CliContext, repo: bool) -> Result<Vec<Address>, Failure> {
    let Some(mut mesh) = desk.open_existing()? else {
        return Err(nobody_askable_error(repo));
    };
    let own = desk.speaker_name(&mut mesh)?;
    let names: Vec<_> = askable(desk, &mut mesh, repo)?
        .into_iter()
        .filter(|name| Some(name) != own.as_ref())
        .collect();
    if names.is_empty() {
        return Err(nobody_askable_error(repo));
    }
    let list: Vec<&str> = names.iter().map(crate::model::PeerName::as_str).collect();
    if !desk.json {
        print::line(&format!("asking {}: {}", list.len(), list.join(", ")))?;
    }
    list.into_iter()
        .map(|name| Ok(Address::parse(name)?))
        .collect()
}

fn nobody_askable_error(repo: bool) -> Failure {
    let place = if repo { "this repository" } else { "this mesh" };
    let message = format!("nobody in {place} can be asked now");
    let hint = "`claude-mesh peers --all` shows who belongs to it; nothing was asked";
    CliError::new("unknown_peer", message, hint).into()
}

/// Questions that were stored, and who waits for them.
struct PendingAsk<'a> {
    desk: &'a CliContext,
    member: Member,
    asked: Vec<AskedQuestion>,
    question: String,
    wait: Option<Wait>,
    started_monotonic_ms: i64,
    stop: StopFlag,
}

impl<'a> PendingAsk<'a> {
    fn start(
        desk: &'a CliContext,
        to: &[Address],
        question: &str,
        context: Option<&str>,
    ) -> Result<Self, Failure> {
        let mut member = desk.join()?;
        let stop = StopFlag::on_signals(member.signal())?;
        let me = member.handle().clone();
        let outcome = member
            .mesh()
            .ask(&me, to, question, context, IfOffline::Queue)?;
        let awaited = outcome
            .asked
            .iter()
            .filter(|asked| asked.is_awaited(IfOffline::Queue));
        let questions = awaited.map(|asked| asked.question).collect();
        let wait = outcome.wait.map(|id| Wait {
            id,
            questions,
            any: false,
        });
        Ok(Self {
            desk,
            started_monotonic_ms: member.mesh().now().monotonic_ms,
            member,
            asked: outcome.asked,
            question: question.to_owned(),
            wait,
            stop,
        })
    }

    /// Waits for one answer and prints it alone.
    fn one(&mut self, timeout: Duration) -> CommandResult {
        let asked = self.asked[0].clone();
        let Some(wait) = self.wait.clone() else {
            return self.report_undelivered(&asked);
        };
        let show_progress = print::stderr_is_terminal() && !self.desk.json;
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
        if self.desk.json {
            let mut value = self.question_json(question_status, waited_ms);
            if question.state == QuestionState::Open && !self.stop.is_set() {
                prior_answers::add_prior_answers(
                    &mut self.member,
                    question.target,
                    question.id,
                    &question.question,
                    &mut value,
                )?;
            }
            print::json(&value)?;
            return Ok(command_status);
        }
        let answer = question.answer.as_deref().unwrap_or_default();
        match question.state {
            QuestionState::Answered => {
                if print::stderr_is_terminal() {
                    print::err(&format!(
                        "{} answered after {}:\n",
                        bold_name(question_status.peer.as_str()),
                        format_elapsed_ms(waited_ms)
                    ))?;
                }
                self.desk.print_foreign(answer)?;
            }
            QuestionState::Declined => {
                let reason = self.desk.sanitize_foreign(answer);
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

    /// The result of one question; one that was stopped is not timed out.
    fn question_json(&self, question_status: &QuestionStatus, waited_ms: i64) -> Value {
        let mut value = view::question_status(question_status, waited_ms);
        if self.stop.is_set() && question_status.question.state == QuestionState::Open {
            value["status"] = "cancelled".into();
            value["withdrawn"] = false.into();
        }
        value
    }

    /// The result of one question that is not waited for.
    fn stored(&mut self, asked: &AskedQuestion) -> Result<Value, Failure> {
        let question_statuses = self.member.mesh().question_statuses(&[asked.question])?;
        Ok(view::stored(asked, &question_statuses[0].delivery))
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
            let question = &question_status.question;
            prior_answers::report(
                self.desk,
                &mut self.member,
                question.target,
                Some(question.id),
                &question.question,
            )?;
        }
        Ok(())
    }

    fn report_undelivered(&mut self, asked: &AskedQuestion) -> CommandResult {
        let question = self.question.clone();
        if self.desk.json {
            let mut value = self.stored(asked)?;
            prior_answers::add_prior_answers(
                &mut self.member,
                asked.peer,
                asked.question,
                &question,
                &mut value,
            )?;
            print::json(&value)?;
            return Ok(CommandStatus::NoAnswer);
        }
        if let Some(held) = asked.held {
            print::err(&format!(
                "claude-mesh: {} {}\n{}: question {} is stored and rung for when that ends; `claude-mesh inbox` shows the answer\n",
                asked.to,
                describe_throttle(held),
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
                "claude-mesh: nobody at {} can be asked now (last seen {}){same_project_note}\n{}: question {} is stored, the next session there gets it; `claude-mesh inbox` shows the answer\n",
                asked.to,
                format_ago(now_ms - asked.last_seen_at_ms),
                "hint".cyan(),
                asked.question,
            ))?;
        }
        prior_answers::report(
            self.desk,
            &mut self.member,
            asked.peer,
            Some(asked.question),
            &question,
        )?;
        Ok(CommandStatus::NoAnswer)
    }

    /// A question for this session came: its model answers first.
    fn interrupted(&mut self, interruption: &Interruption) -> CommandResult {
        let open: Vec<_> = self.asked.iter().map(|asked| asked.question).collect();
        if self.desk.json {
            let questions: Vec<_> = interruption.questions.iter().map(output::waiting).collect();
            let question_statuses = self.member.mesh().question_statuses(&open)?;
            let waited_ms = self.waited_ms();
            let to_json = |question_status: &QuestionStatus| match question_status.question.state {
                QuestionState::Open => view::interrupted(question_status),
                _ => view::question_status(question_status, waited_ms),
            };
            print::json(&json!({
                "status": "interrupted",
                "question_ids": open,
                "answers": question_statuses.iter().map(to_json).collect::<Vec<_>>(),
                "questions": questions,
                "hint": "answer with `claude-mesh reply`, then see `claude-mesh inbox`",
            }))?;
            return Ok(CommandStatus::NoAnswer);
        }
        print::line(
            "interrupted: answer first, then see `claude-mesh inbox`; your question stays open",
        )?;
        super::inbox::print_questions(self.desk, &mut self.member, &interruption.questions)?;
        Ok(CommandStatus::NoAnswer)
    }

    /// Waits for many and prints each as it comes.
    fn all(&mut self, timeout: Duration) -> CommandResult {
        let width = self
            .asked
            .iter()
            .map(|asked| asked.to.as_str().len())
            .max()
            .unwrap_or(0);
        let mut rows = ReplyTable::new(width, self.desk.json);
        let stored = |asked: &&AskedQuestion| !asked.is_awaited(IfOffline::Queue);
        for asked in self.asked.clone().iter().filter(stored) {
            let why = match asked.held {
                Some(held) => format!("{}; the question is stored", describe_throttle(held)),
                None => "nobody there now; the question is stored".into(),
            };
            rows.print_row(asked.to.as_str(), &why);
        }
        let mut question_statuses = Vec::new();
        if let Some(wait) = self.wait.clone() {
            let desk = self.desk;
            let mut line = ProgressLine::new(print::stderr_is_terminal() && !desk.json);
            let wait_outcome = self.wait(wait, timeout, |question_statuses, now_ms| {
                line.clear();
                rows.report(desk, question_statuses);
                let open = question_statuses.iter().filter(|question_status| {
                    question_status.question.state == QuestionState::Open
                });
                let open: Vec<String> = open
                    .map(|question_status| {
                        question_status
                            .delivery
                            .line(question_status.peer.as_str(), now_ms)
                    })
                    .collect();
                line.show(&format!("{} open · {}", open.len(), open.join(" · ")));
            });
            line.clear();
            question_statuses = match wait_outcome? {
                AskWaitOutcome::Interrupted(interruption) => {
                    return self.interrupted(&interruption);
                }
                AskWaitOutcome::QuestionStatus(question_statuses) => question_statuses,
            };
        }
        rows.report(self.desk, &question_statuses);
        self.report_all(&question_statuses, &mut rows)
    }

    fn report_all(
        &mut self,
        question_statuses: &[QuestionStatus],
        rows: &mut ReplyTable,
    ) -> CommandResult {
        let now_ms = self.member.mesh().now().wall_ms;
        let waited_ms = self.waited_ms();
        let replied = question_statuses
            .iter()
            .filter(|question_status| question_status.question.state.is_replied())
            .count();
        let complete = replied == self.asked.len();
        if self.desk.json {
            print::json(&self.result(question_statuses, waited_ms, complete, replied)?)?;
        } else {
            for question_status in question_statuses {
                if question_status.question.state == QuestionState::Open {
                    let line = question_status
                        .delivery
                        .line(question_status.peer.as_str(), now_ms);
                    let way = line.split_once(": ").map_or(line.as_str(), |(_, way)| way);
                    rows.print_row(
                        question_status.peer.as_str(),
                        &format!("no answer yet: {way}"),
                    );
                }
            }
            let rest = self.asked.len() - replied;
            let later = if complete {
                String::new()
            } else {
                format!("; {rest} open, `claude-mesh inbox` shows what comes")
            };
            print::line(&format!(
                "{replied} of {} replied after {}{later}",
                self.asked.len(),
                format_elapsed_ms(waited_ms)
            ))?;
        }
        Ok(if complete {
            CommandStatus::Done
        } else {
            CommandStatus::NoAnswer
        })
    }

    fn result(
        &mut self,
        question_statuses: &[QuestionStatus],
        waited_ms: i64,
        complete: bool,
        replied: usize,
    ) -> Result<Value, Failure> {
        let mut answers = Vec::new();
        for asked in self.asked.clone() {
            let waited = question_statuses
                .iter()
                .find(|question_status| question_status.question.id == asked.question);
            answers.push(match waited {
                Some(question_status) => self.question_json(question_status, waited_ms),
                None => self.stored(&asked)?,
            });
        }
        let ids: Vec<_> = self.asked.iter().map(|asked| asked.question).collect();
        let status = match (complete, replied) {
            (true, _) => "answered",
            (false, 0) if self.stop.is_set() => "cancelled",
            (false, 0) => "timed_out",
            (false, _) => "partial",
        };
        Ok(json!({ "status": status, "answers": answers, "question_ids": ids }))
    }

    /// Waits until all have replied, the time is over or somebody stops it. A person is told of questions that come
    /// meanwhile and waits on; a session ends its wait to answer them.
    fn wait(
        &mut self,
        mut wait: Wait,
        timeout: Duration,
        mut watch: impl FnMut(&[QuestionStatus], i64),
    ) -> Result<AskWaitOutcome, Failure> {
        let deadline_monotonic_ms =
            self.started_monotonic_ms + i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX / 2);
        let clock = crate::platform::SystemClock::new();
        loop {
            let now_ms = self.member.mesh().now().monotonic_ms;
            let remaining =
                Duration::from_millis(u64::try_from(deadline_monotonic_ms - now_ms).unwrap_or(0));
            let stop = self.stop.clone();
            let (outcome, found) = self.member.wait(&wait, remaining, |question_statuses| {
                watch(
                    question_statuses,
                    crate::platform::Clock::now(&clock).wall_ms,
                );
                !stop.is_set()
            })?;
            match outcome {
                WaitOutcome::Done(_) | WaitOutcome::Expired | WaitOutcome::Cancelled => {
                    return Ok(AskWaitOutcome::QuestionStatus(found));
                }
                WaitOutcome::Interrupted(interruption) if !self.desk.is_person() => {
                    return Ok(AskWaitOutcome::Interrupted(interruption));
                }
                WaitOutcome::Interrupted(interruption) => {
                    for waiting in &interruption.questions {
                        print::err(&format!(
                            "\r\x1b[2K{} asks you: {}\n(answer from another terminal: claude-mesh reply {} TEXT)\n",
                            waiting.from,
                            self.desk
                                .sanitize_foreign(&waiting.pending.question.question),
                            waiting.pending.question.id
                        ))?;
                    }
                    wait = self.member.await_replies(&wait.questions)?;
                }
            }
        }
    }

    fn waited_ms(&mut self) -> i64 {
        self.member.mesh().now().monotonic_ms - self.started_monotonic_ms
    }
}

enum AskWaitOutcome {
    QuestionStatus(Vec<QuestionStatus>),
    Interrupted(Interruption),
}
