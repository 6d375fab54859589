//! `claude-mesh events`: the event log for scripts: read, followed, waited for, and written to.
use std::time::Duration;

use clap::Args;
use owo_colors::OwoColorize;
use serde_json::{Value, json};

use super::{Ending, Outcome, print};
use crate::cli::context::Desk;
use crate::cli::duration;
use crate::cli::duration::Since;
use crate::cli::error::Failure;
use crate::cli::progress::Stop;
use crate::mesh::{Came, Interruption, Member, Mesh};
use crate::model::Event;
use crate::model::event::{Filter, Page, Patterns};
use crate::platform::clock::{monotonic_ms, rfc3339};
use crate::platform::text;
use crate::tools::output;

/// Read, follow or await what happens in the mesh; emit events of your own
///
/// `claude-mesh log` tells the same in sentences. Without --after and --since the newest are shown, oldest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 done; 1 refused; 3 --wait ended without an event.

Examples:
  claude-mesh events --types 'question.*' --since 1h
  claude-mesh events -f --json                              one line of JSON per event
  claude-mesh events --wait --types project.deployed --timeout 10m && ./smoke-test
  claude-mesh events --emit project.deployed --data '{\"version\": \"1.4\"}'")]
pub(super) struct Events {
    /// Only these types: names or globs such as 'claim.*', several with commas.
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    types: Vec<String>,
    /// Only events with a greater number.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,
    /// Where to begin: a span back (1h, 7d) or an RFC 3339 time.
    #[arg(long, value_parser = duration::since, value_name = "WHEN")]
    since: Option<Since>,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// Go on and print what happens, until Ctrl-C.
    #[arg(short, long, conflicts_with_all = ["wait", "emit"])]
    follow: bool,
    /// Wait for the first event that comes.
    #[arg(long, conflicts_with = "emit")]
    wait: bool,
    /// How long to wait, for example 90s, 5m, 1h.
    #[arg(long, default_value = "60s", value_name = "SPAN", value_parser = duration::timeout, requires = "wait")]
    timeout: Duration,
    /// Write an event of this type, project.<name>.
    #[arg(long, value_name = "TYPE", conflicts_with_all = ["types", "after", "since"])]
    emit: Option<String>,
    /// What belongs to it, as JSON.
    #[arg(long, value_name = "JSON", requires = "emit")]
    data: Option<String>,
}

/// How often a mesh is looked for that nobody has made yet: there is no bell to hear it by.
const EVERY: Duration = Duration::from_millis(500);
/// Followed until somebody stops it.
const FOREVER: Duration = Duration::MAX;

/// Reads, follows, waits or emits.
pub(super) fn events(desk: &Desk, args: &Events) -> Outcome {
    if let Some(kind) = &args.emit {
        return emit(desk, kind, args.data.as_deref());
    }
    let mut filter = Filter {
        types: Patterns::check(args.types.clone())?,
        after: args.after,
        since_ms: args.since.map(|since| since.wall_ms(now_ms())),
        limit: args.limit.into(),
    };
    if args.wait {
        return wait(desk, &filter, args.timeout);
    }
    if args.follow {
        return follow(desk, &filter.types.clone(), |mesh| {
            loop {
                let page = mesh.events(&filter)?;
                filter.after = Some(page.next);
                for event in &page.events {
                    tell(desk, event)?;
                }
                if !page.more {
                    return Ok(());
                }
            }
        });
    }
    let Some(mut mesh) = desk.open_existing()? else {
        return desk.no_mesh(&json!({ "events": [], "next": 0 }));
    };
    tell_page(desk, &mesh.events(&filter)?)?;
    Ok(Ending::Done)
}

/// Calls `read` at once and whenever an event of these types comes, until somebody stops it.
///
/// In a session's shell it looks at intervals: a wait of that session would count for a call of its model, and take the
/// questions that are the model's.
pub(super) fn follow(
    desk: &Desk,
    types: &Patterns,
    mut read: impl FnMut(&mut Mesh) -> Result<(), Failure>,
) -> Outcome {
    while !desk.is_person() {
        if let Some(mut mesh) = desk.open_existing()? {
            loop {
                read(&mut mesh)?;
                std::thread::sleep(EVERY);
            }
        }
        std::thread::sleep(EVERY);
    }
    let Some(mut member) = join(desk, FOREVER)? else {
        return Ok(Ending::Done);
    };
    let stop = Stop::on_signals(member.signal())?;
    let filter = Filter {
        types: types.clone(),
        ..Filter::default()
    };
    let me = member.sitting().clone();
    loop {
        let wait = member.mesh().listen(&me, &filter)?.wait;
        let mut failure = None;
        let look = |mesh: &mut Mesh, _: &_| {
            failure = read(mesh).err();
            Ok(failure.is_some().then_some(()))
        };
        let came = member.wait_for(wait, FOREVER, look, || !stop.is_set())?;
        match (failure, came) {
            (Some(failure), _) => return Err(failure),
            (None, Came::Interrupted(interruption)) => mention(&interruption)?,
            (None, _) => return Ok(Ending::Done),
        }
    }
}

