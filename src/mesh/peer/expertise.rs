//! Who most likely knows about something: what the mesh has of each peer, put in order. It asks nobody.
use crate::mesh::{Mesh, PeerView};
use crate::model::activity::Doing;
use crate::model::expertise::{Fit, Known, Subject, rank};
use crate::model::{PeerKind, Result};
use crate::store::Tx;

/// So many answered questions of a peer are looked at, the newest.
const ANSWERED_MAX: u32 = 300;
/// So many memories with a word of the subject are looked at, the newest of all peers.
const REMEMBERED_MAX: u32 = 300;

/// A peer in the order of who most likely knows.
#[derive(Debug, Clone)]
pub struct Ranked {
    /// The peer.
    pub view: PeerView,
    /// Why it stands here; `None` where nothing of the subject was found with it.
    pub why: Option<String>,
}

impl Mesh {
    /// Puts peers in the order of who most likely knows about a subject; those with nothing in common stay, last. Among
    /// equals who can be asked comes first.
    pub fn who_knows(&mut self, subject: &Subject, views: Vec<PeerView>) -> Result<Vec<Ranked>> {
        let known: Vec<Known> = self.read(|tx, _| {
            let memories = tx.remembered_texts(subject.words(), REMEMBERED_MAX)?;
            views
                .iter()
                .map(|view| known(tx, view, &memories))
                .collect()
        })?;
        let mut ranked: Vec<_> = views.into_iter().zip(rank(subject, &known)).collect();
        ranked.sort_by(|(one, one_fit), (other, other_fit)| {
            let score = |fit: &Option<Fit>| fit.as_ref().map_or(0.0, |fit| fit.score);
            score(other_fit)
                .total_cmp(&score(one_fit))
                .then(other.askable.cmp(&one.askable))
        });
        Ok(ranked
            .into_iter()
            .map(|(view, fit)| Ranked {
                view,
                why: fit.map(|fit| fit.why),
            })
            .collect())
    }
}

/// Returns what the mesh has of a peer. Nobody can ask a run, whatever it knows.
fn known(tx: &Tx, view: &PeerView, memories: &[(String, String)]) -> Result<Known> {
    let peer = &view.peer;
    if peer.kind == PeerKind::Run {
        return Ok(Known::default());
    }
    Ok(Known {
        name: peer.name.to_string(),
        role: peer.role.clone(),
        summary: peer.summary.clone(),
        doing: view.doing.as_ref().and_then(Doing::line),
        folder: peer.project.clone(),
        branch: peer.branch.clone().or_else(|| peer.git_branch.clone()),
        claimed: view
            .claims
            .iter()
            .map(|claim| claim.resource.clone())
            .collect(),
        answered: tx.answered_texts(peer.id, ANSWERED_MAX)?,
        remembered: memories
            .iter()
            .filter(|(by, _)| by == peer.name.as_str() || view.aliases.contains(by))
            .map(|(_, text)| text.clone())
            .collect(),
    })
}
