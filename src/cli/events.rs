//! `claude-mesh events`: reads, follows, awaits and emits events, for scripts.
#[cfg(feature = "remote")]
pub(super) mod at_hub;

use std::time::Duration;

use clap::Args;
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::print;
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::context::CliContext;
use crate::cli::duration;
use crate::cli::duration::Since;
use crate::cli::error::Failure;
use crate::cli::poll::poll;
use crate::cli::progress::StopFlag;
use crate::mesh::{Interruption, Member, Mesh, ProjectEvent, WaitOutcome};
use crate::model::Event;
use crate::model::event::{EventFilter, EventPage, EventPatterns};
use crate::platform::clock::{monotonic_ms, rfc3339};
use crate::platform::text;
use crate::tools::output;

/// Read, follow or await the events of the mesh; emit events of your own
///
/// `claude-mesh log` prints the same as sentences. Without --after and --since the newest are shown, oldest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 done; 1 refused; 3 --wait ended without an event.

Examples:
  claude-mesh events --types 'question.*' --since 1h
  claude-mesh events -f --json                              one line of JSON per event
  claude-mesh events --wait --types project.deployed --timeout 10m && ./smoke-test
  claude-mesh events --emit project.deployed --data '{\"version\": \"1.4\"}'")]
pub(super) struct EventsArgs {
    /// Only these types: names or globs such as 'claim.*', several with commas.
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    types: Vec<String>,
    /// Only events with a greater number.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,
    /// Where to begin: a duration before now (1h, 7d) or an RFC 3339 time.
    #[arg(long, value_parser = duration::since, value_name = "WHEN")]
    since: Option<Since>,
    /// The maximum number of events.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// Print new events as they happen, until Ctrl-C.
    #[arg(short, long, conflicts_with_all = ["wait", "emit"])]
    follow: bool,
    /// Wait for the next event.
    #[arg(long, conflicts_with = "emit")]
    wait: bool,
    /// How long to wait, for example 90s, 5m, 1h.
    #[arg(long, default_value = "60s", value_name = "SPAN", value_parser = duration::timeout, requires = "wait")]
    timeout: Duration,
    /// Emit an event of this type, project.<name>.
    #[arg(long, value_name = "TYPE", conflicts_with_all = ["types", "after", "since"])]
    emit: Option<String>,
    /// The data of the event, as JSON.
    #[arg(long, value_name = "JSON", requires = "emit")]
    data: Option<String>,
}

/// How often to check whether a mesh was created, which no doorbell reports.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
const FOREVER: Duration = Duration::MAX;

pub(super) fn events(context: &CliContext, args: &EventsArgs) -> CommandResult {
    if let Some(kind) = &args.emit {
        return emit(context, kind, args.data.as_deref());
    }
    let mut filter = EventFilter {
        types: EventPatterns::check(args.types.clone())?,
        after: args.after,
        since_ms: args.since.map(|since| since.wall_ms(now_ms())),
        limit: args.limit.into(),
    };
    if args.wait {
        return wait(context, &filter, args.timeout);
    }
    if args.follow {
        return follow(context, &filter.types.clone(), |mesh| {
            loop {
                let page = mesh.events(&filter)?;
                filter.after = Some(page.next);
                for event in &page.events {
                    print_event(context, event)?;
                }
                if !page.more {
                    return Ok(());
                }
            }
        });
    }
    let Some(mut mesh) = context.open_existing()? else {
        return context.report_no_mesh(&json!({ "events": [], "next": 0 }));
    };
    print_page(context, &mesh.events(&filter)?)?;
    Ok(CommandStatus::Done)
}

/// Calls `read` at once and after each event of these types, until a signal comes.
///
/// In the shell of a session it polls: a wait of that session would count as a call of its model, and would take the
/// questions for the model.
pub(super) fn follow(
    context: &CliContext,
    types: &EventPatterns,
    mut read: impl FnMut(&mut Mesh) -> Result<(), Failure>,
) -> CommandResult {
    while !context.is_person() {
        if let Some(mut mesh) = context.open_existing()? {
            loop {
                read(&mut mesh)?;
                std::thread::sleep(POLL_INTERVAL);
            }
        }
        std::thread::sleep(POLL_INTERVAL);
    }
    let Some(mut member) = join(context, FOREVER)? else {
        return Ok(CommandStatus::Done);
    };
    let stop = StopFlag::on_signals(member.signal())?;
    let filter = EventFilter {
        types: types.clone(),
        ..EventFilter::default()
    };
    let me = member.handle().clone();
    loop {
        let wait = member.mesh().begin_event_wait(&me, &filter)?.wait;
        let mut failure = None;
        let poll = |mesh: &mut Mesh, _: &_| {
            failure = read(mesh).err();
            Ok(failure.is_some().then_some(()))
        };
        let wait_outcome = member.wait_for(wait, FOREVER, poll, || !stop.is_set())?;
        match (failure, wait_outcome) {
            (Some(failure), _) => return Err(failure),
            (None, WaitOutcome::Interrupted(interruption)) => {
                print_interrupting_questions(&interruption)?;
            }
            (None, _) => return Ok(CommandStatus::Done),
        }
    }
}

