//! Carries out what the person asks for at the board, by the operations of `reply`, `quiet` and `release`.
use super::board::Wish;
use crate::cli::error::Failure;
use crate::cli::reply::reply_text;
use crate::cli::throttle::throttle_text;
use crate::mesh::{ClaimSelector, Mesh, Reply, SessionHandle};
use crate::model::Result;
use crate::model::throttle::FOREVER_MS;

/// Carries out a wish. Returns what came of it, for the person.
pub(super) fn carry_out(mesh: &mut Mesh, me: &SessionHandle, wish: &Wish) -> String {
    try_to(mesh, me, wish).unwrap_or_else(|error| failure_text(&error.into()))
}

/// Returns what went wrong on one line.
pub(super) fn failure_text(failure: &Failure) -> String {
    match failure {
        Failure::CliError(error) => error.message.clone(),
        Failure::Usage(error) => error.message.clone(),
        Failure::PipeClosed => "the terminal is closed".into(),
    }
}

fn try_to(mesh: &mut Mesh, me: &SessionHandle, wish: &Wish) -> Result<String> {
    Ok(match wish {
        Wish::Reply {
            question,
            text,
            decline,
        } => {
            let reply = Reply {
                question: *question,
                text,
                decline: *decline,
                corrects: false,
                force: false,
                fork: None,
            };
            reply_text(&mesh.reply(me, reply)?)
        }
        Wish::Quiet { peer, on } => {
            let name = mesh.set_quiet(me, peer, on.then_some(FOREVER_MS))?;
            if *on {
                format!("{name} is quiet until you end it")
            } else {
                throttle_text(&name, "quiet", None)
            }
        }
        Wish::Release { claim, resource } => {
            let released = mesh.release(me, ClaimSelector::Id(*claim))?;
            match released.was {
                Some(_) => format!("released: {resource}"),
                None => format!("{resource} was released already"),
            }
        }
        Wish::End => String::new(),
    })
}
