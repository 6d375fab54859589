//! A prompt is submitted or a turn is about to end: what waits for the session is put before its model.
//!
//! A prompt gets the questions in full, once per turn. At the end of a turn unanswered ones keep the session going: first
//! by added context, then by a block; twice per question and turn, three times per question, five times in a row. Then it
//! lets go: the question stays open, and the next prompt names it in a line.
use std::mem::ManuallyDrop;
use std::time::Duration;

use super::event::Prompt;
use crate::claude_code::client;
use crate::hooks::{HookCall, HookEvent, HookOutput, activity, prompt_text};
use crate::mesh::{DoorbellStatus, Inbox, Mesh, PendingQuestion, SessionHandle};
use crate::model::{Error, PeerKind, WakeState};
use crate::platform::{FaultKind, fault_log};
use crate::store::{QuestionDelivery, Session};

/// How often one question keeps a session going in one turn.
const STOPS_PER_TURN: u32 = 2;
/// How often one question keeps a session going at all.
const STOPS_PER_QUESTION: u32 = 3;
/// How often we keep a session going in a row; Claude Code overrides the eighth of all hooks.
const STOPS_IN_A_ROW: u32 = 5;
/// The same for a headless run, whose result must survive.
const STOPS_IN_A_ROW_HEADLESS: u32 = 2;
/// A session this young may still be starting its server.
const SERVER_STARTUP_GRACE_MS: i64 = 20_000;

/// Says what waits for the session, if anything does.
pub fn inbox_poll(call: &HookCall) -> Result<Option<HookOutput>, Error> {
    if !matches!(
        call.event,
        HookEvent::Prompted { .. } | HookEvent::Stopping { .. }
    ) || !call.is_addressable()
    {
        return Ok(None);
    }
    let Some(project) = call.project()? else {
        return Ok(None);
    };
    let process = call.client()?;
    // The process ends right after this, and its end lets go of the file sooner than closing it would.
    let mut mesh = ManuallyDrop::new(call.open(&project)?);
    let me = call.find_or_register(&mut mesh, process, project)?;
    if me.kind == PeerKind::Run {
        return Ok(None);
    }
    if !mesh.doorbells().is_server_running(me.session) {
        let registry_entry = client::registry_entry(&call.settings.claude.config_dir, process);
        let started_at_ms = registry_entry.and_then(|registry_entry| registry_entry.started_at_ms);
        return restart_notice(&mut mesh, &me, started_at_ms);
    }
    record_activity(call, &mut mesh, &me, process);
    activity::record(call, &mesh, &me);
    match &call.event {
        HookEvent::Prompted { prompt, .. } => handle_prompt(call, &mut mesh, &me, prompt),
        HookEvent::Stopping {
            turn,
            already_blocked,
            ..
        } => handle_stop(
            call,
            &mut mesh,
            &me,
            turn.as_deref().unwrap_or_default(),
            *already_blocked,
        ),
        _ => Ok(None),
    }
}

fn handle_prompt(
    call: &HookCall,
    mesh: &mut Mesh,
    me: &SessionHandle,
    prompt: &Prompt,
) -> Result<Option<HookOutput>, Error> {
    let doorbell = prompt.doorbell.as_deref();
    match doorbell {
        Some(nonce) if mesh.doorbell_status(me, nonce)? == DoorbellStatus::Throttled => {
            return Ok(Some(HookOutput::block(prompt_text::HELD_NOTICE)));
        }
        // Whether it begins a turn shows only when it brings something.
        Some(_) => {}
        None => {
            let begun = mesh.begin_turn(me, prompt.turn.as_deref(), prompt.typed);
            if begun.is_err() {
                // The lock is waited for once.
                mesh.set_lock_timeout(Duration::ZERO);
            }
            ignore_storage_fault(call, begun)?;
        }
    }
    let mut inbox = mesh.inbox(me)?;
    if !prompt.typed {
        drop_already_delivered(call, mesh, me, prompt.turn.as_deref(), &mut inbox)?;
    }
    let new_answers = inbox
        .answers
        .into_iter()
        .filter(|late| late.question.answer_shown_at_ms.is_none())
        .collect::<Vec<_>>();
    let is_shown = |waiting: &PendingQuestion| waiting.pending.delivery_count > 0;
    let nothing_new = new_answers.is_empty()
        && inbox.questions.iter().all(is_shown)
        && inbox.granted.is_empty()
        && !inbox.has_new_mail;
    if doorbell.is_some() && nothing_new {
        // What it rang for was answered, or came by a call meanwhile: that must not cost a turn or a second copy.
        ignore_storage_fault(call, mesh.clear_wake_attempt(me))?;
        return Ok(Some(HookOutput::block(prompt_text::SETTLED_NOTICE)));
    }
    let (mut exhausted, questions): (Vec<PendingQuestion>, Vec<PendingQuestion>) = inbox
        .questions
        .into_iter()
        .partition(|waiting| waiting.pending.stop_blocks >= STOPS_PER_QUESTION);
    let mut shown = Inbox {
        questions,
        answers: new_answers,
        ..inbox
    };
    let unmentioned_mail = add_new_messages(mesh, me, &mut shown)?;
    if shown.is_empty() && exhausted.is_empty() {
        return Ok(None);
    }
    // Typing while a call of ours waits runs this hook at once; that call returns with the questions anyway.
    if prompt.typed && mesh.is_waiting(me)? {
        shown.questions.clear();
        shown.answers.clear();
        exhausted.clear();
        if shown.is_empty() {
            return Ok(None);
        }
    }
    let now_ms = mesh.now().wall_ms;
    let (text, counted) = prompt_text::attachment_text(shown, unmentioned_mail, &exhausted, now_ms);
    let wake_state = if doorbell.is_some() {
        WakeState::Inbox
    } else {
        WakeState::Hook
    };
    ignore_storage_fault(
        call,
        mesh.mark_delivered(me, &counted, prompt.turn.as_deref(), wake_state),
    )?;
    Ok(Some(HookOutput::context(text)))
}

