-- Schema 5 of PostgreSQL: what the steps 1 to 5 of SQLite have made, in one step. The tables and columns are those of SQLite;
-- their meaning is described there. Later steps are files of their own, and the steps of both engines have the same numbers.
--
-- Texts compare as bytes, as in SQLite. Booleans are 0 or 1, times are milliseconds. PG_TRGM is replaced by the schema of the
-- extension pg_trgm.

-- Counters: of closed questions by state and of messages, which triggers keep, and the number of the last event. A sequence
-- would leave a gap at every operation that is refused.
CREATE TABLE counter (
    name TEXT COLLATE "C" PRIMARY KEY,
    seq  BIGINT NOT NULL
) WITH (fillfactor = 50);
INSERT INTO counter (name, seq) VALUES ('event', 0), ('tally.message', 0), ('tally.question.answered', 0),
    ('tally.question.declined', 0), ('tally.question.expired', 0), ('tally.question.withdrawn', 0);

-- The commits of this mesh: how many have changed it, and the latest time that one of them had. One row.
CREATE TABLE commit_mark (
    commits BIGINT NOT NULL,
    wall_ms BIGINT NOT NULL
) WITH (fillfactor = 50);
INSERT INTO commit_mark (commits, wall_ms) VALUES (0, 0);

-- In plpgsql, because the server plans the body of a function in SQL again at each call.
CREATE FUNCTION next_event() RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    given BIGINT;
BEGIN
    UPDATE counter SET seq = counter.seq + 1 WHERE name = 'event' RETURNING counter.seq INTO given;
    RETURN given;
END $$;

