//! What was promised, line by line, and the tests that hold it. `cargo test --test suite ledger -- --nocapture` prints it.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One promise: its part and number, what it says, and the tests that fail when it is broken.
type Requirement = (&'static str, u32, &'static str, &'static [&'static str]);

/// The parts and how many lines each has.
const PARTS: [(&str, u32); 6] = [
    ("Ask", 12),
    ("Mesh", 19),
    ("Sharing", 11),
    ("Peers", 11),
    ("Tasks", 15),
    ("Beyond", 18),
];

/// Lines that no test holds yet, and why. A line leaves this list together with its first test.
const UNTESTED: &[(&str, u32, &str)] = &[
    ("Sharing", 9, NO_HTTP),
    ("Sharing", 10, NO_HTTP),
    ("Sharing", 11, NO_HTTP),
    (
        "Peers",
        8,
        "a mesh is one file on one machine; network file systems are refused",
    ),
    ("Peers", 9, NO_HTTP),
    ("Tasks", 3, NO_HTTP),
    (
        "Tasks",
        4,
        "every client starts a server of its own; there is nothing to watch over",
    ),
    ("Tasks", 10, NO_HTTP),
    ("Tasks", 12, NO_HTTP),
    (
        "Beyond",
        13,
        "there is no HTTP yet; the log itself is read on from any number",
    ),
];

const NO_HTTP: &str = "there is no HTTP yet: no port is open, so none has to be guarded";

