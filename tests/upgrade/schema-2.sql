PRAGMA application_id = 1129149288;
PRAGMA user_version = 2;
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
    last_seen_at_ms INTEGER NOT NULL, mail_read TEXT NOT NULL DEFAULT '', mail_mentioned TEXT NOT NULL DEFAULT '',
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
, event_types TEXT, event_after INTEGER) STRICT;
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
, ring_again_at_ms INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE wait (
    id            TEXT PRIMARY KEY,
    session_id    TEXT NOT NULL REFERENCES session (id) ON DELETE CASCADE,
    started_at_ms INTEGER NOT NULL
, claim_id TEXT, event_types TEXT) STRICT;
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
INSERT INTO meta (key, value) VALUES ('last_id', '01M8PR04P8Q9FXH8N92VEJ50DA');
INSERT INTO meta (key, value) VALUES ('last_message', '01M8PR04N77M8ZMETY442489RS');
INSERT INTO meta (key, value) VALUES ('min_reader', '1');
INSERT INTO meta (key, value) VALUES ('schema', '7');
INSERT INTO meta (key, value) VALUES ('swept_at_ms', CAST(($NOW-1232) AS TEXT));
INSERT INTO peer (id, kind, name, wanted, project, seat, role, summary, branch, prompt_ptr, git_root, git_common, git_branch, ttl_ms, quiet_until_ms, epoch, created_at_ms, last_seen_at_ms, mail_read, mail_mentioned) VALUES ('01M8PR039GB9SAV01Z0DBPB8GV', 'session', 'ada', 'ada', '$HOME/ada', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 60000, NULL, 1, ($NOW-1436), ($NOW-1417), '', '');
INSERT INTO peer (id, kind, name, wanted, project, seat, role, summary, branch, prompt_ptr, git_root, git_common, git_branch, ttl_ms, quiet_until_ms, epoch, created_at_ms, last_seen_at_ms, mail_read, mail_mentioned) VALUES ('01M8PR03AYZGNNPXT1EN3MNNBB', 'session', 'bo', 'bo', '$HOME/bo', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 60000, NULL, 1, ($NOW-1390), ($NOW-1378), '', '01M8PR04N77M8ZMETY442489RS');
INSERT INTO peer (id, kind, name, wanted, project, seat, role, summary, branch, prompt_ptr, git_root, git_common, git_branch, ttl_ms, quiet_until_ms, epoch, created_at_ms, last_seen_at_ms, mail_read, mail_mentioned) VALUES ('01M8PR03BW2XS4FN7WPGV28JF6', 'session', 'cyra', 'cy', '$HOME/cy', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 60000, NULL, 1, ($NOW-1360), ($NOW-1302), '', '');
INSERT INTO peer (id, kind, name, wanted, project, seat, role, summary, branch, prompt_ptr, git_root, git_common, git_branch, ttl_ms, quiet_until_ms, epoch, created_at_ms, last_seen_at_ms, mail_read, mail_mentioned) VALUES ('01M8PR03FN8SZJCKQCRBCHZPP0', 'session', 'dee', 'dee', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 60000, NULL, 0, ($NOW-1239), ($NOW-1218), '', '');
INSERT INTO peer (id, kind, name, wanted, project, seat, role, summary, branch, prompt_ptr, git_root, git_common, git_branch, ttl_ms, quiet_until_ms, epoch, created_at_ms, last_seen_at_ms, mail_read, mail_mentioned) VALUES ('01M8PR03GT5YG989CJRA138AS8', 'session', 'eve', 'eve', '$HOME/eve', 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 60000, NULL, 1, ($NOW-1202), ($NOW-1117), '', '');
INSERT INTO alias (name, peer_id) VALUES ('cy', '01M8PR03BW2XS4FN7WPGV28JF6');
INSERT INTO session (id, peer_id, host, boot, pid_namespace, pid, started, instance, agent, client_session, given_name, headless, has_server, activity, turn, stop_streak, told_restart, posted_turns, ring_nonce, ring_count, rung_at_ms, started_at_ms, last_seen_at_ms, ended_at_ms, event_types, event_after) VALUES ('01M8PR039GNRB1J54EN3N87HAQ', '01M8PR039GB9SAV01Z0DBPB8GV', '$HOST', '$BOOT', '$NAMESPACE', $ADA, $ADA_STARTED, 0, 'claude-code 2.1.329', '00000000-0000-4000-8000-000000000001', NULL, 0, 1, NULL, NULL, 0, 0, 0, NULL, 0, NULL, ($NOW-1436), ($NOW-1417), NULL, NULL, NULL);
INSERT INTO session (id, peer_id, host, boot, pid_namespace, pid, started, instance, agent, client_session, given_name, headless, has_server, activity, turn, stop_streak, told_restart, posted_turns, ring_nonce, ring_count, rung_at_ms, started_at_ms, last_seen_at_ms, ended_at_ms, event_types, event_after) VALUES ('01M8PR03AYZGNNPXT1EN3MNNBC', '01M8PR03AYZGNNPXT1EN3MNNBB', '$HOST', '$BOOT', '$NAMESPACE', $BO, $BO_STARTED, 0, 'claude-code 2.1.329', '00000000-0000-4000-8000-000000000002', NULL, 0, 1, NULL, 't1', 0, 0, 0, NULL, 0, NULL, ($NOW-1390), ($NOW-13), NULL, NULL, NULL);
INSERT INTO session (id, peer_id, host, boot, pid_namespace, pid, started, instance, agent, client_session, given_name, headless, has_server, activity, turn, stop_streak, told_restart, posted_turns, ring_nonce, ring_count, rung_at_ms, started_at_ms, last_seen_at_ms, ended_at_ms, event_types, event_after) VALUES ('01M8PR03BWB7VFMNM0FMSATEYT', '01M8PR03BW2XS4FN7WPGV28JF6', '$HOST', '$BOOT', '$NAMESPACE', 12840, 190237, 0, 'claude-code 2.1.329', '00000000-0000-4000-8000-000000000003', NULL, 0, 1, NULL, NULL, 0, 0, 0, NULL, 0, NULL, ($NOW-1360), ($NOW-1322), ($NOW-1302), NULL, NULL);
INSERT INTO session (id, peer_id, host, boot, pid_namespace, pid, started, instance, agent, client_session, given_name, headless, has_server, activity, turn, stop_streak, told_restart, posted_turns, ring_nonce, ring_count, rung_at_ms, started_at_ms, last_seen_at_ms, ended_at_ms, event_types, event_after) VALUES ('01M8PR03FNCCQ5FDK0EMBE9YCV', '01M8PR03FN8SZJCKQCRBCHZPP0', '$HOST', '$BOOT', '$NAMESPACE', 12850, 190245, 1, 'http', NULL, NULL, 0, 1, NULL, NULL, 0, 0, 0, NULL, 0, NULL, ($NOW-1239), ($NOW-1239), ($NOW-1218), NULL, NULL);
INSERT INTO session (id, peer_id, host, boot, pid_namespace, pid, started, instance, agent, client_session, given_name, headless, has_server, activity, turn, stop_streak, told_restart, posted_turns, ring_nonce, ring_count, rung_at_ms, started_at_ms, last_seen_at_ms, ended_at_ms, event_types, event_after) VALUES ('01M8PR03GT6J4CAA9TYYX6370C', '01M8PR03GT5YG989CJRA138AS8', '$HOST', '$BOOT', '$NAMESPACE', 12855, 190253, 0, 'claude-code 2.1.329', '00000000-0000-4000-8000-000000000004', NULL, 0, 1, NULL, NULL, 0, 0, 0, NULL, 0, NULL, ($NOW-1202), ($NOW-1185), ($NOW-1117), NULL, NULL);
INSERT INTO question (id, asker_peer, asker_session, target_peer, question, context, depth, state, asked_at_ms, expires_at_ms, wake, woken_at_ms, wake_problem, held, shown_at_ms, shown_times, answer, answered_by, answered_at_ms, answered_session, answer_late, answer_shown_at_ms, answer_open, closed_at_ms, ring_again_at_ms) VALUES ('01M8PR03HVE535FXGH3BB24Z8M', '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR039GNRB1J54EN3N87HAQ', '01M8PR03GT5YG989CJRA138AS8', 'which branch?', NULL, 0, 'answered', ($NOW-1169), ($NOW+604798831), 'fork', ($NOW-1157), NULL, NULL, NULL, 0, 'main', 'fork', ($NOW-1146), '01M8PR03GT6J4CAA9TYYX6370C', 0, NULL, 0, ($NOW-1146), ($NOW+831));
INSERT INTO question (id, asker_peer, asker_session, target_peer, question, context, depth, state, asked_at_ms, expires_at_ms, wake, woken_at_ms, wake_problem, held, shown_at_ms, shown_times, answer, answered_by, answered_at_ms, answered_session, answer_late, answer_shown_at_ms, answer_open, closed_at_ms, ring_again_at_ms) VALUES ('01M8PR03KQWHW7YCNRRTSTFR0Z', '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR039GNRB1J54EN3N87HAQ', '01M8PR03AYZGNNPXT1EN3MNNBB', 'which version?', NULL, 0, 'answered', ($NOW-1109), ($NOW+604798891), 'call', ($NOW-1100), NULL, NULL, ($NOW-1100), 1, '17', 'session', ($NOW-1096), '01M8PR03AYZGNNPXT1EN3MNNBC', 0, NULL, 0, ($NOW-1096), ($NOW+891));
INSERT INTO question (id, asker_peer, asker_session, target_peer, question, context, depth, state, asked_at_ms, expires_at_ms, wake, woken_at_ms, wake_problem, held, shown_at_ms, shown_times, answer, answered_by, answered_at_ms, answered_session, answer_late, answer_shown_at_ms, answer_open, closed_at_ms, ring_again_at_ms) VALUES ('01M8PR03M8JKZFH44SSKPNBT3E', '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR039GNRB1J54EN3N87HAQ', '01M8PR03AYZGNNPXT1EN3MNNBB', 'when?', NULL, 0, 'answered', ($NOW-1092), ($NOW+604798908), 'failed', ($NOW-1085), 'its Claude Code has no inbox socket (2.1.224 or later has one, unless started with --bare)', NULL, NULL, 0, 'at noon', 'session', ($NOW-77), '01M8PR03AYZGNNPXT1EN3MNNBC', 1, NULL, 1, ($NOW-77), ($NOW+908));
INSERT INTO question (id, asker_peer, asker_session, target_peer, question, context, depth, state, asked_at_ms, expires_at_ms, wake, woken_at_ms, wake_problem, held, shown_at_ms, shown_times, answer, answered_by, answered_at_ms, answered_session, answer_late, answer_shown_at_ms, answer_open, closed_at_ms, ring_again_at_ms) VALUES ('01M8PR04NDD3WSE48C5Q30TD8A', '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR039GNRB1J54EN3N87HAQ', '01M8PR03AYZGNNPXT1EN3MNNBB', 'which host?', NULL, 0, 'open', ($NOW-31), ($NOW+604799969), 'hook', ($NOW-10), NULL, NULL, ($NOW-10), 1, NULL, NULL, NULL, NULL, 0, NULL, 0, NULL, ($NOW+1969));
INSERT INTO question (id, asker_peer, asker_session, target_peer, question, context, depth, state, asked_at_ms, expires_at_ms, wake, woken_at_ms, wake_problem, held, shown_at_ms, shown_times, answer, answered_by, answered_at_ms, answered_session, answer_late, answer_shown_at_ms, answer_open, closed_at_ms, ring_again_at_ms) VALUES ('01M8PR04P8GNW1DC8XZ5M8B76Q', '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR039GNRB1J54EN3N87HAQ', '01M8PR03AYZGNNPXT1EN3MNNBB', 'which port?', NULL, 0, 'open', ($NOW-4), ($NOW+604799996), 'none', NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, 0, NULL, ($NOW+1996));
INSERT INTO wait (id, session_id, started_at_ms, claim_id, event_types) VALUES ('01M8PR04NDYEWFBKSS5TAB38DR', '01M8PR039GNRB1J54EN3N87HAQ', 1903712, NULL, NULL);
INSERT INTO wait (id, session_id, started_at_ms, claim_id, event_types) VALUES ('01M8PR04P8Q9FXH8N92VEJ50DA', '01M8PR039GNRB1J54EN3N87HAQ', 1903738, NULL, NULL);
INSERT INTO wait_question (wait_id, question_id) VALUES ('01M8PR04NDYEWFBKSS5TAB38DR', '01M8PR04NDD3WSE48C5Q30TD8A');
INSERT INTO wait_question (wait_id, question_id) VALUES ('01M8PR04P8Q9FXH8N92VEJ50DA', '01M8PR04P8GNW1DC8XZ5M8B76Q');
INSERT INTO showing (question_id, session_id, times, turn, stops, stops_in_turn, interrupts, interrupted_at_ms) VALUES ('01M8PR04NDD3WSE48C5Q30TD8A', '01M8PR03AYZGNNPXT1EN3MNNBC', 1, 't1', 0, 0, 0, NULL);
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (1, 'peer.joined', ($NOW-1436), '01M8PR039GB9SAV01Z0DBPB8GV', 'ada', '{"session":"01M8PR039GNRB1J54EN3N87HAQ","agent":null}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (2, 'peer.joined', ($NOW-1390), '01M8PR03AYZGNNPXT1EN3MNNBB', 'bo', '{"session":"01M8PR03AYZGNNPXT1EN3MNNBC","agent":null}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (3, 'peer.joined', ($NOW-1360), '01M8PR03BW2XS4FN7WPGV28JF6', 'cy', '{"session":"01M8PR03BWB7VFMNM0FMSATEYT","agent":null}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (4, 'peer.renamed', ($NOW-1322), '01M8PR03BW2XS4FN7WPGV28JF6', 'cyra', '{"was":"cy"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (5, 'peer.left', ($NOW-1302), '01M8PR03BW2XS4FN7WPGV28JF6', 'cyra', '{"session":"01M8PR03BWB7VFMNM0FMSATEYT","reason":"prompt_input_exit"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (6, 'key.created', ($NOW-1265), NULL, '01M8PR03EVZZ9ZKT3BHRC4NSSY', '{"holder":"peer","name":"http-local","scope":"write"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (7, 'key.created', ($NOW-1252), NULL, '01M8PR03F8TNSD19TFA7SQM942', '{"holder":"peer","name":"dee","scope":"write"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (8, 'peer.joined', ($NOW-1239), '01M8PR03FN8SZJCKQCRBCHZPP0', 'dee', '{"session":"01M8PR03FNCCQ5FDK0EMBE9YCV","agent":"http"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (9, 'message.posted', ($NOW-1234), '01M8PR03FN8SZJCKQCRBCHZPP0', '01M8PR03FT4PT8P3P23VDBA25V', '{"to":"ada","type":"text","bytes":18}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (10, 'key.revoked', ($NOW-1220), NULL, '01M8PR03EVZZ9ZKT3BHRC4NSSY', '{"holder":"peer","name":"http-local","scope":"write"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (11, 'peer.left', ($NOW-1218), '01M8PR03FN8SZJCKQCRBCHZPP0', 'dee', '{"session":"01M8PR03FNCCQ5FDK0EMBE9YCV","reason":"the hub has ended"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (12, 'peer.joined', ($NOW-1202), '01M8PR03GT5YG989CJRA138AS8', 'eve', '{"session":"01M8PR03GT6J4CAA9TYYX6370C","agent":null}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (13, 'question.asked', ($NOW-1169), '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR03HVE535FXGH3BB24Z8M', '{"to":"eve","bytes":13}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (14, 'question.queued', ($NOW-1162), '01M8PR03GT5YG989CJRA138AS8', '01M8PR03HVE535FXGH3BB24Z8M', '{"ring":1,"rides":false,"session":"01M8PR03GT6J4CAA9TYYX6370C"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (15, 'question.forked', ($NOW-1157), '01M8PR03GT5YG989CJRA138AS8', '01M8PR03HVE535FXGH3BB24Z8M', '{"session":"01M8PR03GT6J4CAA9TYYX6370C"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (16, 'question.answered', ($NOW-1146), '01M8PR03GT5YG989CJRA138AS8', '01M8PR03HVE535FXGH3BB24Z8M', '{"to":"ada","by":"fork","late":false,"corrects":false,"bytes":4,"usage":{"input_tokens":7,"output_tokens":3,"cache_creation_input_tokens":0,"cache_read_input_tokens":900}}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (17, 'peer.died', ($NOW-1117), '01M8PR03GT5YG989CJRA138AS8', 'eve', '{"session":"01M8PR03GT6J4CAA9TYYX6370C"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (18, 'question.asked', ($NOW-1109), '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR03KQWHW7YCNRRTSTFR0Z', '{"to":"bo","bytes":14}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (19, 'question.not_woken', ($NOW-1107), '01M8PR03AYZGNNPXT1EN3MNNBB', '01M8PR03KQWHW7YCNRRTSTFR0Z', '{"reason":"its Claude Code has no inbox socket (2.1.224 or later has one, unless started with --bare)","session":"01M8PR03AYZGNNPXT1EN3MNNBC"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (20, 'question.shown', ($NOW-1100), '01M8PR03AYZGNNPXT1EN3MNNBB', '01M8PR03KQWHW7YCNRRTSTFR0Z', '{"session":"01M8PR03AYZGNNPXT1EN3MNNBC","way":"call"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (21, 'question.answered', ($NOW-1096), '01M8PR03AYZGNNPXT1EN3MNNBB', '01M8PR03KQWHW7YCNRRTSTFR0Z', '{"to":"ada","by":"session","late":false,"corrects":false,"bytes":2}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (22, 'question.asked', ($NOW-1092), '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR03M8JKZFH44SSKPNBT3E', '{"to":"bo","bytes":5}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (23, 'question.not_woken', ($NOW-1085), '01M8PR03AYZGNNPXT1EN3MNNBB', '01M8PR03M8JKZFH44SSKPNBT3E', '{"reason":"its Claude Code has no inbox socket (2.1.224 or later has one, unless started with --bare)","session":"01M8PR03AYZGNNPXT1EN3MNNBC"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (24, 'question.answered', ($NOW-77), '01M8PR03AYZGNNPXT1EN3MNNBB', '01M8PR03M8JKZFH44SSKPNBT3E', '{"to":"ada","by":"session","late":true,"corrects":false,"bytes":7}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (25, 'message.posted', ($NOW-64), '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR04MCABEJA5GWQ3ZT1MCJ', '{"to":"bo","type":"text","bytes":24}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (26, 'claim.granted', ($NOW-58), '01M8PR039GB9SAV01Z0DBPB8GV', 'deploy', '{"claim_id":"01M8PR04MJC54P4R1T4CJD90XX","mode":"exclusive","fence":1,"lease_seconds":3600}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (27, 'claim.queued', ($NOW-55), '01M8PR03AYZGNNPXT1EN3MNNBB', 'deploy', '{"claim_id":"01M8PR04MNGCB1A94AZH4DJ6NP","mode":"exclusive","place":1}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (28, 'state.changed', ($NOW-50), '01M8PR039GB9SAV01Z0DBPB8GV', 'port', '{"namespace":"default","project":"$HOME/ada","key":"port","version":1,"deleted":false}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (29, 'memory.changed', ($NOW-48), '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR04MWKM2DJMA502F60YAH', '{"key":"staging-db","version":1,"scope":"mesh"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (30, 'memory.changed', ($NOW-45), '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR04MZSMWMZN5G600D57SS', '{"key":"staging-db","version":2,"scope":"mesh"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (31, 'task.created', ($NOW-37), '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR04N77M8ZMETY442489RR', '{"title":"Write the page","project":"$HOME/ada","priority":"normal","assigned_to":"bo"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (32, 'message.posted', ($NOW-37), '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR04N77M8ZMETY442489RS', '{"to":"bo","type":"command","bytes":240}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (33, 'question.asked', ($NOW-31), '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR04NDD3WSE48C5Q30TD8A', '{"to":"bo","bytes":11}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (34, 'question.not_woken', ($NOW-28), '01M8PR03AYZGNNPXT1EN3MNNBB', '01M8PR04NDD3WSE48C5Q30TD8A', '{"reason":"its Claude Code has no inbox socket (2.1.224 or later has one, unless started with --bare)","session":"01M8PR03AYZGNNPXT1EN3MNNBC"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (35, 'question.shown', ($NOW-10), '01M8PR03AYZGNNPXT1EN3MNNBB', '01M8PR04NDD3WSE48C5Q30TD8A', '{"session":"01M8PR03AYZGNNPXT1EN3MNNBC","way":"hook"}');
INSERT INTO event (seq, type, at_ms, by_peer, subject, data) VALUES (36, 'question.asked', ($NOW-4), '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR04P8GNW1DC8XZ5M8B76Q', '{"to":"bo","bytes":11}');
INSERT INTO message (id, from_peer, from_name, to_peer, topic, type, subject, body, in_reply_to, idempotency_key, posted_at_ms, expires_at_ms) VALUES ('01M8PR03FT4PT8P3P23VDBA25V', '01M8PR03FN8SZJCKQCRBCHZPP0', 'dee', '01M8PR039GB9SAV01Z0DBPB8GV', NULL, 'text', NULL, 'the build is green', NULL, NULL, ($NOW-1234), NULL);
INSERT INTO message (id, from_peer, from_name, to_peer, topic, type, subject, body, in_reply_to, idempotency_key, posted_at_ms, expires_at_ms) VALUES ('01M8PR04MCABEJA5GWQ3ZT1MCJ', '01M8PR039GB9SAV01Z0DBPB8GV', 'ada', '01M8PR03AYZGNNPXT1EN3MNNBB', NULL, 'text', NULL, 'staging restarts at noon', NULL, NULL, ($NOW-64), NULL);
INSERT INTO message (id, from_peer, from_name, to_peer, topic, type, subject, body, in_reply_to, idempotency_key, posted_at_ms, expires_at_ms) VALUES ('01M8PR04N77M8ZMETY442489RS', '01M8PR039GB9SAV01Z0DBPB8GV', 'ada', '01M8PR03AYZGNNPXT1EN3MNNBB', NULL, 'command', 'tasks', 'Task 01M8PR04N77M8ZMETY442489RR is yours now (normal): Write the page
Call list_tasks {"query": "01M8PR04N77M8ZMETY442489RR"} for all of it; update_task {"status": "in_progress"} when you begin, then {"status": "in_review"} when it is done.', NULL, NULL, ($NOW-37), NULL);
INSERT INTO subscription (peer_id, topic, since) VALUES ('01M8PR03AYZGNNPXT1EN3MNNBB', 'builds', '01M8PR04M3BZ4148W7PNGP08AE');
INSERT INTO claim (id, resource, mode, state, peer_id, session_id, note, fence, lease_ms, boot, claimed_monotonic_ms, lease_until_monotonic_ms, claimed_at_ms, granted_at_ms, told) VALUES ('01M8PR04MJC54P4R1T4CJD90XX', 'deploy', 'exclusive', 'held', '01M8PR039GB9SAV01Z0DBPB8GV', '01M8PR039GNRB1J54EN3N87HAQ', 'release 2.1', 1, 3600000, '$BOOT', ($MONOTONIC-59), ($MONOTONIC+3599941), ($NOW-58), ($NOW-58), 1);
INSERT INTO claim (id, resource, mode, state, peer_id, session_id, note, fence, lease_ms, boot, claimed_monotonic_ms, lease_until_monotonic_ms, claimed_at_ms, granted_at_ms, told) VALUES ('01M8PR04MNGCB1A94AZH4DJ6NP', 'deploy', 'exclusive', 'queued', '01M8PR03AYZGNNPXT1EN3MNNBB', '01M8PR03AYZGNNPXT1EN3MNNBC', NULL, NULL, 120000, '$BOOT', ($MONOTONIC-55), NULL, ($NOW-55), NULL, 1);
INSERT INTO fence (resource, last) VALUES ('deploy', 1);
INSERT INTO state (namespace, key, value, version, updated_by, updated_at_ms, expires_at_ms) VALUES ('["$HOME/ada","default"]', 'port', '5433', 1, 'ada', ($NOW-50), NULL);
UPDATE meta SET value = '2' WHERE key = 'schema';
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence (name, seq) VALUES ('tally.question.answered', 3);
INSERT INTO sqlite_sequence (name, seq) VALUES ('tally.question.declined', 0);
INSERT INTO sqlite_sequence (name, seq) VALUES ('tally.question.expired', 0);
INSERT INTO sqlite_sequence (name, seq) VALUES ('tally.question.withdrawn', 0);
INSERT INTO sqlite_sequence (name, seq) VALUES ('tally.message', 3);
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
