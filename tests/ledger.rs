//! What was promised, line by line, and the tests that hold it. `cargo test --test suite ledger -- --nocapture` prints it.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One promise: its part and number, what it says, and the tests that fail when it is broken.
type Line = (&'static str, u32, &'static str, &'static [&'static str]);

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
const MISSING: &[(&str, u32, &str)] = &[
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

const LINES: &[Line] = &[
    (
        "Ask",
        1,
        "a question blocks until its answer or its time-out",
        &[
            "a_question_is_answered_as_the_result_of_the_call",
            "a_time_out_tells_how_far_the_question_came_and_leaves_it_open",
        ],
    ),
    (
        "Ask",
        2,
        "one file, made on first run and migrated, opened by everybody, no daemon",
        &[
            "fifty_processes_open_a_missing_database_and_all_sit_down",
            "sessions_that_run_work_on_beside_a_newer_program_and_new_ones_join",
        ],
    ),
    (
        "Ask",
        3,
        "MESH_DB_PATH from the environment, else from an .env above the program",
        &["mesh_db_path_beats_the_walls_and_the_env_file_counts_for_hooks_and_server_alike"],
    ),
    (
        "Ask",
        4,
        "a server and three hooks as programs of their own",
        &[
            "the_doors_are_a_few_lines_each",
            "a_program_without_its_siblings_wires_nothing",
        ],
    ),
    (
        "Ask",
        5,
        "wired for the person or for one project, with bare names in committed files",
        &[
            "a_first_install_makes_both_files_for_their_owner_only",
            "a_project_gets_bare_names_and_no_path_of_this_machine",
            "installing_twice_writes_nothing_the_second_time",
        ],
    ),
    (
        "Ask",
        6,
        "the project is what the environment says, else the working directory",
        &["the_project_is_the_given_path_then_claudes_then_the_working_directory"],
    ),
    (
        "Ask",
        7,
        "a committed file names the project; without a name the folder does",
        &[
            "a_project_is_named_by_its_file_and_a_new_name_keeps_the_mailbox",
            "example_project_file_is_valid",
        ],
    ),
    (
        "Ask",
        8,
        "hooks register, show what waits, keep the turn going, sign off",
        &[
            "a_starting_session_is_told_its_name_who_is_here_and_what_waits",
            "a_prompt_brings_a_question_once_per_turn_and_again_in_the_next",
            "the_stop_hook_keeps_a_session_from_idling_while_a_question_waits",
        ],
    ),
    (
        "Ask",
        9,
        "a late end of an earlier conversation switches nothing newer off",
        &["the_late_end_of_an_earlier_conversation_does_not_switch_off_the_newer_one"],
    ),
    (
        "Ask",
        10,
        "hooks end with 0 even on failure",
        &[
            "bad_input_ends_with_nothing_said_and_a_line_in_the_log",
            "while_another_program_holds_the_lock_hooks_print_and_calls_wait",
        ],
    ),
    (
        "Ask",
        11,
        "register, list, ask, reply, poll",
        &[
            "a_session_says_what_it_is_for",
            "a_killed_session_is_gone_and_its_seat_is_free",
            "two_python_clients_call_every_tool_and_answer_each_other",
        ],
    ),
    (
        "Ask",
        12,
        "beyond it: late answers, a queue for who is offline, a wake instead of a tick",
        &[
            "an_asker_that_was_killed_and_restarted_finds_the_late_answer",
            "a_question_to_a_closed_peer_waits_for_its_next_session",
            "an_answer_wakes_its_asker_long_before_the_next_look",
        ],
    ),
    (
        "Mesh",
        1,
        "no daemon, no port; a mesh per folder, a variable that overrides",
        &[
            "a_wall_holds_against_a_thousand_attempts_to_list_ask_and_read_across_it",
            "mesh_db_path_beats_the_walls_and_the_env_file_counts_for_hooks_and_server_alike",
            "a_server_ends_with_its_stdin_and_takes_its_session_along",
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
            "registering_again_is_a_heartbeat_and_after_death_the_epoch_rises",
            "a_killed_session_is_gone_and_its_seat_is_free",
        ],
    ),
    (
        "Mesh",
        4,
        "alive, stale for thirty seconds, dead; dead ones hidden unless asked for",
        &[
            "who_cannot_be_looked_up_is_stale_after_its_time_to_live_and_dead_after_thirty_seconds_of_grace",
            "a_session_that_was_killed_is_cleared_away_by_whoever_looks",
        ],
    ),
    (
        "Mesh",
        5,
        "a claim is granted, denied or queued; again is a renewal",
        &[
            "a_claim_is_granted_once_denied_to_others_and_renewed_with_the_same_id_and_fence",
            "a_wait_that_runs_out_keeps_the_place_and_says_who_holds_it",
        ],
    ),
    (
        "Mesh",
        6,
        "shared holders go together, an exclusive one alone",
        &[
            "shared_holders_coexist_and_who_wants_it_alone_waits_for_all_of_them",
            "asking_for_all_while_sharing_is_granted_to_the_only_one_and_else_keeps_the_share",
        ],
    ),
    (
        "Mesh",
        7,
        "a fence rises with every grant and outlives everything",
        &[
            "every_grant_and_promotion_gives_the_next_fence_which_survives_everything",
            "of_thirty_two_that_fight_for_one_claim_one_holds_it_and_nobody_starves",
        ],
    ),
    (
        "Mesh",
        8,
        "release gives back or leaves the line; the next are promoted",
        &[
            "releasing_lets_a_run_of_sharers_in_together_and_cancels_a_place_in_line",
            "the_line_agrees_with_the_model_whatever_is_done",
        ],
    ),
    (
        "Mesh",
        9,
        "the dead and the lapsed are reaped on the next touch",
        &[
            "the_claims_of_a_dead_session_pass_on_and_so_does_its_place_in_line",
            "a_lapsed_lease_passes_on_by_itself_to_a_call_that_waits_and_to_a_session_that_does_not",
        ],
    ),
    (
        "Mesh",
        10,
        "claims shows locks and lines, the list of peers what each holds",
        &[
            "list_peers_shows_what_each_has_claimed_and_status_counts_it",
            "claims_are_a_table_without_what_steers_a_terminal",
        ],
    ),
    (
        "Mesh",
        11,
        "post to one, to all, to a topic",
        &[
            "a_message_reaches_a_peer_everybody_or_a_topic_with_all_that_was_said",
            "a_message_to_everybody_is_for_those_that_were_there",
        ],
    ),
    (
        "Mesh",
        12,
        "looking at the mail moves no cursor",
        &[
            "looking_moves_nothing_and_reading_never_goes_back",
            "a_subscribed_topic_comes_by_itself_from_then_on",
        ],
    ),
    (
        "Mesh",
        13,
        "reading moves it forward only",
        &[
            "looking_moves_nothing_and_reading_never_goes_back",
            "the_cursor_of_a_mailbox_agrees_with_a_list",
        ],
    ),
    (
        "Mesh",
        14,
        "ids in one total order, a cursor per mailbox",
        &[
            "the_order_is_that_of_posting_also_when_the_clock_jumps_back",
            "of_messages_that_many_processes_post_at_once_none_is_lost_none_comes_twice_and_all_read_one_order",
        ],
    ),
    (
        "Mesh",
        15,
        "gc takes what is over its time and tells how much",
        &[
            "gc_tells_what_it_took_of_each_kind",
            "gc_removes_what_is_over_its_time_and_gives_the_space_back",
            "what_is_over_goes_after_thirty_days_and_what_is_open_stays",
        ],
    ),
    (
        "Mesh",
        16,
        "usable alone: lines of JSON, and a library with a clock of one's own",
        &[
            "every_transcript_plays_as_it_is_written",
            "state_expires_by_the_wall_clock_and_keeps_its_version_for_a_while",
            "example_programs_run",
        ],
    ),
    (
        "Mesh",
        17,
        "deleting the folder resets",
        &[
            "deleting_the_folder_resets_everything",
            "a_replaced_database_is_noticed_and_joined_anew",
        ],
    ),
    (
        "Mesh",
        18,
        "every change whole or not at all; a crashed writer's lock holds nobody up",
        &[
            "a_writer_killed_in_the_middle_of_a_write_blocks_nobody_after_it_is_gone",
            "writers_killed_in_the_middle_leave_a_sound_file_and_no_lost_question",
        ],
    ),
    (
        "Mesh",
        19,
        "set up by two commands",
        &[
            "first_two_shell_blocks_are_install_and_tests",
            "install_shows_its_change_and_does_it_once",
        ],
    ),
    (
        "Sharing",
        1,
        "peers by machine, directory or repository, with all that is known of each",
        &[
            "a_list_narrows_to_the_repository_or_the_folder_and_says_of_each_what_there_is",
            "a_worktree_has_a_mailbox_of_its_own",
            "a_scope_narrows_the_list",
        ],
    ),
    (
        "Sharing",
        2,
        "a summary of 500 characters",
        &["a_summary_has_500_characters_at_most"],
    ),
    (
        "Sharing",
        3,
        "send to one or all, as text, JSON, command or alert",
        &[
            "a_message_reaches_a_peer_everybody_or_a_topic_with_all_that_was_said",
            "an_alert_wakes_an_idle_session_and_rides_on_one_ring",
        ],
    ),
    (
        "Sharing",
        4,
        "an inbox of unread or all, of one sender, with a limit",
        &["a_list_is_filtered_by_sender_and_goes_on_page_by_page"],
    ),
    (
        "Sharing",
        5,
        "state: get, set, list, delete, in the project's scope",
        &[
            "what_one_session_of_a_project_sets_the_other_gets",
            "a_project_has_its_own_keys_and_shared_ones_are_everybodys",
            "a_list_is_sorted_narrowed_by_prefix_and_goes_on_where_it_was_cut",
            "a_person_reads_and_writes_the_state_of_the_folder",
        ],
    ),
    (
        "Sharing",
        6,
        "advisory locks of files, with a reason and an end",
        &[
            "a_person_claims_renews_and_gives_back_and_a_session_is_denied_meanwhile",
            "an_edit_of_a_file_that_another_session_holds_is_denied_with_who_until_when_and_what_to_do",
        ],
    ),
    (
        "Sharing",
        7,
        "events: read by type and time, subscribe, unsubscribe",
        &[
            "every_verb_is_in_the_log_and_globs_choose_among_them",
            "since_is_exact_to_the_millisecond",
            "a_session_hears_by_its_inbox_of_what_it_subscribed_to_once",
        ],
    ),
    (
        "Sharing",
        8,
        "status in figures",
        &[
            "a_model_and_a_person_see_the_same_figures",
            "status_counts_what_is_there_after_whatever_happened",
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
            "a_python_and_a_typescript_client_ask_and_answer_each_other",
        ],
    ),
    (
        "Peers",
        2,
        "each has an id of its own and a name that lasts",
        &[
            "the_beginning_of_a_peer_id_names_its_peer_while_it_is_the_only_one",
            "a_resumed_session_gets_its_old_seat_back",
            "a_second_session_of_a_project_gets_a_seat_and_a_name_of_its_own",
        ],
    ),
    (
        "Peers",
        3,
        "a message from one to another waits until it is read",
        &[
            "a_message_reaches_a_peer_everybody_or_a_topic_with_all_that_was_said",
            "mail_for_a_peer_that_is_away_waits_and_the_sender_is_told",
            "a_list_is_filtered_by_sender_and_goes_on_page_by_page",
        ],
    ),
    (
        "Peers",
        4,
        "channels by name: subscribe, publish, everybody there gets it",
        &[
            "a_subscribed_topic_comes_by_itself_from_then_on",
            "of_messages_that_many_processes_post_at_once_none_is_lost_none_comes_twice_and_all_read_one_order",
            "topics_are_chosen_and_listed",
        ],
    ),
    (
        "Peers",
        5,
        "a task is given to a peer, which is told; the creator is told of its end",
        &[
            "the_assignee_is_told_of_a_task_and_the_creator_of_its_end",
            "a_real_session_is_woken_by_a_task_is_sent_back_with_a_reason_and_finishes_it",
        ],
    ),
    (
        "Peers",
        6,
        "a memory that all can search, with tags and an end, over restarts",
        &[
            "what_one_session_remembers_a_later_one_finds_with_author_and_time",
            "words_phrases_beginnings_exclusions_and_parts_are_found",
            "what_has_a_time_to_live_is_gone_after_it_and_swept",
            "tags_narrow_and_a_limit_holds",
        ],
    ),
    (
        "Peers",
        7,
        "who is here, under which lasting name, and what it works on",
        &[
            "what_a_peer_works_on_is_seen_by_all",
            "a_moved_project_keeps_its_mailbox_its_state_its_tasks_and_its_memories",
            "a_list_narrows_to_the_repository_or_the_folder_and_says_of_each_what_there_is",
            "others_see_how_the_last_prompt_and_the_last_message_begin",
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
            "one_client_with_servers_in_several_projects_is_a_member_in_each",
            "writers_killed_in_the_middle_leave_a_sound_file_and_no_lost_question",
        ],
    ),
    (
        "Peers",
        11,
        "who comes gets a name, and other clients get their entries",
        &[
            "a_session_by_such_an_entry_sits_in_the_project_it_names",
            "the_entry_of_each_client_is_printed_with_where_it_goes_and_nothing_is_written",
        ],
    ),
    (
        "Tasks",
        1,
        "one board for models and people, whichever program they use",
        &[
            "a_person_creates_changes_shows_lists_and_deletes_a_task_by_the_end_of_its_id",
            "a_watched_board_in_a_terminal_is_drawn_over_the_last_one_until_ctrl_c",
        ],
    ),
    (
        "Tasks",
        2,
        "it starts by itself, with nothing to configure",
        &[
            "hook_and_server_of_one_client_sit_at_one_seat_whichever_comes_first",
            "fifty_processes_open_a_missing_database_and_all_sit_down",
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
            "a_task_goes_from_its_creator_to_its_assignee_through_review_and_back_until_it_is_done",
            "a_step_that_is_not_allowed_is_refused_with_those_that_are",
            "todo_tasks_left_alone_are_cancelled_and_all_of_them_when_the_project_is_complete",
            "a_thousand_steps_leave_tasks_as_the_model_has_them",
        ],
    ),
    (
        "Tasks",
        6,
        "what a task says of itself, and finding it by that",
        &["a_task_has_all_its_fields_and_is_listed_by_project_status_assignee_and_words"],
    ),
    (
        "Tasks",
        7,
        "one creates, one works and reads why it was sent back, one reviews",
        &[
            "a_task_goes_from_its_creator_to_its_assignee_through_review_and_back_until_it_is_done",
            "a_real_session_is_woken_by_a_task_is_sent_back_with_a_reason_and_finishes_it",
        ],
    ),
    (
        "Tasks",
        8,
        "the same title twice is one task",
        &[
            "an_open_task_with_the_same_title_comes_back_instead_of_a_second_one",
            "ten_processes_that_create_the_same_task_at_once_create_one",
            "titles_that_differ_in_case_spaces_signs_or_far_behind_are_the_same",
        ],
    ),
    (
        "Tasks",
        9,
        "one write after the other, and every read in one shape",
        &[
            "ten_processes_that_create_the_same_task_at_once_create_one",
            "who_was_slower_is_told_the_version_and_changes_nothing",
            "a_task_has_all_its_fields_and_is_listed_by_project_status_assignee_and_words",
        ],
    ),
    ("Tasks", 10, "a stream of events over HTTP", &[]),
    (
        "Tasks",
        11,
        "each change of a task, each message and what a project tells is an event",
        &[
            "every_change_of_a_task_is_an_event_that_wakes_who_waits_for_it_and_carries_no_long_text",
            "a_watched_board_is_drawn_anew_when_a_task_changes_and_ends_when_told",
            "a_post_is_in_the_log_without_its_text",
            "a_person_emits_events_and_reads_them_as_lines",
            "todo_tasks_left_alone_are_cancelled_and_all_of_them_when_the_project_is_complete",
        ],
    ),
    ("Tasks", 12, "tasks, messages and events over HTTP", &[]),
    (
        "Tasks",
        13,
        "create, change, list, several at once, cancel what is stale, say something, ask what is known",
        &[
            "several_tasks_are_changed_at_once_each_in_full_or_not_at_all",
            "a_task_has_all_its_fields_and_is_listed_by_project_status_assignee_and_words",
            "todo_tasks_left_alone_are_cancelled_and_all_of_them_when_the_project_is_complete",
            "a_message_reaches_a_peer_everybody_or_a_topic_with_all_that_was_said",
            "what_one_session_remembers_a_later_one_finds_with_author_and_time",
        ],
    ),
    (
        "Tasks",
        14,
        "tasks, mail and knowledge in one file, counted truly",
        &[
            "a_model_and_a_person_see_the_same_figures",
            "status_counts_what_is_there_after_whatever_happened",
        ],
    ),
    (
        "Tasks",
        15,
        "any client that speaks the protocol may connect",
        &[
            "two_python_clients_call_every_tool_and_answer_each_other",
            "two_typescript_clients_call_every_tool_and_answer_each_other",
            "a_python_and_a_typescript_client_ask_and_answer_each_other",
        ],
    ),
    (
        "Beyond",
        1,
        "an ask outlives time-outs, restarts and being asked twice",
        &[
            "a_time_out_tells_how_far_the_question_came_and_leaves_it_open",
            "an_asker_that_was_killed_and_restarted_finds_the_late_answer",
            "the_same_question_asked_again_joins_the_open_one",
        ],
    ),
    (
        "Beyond",
        2,
        "a circle of questions and claims is named to the one who closes it",
        &[
            "a_circle_of_waits_is_named_to_the_one_who_closes_it",
            "a_circle_of_a_question_and_a_claim_is_told_at_once",
        ],
    ),
    (
        "Beyond",
        3,
        "a call that waits is woken by a bell, with no daemon; the benchmark says how fast",
        &[
            "an_answer_wakes_its_asker_long_before_the_next_look",
            "calls_that_wait_for_events_are_woken_by_the_bell",
            "a_silent_server_does_not_wake_at_all",
        ],
    ),
    (
        "Beyond",
        4,
        "one total order of everything that happens",
        &[
            "the_log_has_one_order_for_all_readers_while_several_write",
            "every_step_of_a_question_is_in_the_log_in_its_order",
        ],
    ),
    (
        "Beyond",
        5,
        "a claim is checked where files are edited and commits are made",
        &[
            "an_edit_of_a_claimed_file_is_stopped_and_done_when_the_claim_is_given_back",
            "staged_files_that_somebody_else_holds_stop_a_commit",
        ],
    ),
    (
        "Beyond",
        6,
        "the next in line is woken when its turn comes",
        &[
            "a_call_that_waits_is_woken_when_its_turn_comes",
            "a_release_wakes_the_idle_session_that_is_next_in_line_which_is_told_once",
            "an_idle_session_whose_turn_comes_is_woken_and_edits_by_itself",
            "a_holder_that_leaves_wakes_the_idle_session_that_is_next_in_line",
        ],
    ),
    (
        "Beyond",
        7,
        "how far a question came is told as it is",
        &[
            "a_time_out_tells_how_far_the_question_came_and_leaves_it_open",
            "an_idle_session_that_does_not_answer_the_bell_is_rung_twice_and_then_the_truth_is_told",
            "a_session_that_is_busy_or_at_a_dialog_for_a_minute_is_never_called_failed",
            "a_session_without_an_inbox_is_told_as_not_woken_with_the_reason",
            "every_step_of_a_question_is_in_the_log_in_its_order",
        ],
    ),
    (
        "Beyond",
        8,
        "compare-and-set on shared state",
        &[
            "two_processes_count_to_a_thousand_by_compare_and_set_and_lose_nothing",
            "compare_and_set_refuses_who_was_slower_and_shows_how_it_stands",
            "versions_count_up_and_never_start_again",
        ],
    ),
    (
        "Beyond",
        9,
        "names last, are distinct for worktrees and second sessions, and never lead to somebody else",
        &[
            "a_project_is_named_by_its_file_and_a_new_name_keeps_the_mailbox",
            "a_worktree_has_a_mailbox_of_its_own",
            "a_second_session_of_a_project_gets_a_seat_and_a_name_of_its_own",
            "a_client_started_in_a_sessions_shell_does_not_get_its_mailbox",
        ],
    ),
    (
        "Beyond",
        10,
        "hooks that carry little and wait for nothing; the benchmark says how long they take",
        &[
            "hooks_are_built_without_runtime_command_line_parser_and_watcher",
            "a_hook_does_not_wait_for_a_lock_that_is_held",
        ],
    ),
    (
        "Beyond",
        11,
        "the end of a turn is put off a few times only, and no question is lost by that",
        &[
            "the_stop_hook_lets_go_after_two_times_in_a_turn_and_three_in_all",
            "one_turn_is_kept_going_five_times_in_a_row_at_most",
        ],
    ),
    (
        "Beyond",
        12,
        "what a hook says stays within the client's limit, the important first, each text once a turn",
        &[
            "ten_long_questions_stay_within_the_limit_and_what_is_left_out_is_counted",
            "questions_come_before_mail_and_what_does_not_fit_comes_next_time",
            "a_prompt_brings_a_question_once_per_turn_and_again_in_the_next",
        ],
    ),
    ("Beyond", 13, "a stream that goes on where it was cut", &[]),
    (
        "Beyond",
        14,
        "a server ends with its client, however that ends",
        &[
            "a_server_ends_with_its_stdin_and_takes_its_session_along",
            "a_server_ends_when_its_client_is_killed_though_its_stdin_stays_open",
            "a_server_that_is_killed_leaves_its_mailbox_to_the_next_one",
        ],
    ),
    (
        "Beyond",
        15,
        "walls: what lies in another mesh does not exist here",
        &[
            "a_wall_holds_for_memories",
            "the_answers_of_another_mesh_never_come",
        ],
    ),
    (
        "Beyond",
        16,
        "brakes: a budget of turns, quiet, pause, and no endless chain of questions",
        &[
            "peers_start_only_so_many_turns_until_the_person_types",
            "a_quiet_session_is_left_alone_until_it_ends",
            "a_pause_holds_the_whole_mesh_and_swallows_what_was_posted_already",
            "a_chain_of_questions_that_wait_for_each_other_ends_at_eight",
        ],
    ),
    (
        "Beyond",
        17,
        "an ask comes back with something when nobody can answer now",
        &[
            "a_question_to_a_closed_session_brings_what_it_answered_earlier",
            "a_week_of_questions_gets_the_right_earlier_answers_and_never_a_wrong_peers",
        ],
    ),
    (
        "Beyond",
        18,
        "an upgrade does not break sessions that run",
        &["a_build_of_the_first_schema_works_on_while_this_one_migrates_the_file_under_it"],
    ),
];

#[test]
fn every_line_has_a_test_that_exists() {
    let tests = tests();
    let mut wrong = Vec::new();
    for (part, number, says, names) in LINES {
        for name in *names {
            if !tests.contains(*name) {
                wrong.push(format!("{part} {number}: there is no test {name}"));
            }
        }
        let missing = MISSING
            .iter()
            .find(|line| (line.0, line.1) == (*part, *number));
        if names.is_empty() != missing.is_some() {
            wrong.push(format!(
                "{part} {number} ({says}) has {} tests, which MISSING does not say",
                names.len()
            ));
        }
        tell(&format!("{part} {number:>2}  {says}\n"));
        for name in *names {
            tell(&format!("            {name}\n"));
        }
        if let Some((.., why)) = missing {
            tell(&format!("            (not yet: {why})\n"));
        }
    }
    let numbers = LINES.iter().map(|line| (line.0, line.1));
    let wanted = PARTS
        .iter()
        .flat_map(|(part, last)| (1..=*last).map(move |number| (*part, number)));
    assert_eq!(
        numbers.collect::<Vec<_>>(),
        wanted.collect::<Vec<_>>(),
        "every line of every part, once and in order"
    );
    let there =
        |line: &&(&str, u32, &str)| LINES.iter().any(|one| (one.0, one.1) == (line.0, line.1));
    let unknown = MISSING.iter().find(|line| !there(line));
    assert_eq!(unknown, None, "MISSING names a line that is not there");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[expect(
    clippy::print_stdout,
    reason = "whoever asks with --nocapture wants to read it"
)]
fn tell(text: &str) {
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
