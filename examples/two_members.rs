//! Registers two members of one mesh in one program: ada asks, bo answers.
//!
//! Run it with `cargo run --example two_members`.
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use claude_mesh::mesh::{JoinRequest, Member, Mesh, WaitOutcome};
use claude_mesh::model::peer::Address;
use claude_mesh::platform::SystemClock;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let place = tempfile::tempdir()?;
    let mut ada = join(place.path(), "ada", 1)?;
    let mut bo = join(place.path(), "bo", 2)?;

    let answerer = std::thread::spawn(move || -> Outcome<()> {
        let inbox = bo.next_questions(Duration::from_secs(10))?;
        for waiting in inbox.questions {
            bo.answer(waiting.delivery.question.id, "5433")?;
        }
        Ok(())
    });

    let to = Address::parse("bo").map_err(|refusal| refusal.to_string())?;
    let (asked, wait) = ada.ask(&to, "which port?", None)?;
    let wait = wait.ok_or("bo is not here")?;
    let (outcome, question_statuses) = ada.wait(&wait, Duration::from_secs(10), |_| true)?;
    if matches!(outcome, WaitOutcome::Done(_)) {
        let answer = question_statuses[0]
            .question
            .answer
            .as_deref()
            .unwrap_or_default();
        writeln!(std::io::stdout(), "{} answered: {answer}", asked.to)?;
    }
    answerer.join().map_err(|_| "bo failed")??;
    Ok(())
}

/// Joins from a project of that name. Two members of one process need two instance numbers.
fn join(place: &Path, name: &str, instance: u32) -> Outcome<Member> {
    let project = place.join(name);
    std::fs::create_dir(&project)?;
    let mesh = Mesh::open(&place.join("mesh.db"), Arc::new(SystemClock::new()))?;
    Ok(mesh.join(&JoinRequest::here(&project)?.instance(instance))?)
}
