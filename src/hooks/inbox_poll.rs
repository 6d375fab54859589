//! A prompt is submitted or a turn is about to end: what waits for the session is put before its model.
//!
//! A prompt gets the questions in full, once per turn. At the end of a turn unanswered ones keep the session going: first
//! by added context, then by a block; twice per question and turn, three times per question, five times in a row. Then it
//! lets go: the question stays open, and the next prompt names it in a line.
use std::mem::ManuallyDrop;
use std::time::Duration;

use super::event::Prompt;
use crate::claude_code::client;
use crate::hooks::{Call, Event, Output, activity, prompt_text};
use crate::mesh::{Inbox, Mesh, Rung, Sitting, Waiting};
use crate::model::{Error, PeerKind, WakeState};
use crate::platform::{FaultKind, fault_log};
use crate::store::{Pending, Session};

/// How often one question keeps a session going in one turn.
const STOPS_PER_TURN: u32 = 2;
/// How often one question keeps a session going at all.
const STOPS_PER_QUESTION: u32 = 3;
/// How often we keep a session going in a row; Claude Code overrides the eighth of all hooks.
const STOPS_IN_A_ROW: u32 = 5;
/// The same for a headless run, whose result must survive.
const STOPS_IN_A_ROW_HEADLESS: u32 = 2;
/// A session this young may still be starting its server.
const STARTING_MS: i64 = 20_000;

/// Says what waits for the session, if anything does.
pub fn inbox_poll(call: &Call) -> Result<Option<Output>, Error> {
    if !matches!(call.event, Event::Prompted { .. } | Event::Stopping { .. }) || !call.has_mailbox()
    {
        return Ok(None);
    }
    let Some(project) = call.project()? else {
        return Ok(None);
    };
    let process = call.client()?;
    // The process ends right after this, and its end lets go of the file sooner than closing it would.
    let mut mesh = ManuallyDrop::new(call.open(&project)?);
    let me = call.seat(&mut mesh, process, project)?;
    if me.kind == PeerKind::Run {
        return Ok(None);
    }
    if !mesh.bells().is_served(me.session) {
        let registered = client::registered(&call.settings.claude.config_dir, process);
        let started_at_ms = registered.and_then(|registered| registered.started_at_ms);
        return needs_restart(&mut mesh, &me, started_at_ms);
    }
    note_activity(call, &mut mesh, &me, process);
    activity::note(call, &mesh, &me);
    match &call.event {
        Event::Prompted { prompt, .. } => at_prompt(call, &mut mesh, &me, prompt),
        Event::Stopping {
            turn, kept_before, ..
        } => at_stop(
            call,
            &mut mesh,
            &me,
            turn.as_deref().unwrap_or_default(),
            *kept_before,
        ),
        _ => Ok(None),
    }
}

fn at_prompt(
    call: &Call,
    mesh: &mut Mesh,
    me: &Sitting,
    prompt: &Prompt,
) -> Result<Option<Output>, Error> {
    let doorbell = prompt.doorbell.as_deref();
    match doorbell {
        Some(nonce) if mesh.worth_of(me, nonce)? == Rung::Held => {
            return Ok(Some(Output::block(prompt_text::HELD)));
        }
        // Whether it begins a turn shows only when it brings something.
        Some(_) => {}
        None => {
            let begun = mesh.begin_turn(me, prompt.turn.as_deref(), prompt.typed);
            if begun.is_err() {
                // The lock is waited for once.
                mesh.set_patience(Duration::ZERO);
            }
            tolerate_busy(call, begun)?;
        }
    }
    let mut inbox = mesh.inbox(me)?;
    if !prompt.typed {
        leave_out_what_it_has(call, mesh, me, prompt.turn.as_deref(), &mut inbox)?;
    }
    let fresh = inbox
        .answers
        .into_iter()
        .filter(|late| late.question.answer_shown_at_ms.is_none())
        .collect::<Vec<_>>();
    let seen = |waiting: &Waiting| waiting.pending.times > 0;
    let settled = fresh.is_empty()
        && inbox.questions.iter().all(seen)
        && inbox.granted.is_empty()
        && !inbox.mail_waits;
    if doorbell.is_some() && settled {
        // What it rang for was answered, or came by a call meanwhile: that must not cost a turn or a second copy.
        tolerate_busy(call, mesh.ring_settled(me))?;
        return Ok(Some(Output::block(prompt_text::SETTLED)));
    }
    let (mut worn, questions): (Vec<Waiting>, Vec<Waiting>) = inbox
        .questions
        .into_iter()
        .partition(|waiting| waiting.pending.stops >= STOPS_PER_QUESTION);
    let mut shown = Inbox {
        questions,
        answers: fresh,
        ..inbox
    };
    let new_mail = add_mail(mesh, me, &mut shown)?;
    if shown.is_empty() && worn.is_empty() {
        return Ok(None);
    }
    // Typing while a call of ours waits runs this hook at once; that call returns with the questions anyway.
    if prompt.typed && mesh.is_waiting(me)? {
        shown.questions.clear();
        shown.answers.clear();
        worn.clear();
        if shown.is_empty() {
            return Ok(None);
        }
    }
    let now_ms = mesh.now().wall_ms;
    let (text, counted) = prompt_text::attached(shown, new_mail, &worn, now_ms);
    let way = if doorbell.is_some() {
        WakeState::Inbox
    } else {
        WakeState::Hook
    };
    tolerate_busy(
        call,
        mesh.mark_shown(me, &counted, prompt.turn.as_deref(), way),
    )?;
    Ok(Some(Output::context(text)))
}

