//! `claude-mesh ask`: a question, a live line while it is on its way, the answer.
//!
//! Stopping leaves the question open: what was asked is not lost with the terminal it was asked from.
use std::time::Duration;

use clap::{Args, CommandFactory};
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::peer::{askable, held_words, strong};
use crate::cli::context::Desk;
use crate::cli::error::{Failure, Wrong};
use crate::cli::multi_ask_output::Rows;
use crate::cli::progress::{LiveLine, Stop, lasted};
use crate::cli::{Cli, Ending, Outcome, duration, print, prior_answers, text_input, view};
use crate::mesh::{Asked, IfOffline, Interruption, Member, Standing, Wait, Waited};
use crate::model::peer::Address;
use crate::model::question::ago;
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
pub(super) struct Ask {
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
pub(super) fn ask(desk: &Desk, args: &Ask) -> Outcome {
    let (name, question) = words(args)?;
    if let (true, Some(name)) = (args.known, name) {
        return prior_answers::only(desk, &one(desk, name)?, question);
    }
    let context = match &args.context {
        Some(path) => Some(text_input::read("context", path)?),
        None => None,
    };
    let to = match name {
        Some(name) => vec![one(desk, name)?],
        None => many(desk, args.repo)?,
    };
    let mut asking = Asking::begin(desk, &to, question, context.as_deref())?;
    if name.is_some() {
        asking.one(args.timeout)
    } else {
        asking.all(args.timeout)
    }
}

/// With `--all` and `--repo` the only word is the question.
fn words(args: &Ask) -> Result<(Option<&str>, &str), Failure> {
    let wrong = |problem: &str| {
        let mut program = Cli::command();
        program.build();
        let command = program
            .find_subcommand_mut("ask")
            .expect("ask is a command");
        Failure::Usage(command.error(clap::error::ErrorKind::MissingRequiredArgument, problem))
    };
    match (args.all || args.repo, &args.second) {
        (false, Some(question)) => Ok((Some(&args.first), question)),
        (true, None) => Ok((None, &args.first)),
        (false, None) => Err(wrong("the question is missing: `ask NAME QUESTION`")),
        (true, Some(_)) => Err(wrong(
            "with --all or --repo no NAME is given, only the question",
        )),
    }
}

/// One address; where no mesh is, nobody has a name, and asking makes none.
fn one(desk: &Desk, name: &str) -> Result<Address, Failure> {
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
        here: Vec::new(),
    }
    .into())
}

/// Everybody to ask, told before they are asked.
fn many(desk: &Desk, repo: bool) -> Result<Vec<Address>, Failure> {
    let Some(mut mesh) = desk.open_existing()? else {
        return Err(nobody(repo));
    };
    let own = desk.own_name(&mut mesh)?;
    let names: Vec<_> = askable(desk, &mut mesh, repo)?
        .into_iter()
        .filter(|name| Some(name) != own.as_ref())
        .collect();
    if names.is_empty() {
        return Err(nobody(repo));
    }
    let list: Vec<&str> = names.iter().map(crate::model::PeerName::as_str).collect();
    if !desk.json {
        print::line(&format!("asking {}: {}", list.len(), list.join(", ")))?;
    }
    list.into_iter()
        .map(|name| Ok(Address::parse(name)?))
        .collect()
}

fn nobody(repo: bool) -> Failure {
    let place = if repo { "this repository" } else { "this mesh" };
    let message = format!("nobody in {place} can be asked now");
    let hint = "`claude-mesh peers --all` shows who belongs to it; nothing was asked";
    Wrong::new("unknown_peer", message, hint).into()
}

/// Questions that were stored, and who waits for them.
struct Asking<'a> {
    desk: &'a Desk,
    member: Member,
    asked: Vec<Asked>,
    question: String,
    wait: Option<Wait>,
    began_ms: i64,
    stop: Stop,
}

