PRAGMA application_id = 1129149288;
PRAGMA user_version = 8;
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE peer (
    id              TEXT PRIMARY KEY,
    kind            TEXT NOT NULL,
    name            TEXT NOT NULL UNIQUE,
    wanted          TEXT NOT NULL,
    project         TEXT,
    seat            INTEGER,
    role            TEXT,
    summary         TEXT,
    branch          TEXT,
    prompt_ptr      TEXT,
    git_root        TEXT,
    git_common      TEXT,
    git_branch      TEXT,
    ttl_ms          INTEGER NOT NULL DEFAULT 60000,
    quiet_until_ms  INTEGER,
    epoch           INTEGER NOT NULL DEFAULT 0,
    created_at_ms   INTEGER NOT NULL,
    last_seen_at_ms INTEGER NOT NULL, mail_read TEXT NOT NULL DEFAULT '', mail_mentioned TEXT NOT NULL DEFAULT '', git_head TEXT,
    UNIQUE (project, seat)
) STRICT;
CREATE TABLE alias (
    name    TEXT PRIMARY KEY,
    peer_id TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TABLE session (
    id              TEXT PRIMARY KEY,
    peer_id         TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    host            TEXT NOT NULL,
    boot            TEXT NOT NULL,
    pid_namespace   TEXT NOT NULL,
    pid             INTEGER NOT NULL,
    started         INTEGER NOT NULL,
    instance        INTEGER NOT NULL DEFAULT 0,
    agent           TEXT,
    client_session  TEXT,
    given_name      TEXT,
    headless        INTEGER NOT NULL,
    has_server      INTEGER NOT NULL DEFAULT 0,
    activity        TEXT,
    turn            TEXT,
    stop_streak     INTEGER NOT NULL DEFAULT 0,
    told_restart    INTEGER NOT NULL DEFAULT 0,
    posted_turns    INTEGER NOT NULL DEFAULT 0,
    ring_nonce      TEXT,
    ring_count      INTEGER NOT NULL DEFAULT 0,
    rung_at_ms      INTEGER,
    started_at_ms   INTEGER NOT NULL,
    last_seen_at_ms INTEGER NOT NULL,
    ended_at_ms     INTEGER
, event_types TEXT, event_after INTEGER, lease_until_ms INTEGER, applied_verb INTEGER NOT NULL DEFAULT 0, activity_summary TEXT, removes_markers INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE question (
    id                 TEXT PRIMARY KEY,
    asker_peer         TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    asker_session      TEXT NOT NULL,
    target_peer        TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    question           TEXT NOT NULL,
    context            TEXT,
    depth              INTEGER NOT NULL DEFAULT 0,
    state              TEXT NOT NULL,
    asked_at_ms        INTEGER NOT NULL,
    expires_at_ms      INTEGER NOT NULL,
    wake               TEXT NOT NULL DEFAULT 'none',
    woken_at_ms        INTEGER,
    wake_problem       TEXT,
    held               TEXT,
    shown_at_ms        INTEGER,
    shown_times        INTEGER NOT NULL DEFAULT 0,
    answer             TEXT,
    answered_by        TEXT,
    answered_at_ms     INTEGER,
    answered_session   TEXT,
    answer_late        INTEGER NOT NULL DEFAULT 0,
    answer_shown_at_ms INTEGER,
    answer_open        INTEGER NOT NULL DEFAULT 0,
    closed_at_ms       INTEGER
, ring_again_at_ms INTEGER NOT NULL DEFAULT 0, answered_head TEXT) STRICT;
CREATE TABLE wait (
    id            TEXT PRIMARY KEY,
    session_id    TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    started_at_ms INTEGER NOT NULL
, claim_id TEXT, event_types TEXT, pid INTEGER, started INTEGER) STRICT;
CREATE TABLE wait_question (
    wait_id     TEXT NOT NULL REFERENCES wait (id) ON DELETE CASCADE,
    question_id TEXT NOT NULL REFERENCES question (id) ON DELETE CASCADE,
    PRIMARY KEY (wait_id, question_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE showing (
    question_id       TEXT NOT NULL REFERENCES question (id) ON DELETE CASCADE,
    session_id        TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    times             INTEGER NOT NULL DEFAULT 0,
    turn              TEXT,
    stops             INTEGER NOT NULL DEFAULT 0,
    stops_in_turn     INTEGER NOT NULL DEFAULT 0,
    interrupts        INTEGER NOT NULL DEFAULT 0,
    interrupted_at_ms INTEGER,
    PRIMARY KEY (question_id, session_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE event (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    type    TEXT NOT NULL,
    at_ms   INTEGER NOT NULL,
    by_peer TEXT,
    subject TEXT NOT NULL,
    data    TEXT NOT NULL
) STRICT;
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
CREATE TABLE subscription (
    peer_id TEXT NOT NULL REFERENCES peer (id) ON DELETE CASCADE,
    topic   TEXT NOT NULL,
    since   TEXT NOT NULL,
    PRIMARY KEY (peer_id, topic)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE fence (
    resource TEXT PRIMARY KEY,
    last     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
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
CREATE VIRTUAL TABLE memory_words USING fts5 (text, key, tags, content = 'memory', content_rowid = 'number',
    tokenize = 'porter unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE memory_parts USING fts5 (text, content = '', columnsize = 0, tokenize = 'trigram remove_diacritics 1');
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
CREATE TABLE board_link (
    hash          BLOB PRIMARY KEY,
    expires_at_ms INTEGER NOT NULL,
    used_at_ms    INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE idempotency (
    key_id          TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    request_hash    BLOB NOT NULL,
    status          INTEGER,
    response        TEXT,
    at_ms           INTEGER NOT NULL,
    PRIMARY KEY (key_id, idempotency_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE fork (
    question_id TEXT PRIMARY KEY REFERENCES question (id) ON DELETE CASCADE,
    session_id  TEXT NOT NULL,
    state       TEXT NOT NULL,
    taken_at_ms INTEGER NOT NULL,
    as_of_ms    INTEGER,
    reported    INTEGER NOT NULL DEFAULT 1,
    input_tokens          INTEGER NOT NULL DEFAULT 0,
    output_tokens         INTEGER NOT NULL DEFAULT 0,
    cache_creation_tokens INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens     INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE task_count (
    project TEXT NOT NULL,
    status  TEXT NOT NULL,
    tasks   INTEGER NOT NULL,
    PRIMARY KEY (project, status)
) STRICT, WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('last_id', '01M8Q5HC61QGTFDJ3XDCA685QD');
INSERT INTO meta (key, value) VALUES ('last_message', '01M8Q5HC57FN23G1HP6DHVF4RS');
INSERT INTO meta (key, value) VALUES ('min_reader', '1');
INSERT INTO meta (key, value) VALUES ('schema', '8');
INSERT INTO meta (key, value) VALUES ('swept_at_ms', CAST(($NOW-1168) AS TEXT));
INSERT INTO peer (id, kind, name, wanted, project, seat, role, summary, branch, prompt_ptr, git_root, git_common, git_branch, ttl_ms, quiet_until_ms, epoch, created_at_ms, last_seen_at_ms, mail_read, mail_mentioned, git_head) VALUES ('01M8Q5HAX22HKQZ5JSH9FAR0MW', 'session', 'ada', 'ada', '$HOME/ada', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 60000, NULL, 1, ($NOW-1315), ($NOW-1303), '', '', NULL);
INSERT INTO peer (id, kind, name, wanted, project, seat, role, summary, branch, prompt_ptr, git_root, git_common, git_branch, ttl_ms, quiet_until_ms, epoch, created_at_ms, last_seen_at_ms, mail_read, mail_mentioned, git_head) VALUES ('01M8Q5HAY0N01HHK3KPKCVDTCN', 'session', 'bo', 'bo', '$HOME/bo', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 60000, NULL, 1, ($NOW-1285), ($NOW-1273), '', '01M8Q5HC57FN23G1HP6DHVF4RS', NULL);
INSERT INTO peer (id, kind, name, wanted, project, seat, role, summary, branch, prompt_ptr, git_root, git_common, git_branch, ttl_ms, quiet_until_ms, epoch, created_at_ms, last_seen_at_ms, mail_read, mail_mentioned, git_head) VALUES ('01M8Q5HAYTPTWN5VNAQDRVQQZT', 'session', 'cyra', 'cy', '$HOME/cy', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 60000, NULL, 1, ($NOW-1259), ($NOW-1227), '', '', NULL);
INSERT INTO peer (id, kind, name, wanted, project, seat, role, summary, branch, prompt_ptr, git_root, git_common, git_branch, ttl_ms, quiet_until_ms, epoch, created_at_ms, last_seen_at_ms, mail_read, mail_mentioned, git_head) VALUES ('01M8Q5HB1H2RKPMYYRE7SP22PR', 'session', 'dee', 'dee', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 60000, NULL, 0, ($NOW-1172), ($NOW-1159), '', '', NULL);
INSERT INTO peer (id, kind, name, wanted, project, seat, role, summary, branch, prompt_ptr, git_root, git_common, git_branch, ttl_ms, quiet_until_ms, epoch, created_at_ms, last_seen_at_ms, mail_read, mail_mentioned, git_head) VALUES ('01M8Q5HB2CQSD10BAS74H5QVK5', 'session', 'eve', 'eve', '$HOME/eve', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 60000, NULL, 1, ($NOW-1145), ($NOW-1078), '', '', NULL);
INSERT INTO alias (name, peer_id) VALUES ('cy', '01M8Q5HAYTPTWN5VNAQDRVQQZT');
INSERT INTO session (id, peer_id, host, boot, pid_namespace, pid, started, instance, agent, client_session, given_name, headless, has_server, activity, turn, stop_streak, told_restart, posted_turns, ring_nonce, ring_count, rung_at_ms, started_at_ms, last_seen_at_ms, ended_at_ms, event_types, event_after, lease_until_ms, applied_verb, activity_summary, removes_markers) VALUES ('01M8Q5HAX2Q993KJ71101KERC5', '01M8Q5HAX22HKQZ5JSH9FAR0MW', '$HOST', '$BOOT', '$NAMESPACE', $ADA, $ADA_STARTED, 0, 'claude-code 2.1.329', '00000000-0000-4000-8000-000000000001', NULL, 0, 1, NULL, NULL, 0, 0, 0, NULL, 0, NULL, ($NOW-1315), ($NOW-1303), NULL, NULL, NULL, NULL, 0, NULL, 1);
INSERT INTO session (id, peer_id, host, boot, pid_namespace, pid, started, instance, agent, client_session, given_name, headless, has_server, activity, turn, stop_streak, told_restart, posted_turns, ring_nonce, ring_count, rung_at_ms, started_at_ms, last_seen_at_ms, ended_at_ms, event_types, event_after, lease_until_ms, applied_verb, activity_summary, removes_markers) VALUES ('01M8Q5HAY0N01HHK3KPKCVDTCP', '01M8Q5HAY0N01HHK3KPKCVDTCN', '$HOST', '$BOOT', '$NAMESPACE', $BO, $BO_STARTED, 0, 'claude-code 2.1.329', '00000000-0000-4000-8000-000000000002', NULL, 0, 1, NULL, 't1', 0, 0, 0, NULL, 0, NULL, ($NOW-1285), ($NOW-12), NULL, NULL, NULL, NULL, 0, NULL, 1);
INSERT INTO session (id, peer_id, host, boot, pid_namespace, pid, started, instance, agent, client_session, given_name, headless, has_server, activity, turn, stop_streak, told_restart, posted_turns, ring_nonce, ring_count, rung_at_ms, started_at_ms, last_seen_at_ms, ended_at_ms, event_types, event_after, lease_until_ms, applied_verb, activity_summary, removes_markers) VALUES ('01M8Q5HAYTTBZ2N3Q6N512FEPF', '01M8Q5HAYTPTWN5VNAQDRVQQZT', '$HOST', '$BOOT', '$NAMESPACE', 25800, 1609869, 0, 'claude-code 2.1.329', '00000000-0000-4000-8000-000000000003', NULL, 0, 1, NULL, NULL, 0, 0, 0, NULL, 0, NULL, ($NOW-1259), ($NOW-1243), ($NOW-1227), NULL, NULL, NULL, 0, NULL, 1);
INSERT INTO session (id, peer_id, host, boot, pid_namespace, pid, started, instance, agent, client_session, given_name, headless, has_server, activity, turn, stop_streak, told_restart, posted_turns, ring_nonce, ring_count, rung_at_ms, started_at_ms, last_seen_at_ms, ended_at_ms, event_types, event_after, lease_until_ms, applied_verb, activity_summary, removes_markers) VALUES ('01M8Q5HB1HK25KWXP9HCVZ2CVC', '01M8Q5HB1H2RKPMYYRE7SP22PR', '$HOST', '$BOOT', '$NAMESPACE', 25806, 1609874, 1, 'http', NULL, NULL, 0, 1, NULL, NULL, 0, 0, 0, NULL, 0, NULL, ($NOW-1172), ($NOW-1172), ($NOW-1159), NULL, NULL, NULL, 0, NULL, 1);
INSERT INTO session (id, peer_id, host, boot, pid_namespace, pid, started, instance, agent, client_session, given_name, headless, has_server, activity, turn, stop_streak, told_restart, posted_turns, ring_nonce, ring_count, rung_at_ms, started_at_ms, last_seen_at_ms, ended_at_ms, event_types, event_after, lease_until_ms, applied_verb, activity_summary, removes_markers) VALUES ('01M8Q5HB2CVH11RAFNSCPF63AJ', '01M8Q5HB2CQSD10BAS74H5QVK5', '$HOST', '$BOOT', '$NAMESPACE', 25810, 1609880, 0, 'claude-code 2.1.329', '00000000-0000-4000-8000-000000000004', NULL, 0, 1, NULL, NULL, 0, 0, 0, NULL, 0, NULL, ($NOW-1145), ($NOW-1118), ($NOW-1078), NULL, NULL, NULL, 0, NULL, 1);
INSERT INTO question (id, asker_peer, asker_session, target_peer, question, context, depth, state, asked_at_ms, expires_at_ms, wake, woken_at_ms, wake_problem, held, shown_at_ms, shown_times, answer, answered_by, answered_at_ms, answered_session, answer_late, answer_shown_at_ms, answer_open, closed_at_ms, ring_again_at_ms, answered_head) VALUES ('01M8Q5HB3NJZCA4ZGJMZS076ZH', '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HAX2Q993KJ71101KERC5', '01M8Q5HB2CQSD10BAS74H5QVK5', 'which branch?', NULL, 0, 'answered', ($NOW-1104), ($NOW+604798896), 'fork', ($NOW-1097), NULL, NULL, NULL, 0, 'main', 'fork', ($NOW-1093), '01M8Q5HB2CVH11RAFNSCPF63AJ', 0, NULL, 0, ($NOW-1093), ($NOW+896), NULL);
INSERT INTO question (id, asker_peer, asker_session, target_peer, question, context, depth, state, asked_at_ms, expires_at_ms, wake, woken_at_ms, wake_problem, held, shown_at_ms, shown_times, answer, answered_by, answered_at_ms, answered_session, answer_late, answer_shown_at_ms, answer_open, closed_at_ms, ring_again_at_ms, answered_head) VALUES ('01M8Q5HB4KK41MMZR43TQWYHWY', '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HAX2Q993KJ71101KERC5', '01M8Q5HAY0N01HHK3KPKCVDTCN', 'which version?', NULL, 0, 'answered', ($NOW-1074), ($NOW+604798926), 'call', ($NOW-1066), NULL, NULL, ($NOW-1066), 1, '17', 'session', ($NOW-1064), '01M8Q5HAY0N01HHK3KPKCVDTCP', 0, NULL, 0, ($NOW-1064), ($NOW+926), NULL);
INSERT INTO question (id, asker_peer, asker_session, target_peer, question, context, depth, state, asked_at_ms, expires_at_ms, wake, woken_at_ms, wake_problem, held, shown_at_ms, shown_times, answer, answered_by, answered_at_ms, answered_session, answer_late, answer_shown_at_ms, answer_open, closed_at_ms, ring_again_at_ms, answered_head) VALUES ('01M8Q5HB50WJYA0DC976J4TT1G', '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HAX2Q993KJ71101KERC5', '01M8Q5HAY0N01HHK3KPKCVDTCN', 'when?', NULL, 0, 'answered', ($NOW-1061), ($NOW+604798939), 'failed', ($NOW-1060), 'its Claude Code has no inbox socket (2.1.224 or later has one, unless started with --bare)', NULL, NULL, 0, 'at noon', 'session', ($NOW-54), '01M8Q5HAY0N01HHK3KPKCVDTCP', 1, NULL, 1, ($NOW-54), ($NOW+939), NULL);
INSERT INTO question (id, asker_peer, asker_session, target_peer, question, context, depth, state, asked_at_ms, expires_at_ms, wake, woken_at_ms, wake_problem, held, shown_at_ms, shown_times, answer, answered_by, answered_at_ms, answered_session, answer_late, answer_shown_at_ms, answer_open, closed_at_ms, ring_again_at_ms, answered_head) VALUES ('01M8Q5HC5B9RGHN45MNGBTP5TE', '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HAX2Q993KJ71101KERC5', '01M8Q5HAY0N01HHK3KPKCVDTCN', 'which host?', NULL, 0, 'open', ($NOW-26), ($NOW+604799974), 'hook', ($NOW-9), NULL, NULL, ($NOW-9), 1, NULL, NULL, NULL, NULL, 0, NULL, 0, NULL, ($NOW+1974), NULL);
INSERT INTO question (id, asker_peer, asker_session, target_peer, question, context, depth, state, asked_at_ms, expires_at_ms, wake, woken_at_ms, wake_problem, held, shown_at_ms, shown_times, answer, answered_by, answered_at_ms, answered_session, answer_late, answer_shown_at_ms, answer_open, closed_at_ms, ring_again_at_ms, answered_head) VALUES ('01M8Q5HC61QGTFDJ3XDCA685QC', '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HAX2Q993KJ71101KERC5', '01M8Q5HAY0N01HHK3KPKCVDTCN', 'which port?', NULL, 0, 'open', ($NOW-4), ($NOW+604799996), 'none', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, 0, NULL, ($NOW+1996), NULL);
INSERT INTO wait (id, session_id, started_at_ms, claim_id, event_types, pid, started) VALUES ('01M8Q5HC5B9RGHN45MNGBTP5TF', '01M8Q5HAX2Q993KJ71101KERC5', 16099933, NULL, NULL, 25793, 1609859);
INSERT INTO wait (id, session_id, started_at_ms, claim_id, event_types, pid, started) VALUES ('01M8Q5HC61QGTFDJ3XDCA685QD', '01M8Q5HAX2Q993KJ71101KERC5', 16099955, NULL, NULL, 25793, 1609859);
INSERT INTO wait_question (wait_id, question_id) VALUES ('01M8Q5HC5B9RGHN45MNGBTP5TF', '01M8Q5HC5B9RGHN45MNGBTP5TE');
INSERT INTO wait_question (wait_id, question_id) VALUES ('01M8Q5HC61QGTFDJ3XDCA685QD', '01M8Q5HC61QGTFDJ3XDCA685QC');
INSERT INTO showing (question_id, session_id, times, turn, stops, stops_in_turn, interrupts, interrupted_at_ms) VALUES ('01M8Q5HC5B9RGHN45MNGBTP5TE', '01M8Q5HAY0N01HHK3KPKCVDTCP', 1, 't1', 0, 0, 0, NULL);
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (1, 'peer.joined', ($NOW-1315), '01M8Q5HAX22HKQZ5JSH9FAR0MW', 'ada', '{"session":"01M8Q5HAX2Q993KJ71101KERC5","agent":null}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (2, 'peer.joined', ($NOW-1285), '01M8Q5HAY0N01HHK3KPKCVDTCN', 'bo', '{"session":"01M8Q5HAY0N01HHK3KPKCVDTCP","agent":null}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (3, 'peer.joined', ($NOW-1259), '01M8Q5HAYTPTWN5VNAQDRVQQZT', 'cy', '{"session":"01M8Q5HAYTTBZ2N3Q6N512FEPF","agent":null}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (4, 'peer.renamed', ($NOW-1243), '01M8Q5HAYTPTWN5VNAQDRVQQZT', 'cyra', '{"was":"cy"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (5, 'peer.left', ($NOW-1227), '01M8Q5HAYTPTWN5VNAQDRVQQZT', 'cyra', '{"session":"01M8Q5HAYTTBZ2N3Q6N512FEPF","reason":"prompt_input_exit"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (6, 'key.created', ($NOW-1189), NULL, '01M8Q5HB102R6ZFDPFJ6DCV6NY', '{"holder":"peer","name":"http-local","scope":"write"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (7, 'key.created', ($NOW-1181), NULL, '01M8Q5HB18X4GHT3SCPYE1FN49', '{"holder":"peer","name":"dee","scope":"write"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (8, 'peer.joined', ($NOW-1172), '01M8Q5HB1H2RKPMYYRE7SP22PR', 'dee', '{"session":"01M8Q5HB1HK25KWXP9HCVZ2CVC","agent":"http"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (9, 'message.posted', ($NOW-1170), '01M8Q5HB1H2RKPMYYRE7SP22PR', '01M8Q5HB1KTRWE1HQ8KCRHN9QE', '{"to":"ada","type":"text","bytes":18}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (10, 'key.revoked', ($NOW-1161), NULL, '01M8Q5HB102R6ZFDPFJ6DCV6NY', '{"holder":"peer","name":"http-local","scope":"write"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (11, 'peer.left', ($NOW-1159), '01M8Q5HB1H2RKPMYYRE7SP22PR', 'dee', '{"session":"01M8Q5HB1HK25KWXP9HCVZ2CVC","reason":"the hub has ended"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (12, 'peer.joined', ($NOW-1145), '01M8Q5HB2CQSD10BAS74H5QVK5', 'eve', '{"session":"01M8Q5HB2CVH11RAFNSCPF63AJ","agent":null}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (13, 'question.asked', ($NOW-1104), '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HB3NJZCA4ZGJMZS076ZH', '{"to":"eve","bytes":13}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (14, 'question.queued', ($NOW-1101), '01M8Q5HB2CQSD10BAS74H5QVK5', '01M8Q5HB3NJZCA4ZGJMZS076ZH', '{"ring":1,"rides":false,"session":"01M8Q5HB2CVH11RAFNSCPF63AJ"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (15, 'question.forked', ($NOW-1097), '01M8Q5HB2CQSD10BAS74H5QVK5', '01M8Q5HB3NJZCA4ZGJMZS076ZH', '{"session":"01M8Q5HB2CVH11RAFNSCPF63AJ"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (16, 'question.answered', ($NOW-1093), '01M8Q5HB2CQSD10BAS74H5QVK5', '01M8Q5HB3NJZCA4ZGJMZS076ZH', '{"to":"ada","by":"fork","late":false,"corrects":false,"bytes":4,"usage":{"input_tokens":7,"output_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":900}}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (17, 'peer.died', ($NOW-1078), '01M8Q5HB2CQSD10BAS74H5QVK5', 'eve', '{"session":"01M8Q5HB2CVH11RAFNSCPF63AJ"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (18, 'question.asked', ($NOW-1074), '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HB4KK41MMZR43TQWYHWY', '{"to":"bo","bytes":14}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (19, 'question.not_woken', ($NOW-1073), '01M8Q5HAY0N01HHK3KPKCVDTCN', '01M8Q5HB4KK41MMZR43TQWYHWY', '{"reason":"its Claude Code has no inbox socket (2.1.224 or later has one, unless started with --bare)","session":"01M8Q5HAY0N01HHK3KPKCVDTCP"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (20, 'question.shown', ($NOW-1066), '01M8Q5HAY0N01HHK3KPKCVDTCN', '01M8Q5HB4KK41MMZR43TQWYHWY', '{"session":"01M8Q5HAY0N01HHK3KPKCVDTCP","way":"call"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (21, 'question.answered', ($NOW-1064), '01M8Q5HAY0N01HHK3KPKCVDTCN', '01M8Q5HB4KK41MMZR43TQWYHWY', '{"to":"ada","by":"session","late":false,"corrects":false,"bytes":2}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (22, 'question.asked', ($NOW-1061), '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HB50WJYA0DC976J4TT1G', '{"to":"bo","bytes":5}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (23, 'question.not_woken', ($NOW-1060), '01M8Q5HAY0N01HHK3KPKCVDTCN', '01M8Q5HB50WJYA0DC976J4TT1G', '{"reason":"its Claude Code has no inbox socket (2.1.224 or later has one, unless started with --bare)","session":"01M8Q5HAY0N01HHK3KPKCVDTCP"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (24, 'question.answered', ($NOW-54), '01M8Q5HAY0N01HHK3KPKCVDTCN', '01M8Q5HB50WJYA0DC976J4TT1G', '{"to":"ada","by":"session","late":true,"corrects":false,"bytes":7}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (25, 'message.posted', ($NOW-43), '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HC4T0X4RCV5GZYNVWVRT', '{"to":"bo","type":"text","bytes":24}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (26, 'claim.granted', ($NOW-41), '01M8Q5HAX22HKQZ5JSH9FAR0MW', 'deploy', '{"claim_id":"01M8Q5HC4W1ZEJ04NJBHF0SXD7","mode":"exclusive","fence":1,"lease_seconds":3600}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (27, 'claim.queued', ($NOW-39), '01M8Q5HAY0N01HHK3KPKCVDTCN', 'deploy', '{"claim_id":"01M8Q5HC4YNXZA1A2M6Q84DVV3","mode":"exclusive","place":1}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (28, 'state.changed', ($NOW-36), '01M8Q5HAX22HKQZ5JSH9FAR0MW', 'port', '{"namespace":"default","project":"$HOME/ada","key":"port","version":1,"deleted":false}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (29, 'memory.changed', ($NOW-34), '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HC530E6PDCKHCCMPABBM', '{"key":"staging-db","version":1,"scope":"mesh"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (30, 'memory.changed', ($NOW-32), '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HC55J0P0N3MGABQ7W437', '{"key":"staging-db","version":2,"scope":"mesh"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (31, 'task.created', ($NOW-30), '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HC5790G0851FHH4Q4XHA', '{"title":"Write the page","project":"$HOME/ada","priority":"normal","assigned_to":"bo"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (32, 'message.posted', ($NOW-30), '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HC57FN23G1HP6DHVF4RS', '{"to":"bo","type":"command","bytes":240}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (33, 'question.asked', ($NOW-26), '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HC5B9RGHN45MNGBTP5TE', '{"to":"bo","bytes":11}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (34, 'question.not_woken', ($NOW-25), '01M8Q5HAY0N01HHK3KPKCVDTCN', '01M8Q5HC5B9RGHN45MNGBTP5TE', '{"reason":"its Claude Code has no inbox socket (2.1.224 or later has one, unless started with --bare)","session":"01M8Q5HAY0N01HHK3KPKCVDTCP"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (35, 'question.shown', ($NOW-9), '01M8Q5HAY0N01HHK3KPKCVDTCN', '01M8Q5HC5B9RGHN45MNGBTP5TE', '{"session":"01M8Q5HAY0N01HHK3KPKCVDTCP","way":"hook"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (36, 'question.asked', ($NOW-4), '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HC61QGTFDJ3XDCA685QC', '{"to":"bo","bytes":11}');
INSERT INTO message (id, from_peer, from_name, to_peer, topic, type, subject, body, in_reply_to, idempotency_key, posted_at_ms, expires_at_ms) VALUES ('01M8Q5HB1KTRWE1HQ8KCRHN9QE', '01M8Q5HB1H2RKPMYYRE7SP22PR', 'dee', '01M8Q5HAX22HKQZ5JSH9FAR0MW', NULL, 'text', NULL, 'the build is green', NULL, NULL, ($NOW-1170), NULL);
INSERT INTO message (id, from_peer, from_name, to_peer, topic, type, subject, body, in_reply_to, idempotency_key, posted_at_ms, expires_at_ms) VALUES ('01M8Q5HC4T0X4RCV5GZYNVWVRT', '01M8Q5HAX22HKQZ5JSH9FAR0MW', 'ada', '01M8Q5HAY0N01HHK3KPKCVDTCN', NULL, 'text', NULL, 'staging restarts at noon', NULL, NULL, ($NOW-43), NULL);
INSERT INTO message (id, from_peer, from_name, to_peer, topic, type, subject, body, in_reply_to, idempotency_key, posted_at_ms, expires_at_ms) VALUES ('01M8Q5HC57FN23G1HP6DHVF4RS', '01M8Q5HAX22HKQZ5JSH9FAR0MW', 'ada', '01M8Q5HAY0N01HHK3KPKCVDTCN', NULL, 'command', 'tasks', 'Task 01M8Q5HC5790G0851FHH4Q4XHA is yours now (normal): Write the page
Call list_tasks {"query": "01M8Q5HC5790G0851FHH4Q4XHA"} for all of it; update_task {"status": "in_progress"} when you begin, then {"status": "in_review"} when it is done.', NULL, NULL, ($NOW-30), NULL);
INSERT INTO subscription (peer_id, topic, since) VALUES ('01M8Q5HAY0N01HHK3KPKCVDTCN', 'builds', '01M8Q5HC4K4P07MBGXJ0B81Y6Z');
INSERT INTO claim (id, resource, mode, state, peer_id, session_id, note, fence, lease_ms, boot, claimed_monotonic_ms, lease_until_monotonic_ms, claimed_at_ms, granted_at_ms, told) VALUES ('01M8Q5HC4W1ZEJ04NJBHF0SXD7', 'deploy', 'exclusive', 'held', '01M8Q5HAX22HKQZ5JSH9FAR0MW', '01M8Q5HAX2Q993KJ71101KERC5', 'release 2.1', 1, 3600000, '$BOOT', ($MONOTONIC-41), ($MONOTONIC+3599959), ($NOW-41), ($NOW-41), 1);
INSERT INTO claim (id, resource, mode, state, peer_id, session_id, note, fence, lease_ms, boot, claimed_monotonic_ms, lease_until_monotonic_ms, claimed_at_ms, granted_at_ms, told) VALUES ('01M8Q5HC4YNXZA1A2M6Q84DVV3', 'deploy', 'exclusive', 'queued', '01M8Q5HAY0N01HHK3KPKCVDTCN', '01M8Q5HAY0N01HHK3KPKCVDTCP', NULL, NULL, 120000, '$BOOT', ($MONOTONIC-39), NULL, ($NOW-39), NULL, 1);
INSERT INTO fence (resource, last) VALUES ('deploy', 1);
INSERT INTO state (namespace, key, value, version, updated_by, updated_at_ms, expires_at_ms) VALUES ('["$HOME/ada","default"]', 'port', '5433', 1, 'ada', ($NOW-36), NULL);
INSERT INTO memory (number, id, scope, key, version, by_name, at_ms, expires_at_ms, superseded_by, superseded_at_ms, tags, text) VALUES (1, '01M8Q5HC530E6PDCKHCCMPABBM', '*', 'staging-db', 1, 'ada', ($NOW-34), NULL, 'ada', ($NOW-32), '["db"]', 'the database is mysql');
INSERT INTO memory (number, id, scope, key, version, by_name, at_ms, expires_at_ms, superseded_by, superseded_at_ms, tags, text) VALUES (2, '01M8Q5HC55J0P0N3MGABQ7W437', '*', 'staging-db', 2, 'ada', ($NOW-32), NULL, NULL, NULL, '["db"]', 'PostgreSQL is the database of staging');
INSERT INTO task (id, project, title, fingerprint, description, status, priority, assigned_to, created_by, created_by_name, files_owned, depends_on, claims, created_at_ms, updated_at_ms, ended_at_ms, version) VALUES ('01M8Q5HC5790G0851FHH4Q4XHA', '$HOME/ada', 'Write the page', 'write the page', '', 'todo', 1, '01M8Q5HAY0N01HHK3KPKCVDTCN', '01M8Q5HAX22HKQZ5JSH9FAR0MW', 'ada', '[]', '[]', '[]', ($NOW-30), ($NOW-30), NULL, 1);
INSERT INTO access_key (id, kind, name, scope, hash, project, created_at_ms, expires_at_ms, revoked_at_ms, last_used_at_ms) VALUES ('01M8Q5HB102R6ZFDPFJ6DCV6NY', 'peer', 'http-local', 'write', x'ba5987bde61a2eb268feb10bf648fb5c5ec7a9802cfe54eb12a7a5da7e151d31', NULL, ($NOW-1189), NULL, ($NOW-1161), NULL);
INSERT INTO access_key (id, kind, name, scope, hash, project, created_at_ms, expires_at_ms, revoked_at_ms, last_used_at_ms) VALUES ('01M8Q5HB18X4GHT3SCPYE1FN49', 'peer', 'dee', 'write', x'09e1df6593288ce56938f04804fd32ace4003c844ae30266ca715edbc619f78e', '$HOME/dee', ($NOW-1181), NULL, NULL, ($NOW-1174));
INSERT INTO board_link (hash, expires_at_ms, used_at_ms) VALUES (x'e213dc9cb5b056a4279c0d0a8423ba9bed34d38188df512143915f91d511f4e3', ($NOW+58837), NULL);
INSERT INTO idempotency (key_id, idempotency_key, request_hash, status, response, at_ms) VALUES ('01M8Q5HB18X4GHT3SCPYE1FN49', 'once', x'970e42260c4b710bb223f9821ea56b8d1a4005ff592801ccbb3fefcb1b386bf4', 201, '{"message_id":"01M8Q5HB1KTRWE1HQ8KCRHN9QE","recipients":1,"offline":[]}', ($NOW-1170));
INSERT INTO fork (question_id, session_id, state, taken_at_ms, as_of_ms, reported, input_tokens, output_tokens, cache_creation_tokens, cache_read_tokens) VALUES ('01M8Q5HB3NJZCA4ZGJMZS076ZH', '01M8Q5HB2CVH11RAFNSCPF63AJ', 'answered', ($NOW-1097), ($NOW-109494085), 0, 7, 3, 0, 900);
INSERT INTO task_count (project, status, tasks) VALUES ('$HOME/ada', 'todo', 1);
UPDATE meta SET value = '8' WHERE key = 'schema';
INSERT INTO memory_words (memory_words, rank) VALUES ('secure-delete', 1);
INSERT INTO memory_parts (memory_parts, rank) VALUES ('secure-delete', 1);
INSERT INTO memory_words (rowid, text, key, tags) SELECT number, text, key, tags FROM memory;
INSERT INTO memory_parts (rowid, text)
    SELECT number, coalesce(key, '') || char(10) || tags || char(10) || text || char(10, 10, 10) FROM memory;
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence (name, seq) VALUES ('tally.question.answered', 3);
INSERT INTO sqlite_sequence (name, seq) VALUES ('tally.question.declined', 0);
INSERT INTO sqlite_sequence (name, seq) VALUES ('tally.question.expired', 0);
INSERT INTO sqlite_sequence (name, seq) VALUES ('tally.question.withdrawn', 0);
INSERT INTO sqlite_sequence (name, seq) VALUES ('tally.message', 3);
INSERT INTO sqlite_sequence (name, seq) VALUES ('tally.peer', 5);
INSERT INTO sqlite_sequence (name, seq) VALUES ('tally.memory', 1);
INSERT INTO sqlite_sequence (name, seq) VALUES ('event', 36);
CREATE UNIQUE INDEX session_live_process ON session (pid, started, boot, host, instance) WHERE ended_at_ms IS NULL;
CREATE INDEX session_live_peer ON session (peer_id, id) WHERE ended_at_ms IS NULL;
CREATE INDEX session_process ON session (pid, started);
CREATE INDEX session_client ON session (client_session) WHERE client_session IS NOT NULL;
CREATE INDEX session_of_peer ON session (peer_id);
CREATE INDEX session_ended ON session (ended_at_ms) WHERE ended_at_ms IS NOT NULL;
CREATE INDEX question_pending ON question (target_peer, id, expires_at_ms) WHERE state = 'open';
CREATE INDEX question_asked ON question (asker_peer, target_peer) WHERE state = 'open';
CREATE INDEX question_answers ON question (asker_peer, id) WHERE answer_open = 1;
CREATE INDEX question_expiry ON question (expires_at_ms) WHERE state = 'open';
CREATE INDEX question_closed ON question (closed_at_ms, state) WHERE closed_at_ms IS NOT NULL;
CREATE INDEX question_target ON question (target_peer);
CREATE INDEX question_asker ON question (asker_peer);
CREATE INDEX wait_of_session ON wait (session_id, id);
CREATE INDEX wait_question_of ON wait_question (question_id);
CREATE INDEX showing_of_session ON showing (session_id);
CREATE INDEX event_time ON event (at_ms);
CREATE INDEX question_unheard ON question (ring_again_at_ms) WHERE state = 'open' AND wake = 'none';
CREATE INDEX message_to ON message (to_peer, id) WHERE to_peer IS NOT NULL;
CREATE INDEX message_topic ON message (topic, id) WHERE topic IS NOT NULL;
CREATE INDEX message_broadcast ON message (from_peer, posted_at_ms) WHERE topic = '*';
CREATE INDEX message_expiry ON message (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE UNIQUE INDEX message_key ON message (from_peer, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX subscription_topic ON subscription (topic);
CREATE INDEX claim_resource ON claim (resource, id);
CREATE INDEX claim_session ON claim (session_id, id);
CREATE INDEX claim_peer ON claim (peer_id);
CREATE INDEX claim_untold ON claim (session_id) WHERE told = 0;
CREATE INDEX state_expiry ON state (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE INDEX state_gone ON state (updated_at_ms) WHERE value IS NULL;
CREATE INDEX wait_listening ON wait (session_id, event_types) WHERE event_types IS NOT NULL;
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
CREATE INDEX memory_key ON memory (scope, key, superseded_at_ms, expires_at_ms);
CREATE INDEX memory_expiry ON memory (expires_at_ms) WHERE expires_at_ms IS NOT NULL;
CREATE UNIQUE INDEX task_open ON task (project, fingerprint) WHERE ended_at_ms IS NULL;
CREATE INDEX task_of_project ON task (project, ended_at_ms);
CREATE INDEX task_assigned ON task (assigned_to) WHERE assigned_to IS NOT NULL;
CREATE INDEX idempotency_time ON idempotency (at_ms);
CREATE INDEX fork_of_session ON fork (session_id, taken_at_ms);
CREATE INDEX fork_unreported ON fork (session_id) WHERE reported = 0;
CREATE INDEX fork_running ON fork (session_id, taken_at_ms) WHERE state = 'running';
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
