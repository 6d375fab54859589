//! Ranks peers by how likely they know a subject, from what the mesh has of each. It asks nobody.
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::peer::directory::PeerView;
use crate::model::activity_summary::ActivitySummary;
use crate::model::expertise::{ExpertiseMatch, ExpertiseQuery, PeerProfile, rank_peers};
use crate::model::{PeerKind, Result};

/// How many answered questions of a peer are read, the newest first.
const ANSWERED_MAX: u32 = 300;
/// How many memories with a word of the subject are read, the newest first.
const REMEMBERED_MAX: u32 = 300;

/// A peer in the expertise ranking.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone)]
pub struct RankedPeer {
    pub view: PeerView,
    /// Why it has this rank; `None` if nothing of the subject was found with it.
    pub why: Option<String>,
}

impl Mesh {
    /// Ranks peers by how likely they know a subject. Peers without a match come last. Among equals, those that can be
    /// asked come first.
    pub fn rank_by_expertise(
        &mut self,
        subject: &ExpertiseQuery,
        views: Vec<PeerView>,
    ) -> Result<Vec<RankedPeer>> {
        let peer_profile: Vec<PeerProfile> = self.read(|read| {
            let memories = read
                .tx
                .recent_memory_texts(subject.words(), REMEMBERED_MAX)?;
            views
                .iter()
                .map(|view| peer_profile(read, view, &memories))
                .collect()
        })?;
        let mut ranked: Vec<_> = views
            .into_iter()
            .zip(rank_peers(subject, &peer_profile))
            .collect();
        ranked.sort_by(|(one, one_fit), (other, other_fit)| {
            let score = |fit: &Option<ExpertiseMatch>| fit.as_ref().map_or(0.0, |fit| fit.score);
            score(other_fit)
                .total_cmp(&score(one_fit))
                .then(other.askable.cmp(&one.askable))
        });
        Ok(ranked
            .into_iter()
            .map(|(view, fit)| RankedPeer {
                view,
                why: fit.map(|fit| fit.why),
            })
            .collect())
    }
}

/// Returns the texts by which a peer is ranked. A headless run has none, because it cannot be asked.
fn peer_profile(
    read: ReadContext,
    view: &PeerView,
    memories: &[(String, String)],
) -> Result<PeerProfile> {
    let peer = &view.peer;
    if peer.kind == PeerKind::Run {
        return Ok(PeerProfile::default());
    }
    Ok(PeerProfile {
        name: peer.name.to_string(),
        role: peer.role.clone(),
        summary: peer.summary.clone(),
        activity_summary: view
            .activity_summary
            .as_ref()
            .and_then(ActivitySummary::line),
        folder: peer.project.clone(),
        branch: peer.branch.clone().or_else(|| peer.git_branch.clone()),
        claimed: view
            .claims
            .iter()
            .map(|claim| claim.resource.clone())
            .collect(),
        answered: read.tx.recent_answer_texts(peer.id, ANSWERED_MAX)?,
        remembered: memories
            .iter()
            .filter(|(by, _)| by == peer.name.as_str() || view.aliases.contains(by))
            .map(|(_, text)| text.clone())
            .collect(),
    })
}
