-- Version 3: tasks. Additive: programs of earlier versions work on.

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