impl<'a> Asking<'a> {
    fn begin(
        desk: &'a Desk,
        to: &[Address],
        question: &str,
        context: Option<&str>,
    ) -> Result<Self, Failure> {
        let mut member = desk.join()?;
        let stop = Stop::on_signals(member.signal())?;
        let me = member.sitting().clone();
        let posed = member
            .mesh()
            .ask(&me, to, question, context, IfOffline::Queue)?;
        let awaited = posed
            .asked
            .iter()
            .filter(|asked| asked.is_awaited(IfOffline::Queue));
        let questions = awaited.map(|asked| asked.question).collect();
        let wait = posed.wait.map(|id| Wait {
            id,
            questions,
            any: false,
        });
        Ok(Self {
            desk,
            began_ms: member.mesh().now().monotonic_ms,
            member,
            asked: posed.asked,
            question: question.to_owned(),
            wait,
            stop,
        })
    }

    /// Waits for one answer and prints it alone.
    fn one(&mut self, timeout: Duration) -> Outcome {
        let asked = self.asked[0].clone();
        let Some(wait) = self.wait.clone() else {
            return self.nobody_there(&asked);
        };
        let watched = print::watches_stderr() && !self.desk.json;
        if watched {
            let joined = if asked.joined {
                ", asked before and still open"
            } else {
                ""
            };
            print::err(&format!(
                "asked {} (question {}{joined}); Ctrl-C leaves it open\n",
                strong(asked.to.as_str()),
                asked.question
            ))?;
        }
        let mut line = LiveLine::new(watched);
        let ended = self.wait(wait, timeout, |standings, now_ms| {
            if let Some(standing) = standings.first() {
                line.show(&standing.delivery.line(standing.peer.as_str(), now_ms));
            }
        });
        line.clear();
        match ended? {
            Ended::Interrupted(interruption) => self.interrupted(&interruption),
            Ended::Standing(standings) => match standings.into_iter().next() {
                Some(standing) => self.tell_one(&standing),
                None => Ok(Ending::NoAnswer),
            },
        }
    }

    fn tell_one(&mut self, standing: &Standing) -> Outcome {
        let waited_ms = self.waited_ms();
        let question = &standing.question;
        let ending = match question.state {
            QuestionState::Answered => Ending::Done,
            QuestionState::Declined => Ending::Refused,
            _ => Ending::NoAnswer,
        };
        if self.desk.json {
            let mut value = self.seen(standing, waited_ms);
            if question.state == QuestionState::Open && !self.stop.is_set() {
                prior_answers::add(
                    &mut self.member,
                    question.target,
                    question.id,
                    &question.question,
                    &mut value,
                )?;
            }
            print::json(&value)?;
            return Ok(ending);
        }
        let answer = question.answer.as_deref().unwrap_or_default();
        match question.state {
            QuestionState::Answered => {
                if print::watches_stderr() {
                    print::err(&format!(
                        "{} answered after {}:\n",
                        strong(standing.peer.as_str()),
                        lasted(waited_ms)
                    ))?;
                }
                print::bare(self.desk, answer)?;
            }
            QuestionState::Declined => {
                let reason = self.desk.foreign(answer);
                print::err(&format!(
                    "claude-mesh: {} declined: {reason}\n",
                    standing.peer
                ))?;
            }
            QuestionState::Open => self.left_open(standing)?,
            QuestionState::Withdrawn | QuestionState::Expired => {
                print::err(&format!(
                    "claude-mesh: question {} was {}\n",
                    question.id,
                    question.state.as_str()
                ))?;
            }
        }
        Ok(ending)
    }

    /// The result of one question; one that was stopped is not timed out.
    fn seen(&self, standing: &Standing, waited_ms: i64) -> Value {
        let mut value = view::standing(standing, waited_ms);
        if self.stop.is_set() && standing.question.state == QuestionState::Open {
            value["status"] = "cancelled".into();
            value["withdrawn"] = false.into();
        }
        value
    }

    /// The result of one question that is not waited for.
    fn stored(&mut self, asked: &Asked) -> Result<Value, Failure> {
        let standings = self.member.mesh().standings(&[asked.question])?;
        Ok(view::stored(asked, &standings[0].delivery))
    }

