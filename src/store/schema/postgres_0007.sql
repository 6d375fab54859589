-- Schema 7 of PostgreSQL: the column of step 7 of SQLite. A mesh on a server has no calm markers.
ALTER TABLE session ADD COLUMN removes_markers BIGINT NOT NULL DEFAULT 0;
