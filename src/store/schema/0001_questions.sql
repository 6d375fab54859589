-- Schema 1: peers, sessions, questions, events.
--
-- Ids are ULIDs as text, booleans 0 or 1, times integer milliseconds. `*_at_ms` and `quiet_until_ms` are wall time, except for
-- three columns that hold readings of the monotonic clock: session.rung_at_ms, wait.started_at_ms and
-- showing.interrupted_at_ms. So do all columns `*_monotonic_ms`. A reading is comparable with others of the same boot only.
--
-- Programs of this schema are in use: its statements never change, and later versions are files of their own. Comments are
-- outside the statements, because SQLite stores the text of a statement and parses it at every open.

-- Settings of the database itself, by key: schema, min_reader, last_id, last_message, traces (the erased subject whose residue
-- is left) and some that the layer above keeps.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A peer: the address that questions go to. It outlives its sessions.
--   kind: session, run (a `claude -p` run, which nobody can ask) or person.  wanted: the name that its project asked for.
--   seat: the number of the peer in its project, from 1.  prompt_ptr: where its prompt is.
--   git_root: the top of the checkout.  git_common: the repository that worktrees share.  git_branch: the branch checked out.
--   branch: the branch that the session says it works on.
--   ttl_ms: how long it counts as alive without a sign of life, where its process cannot be looked up.
--   quiet_until_ms: it is not woken before.  epoch: grows each time a session registers after the last one died.
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

-- Earlier names of peers. A name that was given once never addresses another peer.
CREATE TABLE alias (
    name    TEXT PRIMARY KEY,
    peer_id TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- A process of a client that is or was registered at a peer.
--   host, boot, pid_namespace, pid, started: identify the process.  instance: tells members of one process apart, else 0.
--   agent: client and version.  client_session: the session id of Claude Code, which changes at `/clear`.
--   given_name: the name its person gave it.  headless: a `claude -p` run.  has_server: its MCP server has registered.
--   activity: idle or busy, as a hook saw it last.  turn: the turn in which stop_streak counts.
--   stop_streak: how often the Stop hook continued that turn.  told_restart: its person was told to restart it.
--   posted_turns: turns that peers have started since its person last typed.
--   ring_nonce, ring_count, rung_at_ms: the wake attempt that has not been read: what its line carries, how often it was
--   posted, and when last, as a reading of the monotonic clock.
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

-- A question and its answer.
--   depth: how many questions it follows from.  state: open, answered, declined, expired or withdrawn.
--   wake: how it last reached its peer, or none or failed; woken_at_ms: when.  wake_problem: why a wake attempt failed.
--   held: why its peer is not woken for it: quiet, paused or wake_budget.
--   shown_at_ms: when a model first got it.  shown_times: how often.
--   answer: the answer, or the reason of a decline.  answered_by: session or person.
--   answer_late: nobody waited for it any more.  answer_shown_at_ms: when the asker first got it outside of a call.
--   answer_open: 1 until the asker has the answer, or the end without one, as the result of a call.
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

-- A call that waits for answers; deleted when it returns.
--   started_at_ms: a reading of the monotonic clock.
CREATE TABLE wait (
    id            TEXT PRIMARY KEY,
    session_id    TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    started_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX wait_of_session ON wait (session_id, id);

-- The questions that such a call waits for.
CREATE TABLE wait_question (
    wait_id     TEXT NOT NULL REFERENCES wait (id) ON DELETE CASCADE,
    question_id TEXT NOT NULL REFERENCES question (id) ON DELETE CASCADE,
    PRIMARY KEY (wait_id, question_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX wait_question_of ON wait_question (question_id);

-- The deliveries of a question to a session.
--   times: how often it was delivered.  turn: in which turn last.  stops: how often the Stop hook continued a turn for it;
--   stops_in_turn: the same in that turn.  interrupts: how often it interrupted a wait of the session.
--   interrupted_at_ms: when last, as a reading of the monotonic clock.
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

-- The event log.
--   seq: the order of commits, without gaps.  by_peer: the peer that caused it; it may be deleted.
--   subject: what it is about: an id, a name or a resource.  data: a JSON object.
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