const REQUIREMENTS: &[Requirement] = &[
    (
        "Ask",
        1,
        "a question blocks until its answer or its time-out",
        &[
            "ask_peer_returns_the_answer_as_its_result",
            "ask_timeout_reports_delivery_and_keeps_the_question_open",
        ],
    ),
    (
        "Ask",
        2,
        "one file, made on first run and migrated, opened by everybody, no daemon",
        &[
            "fifty_processes_create_one_database_and_all_register",
            "running_sessions_keep_working_beside_a_newer_program",
        ],
    ),
    (
        "Ask",
        3,
        "MESH_DB_PATH from the environment, else from an .env above the program",
        &["mesh_db_path_overrides_walls_for_hooks_and_server"],
    ),
    (
        "Ask",
        4,
        "a server and three hooks as programs of their own",
        &[
            "program_entry_points_are_at_most_twelve_lines",
            "cli_install_fails_without_its_sibling_programs",
        ],
    ),
    (
        "Ask",
        5,
        "wired for the person or for one project, with bare names in committed files",
        &[
            "first_install_creates_both_files_private_to_the_owner",
            "project_install_writes_no_machine_specific_path",
            "second_install_writes_nothing",
        ],
    ),
    (
        "Ask",
        6,
        "the project is what the environment says, else the working directory",
        &["project_folder_is_explicit_path_then_claude_dir_then_cwd"],
    ),
    (
        "Ask",
        7,
        "a committed file names the project; without a name the folder does",
        &[
            "project_file_names_the_peer_and_renaming_keeps_it",
            "example_project_file_is_valid",
        ],
    ),
    (
        "Ask",
        8,
        "hooks register, show what waits, keep the turn going, sign off",
        &[
            "session_start_hook_prints_own_name_and_active_peers",
            "prompt_hook_attaches_an_open_question_in_each_turn",
            "stop_hook_blocks_while_a_question_is_unanswered",
        ],
    ),
    (
        "Ask",
        9,
        "a late end of an earlier conversation switches nothing newer off",
        &["late_end_of_an_old_conversation_keeps_the_new_registered"],
    ),
    (
        "Ask",
        10,
        "hooks end with 0 even on failure",
        &[
            "hooks_log_invalid_input_and_print_nothing",
            "held_write_lock_delays_calls_but_not_hooks",
        ],
    ),
    (
        "Ask",
        11,
        "register, list, ask, reply, poll",
        &[
            "session_registers_its_role_summary_and_name",
            "killed_session_is_evicted_and_its_peer_is_free",
            "two_python_clients_call_every_tool_and_answer_each_other",
        ],
    ),
    (
        "Ask",
        12,
        "beyond it: late answers, a queue for who is offline, a wake instead of a tick",
        &[
            "restarted_asker_receives_the_late_answer_once",
            "question_to_an_offline_peer_reaches_its_next_session",
            "answer_wakes_its_asker_before_the_next_poll",
        ],
    ),
    (
        "Mesh",
        1,
        "no daemon, no port; a mesh per folder, a variable that overrides",
        &[
            "wall_withstands_a_thousand_attempts_to_cross_it",
            "mesh_db_path_overrides_walls_for_hooks_and_server",
            "server_exits_when_stdin_closes_and_ends_its_session",
        ],
    ),
    (
        "Mesh",
        2,
        "presence, claims, mail, retention as tools and commands",
        &[
            "tool_table_lists_every_tool",
            "command_table_lists_every_command",
        ],
    ),
    (
        "Mesh",
        3,
        "register is the heartbeat; after death the epoch rises",
        &[
            "register_renews_the_session_and_death_raises_the_epoch",
            "killed_session_is_evicted_and_its_peer_is_free",
        ],
    ),
    (
        "Mesh",
        4,
        "alive, stale for thirty seconds, dead; dead ones hidden unless asked for",
        &[
            "unverifiable_session_is_stale_after_its_ttl_and_then_dead",
            "killed_session_is_evicted_by_the_next_listing",
        ],
    ),
    (
        "Mesh",
        5,
        "a claim is granted, denied or queued; again is a renewal",
        &[
            "exclusive_claim_denies_others_and_renews_in_place",
            "claim_wait_timeout_keeps_the_ticket_and_names_the_holder",
        ],
    ),
    (
        "Mesh",
        6,
        "shared holders go together, an exclusive one alone",
        &[
            "exclusive_claim_waits_for_all_shared_holders",
            "claim_upgrade_succeeds_only_for_the_sole_shared_holder",
        ],
    ),
    (
        "Mesh",
        7,
        "a fence rises with every grant and outlives everything",
        &[
            "fencing_token_increases_with_every_grant_and_promotion",
            "contended_claim_has_one_holder_and_no_starvation",
        ],
    ),
    (
        "Mesh",
        8,
        "release gives back or leaves the line; the next are promoted",
        &[
            "release_cancels_a_ticket_or_promotes_a_run_of_shared_ones",
            "claim_queue_matches_the_reference_model",
        ],
    ),
    (
        "Mesh",
        9,
        "the dead and the lapsed are reaped on the next touch",
        &[
            "claims_and_tickets_of_dead_sessions_are_reaped",
            "expired_leases_promote_the_next_ticket_without_a_new_call",
        ],
    ),
    (
        "Mesh",
        10,
        "claims shows locks and lines, the list of peers what each holds",
        &[
            "list_peers_and_status_report_claims",
            "cli_claims_prints_a_table_without_control_characters",
        ],
    ),
    (
        "Mesh",
        11,
        "post to one, to all, to a topic",
        &[
            "message_reaches_peer_everyone_or_topic_with_all_fields",
            "broadcast_reaches_only_peers_present_when_it_was_posted",
        ],
    ),
    (
        "Mesh",
        12,
        "looking at the mail moves no cursor",
        &[
            "listing_moves_no_cursor_and_mark_read_only_advances_it",
            "topic_messages_are_delivered_from_the_subscription_on",
        ],
    ),
    (
        "Mesh",
        13,
        "reading moves it forward only",
        &[
            "listing_moves_no_cursor_and_mark_read_only_advances_it",
            "mailbox_cursor_agrees_with_a_list_model",
        ],
    ),
    (
        "Mesh",
        14,
        "ids in one total order, a cursor per mailbox",
        &[
            "messages_keep_posting_order_despite_a_clock_jump",
            "concurrent_messages_are_each_read_once_in_one_order",
        ],
    ),
    (
        "Mesh",
        15,
        "gc takes what is over its time and tells how much",
        &[
            "gc_reports_the_removed_rows_of_each_kind",
            "cli_gc_removes_expired_questions_and_shrinks_the_file",
            "closed_questions_are_removed_after_thirty_days",
        ],
    ),
    (
        "Mesh",
        16,
        "usable alone: lines of JSON, and a library with a clock of one's own",
        &[
            "every_transcript_replays_as_written",
            "expired_state_entry_keeps_its_version_for_thirty_days",
            "example_programs_run",
        ],
    ),
    (
        "Mesh",
        17,
        "deleting the folder resets",
        &[
            "deleting_the_mesh_folder_resets_everything",
            "session_registers_again_in_a_replaced_database",
        ],
    ),
    (
        "Mesh",
        18,
        "every change whole or not at all; a crashed writer's lock holds nobody up",
        &[
            "killed_writer_releases_the_write_lock_and_rolls_back",
            "killed_writers_leave_an_intact_database_and_all_questions",
        ],
    ),
    (
        "Mesh",
        19,
        "set up by two commands",
        &[
            "first_two_shell_blocks_are_install_and_tests",
            "cli_install_prints_its_diff_and_is_idempotent",
        ],
    ),
    (
        "Sharing",
        1,
        "peers by machine, directory or repository, with all that is known of each",
        &[
            "peer_list_is_scoped_to_repository_or_folder_with_details",
            "worktree_has_a_separate_peer",
            "cli_peers_scope_filters_by_repository_and_directory",
        ],
    ),
    (
        "Sharing",
        2,
        "a summary of 500 characters",
        &["summary_has_at_most_500_characters"],
    ),
    (
        "Sharing",
        3,
        "send to one or all, as text, JSON, command or alert",
        &[
            "message_reaches_peer_everyone_or_topic_with_all_fields",
            "alerts_wake_an_idle_session_with_one_wake_attempt",
        ],
    ),
    (
        "Sharing",
        4,
        "an inbox of unread or all, of one sender, with a limit",
        &["message_list_is_filtered_by_sender_and_paged"],
    ),
    (
        "Sharing",
        5,
        "state: get, set, list, delete, in the project's scope",
        &[
            "sessions_of_one_project_share_state",
            "project_keys_are_separate_and_shared_keys_are_global",
            "state_list_is_sorted_filtered_by_prefix_and_resumable",
            "person_reads_and_writes_the_state_of_the_folder",
        ],
    ),
    (
        "Sharing",
        6,
        "advisory locks of files, with a reason and an end",
        &[
            "cli_claim_excludes_sessions_until_it_is_released",
            "claim_guard_denies_editing_a_file_held_by_another_session",
        ],
    ),
    (
        "Sharing",
        7,
        "events: read by type and time, subscribe, unsubscribe",
        &[
            "operations_are_logged_and_type_globs_filter_events",
            "events_since_is_exact_to_the_millisecond",
            "poll_inbox_returns_each_subscribed_event_once",
        ],
    ),
    (
        "Sharing",
        8,
        "status in figures",
        &[
            "status_tool_and_status_command_report_the_same_counters",
            "status_counters_match_the_rows_after_random_steps",
        ],
    ),
    ("Sharing", 9, "the same over HTTP", &[]),
    ("Sharing", 10, "a token on every route but health", &[]),
    (
        "Sharing",
        11,
        "a limit of requests per peer and of their size",
        &[],
    ),
    (
        "Peers",
        1,
        "any client that speaks the protocol takes part",
        &[
            "two_python_clients_call_every_tool_and_answer_each_other",
            "python_and_typescript_clients_answer_each_other",
        ],
    ),
    (
        "Peers",
        2,
        "each has an id of its own and a name that lasts",
        &[
            "unique_peer_id_prefix_names_its_peer",
            "resumed_session_gets_its_previous_peer",
            "second_session_of_a_project_gets_its_own_peer_and_name",
        ],
    ),
    (
        "Peers",
        3,
        "a message from one to another waits until it is read",
        &[
            "message_reaches_peer_everyone_or_topic_with_all_fields",
            "message_to_an_offline_peer_waits_and_reports_it_offline",
            "message_list_is_filtered_by_sender_and_paged",
        ],
    ),
    (
        "Peers",
        4,
        "channels by name: subscribe, publish, everybody there gets it",
        &[
            "topic_messages_are_delivered_from_the_subscription_on",
            "concurrent_messages_are_each_read_once_in_one_order",
            "person_subscribes_to_topics_and_lists_them",
        ],
    ),
    (
        "Peers",
        5,
        "a task is given to a peer, which is told; the creator is told of its end",
        &[
            "assignee_is_notified_of_a_task_and_creator_of_its_end",
            "woken_session_finishes_a_task_after_a_rejection",
        ],
    ),
    (
        "Peers",
        6,
        "a memory that all can search, with tags and an end, over restarts",
        &[
            "memory_is_found_by_a_later_session_with_author_and_time",
            "recall_matches_words_phrases_prefixes_and_exclusions",
            "expired_memory_is_hidden_and_reclaimed",
            "recall_filters_by_tags_and_respects_its_limit",
        ],
    ),
    (
        "Peers",
        7,
        "who is here, under which lasting name, and what it works on",
        &[
            "peer_list_shows_the_current_task_of_each_peer",
            "moved_project_keeps_its_peer_state_tasks_and_memories",
            "peer_list_is_scoped_to_repository_or_folder_with_details",
            "activity_summary_shows_the_last_prompt_and_message",
        ],
    ),
    ("Peers", 8, "several machines, one mesh", &[]),
    (
        "Peers",
        9,
        "a secret on every request, from registration on",
        &[],
    ),
    (
        "Peers",
        10,
        "one file for all, opened by a server per client",
        &[
            "client_with_several_servers_joins_each_project",
            "killed_writers_leave_an_intact_database_and_all_questions",
        ],
    ),
    (
        "Peers",
        11,
        "who comes gets a name, and other clients get their entries",
        &[
            "printed_client_config_starts_a_session_in_its_project",
            "install_print_shows_each_client_config_and_writes_nothing",
        ],
    ),
    (
        "Tasks",
        1,
        "one board for models and people, whichever program they use",
        &[
            "person_manages_a_task_by_the_suffix_of_its_id",
            "terminal_board_redraws_in_place_until_ctrl_c",
        ],
    ),
    (
        "Tasks",
        2,
        "it starts by itself, with nothing to configure",
        &[
            "hook_and_server_of_one_client_register_one_peer",
            "fifty_processes_create_one_database_and_all_register",
        ],
    ),
    (
        "Tasks",
        3,
        "a key made at the start, asked for on every request",
        &[],
    ),
    (
        "Tasks",
        4,
        "a server of its own that is watched over and started again",
        &[],
    ),
    (
        "Tasks",
        5,
        "a life from todo to done, back with a reason, away when the project is complete",
        &[
            "task_passes_review_and_rejection_until_it_is_done",
            "invalid_task_transition_is_refused_with_the_allowed_ones",
            "stale_or_project_complete_todo_tasks_are_cancelled",
            "tasks_match_the_model_after_a_thousand_steps",
        ],
    ),
    (
        "Tasks",
        6,
        "what a task says of itself, and finding it by that",
        &["task_keeps_all_fields_and_the_list_filters_by_them"],
    ),
    (
        "Tasks",
        7,
        "one creates, one works and reads why it was sent back, one reviews",
        &[
            "task_passes_review_and_rejection_until_it_is_done",
            "woken_session_finishes_a_task_after_a_rejection",
        ],
    ),
    (
        "Tasks",
        8,
        "the same title twice is one task",
        &[
            "create_task_returns_an_open_task_with_the_same_title",
            "ten_processes_creating_the_same_task_create_one",
            "title_fingerprint_ignores_case_spacing_signs_and_long_tails",
        ],
    ),
    (
        "Tasks",
        9,
        "one write after the other, and every read in one shape",
        &[
            "ten_processes_creating_the_same_task_create_one",
            "stale_task_update_is_refused_with_the_current_version",
            "task_keeps_all_fields_and_the_list_filters_by_them",
        ],
    ),
    ("Tasks", 10, "a stream of events over HTTP", &[]),
    (
        "Tasks",
        11,
        "each change of a task, each message and what a project tells is an event",
        &[
            "every_task_change_is_a_short_event_that_wakes_waiters",
            "watched_board_redraws_on_task_changes_until_stopped",
            "event_log_records_a_post_without_its_text",
            "cli_events_emits_and_prints_events",
            "stale_or_project_complete_todo_tasks_are_cancelled",
        ],
    ),
    ("Tasks", 12, "tasks, messages and events over HTTP", &[]),
    (
        "Tasks",
        13,
        "create, change, list, several at once, cancel what is stale, say something, ask what is known",
        &[
            "bulk_update_changes_each_task_fully_or_not_at_all",
            "task_keeps_all_fields_and_the_list_filters_by_them",
            "stale_or_project_complete_todo_tasks_are_cancelled",
            "message_reaches_peer_everyone_or_topic_with_all_fields",
            "memory_is_found_by_a_later_session_with_author_and_time",
        ],
    ),
    (
        "Tasks",
        14,
        "tasks, mail and knowledge in one file, counted truly",
        &[
            "status_tool_and_status_command_report_the_same_counters",
            "status_counters_match_the_rows_after_random_steps",
        ],
    ),
    (
        "Tasks",
        15,
        "any client that speaks the protocol may connect",
        &[
            "two_python_clients_call_every_tool_and_answer_each_other",
            "two_typescript_clients_call_every_tool_and_answer_each_other",
            "python_and_typescript_clients_answer_each_other",
        ],
    ),
    (
        "Beyond",
        1,
        "an ask outlives time-outs, restarts and being asked twice",
        &[
            "ask_timeout_reports_delivery_and_keeps_the_question_open",
            "restarted_asker_receives_the_late_answer_once",
            "repeated_question_joins_the_open_one",
        ],
    ),
    (
        "Beyond",
        2,
        "a circle of questions and claims is named to the one who closes it",
        &[
            "await_reply_reports_a_deadlock_to_the_session_closing_it",
            "claim_reports_a_deadlock_with_an_open_question_at_once",
        ],
    ),
    (
        "Beyond",
        3,
        "a call that waits is woken by a bell, with no daemon; the benchmark says how fast",
        &[
            "answer_wakes_its_asker_before_the_next_poll",
            "events_wait_is_woken_by_the_doorbell",
            "idle_server_never_wakes_up",
        ],
    ),
    (
        "Beyond",
        4,
        "one total order of everything that happens",
        &[
            "concurrent_writers_give_all_readers_one_event_order",
            "event_log_has_every_step_of_a_question_in_order",
        ],
    ),
    (
        "Beyond",
        5,
        "a claim is checked where files are edited and commits are made",
        &[
            "edit_of_a_claimed_file_is_blocked_until_the_release",
            "check_staged_fails_for_files_held_by_others",
        ],
    ),
    (
        "Beyond",
        6,
        "the next in line is woken when its turn comes",
        &[
            "waiting_claim_call_returns_when_it_is_promoted",
            "release_wakes_the_next_idle_waiter_which_sees_it_once",
            "idle_session_wakes_on_its_claim_grant_and_edits_the_file",
            "leaving_holder_wakes_the_next_idle_waiter",
        ],
    ),
    (
        "Beyond",
        7,
        "how far a question came is told as it is",
        &[
            "ask_timeout_reports_delivery_and_keeps_the_question_open",
            "unresponsive_session_is_reported_failed_after_two_wakes",
            "busy_or_dialog_session_is_never_reported_failed",
            "session_without_an_inbox_is_reported_not_woken",
            "event_log_has_every_step_of_a_question_in_order",
        ],
    ),
    (
        "Beyond",
        8,
        "compare-and-set on shared state",
        &[
            "two_processes_lose_no_increment_with_compare_and_set",
            "compare_and_set_refuses_a_stale_version_with_the_current",
            "state_versions_increase_and_never_restart",
        ],
    ),
    (
        "Beyond",
        9,
        "names last, are distinct for worktrees and second sessions, and never lead to somebody else",
        &[
            "project_file_names_the_peer_and_renaming_keeps_it",
            "worktree_has_a_separate_peer",
            "second_session_of_a_project_gets_its_own_peer_and_name",
            "client_in_a_session_shell_gets_a_separate_peer",
        ],
    ),
    (
        "Beyond",
        10,
        "hooks that carry little and wait for nothing; the benchmark says how long they take",
        &[
            "hooks_build_without_async_runtime_cli_parser_and_watcher",
            "hook_does_not_wait_for_a_held_write_lock",
        ],
    ),
    (
        "Beyond",
        11,
        "the end of a turn is put off a few times only, and no question is lost by that",
        &[
            "stop_hook_blocks_twice_per_turn_and_three_times_per_question",
            "stop_hook_blocks_one_turn_at_most_five_times",
        ],
    ),
    (
        "Beyond",
        12,
        "what a hook says stays within the client's limit, the important first, each text once a turn",
        &[
            "prompt_hook_limits_its_text_and_counts_omitted_questions",
            "prompt_lists_questions_before_mail_and_defers_the_rest",
            "prompt_hook_attaches_an_open_question_in_each_turn",
        ],
    ),
    ("Beyond", 13, "a stream that goes on where it was cut", &[]),
    (
        "Beyond",
        14,
        "a server ends with its client, however that ends",
        &[
            "server_exits_when_stdin_closes_and_ends_its_session",
            "server_exits_when_its_client_is_killed_with_stdin_open",
            "killed_server_leaves_its_peer_to_the_next_server",
        ],
    ),
    (
        "Beyond",
        15,
        "walls: what lies in another mesh does not exist here",
        &[
            "memories_do_not_cross_a_wall",
            "prior_answers_never_cross_meshes",
        ],
    ),
    (
        "Beyond",
        16,
        "brakes: a budget of turns, quiet, pause, and no endless chain of questions",
        &[
            "wake_budget_limits_turns_until_the_person_types",
            "quiet_session_is_not_woken_until_quiet_ends",
            "pause_holds_the_whole_mesh_and_drops_posted_wake_lines",
            "chain_of_waiting_questions_is_limited_to_eight",
        ],
    ),
    (
        "Beyond",
        17,
        "an ask comes back with something when nobody can answer now",
        &[
            "offline_ask_returns_prior_answers",
            "prior_answers_are_accurate_for_a_week_of_questions",
        ],
    ),
    (
        "Beyond",
        18,
        "an upgrade does not break sessions that run",
        &["first_schema_build_keeps_working_during_the_migration"],
    ),
];