CREATE TABLE meta (
    key   TEXT COLLATE "C" PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
) WITH (fillfactor = 80);
CREATE TABLE peer (
    id              TEXT COLLATE "C" PRIMARY KEY,
    kind            TEXT COLLATE "C" NOT NULL,
    name            TEXT COLLATE "C" NOT NULL UNIQUE,
    wanted          TEXT COLLATE "C" NOT NULL,
    project         TEXT COLLATE "C",
    seat            BIGINT,
    role            TEXT COLLATE "C",
    summary         TEXT COLLATE "C",
    branch          TEXT COLLATE "C",
    prompt_ptr      TEXT COLLATE "C",
    git_root        TEXT COLLATE "C",
    git_common      TEXT COLLATE "C",
    git_branch      TEXT COLLATE "C",
    ttl_ms          BIGINT NOT NULL DEFAULT 60000,
    quiet_until_ms  BIGINT,
    epoch           BIGINT NOT NULL DEFAULT 0,
    created_at_ms   BIGINT NOT NULL,
    last_seen_at_ms BIGINT NOT NULL,
    mail_read       TEXT COLLATE "C" NOT NULL DEFAULT '',
    mail_mentioned  TEXT COLLATE "C" NOT NULL DEFAULT '',
    git_head        TEXT COLLATE "C",
    UNIQUE (project, seat)
) WITH (fillfactor = 80);
CREATE TABLE alias (
    name    TEXT COLLATE "C" PRIMARY KEY,
    peer_id TEXT COLLATE "C" NOT NULL REFERENCES peer (id) ON DELETE CASCADE
);
CREATE TABLE session (
    id              TEXT COLLATE "C" PRIMARY KEY,
    peer_id         TEXT COLLATE "C" NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    host            TEXT COLLATE "C" NOT NULL,
    boot            TEXT COLLATE "C" NOT NULL,
    pid_namespace   TEXT COLLATE "C" NOT NULL,
    pid             BIGINT NOT NULL,
    started         BIGINT NOT NULL,
    instance        BIGINT NOT NULL DEFAULT 0,
    agent           TEXT COLLATE "C",
    client_session  TEXT COLLATE "C",
    given_name      TEXT COLLATE "C",
    headless        BIGINT NOT NULL,
    has_server      BIGINT NOT NULL DEFAULT 0,
    activity        TEXT COLLATE "C",
    turn            TEXT COLLATE "C",
    stop_streak     BIGINT NOT NULL DEFAULT 0,
    told_restart    BIGINT NOT NULL DEFAULT 0,
    posted_turns    BIGINT NOT NULL DEFAULT 0,
    ring_nonce      TEXT COLLATE "C",
    ring_count      BIGINT NOT NULL DEFAULT 0,
    rung_at_ms      BIGINT,
    started_at_ms   BIGINT NOT NULL,
    last_seen_at_ms BIGINT NOT NULL,
    ended_at_ms     BIGINT,
    event_types     TEXT COLLATE "C",
    event_after     BIGINT,
    lease_until_ms  BIGINT,
    applied_verb    BIGINT NOT NULL DEFAULT 0,
    activity_summary TEXT COLLATE "C"
) WITH (fillfactor = 80);
CREATE TABLE question (
    id                 TEXT COLLATE "C" PRIMARY KEY,
    asker_peer         TEXT COLLATE "C" NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    asker_session      TEXT COLLATE "C" NOT NULL,
    target_peer        TEXT COLLATE "C" NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    question           TEXT COLLATE "C" NOT NULL,
    context            TEXT COLLATE "C",
    depth              BIGINT NOT NULL DEFAULT 0,
    state              TEXT COLLATE "C" NOT NULL,
    asked_at_ms        BIGINT NOT NULL,
    expires_at_ms      BIGINT NOT NULL,
    wake               TEXT COLLATE "C" NOT NULL DEFAULT 'none',
    woken_at_ms        BIGINT,
    wake_problem       TEXT COLLATE "C",
    held               TEXT COLLATE "C",
    shown_at_ms        BIGINT,
    shown_times        BIGINT NOT NULL DEFAULT 0,
    answer             TEXT COLLATE "C",
    answered_by        TEXT COLLATE "C",
    answered_at_ms     BIGINT,
    answered_session   TEXT COLLATE "C",
    answer_late        BIGINT NOT NULL DEFAULT 0,
    answer_shown_at_ms BIGINT,
    answer_open        BIGINT NOT NULL DEFAULT 0,
    closed_at_ms       BIGINT,
    ring_again_at_ms   BIGINT NOT NULL DEFAULT 0,
    answered_head      TEXT COLLATE "C"
) WITH (fillfactor = 80);
CREATE TABLE wait (
    id            TEXT COLLATE "C" PRIMARY KEY,
    session_id    TEXT COLLATE "C" NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    started_at_ms BIGINT NOT NULL,
    claim_id      TEXT COLLATE "C",
    event_types   TEXT COLLATE "C",
    pid           BIGINT,
    started       BIGINT
);
CREATE TABLE wait_question (
    wait_id     TEXT COLLATE "C" NOT NULL REFERENCES wait (id) ON DELETE CASCADE,
    question_id TEXT COLLATE "C" NOT NULL REFERENCES question (id) ON DELETE CASCADE,
    PRIMARY KEY (wait_id, question_id)
);
CREATE TABLE showing (
    question_id       TEXT COLLATE "C" NOT NULL REFERENCES question (id) ON DELETE CASCADE,
    session_id        TEXT COLLATE "C" NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    times             BIGINT NOT NULL DEFAULT 0,
    turn              TEXT COLLATE "C",
    stops             BIGINT NOT NULL DEFAULT 0,
    stops_in_turn     BIGINT NOT NULL DEFAULT 0,
    interrupts        BIGINT NOT NULL DEFAULT 0,
    interrupted_at_ms BIGINT,
    PRIMARY KEY (question_id, session_id)
);
CREATE TABLE event (
    seq     BIGINT PRIMARY KEY DEFAULT next_event(),
    type    TEXT COLLATE "C" NOT NULL,
    at_ms   BIGINT NOT NULL,
    by_peer TEXT COLLATE "C",
    subject TEXT COLLATE "C" NOT NULL,
    data    TEXT COLLATE "C" NOT NULL
);
CREATE TABLE message (
    id              TEXT COLLATE "C" PRIMARY KEY,
    from_peer       TEXT COLLATE "C" NOT NULL,
    from_name       TEXT COLLATE "C" NOT NULL,
    to_peer         TEXT COLLATE "C" REFERENCES peer (id) ON DELETE CASCADE,
    topic           TEXT COLLATE "C",
    type            TEXT COLLATE "C" NOT NULL,
    subject         TEXT COLLATE "C",
    body            TEXT COLLATE "C" NOT NULL,
    in_reply_to     TEXT COLLATE "C",
    idempotency_key TEXT COLLATE "C",
    posted_at_ms    BIGINT NOT NULL,
    expires_at_ms   BIGINT
);
CREATE TABLE subscription (
    peer_id TEXT COLLATE "C" NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    topic   TEXT COLLATE "C" NOT NULL,
    since   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (peer_id, topic)
);
CREATE TABLE claim (
    id                       TEXT COLLATE "C" PRIMARY KEY,
    resource                 TEXT COLLATE "C" NOT NULL,
    mode                     TEXT COLLATE "C" NOT NULL,
    state                    TEXT COLLATE "C" NOT NULL,
    peer_id                  TEXT COLLATE "C" NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    session_id               TEXT COLLATE "C" NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    note                     TEXT COLLATE "C",
    fence                    BIGINT,
    lease_ms                 BIGINT NOT NULL,
    boot                     TEXT COLLATE "C" NOT NULL,
    claimed_monotonic_ms     BIGINT NOT NULL,
    lease_until_monotonic_ms BIGINT,
    claimed_at_ms            BIGINT NOT NULL,
    granted_at_ms            BIGINT,
    told                     BIGINT NOT NULL DEFAULT 1
);
CREATE TABLE fence (
    resource TEXT COLLATE "C" PRIMARY KEY,
    last     BIGINT NOT NULL
);
CREATE TABLE state (
    namespace     TEXT COLLATE "C" NOT NULL,
    key           TEXT COLLATE "C" NOT NULL,
    value         TEXT COLLATE "C",
    version       BIGINT NOT NULL,
    updated_by    TEXT COLLATE "C" NOT NULL,
    updated_at_ms BIGINT NOT NULL,
    expires_at_ms BIGINT,
    PRIMARY KEY (namespace, key)
);
CREATE TABLE memory (
    number           BIGINT PRIMARY KEY,
    id               TEXT COLLATE "C" NOT NULL UNIQUE,
    scope            TEXT COLLATE "C" NOT NULL,
    key              TEXT COLLATE "C",
    version          BIGINT NOT NULL,
    by_name          TEXT COLLATE "C" NOT NULL,
    at_ms            BIGINT NOT NULL,
    expires_at_ms    BIGINT,
    superseded_by    TEXT COLLATE "C",
    superseded_at_ms BIGINT,
    tags             TEXT COLLATE "C" NOT NULL,
    text             TEXT COLLATE "C" NOT NULL,
    words            TSVECTOR,
    parts            TEXT COLLATE "C"
);
CREATE TABLE task (
    id              TEXT COLLATE "C" PRIMARY KEY,
    project         TEXT COLLATE "C" NOT NULL,
    title           TEXT COLLATE "C" NOT NULL,
    fingerprint     TEXT COLLATE "C" NOT NULL,
    description     TEXT COLLATE "C" NOT NULL,
    status          TEXT COLLATE "C" NOT NULL,
    priority        BIGINT NOT NULL,
    assigned_to     TEXT COLLATE "C" REFERENCES peer (id) ON DELETE SET NULL,
    created_by      TEXT COLLATE "C" NOT NULL,
    created_by_name TEXT COLLATE "C" NOT NULL,
    files_owned     TEXT COLLATE "C" NOT NULL,
    depends_on      TEXT COLLATE "C" NOT NULL,
    claims          TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    created_at_ms   BIGINT NOT NULL,
    updated_at_ms   BIGINT NOT NULL,
    ended_at_ms     BIGINT,
    version         BIGINT NOT NULL
);
CREATE TABLE access_key (
    id              TEXT COLLATE "C" PRIMARY KEY,
    kind            TEXT COLLATE "C" NOT NULL,
    name            TEXT COLLATE "C" NOT NULL,
    scope           TEXT COLLATE "C" NOT NULL,
    hash            BYTEA NOT NULL,
    project         TEXT COLLATE "C",
    created_at_ms   BIGINT NOT NULL,
    expires_at_ms   BIGINT,
    revoked_at_ms   BIGINT,
    last_used_at_ms BIGINT
);
CREATE TABLE board_link (
    hash          BYTEA PRIMARY KEY,
    expires_at_ms BIGINT NOT NULL,
    used_at_ms    BIGINT
);
CREATE TABLE idempotency (
    key_id          TEXT COLLATE "C" NOT NULL,
    idempotency_key TEXT COLLATE "C" NOT NULL,
    request_hash    BYTEA NOT NULL,
    status          BIGINT,
    response        TEXT COLLATE "C",
    at_ms           BIGINT NOT NULL,
    PRIMARY KEY (key_id, idempotency_key)
);

