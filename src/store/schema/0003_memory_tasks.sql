-- Version 3: memory, tasks, and with each answer the commit it was given at. Additive: older programs work on.

-- One row per version of a memory; what is replaced keeps its row with who replaced it and when. The upper half of a number
-- stands for the scope, so that the full text of one scope is a range of numbers. Small columns first: looks read no texts.
CREATE TABLE memory (
    number           INTEGER PRIMARY KEY,
    id               TEXT NOT NULL UNIQUE,
    scope            TEXT NOT NULL,
    key              TEXT,
    version          INTEGER NOT NULL,
    by_name          TEXT NOT NULL,
    at_ms            INTEGER NOT NULL,
    expires_at_ms    INTEGER,
    superseded_by    TEXT,
    superseded_at_ms INTEGER,
    tags             TEXT NOT NULL,
    text             TEXT NOT NULL
) STRICT;
CREATE INDEX memory_key ON memory (scope, key, superseded_at_ms, expires_at_ms);
CREATE INDEX memory_expiry ON memory (expires_at_ms) WHERE expires_at_ms IS NOT NULL;

-- The words of what is not replaced, and every three letters in a row of it: parts of identifiers and paths, and scripts
-- without spaces. What leaves them is overwritten at once, not only marked as gone.
CREATE VIRTUAL TABLE memory_words USING fts5 (text, key, tags, content = 'memory', content_rowid = 'number',
    tokenize = 'porter unicode61 remove_diacritics 2');
INSERT INTO memory_words (memory_words, rank) VALUES ('secure-delete', 1);
CREATE VIRTUAL TABLE memory_parts USING fts5 (text, content = '', columnsize = 0, tokenize = 'trigram remove_diacritics 1');
INSERT INTO memory_parts (memory_parts, rank) VALUES ('secure-delete', 1);

-- The commit that was checked out in the peer's project when it answered.
ALTER TABLE question ADD COLUMN answered_head TEXT;

-- The process of a waiting call, as the session's machine counts it: a call whose process is gone waits no more.
ALTER TABLE wait ADD COLUMN pid INTEGER;
ALTER TABLE wait ADD COLUMN started INTEGER;

-- Work of a project. A task that has ended is kept for a while; of the open ones no two have the same fingerprint.
CREATE TABLE task (
    id              TEXT PRIMARY KEY,
    project         TEXT NOT NULL,
    title           TEXT NOT NULL,
    fingerprint     TEXT NOT NULL,
    description     TEXT NOT NULL,
    status          TEXT NOT NULL,
    -- 0 low to 3 urgent.
    priority        INTEGER NOT NULL,
    assigned_to     TEXT REFERENCES peer (id) ON DELETE SET NULL,
    -- Whoever created it may be gone.
    created_by      TEXT NOT NULL,
    created_by_name TEXT NOT NULL,
    -- JSON lists: names of resources; ids of tasks; ids of the claims taken when it started.
    files_owned     TEXT NOT NULL,
    depends_on      TEXT NOT NULL,
    claims          TEXT NOT NULL DEFAULT '[]',
    created_at_ms   INTEGER NOT NULL,
    updated_at_ms   INTEGER NOT NULL,
    ended_at_ms     INTEGER,
    version         INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX task_open ON task (project, fingerprint) WHERE ended_at_ms IS NULL;
CREATE INDEX task_of_project ON task (project, ended_at_ms);
CREATE INDEX task_assigned ON task (assigned_to) WHERE assigned_to IS NOT NULL;