/// Adds the mail that is to be mentioned, if any waits. Returns how much of it there is in all.
pub(super) fn add_mail(mesh: &mut Mesh, me: &Sitting, inbox: &mut Inbox) -> Result<u32, Error> {
    if !inbox.mail_waits {
        return Ok(0);
    }
    let found = mesh.new_mail(me)?;
    inbox.mail = found.messages;
    Ok(found.count)
}

/// What this turn has, or a call or the waiting hook has just brought, is not put before the model once more beside what
/// is new.
fn leave_out_what_it_has(
    call: &Call,
    mesh: &mut Mesh,
    me: &Sitting,
    turn: Option<&str>,
    inbox: &mut Inbox,
) -> Result<(), Error> {
    let brought = |pending: &Pending| pending.times > 0 && pending.turn.is_none();
    let in_turn = |pending: &Pending| pending.times > 0 && pending.turn.as_deref() == turn;
    let anything_brought = inbox.questions.iter().any(|it| brought(&it.pending));
    inbox
        .questions
        .retain(|it| !brought(&it.pending) && !in_turn(&it.pending));
    match turn {
        Some(turn) if anything_brought => tolerate_busy(call, mesh.note_turn(me, turn)),
        _ => Ok(()),
    }
}

fn at_stop(
    call: &Call,
    mesh: &mut Mesh,
    me: &Sitting,
    turn: &str,
    kept_before: bool,
) -> Result<Option<Output>, Error> {
    let inbox = mesh.inbox(me)?;
    if inbox.questions.is_empty() || mesh.is_left_alone(me)? {
        return Ok(None);
    }
    let Some(row) = mesh.session(me)? else {
        return Ok(None);
    };
    let goes_on = kept_before && row.turn.as_deref() == Some(turn);
    let streak = if goes_on { row.stop_streak } else { 0 };
    let most = if row.headless {
        STOPS_IN_A_ROW_HEADLESS
    } else {
        STOPS_IN_A_ROW
    };
    let may_keep = |waiting: &Waiting| {
        let in_turn = if goes_on {
            waiting.pending.stops_in_turn
        } else {
            0
        };
        waiting.instead_of.is_none()
            && waiting.pending.question.held.is_none()
            && waiting.pending.stops < STOPS_PER_QUESTION
            && in_turn < STOPS_PER_TURN
    };
    let keeping: Vec<Waiting> = inbox.questions.into_iter().filter(may_keep).collect();
    if keeping.is_empty() || streak >= most {
        return Ok(None);
    }
    let now_ms = mesh.now().wall_ms;
    let (text, counted) = prompt_text::kept(keeping, turn, row.headless, now_ms);
    tolerate_busy(call, mesh.mark_kept(me, &counted, turn, streak + 1))?;
    Ok(Some(if streak == 0 {
        Output::context(text)
    } else {
        Output::block(text)
    }))
}

/// A session without a server cannot answer. Its person is told once, and it is never held up.
///
/// `started_at_ms` is when its client was started, if that is known; its row may be of this very hook.
fn needs_restart(
    mesh: &mut Mesh,
    me: &Sitting,
    started_at_ms: Option<i64>,
) -> Result<Option<Output>, Error> {
    let now_ms = mesh.now().wall_ms;
    let starting = |row: &Session| {
        now_ms - started_at_ms.unwrap_or(row.started_at_ms) < STARTING_MS && !row.has_server
    };
    match mesh.session(me)? {
        Some(row) if !row.told_restart && !starting(&row) => {
            mesh.set_told_restart(me)?;
            Ok(Some(Output::message(prompt_text::RESTART)))
        }
        _ => Ok(None),
    }
}

/// Where the client's registry cannot be read, the hooks tell what the session does.
fn note_activity(
    call: &Call,
    mesh: &mut Mesh,
    me: &Sitting,
    process: crate::platform::process::ProcessKey,
) {
    let told = client::registered(&call.settings.claude.config_dir, process)
        .is_some_and(|registered| registered.status.is_some());
    if !told {
        let activity = if matches!(call.event, Event::Stopping { .. }) {
            "idle"
        } else {
            "busy"
        };
        let _ = mesh.set_activity(me, activity);
    }
}

/// A repeat is better than a loss: what could not be marked is printed all the same.
fn tolerate_busy(call: &Call, marked: Result<(), Error>) -> Result<(), Error> {
    match marked {
        Err(Error::Fault(fault))
            if matches!(
                fault.kind,
                FaultKind::Busy | FaultKind::Full | FaultKind::Rights
            ) =>
        {
            fault_log::write(
                &call.settings.mesh_home,
                "claude-mesh-inbox-poll",
                &format!("shown, but not marked: {fault}"),
            );
            Ok(())
        }
        other => other,
    }
}
