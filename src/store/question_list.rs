//! Lists questions for people: those of a peer, and those of the whole mesh.
use rusqlite::params;

use super::engine;
use super::question::Question;
use super::transaction::Tx;
use crate::platform::id::{PeerId, QuestionId};

impl Tx<'_> {
    /// Returns the newest questions that a peer has asked or was asked; for people.
    pub(crate) fn questions_of_peer(
        &self,
        peer: PeerId,
        limit: u32,
    ) -> engine::Result<Vec<Question>> {
        self.questions_where(
            "q.id IN (SELECT id FROM question WHERE target_peer = ?1 UNION SELECT id FROM question WHERE asker_peer = ?1) ORDER BY q.id DESC LIMIT ?2",
            params![peer, limit],
        )
    }

    /// Returns the newest questions before one, of the whole mesh or that a peer has asked or was asked, newest first.
    pub(crate) fn questions_before(
        &self,
        peer: Option<PeerId>,
        before: QuestionId,
        limit: u32,
    ) -> engine::Result<Vec<Question>> {
        match peer {
            None => self.questions_where(
                "q.id < ?1 ORDER BY q.id DESC LIMIT ?2",
                params![before, limit],
            ),
            Some(peer) => self.questions_where(
                "q.id IN (SELECT id FROM question WHERE target_peer = ?1 AND id < ?2 UNION SELECT id FROM question WHERE asker_peer = ?1 AND id < ?2) ORDER BY q.id DESC LIMIT ?3",
                params![peer, before, limit],
            ),
        }
    }

    /// Returns the open questions of the whole mesh, oldest first.
    pub(crate) fn open_questions(&self, limit: u32) -> engine::Result<Vec<Question>> {
        self.questions_where(
            "q.state = 'open' AND q.expires_at_ms > ?1 ORDER BY q.id LIMIT ?2",
            params![self.now.wall_ms, limit],
        )
    }
}
