//! Prior answers: what a peer answered earlier to similar questions, for an asker that cannot get an answer now.
use serde_json::json;

use crate::mesh::check_text::check_text;
use crate::mesh::connection::Mesh;
use crate::mesh::context::ReadContext;
use crate::mesh::peer::address::resolve_address;
use crate::mesh::peer::git_state::current_commit;
use crate::mesh::session::SessionHandle;
use crate::model::answer_similarity::{
    AnswerMatch, AnsweredQuestion, CANDIDATE_BYTES_MAX, CANDIDATES_MAX, SimilarAnswers,
};
use crate::model::peer::Address;
use crate::model::{EventKind, PeerName, Result};
use crate::platform::id::{PeerId, QuestionId};
use crate::store::{AnswerRange, StoredAnswer};

/// An earlier answer to a similar question.
#[derive(Debug, Clone)]
pub struct PriorAnswer {
    /// The earlier question with its answer.
    pub answered: StoredAnswer,
    /// The commit that is checked out in the project of the peer now, if its folder can be read.
    pub head_now: Option<String>,
    /// The words of the new question that were found in it.
    pub matched: Vec<String>,
}

/// A question for which to find prior answers.
#[expect(missing_docs, reason = "the other field names say it")]
#[derive(Debug, Clone, Copy)]
pub struct PriorAnswerQuery<'a> {
    pub peer: PeerId,
    /// The text of the question.
    pub question: &'a str,
    /// The id of the question, if it is stored.
    pub id: Option<QuestionId>,
}

/// How often one asker was given prior answers of one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorAnswerCount {
    /// Who asked.
    pub asker: String,
    /// Whose answers they were.
    pub peer: String,
    /// How many results had some.
    pub results: usize,
    /// How many answers these results had in all.
    pub answers: u64,
    /// The time of the last one, in wall milliseconds.
    pub last_at_ms: i64,
}

impl Mesh {
    /// Returns prior answers of a peer to similar questions, best first, and records that they were given: once for a
    /// question and its asker, however often it is awaited. Reads this mesh only.
    pub fn prior_answers(
        &mut self,
        me: &SessionHandle,
        query: PriorAnswerQuery,
    ) -> Result<Vec<PriorAnswer>> {
        let range = AnswerRange {
            peer: query.peer,
            since_ms: self.now().wall_ms - self.keep_ms,
            limit: CANDIDATES_MAX,
            bytes_max: CANDIDATE_BYTES_MAX,
        };
        let (peer, fits, counted) = self.read(|read| {
            let peer = read.tx.peer(query.peer)?;
            let fits = matching_answers(read, query.question, range)?;
            let counted = !fits.is_empty() && is_already_recorded(read, me, query.id)?;
            Ok((peer, fits, counted))
        })?;
        let (Some(peer), false) = (peer, fits.is_empty()) else {
            return Ok(Vec::new());
        };
        let head_now = current_commit(&peer);
        let subject = query
            .id
            .map_or_else(|| peer.name.to_string(), |id| id.to_string());
        let data = json!({ "to": peer.name, "answers": fits.len() });
        if !counted {
            let kind = EventKind::QuestionKnown;
            self.write(|write| {
                Ok(write
                    .tx
                    .append_event(kind, Some(me.peer), &subject, &data)?)
            })?;
        }
        let prior_answers = fits.into_iter().map(|(answered, matched)| PriorAnswer {
            answered,
            head_now: head_now.clone(),
            matched,
        });
        Ok(prior_answers.collect())
    }

    /// Resolves an address for a question that is not stored. May record deaths of sessions.
    pub fn addressee(
        &mut self,
        me: &SessionHandle,
        to: &Address,
        question: &str,
    ) -> Result<(PeerId, PeerName)> {
        check_text("question", question, 1, false)?;
        self.write(|write| {
            let peer = resolve_address(write, me, to)?;
            Ok((peer.id, peer.name))
        })
    }

    /// Returns how often prior answers were given since `since_ms`, and to whom; the most frequent first.
    pub fn prior_answer_counts(&mut self, since_ms: i64) -> Result<Vec<PriorAnswerCount>> {
        let events =
            self.read(|read| Ok(read.tx.events_of_kind(EventKind::QuestionKnown, since_ms)?))?;
        let mut counts: Vec<PriorAnswerCount> = Vec::new();
        for event in events {
            let peer = event.data["to"].as_str().unwrap_or("somebody").to_owned();
            let answers = event.data["answers"].as_u64().unwrap_or(0);
            let same =
                |count: &&mut PriorAnswerCount| count.asker == event.by && count.peer == peer;
            if let Some(count) = counts.iter_mut().find(same) {
                count.results += 1;
                count.answers += answers;
                count.last_at_ms = event.at_ms;
            } else {
                counts.push(PriorAnswerCount {
                    asker: event.by,
                    peer,
                    results: 1,
                    answers,
                    last_at_ms: event.at_ms,
                });
            }
        }
        counts.sort_by_key(|count| std::cmp::Reverse(count.results));
        Ok(counts)
    }
}

/// Returns the full texts of the answers that fit a question, each with the words that were found.
fn matching_answers(
    read: ReadContext,
    question: &str,
    range: AnswerRange,
) -> Result<Vec<(StoredAnswer, Vec<String>)>> {
    let (mut similar, mut ids) = (SimilarAnswers::new(question), Vec::new());
    read.tx.read_answer_excerpts(range, |earlier| {
        ids.push(earlier.id);
        similar.add(AnsweredQuestion {
            question: earlier.question,
            answer: earlier.answer,
            answered_at_ms: earlier.answered_at_ms,
        });
    })?;
    let full = |fit: AnswerMatch| {
        let full = read.tx.stored_answer(ids[fit.index])?;
        Ok(full.map(|full| (full, fit.matched)))
    };
    let fits = similar.best().into_iter();
    fits.filter_map(|fit| full(fit).transpose()).collect()
}

/// Returns whether an event records that prior answers were given for this question.
fn is_already_recorded(
    read: ReadContext,
    me: &SessionHandle,
    id: Option<QuestionId>,
) -> Result<bool> {
    let Some(question) = id.map(|id| read.tx.question(id)).transpose()?.flatten() else {
        return Ok(false);
    };
    let subject = question.id.to_string();
    Ok(read.tx.has_event(
        EventKind::QuestionKnown,
        me.peer,
        &subject,
        question.asked_at_ms,
    )?)
}
