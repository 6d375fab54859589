//! `claude-mesh ask` in a folder whose mesh is at a hub.
use owo_colors::OwoColorize;
use serde_json::Value;

use super::{AskArgs, PreferArg, name_and_question, no_askable_session_error};
use crate::cli::command_status::{CommandResult, CommandStatus};
use crate::cli::error::Failure;
use crate::cli::format::{bold_name, indent};
use crate::cli::hub_context::{HubCall, HubContext, status_of, wait_seconds};
use crate::cli::hub_output::{print_questions, shown};
use crate::cli::{print, text_input};
use crate::platform::text;

pub(in crate::cli) fn run(hub: &HubContext, args: &AskArgs) -> CommandResult {
    let (name, question) = name_and_question(args)?;
    let context = match &args.context {
        Some(path) => Some(text_input::read("context", path)?),
        None => None,
    };
    let to: Value = match name {
        Some(name) => name.into(),
        None => match askable(hub, args.repo)? {
            // A list of one is no list for the tool.
            Some(names) if names.len() == 1 => names[0].as_str().into(),
            Some(names) => names.into(),
            None => return Ok(CommandStatus::NoAnswer),
        },
    };
    let prefer = match args.prefer {
        _ if args.known => Some("known"),
        Some(PreferArg::Session) => Some("session"),
        Some(PreferArg::Live) | None => None,
    };
    let timeout = (!args.known).then(|| wait_seconds("--timeout", args.timeout));
    let timeout = timeout.transpose()?;
    if print::stderr_is_terminal() && !hub.json && !args.known {
        print::err("asking; Ctrl-C leaves the question open\n")?;
    }
    let call = HubCall::new("ask_peer", asked)
        .with("to", to)
        .with("question", question)
        .with_some("context", context)
        .with_some("timeout_seconds", timeout)
        .with_some("prefer", prefer);
    hub.run(call)
}

/// Returns the names of all sessions that can be asked, of the mesh or of this repository; `None` if a signal came.
fn askable(hub: &HubContext, repo: bool) -> Result<Option<Vec<String>>, Failure> {
    let scope = if repo { "repo" } else { "mesh" };
    let call = HubCall::new("list_peers", asked).with("scope", scope);
    let Some(listed) = hub.call(call)? else {
        return Ok(None);
    };
    let own = listed["you"].as_str();
    let peers = listed["peers"].as_array().map(Vec::as_slice);
    let names: Vec<String> = peers
        .unwrap_or_default()
        .iter()
        .filter(|peer| peer["askable"] == true)
        .filter_map(|peer| peer["peer"].as_str())
        .filter(|name| Some(*name) != own && !name.starts_with("person@"))
        .map(str::to_owned)
        .collect();
    if names.is_empty() {
        return Err(no_askable_session_error(repo));
    }
    Ok(Some(names))
}

/// Prints the answer of one peer alone, or of each peer under its name.
fn asked(hub: &HubContext, result: &Value) -> CommandResult {
    let Some(answers) = result["answers"].as_array() else {
        return one_answer(hub, result);
    };
    for answer in answers {
        let peer = shown(hub, &answer["from"]);
        let outcome = match answer["answer"].as_str() {
            Some(text) => format!("\n{}", indent(&hub.sanitize_foreign(text))),
            None => format!(" {}", shown(hub, &answer["status"])),
        };
        print::line(&format!("{}:{outcome}", bold_name(&peer)))?;
    }
    print_questions(hub, &result["questions"])?;
    Ok(status_of(result))
}

fn one_answer(hub: &HubContext, result: &Value) -> CommandResult {
    let peer = shown(hub, &result["from"]);
    let status = result["status"].as_str().unwrap_or_default();
    match (status, result["answer"].as_str()) {
        ("answered", Some(answer)) => {
            if print::stderr_is_terminal() {
                let fork = if result["by"] == "fork" {
                    "a fork of "
                } else {
                    ""
                };
                print::err(&format!("{fork}{} answered:\n", bold_name(&peer)))?;
            }
            hub.print_foreign(answer)?;
        }
        ("declined", reason) => {
            let reason = hub.sanitize_foreign(reason.unwrap_or_default());
            print::err(&format!("claude-mesh: {peer} declined: {reason}\n"))?;
        }
        ("known", _) => print_prior_answers(hub, result)?,
        _ => {
            let what = match status {
                "timed_out" => format!("no answer from {peer} in time"),
                "offline" => format!("no session at {peer} can be asked now"),
                "held" => format!(
                    "{peer} is not woken now ({})",
                    shown(hub, &result["reason"])
                ),
                "interrupted" => "interrupted: answer first, then see `claude-mesh inbox`".into(),
                other => format!("{peer}: {}", text::one_line(other)),
            };
            let id = shown(hub, &result["question_id"]);
            let hint = format!(
                "question {id} stays open; `claude-mesh inbox` shows the answer when it comes"
            );
            print::notice(&what, &hint)?;
            print_questions(hub, &result["questions"])?;
            print_prior_answers(hub, result)?;
        }
    }
    Ok(status_of(result))
}

fn print_prior_answers(hub: &HubContext, result: &Value) -> Result<(), Failure> {
    for prior in result["known"].as_array().into_iter().flatten() {
        let head = format!("answered earlier, {}:", shown(hub, &prior["at"]));
        print::line(&head.dimmed().to_string())?;
        let answer = prior["answer"].as_str().unwrap_or_default();
        print::line(&indent(&hub.sanitize_foreign(answer)))?;
    }
    Ok(())
}