/// Adds the mail that is to be mentioned, if any waits. Returns how much of it there is in all.
pub(super) fn add_new_messages(
    mesh: &mut Mesh,
    me: &SessionHandle,
    inbox: &mut Inbox,
) -> Result<u32, Error> {
    if !inbox.has_new_mail {
        return Ok(0);
    }
    let found = mesh.unmentioned_mail(me)?;
    inbox.mail = found.messages;
    Ok(found.count)
}

/// What this turn has, or a call or the waiting hook has just brought, is not put before the model once more beside what
/// is new.
fn drop_already_delivered(
    call: &HookCall,
    mesh: &mut Mesh,
    me: &SessionHandle,
    turn: Option<&str>,
    inbox: &mut Inbox,
) -> Result<(), Error> {
    let is_delivered_elsewhere =
        |pending: &QuestionDelivery| pending.delivery_count > 0 && pending.turn.is_none();
    let in_this_turn =
        |pending: &QuestionDelivery| pending.delivery_count > 0 && pending.turn.as_deref() == turn;
    let any_delivered_elsewhere = inbox
        .questions
        .iter()
        .any(|it| is_delivered_elsewhere(&it.pending));
    inbox
        .questions
        .retain(|it| !is_delivered_elsewhere(&it.pending) && !in_this_turn(&it.pending));
    match turn {
        Some(turn) if any_delivered_elsewhere => {
            ignore_storage_fault(call, mesh.record_turn(me, turn))
        }
        _ => Ok(()),
    }
}

fn handle_stop(
    call: &HookCall,
    mesh: &mut Mesh,
    me: &SessionHandle,
    turn: &str,
    already_blocked: bool,
) -> Result<Option<HookOutput>, Error> {
    let inbox = mesh.inbox(me)?;
    if inbox.questions.is_empty() || mesh.is_quiet_or_paused(me)? {
        return Ok(None);
    }
    let Some(row) = mesh.session(me)? else {
        return Ok(None);
    };
    let continues_turn = already_blocked && row.turn.as_deref() == Some(turn);
    let streak = if continues_turn { row.stop_streak } else { 0 };
    let streak_max = if row.headless {
        STOPS_IN_A_ROW_HEADLESS
    } else {
        STOPS_IN_A_ROW
    };
    let may_block = |waiting: &PendingQuestion| {
        let in_this_turn = if continues_turn {
            waiting.pending.stop_blocks_in_turn
        } else {
            0
        };
        waiting.on_behalf_of.is_none()
            && waiting.pending.question.held.is_none()
            && waiting.pending.stop_blocks < STOPS_PER_QUESTION
            && in_this_turn < STOPS_PER_TURN
    };
    let blocking: Vec<PendingQuestion> = inbox.questions.into_iter().filter(may_block).collect();
    if blocking.is_empty() || streak >= streak_max {
        return Ok(None);
    }
    let now_ms = mesh.now().wall_ms;
    let (text, counted) = prompt_text::kept(blocking, turn, row.headless, now_ms);
    ignore_storage_fault(call, mesh.record_stop_block(me, &counted, turn, streak + 1))?;
    Ok(Some(if streak == 0 {
        HookOutput::context(text)
    } else {
        HookOutput::block(text)
    }))
}

/// A session without a server cannot answer. Its person is told once, and it is never held up.
///
/// `started_at_ms` is when its client was started, if that is known; its row may be of this very hook.
fn restart_notice(
    mesh: &mut Mesh,
    me: &SessionHandle,
    started_at_ms: Option<i64>,
) -> Result<Option<HookOutput>, Error> {
    let now_ms = mesh.now().wall_ms;
    let starting = |row: &Session| {
        now_ms - started_at_ms.unwrap_or(row.started_at_ms) < SERVER_STARTUP_GRACE_MS
            && !row.has_server
    };
    match mesh.session(me)? {
        Some(row) if !row.restart_notified && !starting(&row) => {
            mesh.mark_restart_notified(me)?;
            Ok(Some(HookOutput::message(prompt_text::RESTART_NOTICE)))
        }
        _ => Ok(None),
    }
}

/// Where the client's registry cannot be read, the hooks tell what the session does.
fn record_activity(
    call: &HookCall,
    mesh: &mut Mesh,
    me: &SessionHandle,
    process: crate::platform::process::ProcessKey,
) {
    let status_known = client::registry_entry(&call.settings.claude.config_dir, process)
        .is_some_and(|registry_entry| registry_entry.status.is_some());
    if !status_known {
        let activity = if matches!(call.event, HookEvent::Stopping { .. }) {
            "idle"
        } else {
            "busy"
        };
        let _ = mesh.set_activity(me, activity);
    }
}

/// A repeat is better than a loss: what could not be marked is printed all the same.
fn ignore_storage_fault(call: &HookCall, marked: Result<(), Error>) -> Result<(), Error> {
    match marked {
        Err(Error::Fault(fault))
            if matches!(
                fault.kind,
                FaultKind::Busy | FaultKind::DiskFull | FaultKind::Permission
            ) =>
        {
            fault_log::append(
                &call.settings.mesh_home,
                "claude-mesh-inbox-poll",
                &format!("shown, but not marked: {fault}"),
            );
            Ok(())
        }
        other => other,
    }
}
