-- Schema 6 of PostgreSQL: answers from forks of a session, as in step 6 of SQLite.
CREATE TABLE fork (
    question_id TEXT COLLATE "C" PRIMARY KEY REFERENCES question (id) ON DELETE CASCADE,
    session_id  TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL,
    taken_at_ms BIGINT NOT NULL,
    as_of_ms    BIGINT,
    reported    BIGINT NOT NULL DEFAULT 1,
    input_tokens          BIGINT NOT NULL DEFAULT 0,
    output_tokens         BIGINT NOT NULL DEFAULT 0,
    cache_creation_tokens BIGINT NOT NULL DEFAULT 0,
    cache_read_tokens     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX fork_of_session ON fork (session_id, taken_at_ms);
CREATE INDEX fork_unreported ON fork (session_id) WHERE reported = 0;
CREATE INDEX fork_running ON fork (session_id, taken_at_ms) WHERE state = 'running';
