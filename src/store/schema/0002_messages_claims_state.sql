-- Version 2: mail, claims, shared state, and what else a call or a session may wait for. Additive: programs of version 1 work on.

-- When anyone who comes by rings for a question that nobody has rung for.
ALTER TABLE question ADD COLUMN ring_again_at_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX question_unheard ON question (ring_again_at_ms) WHERE state = 'open' AND wake = 'none';

-- Nobody reads the log by what its entries are about, and every entry paid for it.
DROP INDEX event_subject;

-- How far a mailbox has read its mail, and how far it was mentioned to whoever sits there: ids of messages.
ALTER TABLE peer ADD COLUMN mail_read TEXT NOT NULL DEFAULT '';
ALTER TABLE peer ADD COLUMN mail_mentioned TEXT NOT NULL DEFAULT '';

-- One row per message, whoever reads it: for one mailbox, or for a topic. The topic `*` is everybody. Kept in the
-- order of the ids: a message costs a page less.
CREATE TABLE message (
    id              TEXT PRIMARY KEY,
    from_peer       TEXT NOT NULL,
    from_name       TEXT NOT NULL,
    to_peer         TEXT REFERENCES peer (id) ON DELETE CASCADE,
    topic           TEXT,
    type            TEXT NOT NULL,
    subject         TEXT,
    body            TEXT NOT NULL,
    in_reply_to     TEXT,
    idempotency_key TEXT,
    posted_at_ms    INTEGER NOT NULL,
    expires_at_ms   INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX message_to ON message (to_peer, id) WHERE to_peer IS NOT NULL;
CREATE INDEX message_topic ON message (topic, id) WHERE topic IS NOT NULL;
CREATE INDEX message_broadcast ON message (from_peer, posted_at_ms) WHERE topic = '*';
CREATE INDEX message_expiry ON message (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE UNIQUE INDEX message_key ON message (from_peer, idempotency_key) WHERE idempotency_key IS NOT NULL;

-- Messages of a topic after `since` come by themselves.
CREATE TABLE subscription (
    peer_id TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    topic   TEXT NOT NULL,
    since   TEXT NOT NULL,
    PRIMARY KEY (peer_id, topic)
) STRICT, WITHOUT ROWID;
CREATE INDEX subscription_topic ON subscription (topic);

-- Who holds a resource and who stands in line for it, in the order of the ids. What is over has no row.
CREATE TABLE claim (
    id               TEXT PRIMARY KEY,
    resource         TEXT NOT NULL,
    mode             TEXT NOT NULL,
    state            TEXT NOT NULL,
    peer_id          TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    session_id       TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    note             TEXT,
    fence            INTEGER,
    lease_ms         INTEGER NOT NULL,
    boot             TEXT NOT NULL,
    -- Readings of the clock that halts while the machine sleeps; they hold for that boot.
    claimed_monotonic_ms     INTEGER NOT NULL,
    lease_until_monotonic_ms INTEGER,
    -- The same for people.
    claimed_at_ms    INTEGER NOT NULL,
    granted_at_ms    INTEGER,
    -- 0 while nobody has told the session that its turn has come.
    told             INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX claim_resource ON claim (resource, id);
CREATE INDEX claim_session ON claim (session_id, id);
CREATE INDEX claim_peer ON claim (peer_id);
CREATE INDEX claim_untold ON claim (session_id) WHERE told = 0;

-- The last fence given for a resource; it outlives every claim.
CREATE TABLE fence (
    resource TEXT PRIMARY KEY,
    last     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A deleted or expired entry keeps its row for a while, so that its version never counts from the beginning again.
CREATE TABLE state (
    namespace     TEXT NOT NULL,
    key           TEXT NOT NULL,
    value         TEXT,
    version       INTEGER NOT NULL,
    updated_by    TEXT NOT NULL,
    updated_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER,
    PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX state_expiry ON state (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE INDEX state_gone ON state (updated_at_ms) WHERE value IS NULL;

-- A call may wait for its place in a line, or for events of these types (a JSON list of patterns).
ALTER TABLE wait ADD COLUMN claim_id TEXT;
ALTER TABLE wait ADD COLUMN event_types TEXT;
CREATE INDEX wait_listening ON wait (session_id, event_types) WHERE event_types IS NOT NULL;

-- What a session hears of by poll_inbox: these types of events, after this one.
ALTER TABLE session ADD COLUMN event_types TEXT;
ALTER TABLE session ADD COLUMN event_after INTEGER;

-- Closed questions by state and messages are counted as they come and go, so that nobody has to count them: also what older
-- programs do, and what goes with its mailbox. The tallies stand beside the last number of the log, in a page that every event
-- writes anyway; in a page of their own an answer would pay for one more.
INSERT INTO sqlite_sequence (name, seq)
    SELECT 'tally.question.' || word.state, count(question.id)
    FROM (SELECT 'answered' AS state UNION ALL SELECT 'declined' UNION ALL SELECT 'expired' UNION ALL SELECT 'withdrawn') AS word
    LEFT JOIN question ON question.state = word.state GROUP BY word.state;
INSERT INTO sqlite_sequence (name, seq) VALUES ('tally.message', 0);
CREATE TRIGGER question_tally AFTER UPDATE OF state ON question WHEN NEW.state <> OLD.state BEGIN
    UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'tally.question.' || NEW.state;
    UPDATE sqlite_sequence SET seq = seq - 1 WHERE OLD.state <> 'open' AND name = 'tally.question.' || OLD.state;
END;
CREATE TRIGGER question_tally_gone AFTER DELETE ON question WHEN OLD.state <> 'open' BEGIN
    UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'tally.question.' || OLD.state;
END;
CREATE TRIGGER message_tally AFTER INSERT ON message BEGIN
    UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'tally.message';
END;
CREATE TRIGGER message_tally_gone AFTER DELETE ON message BEGIN
    UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'tally.message';
END;
