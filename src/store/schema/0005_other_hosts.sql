-- Schema 5: sessions on other hosts, which a hub serves. It only adds: older programs work on, until the first session of
-- another host registers; from then on `min_reader` in `meta` is 5, because older programs would look for the folders of
-- another host on this machine.
--
-- Of such a session, `host` is the host of its access key, and the other values of its location are those of that host. The
-- project of its peer, the git folders and the scopes of its memories are `//host/path`, or `git:host/path` for a repository
-- with a remote.

-- Until when the hub has promised to serve a session of another host, in wall milliseconds; NULL for a session whose process
-- can be looked up.
ALTER TABLE session ADD COLUMN lease_until_ms INTEGER;
-- The number of the last verb of such a session that was carried out; each one is carried out once.
ALTER TABLE session ADD COLUMN applied_verb INTEGER NOT NULL DEFAULT 0;
-- The activity summary of such a session, as JSON; other sessions have it in a file.
ALTER TABLE session ADD COLUMN activity_summary TEXT;
-- The commit that is checked out in a project on another host, as its last session reported it.
ALTER TABLE peer ADD COLUMN git_head TEXT;