    fn left_open(&mut self, standing: &Standing) -> Result<(), Failure> {
        let now_ms = self.member.mesh().now().wall_ms;
        let why = if self.stop.is_set() {
            "stopped".to_owned()
        } else {
            format!("no answer within {}", lasted(self.waited_ms()))
        };
        print::err(&format!(
            "claude-mesh: {why}; {}\n{}: question {} stays open; `claude-mesh inbox` shows the answer when it comes\n",
            standing.delivery.line(standing.peer.as_str(), now_ms),
            "hint".cyan(),
            standing.question.id,
        ))?;
        if !self.stop.is_set() {
            let question = &standing.question;
            prior_answers::tell(
                self.desk,
                &mut self.member,
                question.target,
                Some(question.id),
                &question.question,
            )?;
        }
        Ok(())
    }

    fn nobody_there(&mut self, asked: &Asked) -> Outcome {
        let question = self.question.clone();
        if self.desk.json {
            let mut value = self.stored(asked)?;
            prior_answers::add(
                &mut self.member,
                asked.peer,
                asked.question,
                &question,
                &mut value,
            )?;
            print::json(&value)?;
            return Ok(Ending::NoAnswer);
        }
        if let Some(held) = asked.held {
            print::err(&format!(
                "claude-mesh: {} {}\n{}: question {} is stored and rung for when that ends; `claude-mesh inbox` shows the answer\n",
                asked.to,
                held_words(held),
                "hint".cyan(),
                asked.question,
            ))?;
        } else {
            let now_ms = self.member.mesh().now().wall_ms;
            let instead = if asked.same_project.is_empty() {
                String::new()
            } else {
                format!("; in that project now: {}", asked.same_project.join(", "))
            };
            print::err(&format!(
                "claude-mesh: nobody at {} can be asked now (last seen {}){instead}\n{}: question {} is stored, the next session there gets it; `claude-mesh inbox` shows the answer\n",
                asked.to,
                ago(now_ms - asked.last_seen_at_ms),
                "hint".cyan(),
                asked.question,
            ))?;
        }
        prior_answers::tell(
            self.desk,
            &mut self.member,
            asked.peer,
            Some(asked.question),
            &question,
        )?;
        Ok(Ending::NoAnswer)
    }

    /// A question for this session came: its model answers first.
    fn interrupted(&mut self, interruption: &Interruption) -> Outcome {
        let open: Vec<_> = self.asked.iter().map(|asked| asked.question).collect();
        if self.desk.json {
            let questions: Vec<_> = interruption.questions.iter().map(output::waiting).collect();
            let standings = self.member.mesh().standings(&open)?;
            let waited_ms = self.waited_ms();
            let stands = |standing: &Standing| match standing.question.state {
                QuestionState::Open => view::interrupted(standing),
                _ => view::standing(standing, waited_ms),
            };
            print::json(&json!({
                "status": "interrupted",
                "question_ids": open,
                "answers": standings.iter().map(stands).collect::<Vec<_>>(),
                "questions": questions,
                "hint": "answer with `claude-mesh reply`, then see `claude-mesh inbox`",
            }))?;
            return Ok(Ending::NoAnswer);
        }
        print::line(
            "interrupted: answer first, then see `claude-mesh inbox`; your question stays open",
        )?;
        super::inbox::print_questions(self.desk, &mut self.member, &interruption.questions)?;
        Ok(Ending::NoAnswer)
    }

