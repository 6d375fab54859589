-- Schema 6: answers from forks of a session. It only adds: older programs work on, and take such an answer for one of the
-- session itself.

-- What became of the fork for a question; no row if none was tried and one may be.
--   state: 'unwanted' (the asker wants the session itself), 'running', 'failed' (the question goes to the session), 'answered'.
--   session_id: the session that was forked.  taken_at_ms: when.
--   as_of_ms: the time of the last message that the fork knew.  *_tokens: what it cost, as the Messages API has counted.
--   reported: whether the session itself was notified what its fork has answered.
CREATE TABLE fork (
    question_id TEXT PRIMARY KEY REFERENCES question (id) ON DELETE CASCADE,
    session_id  TEXT NOT NULL,
    state       TEXT NOT NULL,
    taken_at_ms INTEGER NOT NULL,
    as_of_ms    INTEGER,
    reported    INTEGER NOT NULL DEFAULT 1,
    input_tokens          INTEGER NOT NULL DEFAULT 0,
    output_tokens         INTEGER NOT NULL DEFAULT 0,
    cache_creation_tokens INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX fork_of_session ON fork (session_id, taken_at_ms);
CREATE INDEX fork_unreported ON fork (session_id) WHERE reported = 0;
CREATE INDEX fork_running ON fork (session_id, taken_at_ms) WHERE state = 'running';