/// Prints questions for the person who follows.
fn print_interrupting_questions(interruption: &Interruption) -> Result<(), Failure> {
    for one in &interruption.questions {
        let question = &one.delivery.question;
        let text = text::strip_terminal_controls(&question.question);
        print::notice(
            &format!("{} asks you: {text}", one.from),
            &format!("`claude-mesh reply {} TEXT`", question.id),
        )?;
    }
    Ok(())
}

fn wait(context: &CliContext, filter: &EventFilter, timeout: Duration) -> CommandResult {
    let deadline_monotonic_ms =
        monotonic_ms() + i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX / 2);
    let remaining = || {
        let remaining_ms = deadline_monotonic_ms - monotonic_ms();
        Duration::from_millis(u64::try_from(remaining_ms).unwrap_or(0))
    };
    let empty_result =
        |status: &str, next: Option<i64>| json!({ "status": status, "events": [], "next": next });
    let Some(mut member) = join(context, timeout)? else {
        return print_no_event(context, &empty_result("timed_out", Some(0)));
    };
    let stop = StopFlag::on_signals(member.signal())?;
    let me = member.handle().clone();
    let mut listening = member.mesh().begin_event_wait(&me, filter)?;
    let id = listening.wait;
    let wait_outcome = member.wait_for(
        id,
        remaining(),
        |mesh, _| listening.poll(mesh),
        || !stop.is_set(),
    )?;
    match wait_outcome {
        WaitOutcome::Done(page) => {
            print_page(context, &page)?;
            Ok(CommandStatus::Done)
        }
        WaitOutcome::Expired | WaitOutcome::Cancelled => {
            print_no_event(context, &empty_result("timed_out", listening.filter.after))
        }
        WaitOutcome::Interrupted(interruption) => {
            let questions: Vec<Value> =
                interruption.questions.iter().map(output::waiting).collect();
            if context.json {
                let mut body = empty_result("interrupted", listening.filter.after);
                body["questions"] = questions.into();
                print::json(&body)?;
            } else {
                print::err("claude-mesh: interrupted, a question waits for you\n")?;
                super::inbox::print_questions(context, &mut member, &interruption.questions)?;
            }
            Ok(CommandStatus::NoAnswer)
        }
    }
}

fn print_no_event(context: &CliContext, body: &Value) -> CommandResult {
    if context.json {
        print::json(body)?;
    } else {
        print::err("claude-mesh: no such event came\n")?;
    }
    Ok(CommandStatus::NoAnswer)
}

/// Joins with a doorbell as soon as there is a mesh, because reading creates none. Returns `None` at the timeout.
fn join(context: &CliContext, timeout: Duration) -> Result<Option<Member>, Failure> {
    match poll(timeout, POLL_INTERVAL.min(timeout), || {
        context.open_existing()
    })? {
        Some(_) => context.join().map(Some),
        None => Ok(None),
    }
}

fn emit(context: &CliContext, kind: &str, data: Option<&str>) -> CommandResult {
    let data = match data {
        None => json!({}),
        Some(text) => serde_json::from_str(text).map_err(|error| {
            Failure::argument(
                format!("--data is not JSON: {error}"),
                "for example --data '{\"version\": \"1.4\"}'; nothing was written",
            )
        })?,
    };
    let mut session = context.register(context.open()?)?;
    let seq = session.mesh.emit(
        &session.me,
        &ProjectEvent::of(&context.project.path, kind, &data),
    )?;
    if context.json {
        print::json(&json!({ "type": kind, "seq": seq }))?;
    } else {
        print::line(&format!("{kind} is event {seq}"))?;
    }
    Ok(CommandStatus::Done)
}

fn print_page(context: &CliContext, page: &EventPage) -> Result<(), Failure> {
    if context.json {
        let mut body = json!({ "events": page.events, "next": page.next });
        if page.more {
            body["truncated"] = true.into();
        }
        return Ok(print::json(&body)?);
    }
    for event in &page.events {
        print_event(context, event)?;
    }
    if page.events.is_empty() {
        print::line("no such events")?;
    }
    if page.more {
        print::line(&format!(
            "there are more; continue with `--after {}`",
            page.next
        ))?;
    }
    Ok(())
}

/// Prints an event on one line.
fn print_event(context: &CliContext, event: &Event) -> Result<(), Failure> {
    if context.json {
        return Ok(print::json_line(event)?);
    }
    let sanitize_line = |text: &str| context.sanitize_foreign(&text::one_line(text));
    Ok(print::line(&format!(
        "{}  {:>6}  {}  {}  {}  {}",
        rfc3339(event.at_ms).dimmed(),
        event.seq,
        sanitize_line(&event.kind).bold(),
        sanitize_line(&event.by),
        sanitize_line(&event.subject),
        sanitize_line(&event.data.to_string()).dimmed(),
    ))?)
}

fn now_ms() -> i64 {
    use crate::platform::{Clock, SystemClock};
    SystemClock::new().now().wall_ms
}
