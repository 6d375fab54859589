-- Schema 3: memories, tasks, and with each answer the commit it was given at. It only adds: older programs work on.
-- The statement of `task` contains comments. They stay as they are, because statements never change.

-- A version of a memory. A version that was replaced stays, with who replaced it and when.
--   number: the rowid of the full-text index. Its upper 32 bits are the scope, so a scope is one range of the index.
--   scope: the path of a repository, or `*` for the mesh.  key: the name under which a memory is replaced, or NULL.
--   by_name: the name of the peer.  tags: a JSON list.
-- Large columns come last, so that queries which need no text do not read its pages.
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

-- Full-text indexes of the memories that are not replaced: one of words, and one of trigrams for parts of identifiers and
-- paths and for scripts without spaces. With secure-delete an entry is removed from its page at once and not only marked as
-- deleted.
CREATE VIRTUAL TABLE memory_words USING fts5 (text, key, tags, content = 'memory', content_rowid = 'number',
    tokenize = 'porter unicode61 remove_diacritics 2');
INSERT INTO memory_words (memory_words, rank) VALUES ('secure-delete', 1);
CREATE VIRTUAL TABLE memory_parts USING fts5 (text, content = '', columnsize = 0, tokenize = 'trigram remove_diacritics 1');
INSERT INTO memory_parts (memory_parts, rank) VALUES ('secure-delete', 1);

-- The commit that was checked out in the peer's project when it answered.
ALTER TABLE question ADD COLUMN answered_head TEXT;

-- The process of a waiting call, in the pid namespace of its session. When the process is dead, the wait is removed.
ALTER TABLE wait ADD COLUMN pid INTEGER;
ALTER TABLE wait ADD COLUMN started INTEGER;

-- A task of a project. One that has ended is kept for a while; no two open ones of a project have the same fingerprint.
--   fingerprint: the title without what makes no difference.  status: todo, in_progress, in_review, done or cancelled.
--   version: 1 for a new task, one more for each change.
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
