//! Asks a peer that is offline: the question is stored and answered a day later, and the answer waits for its asker.
//!
//! Run it with `cargo run --example late_answer`. The example sets the clock, so the day takes no time.
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use claude_mesh::mesh::{JoinRequest, Member, Mesh};
use claude_mesh::model::peer::Address;
use claude_mesh::platform::clock::ManualClock;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = tempfile::tempdir()?;
    let clock = Arc::new(ManualClock::at(1_800_000_000_000));
    let mut out = std::io::stdout().lock();

    drop(join(place.path(), &clock, "bo", 2)?);
    let mut ada = join(place.path(), &clock, "ada", 1)?;
    let (asked, wait) = ada.ask(
        &Address::parse("bo").map_err(|refusal| refusal.to_string())?,
        "which port?",
        None,
    )?;
    writeln!(
        out,
        "asked {}; online: {}; waiting: {}",
        asked.to,
        asked.askable,
        wait.is_some()
    )?;

    clock.advance_ms(24 * 3600 * 1000);
    let mut bo = join(place.path(), &clock, "bo", 2)?;
    let handle = bo.handle().clone();
    for waiting in bo.mesh().inbox(&handle)?.questions {
        writeln!(
            out,
            "bo finds: {:?} from {}",
            waiting.delivery.question.question, waiting.from
        )?;
        bo.answer(waiting.delivery.question.id, "5433")?;
    }

    let handle = ada.handle().clone();
    for late in ada.mesh().inbox(&handle)?.answers {
        writeln!(
            out,
            "{} answered late: {}",
            late.from,
            late.question.answer.as_deref().unwrap_or_default()
        )?;
    }
    Ok(())
}

fn join(
    place: &Path,
    clock: &Arc<ManualClock>,
    name: &str,
    instance: u32,
) -> Result<Member, Box<dyn std::error::Error>> {
    let project = place.join(name);
    std::fs::create_dir_all(&project)?;
    let mesh = Mesh::open(
        &place.join("mesh.db"),
        Arc::clone(clock) as Arc<dyn claude_mesh::platform::Clock>,
    )?;
    Ok(mesh.join(&JoinRequest::here(&project)?.instance(instance))?)
}
