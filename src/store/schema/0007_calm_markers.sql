-- Schema 7: which sessions have programs that remove the calm marker of a session for which they store something. It only adds:
-- older programs work on, and no markers are made while a session of one lives.
ALTER TABLE session ADD COLUMN removes_markers INTEGER NOT NULL DEFAULT 0;
