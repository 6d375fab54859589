-- Schema 4: access keys of the hub, sign-in links of its board, and results of requests that may be repeated. It only adds:
-- older programs work on. Every hook reads the whole schema, so it has few entries: no table has a rowid, and the few keys of
-- a mesh need no index by name.

-- A key that lets a program of another process, or of another machine, use this mesh over HTTP.
--   kind: peer, host or board.  name: the name of the peer or of the host.  scope: read, write or admin.
--   hash: the SHA-256 of the key's text, which is stored nowhere.
--   project: the folder that the key was created in.
CREATE TABLE access_key (
    id              TEXT PRIMARY KEY,
    kind            TEXT NOT NULL,
    name            TEXT NOT NULL,
    scope           TEXT NOT NULL,
    hash            BLOB NOT NULL,
    project         TEXT,
    created_at_ms   INTEGER NOT NULL,
    expires_at_ms   INTEGER,
    revoked_at_ms   INTEGER,
    last_used_at_ms INTEGER
) STRICT, WITHOUT ROWID;

-- A link that signs a browser in once.  hash: the SHA-256 of its token.
CREATE TABLE board_link (
    hash          BLOB PRIMARY KEY,
    expires_at_ms INTEGER NOT NULL,
    used_at_ms    INTEGER
) STRICT, WITHOUT ROWID;

-- A request that named an idempotency key, for a day.  key_id: the access key; it may be one of another mesh.
--   request_hash: the SHA-256 of the request.  status, response: its result; NULL while it runs.
CREATE TABLE idempotency (
    key_id          TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash    BLOB NOT NULL,
    status          INTEGER,
    response        TEXT,
    at_ms           INTEGER NOT NULL,
    PRIMARY KEY (key_id, idempotency_key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_time ON idempotency (at_ms);