/// Tells a person of questions beside what is followed.
fn mention(interruption: &Interruption) -> Result<(), Failure> {
    for one in &interruption.questions {
        let question = &one.pending.question;
        print::err(&format!(
            "claude-mesh: {} asks you: {}\n{}: `claude-mesh reply {} TEXT`\n",
            one.from,
            text::clean(&question.question),
            "hint".cyan(),
            question.id
        ))?;
    }
    Ok(())
}

fn wait(desk: &Desk, filter: &Filter, timeout: Duration) -> Outcome {
    let until_ms = monotonic_ms() + i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX / 2);
    let left = || {
        let left_ms = until_ms - monotonic_ms();
        Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
    };
    let none =
        |status: &str, next: Option<i64>| json!({ "status": status, "events": [], "next": next });
    let Some(mut member) = join(desk, timeout)? else {
        return nothing_came(desk, &none("timed_out", Some(0)));
    };
    let stop = Stop::on_signals(member.signal())?;
    let me = member.sitting().clone();
    let mut listening = member.mesh().listen(&me, filter)?;
    let id = listening.wait;
    let came = member.wait_for(
        id,
        left(),
        |mesh, _| listening.look(mesh),
        || !stop.is_set(),
    )?;
    match came {
        Came::There(page) => {
            tell_page(desk, &page)?;
            Ok(Ending::Done)
        }
        Came::Over => nothing_came(desk, &none("timed_out", listening.filter.after)),
        Came::Interrupted(interruption) => {
            let questions: Vec<Value> =
                interruption.questions.iter().map(output::waiting).collect();
            if desk.json {
                let mut body = none("interrupted", listening.filter.after);
                body["questions"] = questions.into();
                print::json(&body)?;
            } else {
                print::err("claude-mesh: interrupted, a question waits for you\n")?;
                super::inbox::print_questions(desk, &mut member, &interruption.questions)?;
            }
            Ok(Ending::NoAnswer)
        }
    }
}

fn nothing_came(desk: &Desk, body: &Value) -> Outcome {
    if desk.json {
        print::json(body)?;
    } else {
        print::err("claude-mesh: no such event came\n")?;
    }
    Ok(Ending::NoAnswer)
}

/// Sits down with a bell, once there is a mesh: looking makes none. `None` when none came in time.
fn join(desk: &Desk, at_most: Duration) -> Result<Option<Member>, Failure> {
    let began_ms = monotonic_ms();
    let at_most_ms = i64::try_from(at_most.as_millis()).unwrap_or(i64::MAX / 2);
    while desk.open_existing()?.is_none() {
        if monotonic_ms() - began_ms >= at_most_ms {
            return Ok(None);
        }
        std::thread::sleep(EVERY.min(at_most));
    }
    desk.join().map(Some)
}

fn emit(desk: &Desk, kind: &str, data: Option<&str>) -> Outcome {
    let data = match data {
        None => json!({}),
        Some(text) => serde_json::from_str(text).map_err(|error| {
            Failure::argument(
                format!("--data is no JSON: {error}"),
                "for example --data '{\"version\": \"1.4\"}'; nothing was written",
            )
        })?,
    };
    let mut seat = desk.sit(desk.open()?)?;
    let seq = seat.mesh.emit(&seat.me, &desk.project.path, kind, &data)?;
    if desk.json {
        print::json(&json!({ "type": kind, "seq": seq }))?;
    } else {
        print::line(&format!("{kind} is event {seq}"))?;
    }
    Ok(Ending::Done)
}

fn tell_page(desk: &Desk, page: &Page) -> Result<(), Failure> {
    if desk.json {
        let mut body = json!({ "events": page.events, "next": page.next });
        if page.more {
            body["truncated"] = true.into();
        }
        return Ok(print::json(&body)?);
    }
    for event in &page.events {
        tell(desk, event)?;
    }
    if page.events.is_empty() {
        print::line("no such events")?;
    }
    if page.more {
        print::line(&format!("there are more; `--after {}` goes on", page.next))?;
    }
    Ok(())
}

/// One event on one line.
fn tell(desk: &Desk, event: &Event) -> Result<(), Failure> {
    if desk.json {
        return Ok(print::json_line(event)?);
    }
    let inert = |text: &str| desk.foreign(&text::one_line(text));
    Ok(print::line(&format!(
        "{}  {:>6}  {}  {}  {}  {}",
        rfc3339(event.at_ms).dimmed(),
        event.seq,
        inert(&event.kind).bold(),
        inert(&event.by),
        inert(&event.subject),
        inert(&event.data.to_string()).dimmed(),
    ))?)
}

fn now_ms() -> i64 {
    use crate::platform::{Clock, SystemClock};
    SystemClock::new().now().wall_ms
}