CREATE UNIQUE INDEX session_live_process ON session (pid, started, boot, host, instance) WHERE ended_at_ms IS NULL;
CREATE INDEX session_live_peer ON session (peer_id, id) WHERE ended_at_ms IS NULL;
CREATE INDEX session_process ON session (pid, started);
CREATE INDEX session_client ON session (client_session) WHERE client_session IS NOT NULL;
CREATE INDEX session_of_peer ON session (peer_id);
CREATE INDEX session_ended ON session (ended_at_ms) WHERE ended_at_ms IS NOT NULL;
CREATE INDEX question_pending ON question (target_peer, id, expires_at_ms) WHERE state = 'open';
CREATE INDEX question_asked ON question (asker_peer, target_peer) WHERE state = 'open';
CREATE INDEX question_answers ON question (asker_peer, id) WHERE answer_open = 1;
CREATE INDEX question_expiry ON question (expires_at_ms) WHERE state = 'open';
CREATE INDEX question_closed ON question (closed_at_ms, state) WHERE closed_at_ms IS NOT NULL;
CREATE INDEX question_target ON question (target_peer, id);
CREATE INDEX question_asker ON question (asker_peer);
CREATE INDEX wait_of_session ON wait (session_id, id);
CREATE INDEX wait_question_of ON wait_question (question_id);
CREATE INDEX showing_of_session ON showing (session_id);
CREATE INDEX event_time ON event (at_ms);
CREATE INDEX question_unheard ON question (ring_again_at_ms) WHERE state = 'open' AND wake = 'none';
CREATE INDEX message_to ON message (to_peer, id) WHERE to_peer IS NOT NULL;
CREATE INDEX message_topic ON message (topic, id) WHERE topic IS NOT NULL;
CREATE INDEX message_broadcast ON message (from_peer, posted_at_ms) WHERE topic = '*';
CREATE INDEX message_expiry ON message (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE UNIQUE INDEX message_key ON message (from_peer, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX subscription_topic ON subscription (topic);
CREATE INDEX claim_resource ON claim (resource, id);
CREATE INDEX claim_session ON claim (session_id, id);
CREATE INDEX claim_peer ON claim (peer_id);
CREATE INDEX claim_untold ON claim (session_id) WHERE told = 0;
CREATE INDEX state_expiry ON state (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE INDEX state_gone ON state (updated_at_ms) WHERE value IS NULL;
CREATE INDEX wait_listening ON wait (session_id, event_types) WHERE event_types IS NOT NULL;
CREATE INDEX memory_key ON memory (scope, key, superseded_at_ms, expires_at_ms);
CREATE INDEX memory_expiry ON memory (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE UNIQUE INDEX task_open ON task (project, fingerprint) WHERE ended_at_ms IS NULL;
CREATE INDEX task_of_project ON task (project, ended_at_ms);
CREATE INDEX task_assigned ON task (assigned_to) WHERE assigned_to IS NOT NULL;
CREATE INDEX idempotency_time ON idempotency (at_ms);
-- words: the words of a memory that is not replaced, by `memory_index.rs`.  parts: its text in lower case, for parts of words.
CREATE INDEX memory_words ON memory USING gin (words) WITH (fastupdate = off);
CREATE INDEX memory_parts ON memory USING gin (parts PG_TRGM.gin_trgm_ops) WITH (fastupdate = off);

CREATE FUNCTION count_question() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        UPDATE counter SET seq = seq + 1 WHERE name = 'tally.question.' || NEW.state;
    END IF;
    IF OLD.state <> 'open' THEN
        UPDATE counter SET seq = seq - 1 WHERE name = 'tally.question.' || OLD.state;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER question_tally AFTER UPDATE OF state ON question FOR EACH ROW
    WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION count_question();
CREATE TRIGGER question_tally_gone AFTER DELETE ON question FOR EACH ROW
    WHEN (OLD.state <> 'open') EXECUTE FUNCTION count_question();
CREATE FUNCTION count_message() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE counter SET seq = seq + CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END WHERE name = 'tally.message';
    RETURN NULL;
END $$;
CREATE TRIGGER message_tally AFTER INSERT ON message FOR EACH ROW EXECUTE FUNCTION count_message();
CREATE TRIGGER message_tally_gone AFTER DELETE ON message FOR EACH ROW EXECUTE FUNCTION count_message();
