-- Schema 2: messages, claims, shared state, and waits for claims and events. It only adds: programs of schema 1 work on.
-- Some statements contain comments. They stay as they are, because statements never change.

-- From this time on, any operation of any session makes a wake attempt for the question, if none was made.
ALTER TABLE question ADD COLUMN ring_again_at_ms INTEGER NOT NULL DEFAULT 0;
CREATE INDEX question_unheard ON question (ring_again_at_ms) WHERE state = 'open' AND wake = 'none';

-- No query reads the event log by subject, and each append had to update the index.
DROP INDEX event_subject;

-- The id of the last message that the peer has read, and of the last one that a hook has mentioned to it; empty if none.
ALTER TABLE peer ADD COLUMN mail_read TEXT NOT NULL DEFAULT '';
ALTER TABLE peer ADD COLUMN mail_mentioned TEXT NOT NULL DEFAULT '';

-- A message, one row for all readers: to a peer (to_peer) or to a topic; topic `*` is everybody. WITHOUT ROWID keeps rows in
-- the order of their ids, so storing a message writes one page less.
--   from_name: the name that the sender had then.  idempotency_key: the sender's own key, under which it is stored once.
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

-- A peer receives the messages of a topic with an id greater than `since`.
CREATE TABLE subscription (
    peer_id TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    topic   TEXT NOT NULL,
    since   TEXT NOT NULL,
    PRIMARY KEY (peer_id, topic)
) STRICT, WITHOUT ROWID;
CREATE INDEX subscription_topic ON subscription (topic);

-- The holders of a resource, and its claim queue in the order of the ids. A claim that has ended has no row.
--   mode: exclusive or shared.  state: held or queued.  note: what it is for.  fence: the fencing token of the grant, NULL
--   while queued.  lease_ms: how long it holds without renewal.  boot: the boot of the monotonic readings.
--   claimed_at_ms, granted_at_ms: wall time.  told: 0 until the session knows that the claim was granted.
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

-- The last fencing token of a resource. It outlives all claims, so that tokens only grow.
CREATE TABLE fence (
    resource TEXT PRIMARY KEY,
    last     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Shared values.
--   value: JSON; NULL if the entry was deleted or has expired. Such a row stays for a while, so that its version does not start
--   at 1 again.  updated_by: the name of the peer.
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

-- A call may wait in a claim queue, or for events of these types (a JSON list of patterns).
ALTER TABLE wait ADD COLUMN claim_id TEXT;
ALTER TABLE wait ADD COLUMN event_types TEXT;
CREATE INDEX wait_listening ON wait (session_id, event_types) WHERE event_types IS NOT NULL;

-- The event subscription that poll_inbox serves: a JSON list of patterns, and the seq after which events are new.
ALTER TABLE session ADD COLUMN event_types TEXT;
ALTER TABLE session ADD COLUMN event_after INTEGER;

-- Counters of closed questions by state and of messages. Triggers keep them, so that changes by older programs and deletions
-- by cascade are counted too. They are rows of sqlite_sequence, in the page that each event writes anyway; in a table of
-- their own, storing an answer would write one more page.
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
