-- Schema 8 of PostgreSQL: the counters of step 8 of SQLite.
INSERT INTO counter (name, seq) VALUES
    ('tally.peer', (SELECT count(*) FROM peer WHERE kind = 'session')),
    ('tally.memory', (SELECT count(*) FROM memory WHERE superseded_at_ms IS NULL));
CREATE FUNCTION count_peer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE counter SET seq = seq + CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END WHERE name = 'tally.peer';
    RETURN NULL;
END $$;
CREATE TRIGGER peer_tally AFTER INSERT ON peer FOR EACH ROW
    WHEN (NEW.kind = 'session') EXECUTE FUNCTION count_peer();
CREATE TRIGGER peer_tally_gone AFTER DELETE ON peer FOR EACH ROW
    WHEN (OLD.kind = 'session') EXECUTE FUNCTION count_peer();
CREATE FUNCTION count_memory() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE counter SET seq = seq + CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END WHERE name = 'tally.memory';
    RETURN NULL;
END $$;
CREATE TRIGGER memory_tally AFTER INSERT ON memory FOR EACH ROW
    WHEN (NEW.superseded_at_ms IS NULL) EXECUTE FUNCTION count_memory();
CREATE TRIGGER memory_tally_replaced AFTER UPDATE OF superseded_at_ms ON memory FOR EACH ROW
    WHEN (OLD.superseded_at_ms IS NULL AND NEW.superseded_at_ms IS NOT NULL) EXECUTE FUNCTION count_memory();
CREATE TRIGGER memory_tally_gone AFTER DELETE ON memory FOR EACH ROW
    WHEN (OLD.superseded_at_ms IS NULL) EXECUTE FUNCTION count_memory();
CREATE TABLE task_count (
    project TEXT COLLATE "C" NOT NULL,
    status  TEXT COLLATE "C" NOT NULL,
    tasks   BIGINT NOT NULL,
    PRIMARY KEY (project, status)
) WITH (fillfactor = 50);
INSERT INTO task_count (project, status, tasks) SELECT project, status, count(*) FROM task GROUP BY project, status;
CREATE FUNCTION count_task() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO task_count (project, status, tasks) VALUES (NEW.project, NEW.status, 1)
            ON CONFLICT (project, status) DO UPDATE SET tasks = task_count.tasks + 1;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        UPDATE task_count SET tasks = tasks - 1 WHERE project = OLD.project AND status = OLD.status;
        DELETE FROM task_count WHERE project = OLD.project AND status = OLD.status AND tasks = 0;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER task_counted AFTER INSERT ON task FOR EACH ROW EXECUTE FUNCTION count_task();
CREATE TRIGGER task_recounted AFTER UPDATE OF project, status ON task FOR EACH ROW
    WHEN (NEW.status <> OLD.status OR NEW.project <> OLD.project) EXECUTE FUNCTION count_task();
CREATE TRIGGER task_count_gone AFTER DELETE ON task FOR EACH ROW EXECUTE FUNCTION count_task();