    /// Waits for many and prints each as it comes.
    fn all(&mut self, timeout: Duration) -> Outcome {
        let width = self
            .asked
            .iter()
            .map(|asked| asked.to.as_str().len())
            .max()
            .unwrap_or(0);
        let mut rows = Rows::new(width, self.desk.json);
        let stored = |asked: &&Asked| !asked.is_awaited(IfOffline::Queue);
        for asked in self.asked.clone().iter().filter(stored) {
            let why = match asked.held {
                Some(held) => format!("{}; the question is stored", held_words(held)),
                None => "nobody there now; the question is stored".into(),
            };
            rows.row(asked.to.as_str(), &why);
        }
        let mut standings = Vec::new();
        if let Some(wait) = self.wait.clone() {
            let desk = self.desk;
            let mut line = LiveLine::new(print::watches_stderr() && !desk.json);
            let ended = self.wait(wait, timeout, |standings, now_ms| {
                line.clear();
                rows.tell(desk, standings);
                let open = standings
                    .iter()
                    .filter(|standing| standing.question.state == QuestionState::Open);
                let open: Vec<String> = open
                    .map(|standing| standing.delivery.line(standing.peer.as_str(), now_ms))
                    .collect();
                line.show(&format!("{} open · {}", open.len(), open.join(" · ")));
            });
            line.clear();
            standings = match ended? {
                Ended::Interrupted(interruption) => return self.interrupted(&interruption),
                Ended::Standing(standings) => standings,
            };
        }
        rows.tell(self.desk, &standings);
        self.tell_all(&standings, &mut rows)
    }

    fn tell_all(&mut self, standings: &[Standing], rows: &mut Rows) -> Outcome {
        let now_ms = self.member.mesh().now().wall_ms;
        let waited_ms = self.waited_ms();
        let replied = standings
            .iter()
            .filter(|standing| standing.question.state.is_replied())
            .count();
        let complete = replied == self.asked.len();
        if self.desk.json {
            print::json(&self.result(standings, waited_ms, complete, replied)?)?;
        } else {
            for standing in standings {
                if standing.question.state == QuestionState::Open {
                    let line = standing.delivery.line(standing.peer.as_str(), now_ms);
                    let way = line.split_once(": ").map_or(line.as_str(), |(_, way)| way);
                    rows.row(standing.peer.as_str(), &format!("no answer yet: {way}"));
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
                lasted(waited_ms)
            ))?;
        }
        Ok(if complete {
            Ending::Done
        } else {
            Ending::NoAnswer
        })
    }

    fn result(
        &mut self,
        standings: &[Standing],
        waited_ms: i64,
        complete: bool,
        replied: usize,
    ) -> Result<Value, Failure> {
        let mut answers = Vec::new();
        for asked in self.asked.clone() {
            let waited = standings
                .iter()
                .find(|standing| standing.question.id == asked.question);
            answers.push(match waited {
                Some(standing) => self.seen(standing, waited_ms),
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
        mut watch: impl FnMut(&[Standing], i64),
    ) -> Result<Ended, Failure> {
        let until_ms = self.began_ms + i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX / 2);
        let clock = crate::platform::SystemClock::new();
        loop {
            let now_ms = self.member.mesh().now().monotonic_ms;
            let left = Duration::from_millis(u64::try_from(until_ms - now_ms).unwrap_or(0));
            let stop = self.stop.clone();
            let waited = self.member.wait(&wait, left, |standings| {
                watch(standings, crate::platform::Clock::now(&clock).wall_ms);
                !stop.is_set()
            })?;
            match waited {
                Waited::Done(standings) | Waited::Over(standings) => {
                    return Ok(Ended::Standing(standings));
                }
                Waited::Interrupted(interruption) if !self.desk.is_person() => {
                    return Ok(Ended::Interrupted(interruption));
                }
                Waited::Interrupted(interruption) => {
                    for waiting in &interruption.questions {
                        print::err(&format!(
                            "\r\x1b[2K{} asks you: {}\n(answer from another terminal: claude-mesh reply {} TEXT)\n",
                            waiting.from,
                            self.desk.foreign(&waiting.pending.question.question),
                            waiting.pending.question.id
                        ))?;
                    }
                    wait = self.member.await_replies(&wait.questions)?;
                }
            }
        }
    }

    fn waited_ms(&mut self) -> i64 {
        self.member.mesh().now().monotonic_ms - self.began_ms
    }
}

enum Ended {
    Standing(Vec<Standing>),
    Interrupted(Interruption),
}
