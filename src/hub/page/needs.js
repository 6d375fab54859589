// Decides what needs the person, most urgent first.
import { now } from "./live_time.js";

/**
 * @typedef {import("./mesh_data.js").MeshData} MeshData
 * @typedef {import("./types.js").Question} Question
 * @typedef {import("./types.js").Task} Task
 * @typedef {import("./types.js").Peer} Peer
 * @typedef {import("./types.js").Claim} Claim
 *
 * @typedef {{key: string, mesh: MeshData, at: string | null} & (
 *   {kind: "question", question: Question} | {kind: "dialog", peer: Peer} | {kind: "held", question: Question} |
 *   {kind: "not_woken", question: Question} | {kind: "review", task: Task} | {kind: "queue", claim: Claim})} Need
 */

/** A queue of this many is long. */
const QUEUE_LONG = 2;
/** A ticket that is this old makes its queue long too. */
const TICKET_OLD_MS = 5 * 60_000;
const ORDER = ["question", "dialog", "not_woken", "held", "review", "queue"];

/**
 * @param {MeshData} mesh
 * @returns {Need[]}
 */
export function needsOf(mesh) {
  /** @type {Need[]} */
  const needs = [];
  for (const question of mesh.questions) {
    if (question.state !== "open") continue;
    const need = { key: `${mesh.name}/${question.question_id}`, mesh, at: question.asked_at, question };
    if (question.to === mesh.you) needs.push({ ...need, kind: "question" });
    else if (isHeld(question)) needs.push({ ...need, kind: "held" });
    else if (question.delivery?.wake === "failed") needs.push({ ...need, kind: "not_woken" });
  }
  for (const peer of mesh.peers) {
    if (peer.liveness !== "alive" || peer.activity !== "waiting") continue;
    needs.push({ key: `${mesh.name}/dialog/${peer.peer}`, mesh, at: null, kind: "dialog", peer });
  }
  for (const task of mesh.tasks) {
    if (task.status !== "in_review") continue;
    needs.push({ key: `${mesh.name}/${task.task_id}`, mesh, at: task.updated_at, kind: "review", task });
  }
  for (const claim of mesh.claims) {
    if (!isQueueLong(claim)) continue;
    const at = claim.queue[0]?.claimed_at ?? null;
    needs.push({ key: `${mesh.name}/claim/${claim.resource}`, mesh, at, kind: "queue", claim });
  }
  return needs;
}

/**
 * Sorts by urgency, then the oldest first.
 * @param {Need[]} needs
 */
export function sortNeeds(needs) {
  const rank = (/** @type {Need} */ need) => ORDER.indexOf(need.kind);
  return needs.sort((a, b) => rank(a) - rank(b) || (a.at ?? "").localeCompare(b.at ?? ""));
}

/** @param {Question} question */
export function isHeld(question) {
  return question.state === "open" && Boolean(question.held);
}

/** Returns why a question is held, as the hub names it. @param {Question} question */
export function heldReason({ held }) {
  return typeof held === "object" && held ? held.reason : String(held ?? "");
}

/**
 * Returns why a question is held, in words.
 * @param {Question} question
 */
export function heldText(question) {
  const { held } = question;
  const end = typeof held === "object" && held ? held.until : null;
  const until = end ? ` until ${new Date(end).toLocaleTimeString([], { timeStyle: "short" })}` : "";
  /** @type {Record<string, string>} */
  const reasons = {
    quiet: `${question.to} is quiet`, paused: "the mesh is paused", person_budget: "too many questions to you",
    wake_budget: `peers started as many turns of ${question.to} as they may; it continues when you type there`,
  };
  return (reasons[heldReason(question)] ?? "held") + until;
}

/** @param {Claim} claim */
function isQueueLong(claim) {
  const oldest = claim.queue[0];
  return claim.queue.length > QUEUE_LONG || (oldest !== undefined && now() - Date.parse(oldest.claimed_at) > TICKET_OLD_MS);
}
