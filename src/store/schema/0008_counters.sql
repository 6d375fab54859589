-- Schema 8: counters of peers, memories and tasks. It only adds: older programs work on.

-- How many peers are sessions of a project, no persons or runs, and how many memories are not replaced.
INSERT INTO sqlite_sequence (name, seq) VALUES
    ('tally.peer', (SELECT count(*) FROM peer WHERE kind = 'session')),
    ('tally.memory', (SELECT count(*) FROM memory WHERE superseded_at_ms IS NULL));
CREATE TRIGGER peer_tally AFTER INSERT ON peer WHEN NEW.kind = 'session' BEGIN
    UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'tally.peer';
END;
CREATE TRIGGER peer_tally_gone AFTER DELETE ON peer WHEN OLD.kind = 'session' BEGIN
    UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'tally.peer';
END;
CREATE TRIGGER memory_tally AFTER INSERT ON memory WHEN NEW.superseded_at_ms IS NULL BEGIN
    UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'tally.memory';
END;
CREATE TRIGGER memory_tally_replaced AFTER UPDATE OF superseded_at_ms ON memory
    WHEN OLD.superseded_at_ms IS NULL AND NEW.superseded_at_ms IS NOT NULL BEGIN
    UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'tally.memory';
END;
CREATE TRIGGER memory_tally_gone AFTER DELETE ON memory WHEN OLD.superseded_at_ms IS NULL BEGIN
    UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = 'tally.memory';
END;

-- How many tasks of a project are in each status. A project without tasks in a status has no row for it.
CREATE TABLE task_count (
    project TEXT NOT NULL,
    status  TEXT NOT NULL,
    tasks   INTEGER NOT NULL,
    PRIMARY KEY (project, status)
) STRICT, WITHOUT ROWID;
INSERT INTO task_count (project, status, tasks) SELECT project, status, count(*) FROM task GROUP BY project, status;
CREATE TRIGGER task_counted AFTER INSERT ON task BEGIN
    INSERT INTO task_count (project, status, tasks) VALUES (NEW.project, NEW.status, 1)
        ON CONFLICT (project, status) DO UPDATE SET tasks = tasks + 1;
END;
CREATE TRIGGER task_recounted AFTER UPDATE OF project, status ON task
    WHEN NEW.status <> OLD.status OR NEW.project <> OLD.project BEGIN
    INSERT INTO task_count (project, status, tasks) VALUES (NEW.project, NEW.status, 1)
        ON CONFLICT (project, status) DO UPDATE SET tasks = tasks + 1;
    UPDATE task_count SET tasks = tasks - 1 WHERE project = OLD.project AND status = OLD.status;
    DELETE FROM task_count WHERE project = OLD.project AND status = OLD.status AND tasks = 0;
END;
CREATE TRIGGER task_count_gone AFTER DELETE ON task BEGIN
    UPDATE task_count SET tasks = tasks - 1 WHERE project = OLD.project AND status = OLD.status;
    DELETE FROM task_count WHERE project = OLD.project AND status = OLD.status AND tasks = 0;
END;
