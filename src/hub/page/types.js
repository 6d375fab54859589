// The shapes of what the hub returns, for the type checker. The page adds nothing to them.

/**
 * @typedef {object} Peer
 * @property {string} peer
 * @property {string} peer_id
 * @property {string[]} aliases
 * @property {"alive" | "stale" | "dead"} liveness
 * @property {string | null} activity
 * @property {boolean} askable
 * @property {string | null} role
 * @property {string | null} summary
 * @property {string | null} doing
 * @property {string | null} current_task
 * @property {string | null} agent
 * @property {string | null} host
 * @property {string | null} project
 * @property {string | null} git_branch
 * @property {string | null} started_at
 * @property {string} last_seen_at
 * @property {number | null} idle_seconds
 * @property {string | null} quiet_until
 * @property {number} questions_waiting
 * @property {string | null} held
 * @property {{resource: string, mode: string, fence: number}[]} claims
 */

/**
 * @typedef {object} Delivery
 * @property {string} stored_at
 * @property {string} [woken_at]
 * @property {string} wake
 * @property {string} [wake_problem]
 * @property {string} [shown_at]
 * @property {number} shown_times
 * @property {string | null} [peer_activity]
 */

/**
 * @typedef {object} Question
 * @property {string} question_id
 * @property {string} from
 * @property {string} to
 * @property {string} question
 * @property {string | null} [context]
 * @property {string} state
 * @property {string} asked_at
 * @property {string | null} [answer]
 * @property {string | null} [answered_at]
 * @property {string | null} [by]
 * @property {Delivery} [delivery]
 * @property {Held | string | boolean | null} [held]
 */

/** @typedef {{reason: string, until?: string | null}} Held */

/**
 * @typedef {object} Message
 * @property {string} message_id
 * @property {string} from
 * @property {string} to
 * @property {string} type
 * @property {string | null} subject
 * @property {string} body
 * @property {string} posted_at
 */

/**
 * @typedef {object} Holder
 * @property {string} peer
 * @property {string} mode
 * @property {string | null} note
 * @property {string} lease_expires_at
 * @property {string} [claim_id]
 */

/**
 * @typedef {object} Ticket
 * @property {number} queue_position
 * @property {string} peer
 * @property {string} mode
 * @property {string | null} note
 * @property {string} claimed_at
 * @property {string} [claim_id]
 */

/** @typedef {{resource: string, holders: Holder[], queue: Ticket[], fence: number}} Claim */

/**
 * @typedef {object} Task
 * @property {string} task_id
 * @property {string} title
 * @property {string | null} description
 * @property {TaskStatus} status
 * @property {string | null} assigned_to
 * @property {string[]} files_owned
 * @property {string} priority
 * @property {string[]} depends_on
 * @property {string} created_by
 * @property {string} created_at
 * @property {string} updated_at
 * @property {number} version
 * @property {string} [project]
 */

/** @typedef {"todo" | "in_progress" | "in_review" | "done" | "cancelled"} TaskStatus */

/**
 * @typedef {object} Memory
 * @property {string} memory_id
 * @property {string | null} key
 * @property {string} text
 * @property {string[]} tags
 * @property {string} scope
 * @property {string} by
 * @property {string} at
 * @property {string} snippet
 */

/** @typedef {{seq: number, type: string, at: string, by: string, subject: string, data: any}} MeshEvent */

export {};