#[test]
fn every_requirement_names_existing_tests() {
    let tests = tests();
    let mut problems = Vec::new();
    for (part, number, description, names) in REQUIREMENTS {
        for name in *names {
            if !tests.contains(*name) {
                problems.push(format!("{part} {number}: there is no test {name}"));
            }
        }
        let missing = UNTESTED
            .iter()
            .find(|line| (line.0, line.1) == (*part, *number));
        if names.is_empty() != missing.is_some() {
            problems.push(format!(
                "{part} {number} ({description}) has {} tests, which MISSING does not say",
                names.len()
            ));
        }
        print_text(&format!("{part} {number:>2}  {description}\n"));
        for name in *names {
            print_text(&format!("            {name}\n"));
        }
        if let Some((.., why)) = missing {
            print_text(&format!("            (not yet: {why})\n"));
        }
    }
    let numbers = REQUIREMENTS.iter().map(|line| (line.0, line.1));
    let wanted = PARTS
        .iter()
        .flat_map(|(part, last)| (1..=*last).map(move |number| (*part, number)));
    assert_eq!(
        numbers.collect::<Vec<_>>(),
        wanted.collect::<Vec<_>>(),
        "every line of every part, once and in order"
    );
    let is_listed = |line: &&(&str, u32, &str)| {
        REQUIREMENTS
            .iter()
            .any(|one| (one.0, one.1) == (line.0, line.1))
    };
    let unknown = UNTESTED.iter().find(|line| !is_listed(line));
    assert_eq!(unknown, None, "MISSING names a line that is not there");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[expect(
    clippy::print_stdout,
    reason = "whoever asks with --nocapture wants to read it"
)]
fn print_text(text: &str) {
    print!("{text}");
}

/// Returns the names of all tests of this suite and of the library's own.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["src", "tests"] {
        collect(
            &PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut names,
        );
    }
    names
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            for after in source.split("#[test]\n").skip(1) {
                let function = after.split("fn ").nth(1).unwrap_or_default();
                names.insert(function.split('(').next().unwrap_or_default().to_owned());
            }
        }
    }
}
