-- The mesh, version 1: peers, sessions, questions, events. Times are integer milliseconds, ids ULIDs as text.
-- This text is never changed again: what comes later is a step of its own.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A mailbox. It outlives sessions.
CREATE TABLE peer (
    id              TEXT PRIMARY KEY,
    kind            TEXT NOT NULL,
    name            TEXT NOT NULL UNIQUE,
    wanted          TEXT NOT NULL,
    project         TEXT,
    seat            INTEGER,
    role            TEXT,
    summary         TEXT,
    branch          TEXT,
    prompt_ptr      TEXT,
    git_root        TEXT,
    git_common      TEXT,
    git_branch      TEXT,
    ttl_ms          INTEGER NOT NULL DEFAULT 60000,
    quiet_until_ms  INTEGER,
    epoch           INTEGER NOT NULL DEFAULT 0,
    created_at_ms   INTEGER NOT NULL,
    last_seen_at_ms INTEGER NOT NULL,
    UNIQUE (project, seat)
) STRICT;

-- Earlier names; a name given once never means somebody else.
CREATE TABLE alias (
    name    TEXT PRIMARY KEY,
    peer_id TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- A running client process that sits, or sat, at a peer.
CREATE TABLE session (
    id              TEXT PRIMARY KEY,
    peer_id         TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    host            TEXT NOT NULL,
    boot            TEXT NOT NULL,
    pid_namespace   TEXT NOT NULL,
    pid             INTEGER NOT NULL,
    started         INTEGER NOT NULL,
    instance        INTEGER NOT NULL DEFAULT 0,
    agent           TEXT,
    client_session  TEXT,
    given_name      TEXT,
    headless        INTEGER NOT NULL,
    has_server      INTEGER NOT NULL DEFAULT 0,
    activity        TEXT,
    turn            TEXT,
    stop_streak     INTEGER NOT NULL DEFAULT 0,
    told_restart    INTEGER NOT NULL DEFAULT 0,
    posted_turns    INTEGER NOT NULL DEFAULT 0,
    ring_nonce      TEXT,
    ring_count      INTEGER NOT NULL DEFAULT 0,
    rung_at_ms      INTEGER,
    started_at_ms   INTEGER NOT NULL,
    last_seen_at_ms INTEGER NOT NULL,
    ended_at_ms     INTEGER
) STRICT;
CREATE UNIQUE INDEX session_live_process ON session (pid, started, boot, host, instance) WHERE ended_at_ms IS NULL;
CREATE INDEX session_live_peer ON session (peer_id, id) WHERE ended_at_ms IS NULL;
CREATE INDEX session_process ON session (pid, started);
CREATE INDEX session_client ON session (client_session) WHERE client_session IS NOT NULL;
CREATE INDEX session_of_peer ON session (peer_id);
CREATE INDEX session_ended ON session (ended_at_ms) WHERE ended_at_ms IS NOT NULL;

CREATE TABLE question (
    id                 TEXT PRIMARY KEY,
    asker_peer         TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    asker_session      TEXT NOT NULL,
    target_peer        TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    question           TEXT NOT NULL,
    context            TEXT,
    depth              INTEGER NOT NULL DEFAULT 0,
    state              TEXT NOT NULL,
    asked_at_ms        INTEGER NOT NULL,
    expires_at_ms      INTEGER NOT NULL,
    wake               TEXT NOT NULL DEFAULT 'none',
    woken_at_ms        INTEGER,
    wake_problem       TEXT,
    held               TEXT,
    shown_at_ms        INTEGER,
    shown_times        INTEGER NOT NULL DEFAULT 0,
    answer             TEXT,
    answered_by        TEXT,
    answered_at_ms     INTEGER,
    answered_session   TEXT,
    answer_late        INTEGER NOT NULL DEFAULT 0,
    answer_shown_at_ms INTEGER,
    answer_open        INTEGER NOT NULL DEFAULT 0,
    closed_at_ms       INTEGER
) STRICT;
CREATE INDEX question_pending ON question (target_peer, id, expires_at_ms) WHERE state = 'open';
CREATE INDEX question_asked ON question (asker_peer, target_peer) WHERE state = 'open';
CREATE INDEX question_answers ON question (asker_peer, id) WHERE answer_open = 1;
CREATE INDEX question_expiry ON question (expires_at_ms) WHERE state = 'open';
CREATE INDEX question_closed ON question (closed_at_ms, state) WHERE closed_at_ms IS NOT NULL;
CREATE INDEX question_target ON question (target_peer);
CREATE INDEX question_asker ON question (asker_peer);

-- A blocking call that waits for answers; gone when it returns.
CREATE TABLE wait (
    id            TEXT PRIMARY KEY,
    session_id    TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    started_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX wait_of_session ON wait (session_id, id);

CREATE TABLE wait_question (
    wait_id     TEXT NOT NULL REFERENCES wait (id) ON DELETE CASCADE,
    question_id TEXT NOT NULL REFERENCES question (id) ON DELETE CASCADE,
    PRIMARY KEY (wait_id, question_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX wait_question_of ON wait_question (question_id);

-- How often a question was put before a session, and by which way.
CREATE TABLE showing (
    question_id       TEXT NOT NULL REFERENCES question (id) ON DELETE CASCADE,
    session_id        TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    times             INTEGER NOT NULL DEFAULT 0,
    turn              TEXT,
    stops             INTEGER NOT NULL DEFAULT 0,
    stops_in_turn     INTEGER NOT NULL DEFAULT 0,
    interrupts        INTEGER NOT NULL DEFAULT 0,
    interrupted_at_ms INTEGER,
    PRIMARY KEY (question_id, session_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX showing_of_session ON showing (session_id);

CREATE TABLE event (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    type    TEXT NOT NULL,
    at_ms   INTEGER NOT NULL,
    by_peer TEXT,
    subject TEXT NOT NULL,
    data    TEXT NOT NULL
) STRICT;
CREATE INDEX event_time ON event (at_ms);
CREATE INDEX event_subject ON event (subject);
