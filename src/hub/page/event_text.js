// Words events as sentences, as `claude-mesh log` does.

/** @typedef {import("./types.js").MeshEvent} MeshEvent */

/** @type {Record<string, (event: MeshEvent) => string>} */
const SENTENCES = {
  "peer.joined": ({ data }) => (data.agent ? `joined (${data.agent})` : "joined"),
  "peer.left": ({ data }) => `left (${data.reason})`,
  "peer.died": () => "left: its process has ended",
  "peer.renamed": ({ data }) => `was ${data.was}`,
  "peer.forgotten": ({ subject }) => `removed the mailbox ${subject}`,
  "peer.spent": ({ data }) => `peers have started ${data.posted_turns} turns, as many as they may until you type`,
  "peer.quieted": ({ by, subject, data }) => `${by === subject ? "is" : `made ${subject}`} quiet until ${until(data)}`,
  "peer.resumed": ({ subject }) => `ended quiet for ${subject}`,
  "peer.rung": () => "was sent a wake-up for its mail",
  "peer.not_woken": ({ data }) => `was not woken: ${data.reason}`,
  "mesh.paused": ({ data }) => `paused the mesh until ${until(data)}`,
  "mesh.resumed": () => "ended the pause of the mesh",
  "question.asked": ({ data }) => `asked ${data.to ?? "somebody"}`,
  "question.shown": ({ data }) => (data.stops ? "continued its turn for a question" : `was shown a question (${data.way})`),
  "question.answered": ({ data }) => `answered ${data.to ?? "somebody"}${notes(data)}`,
  "question.declined": ({ data }) => `declined to answer ${data.to ?? "somebody"}`,
  "question.withdrawn": () => "withdrew a question",
  "question.expired": () => "did not answer in time",
  "question.forgotten": () => "removed the texts of a question",
  "question.known": ({ data }) => `was given earlier answers of ${data.to}`,
  "question.held": ({ data }) => `a question is held: ${data.reason}`,
  "question.rung": () => "was sent a wake-up for a question",
  "question.queued": () => "was sent a question, which it reads with its next step",
  "question.forked": () => "lets a fork answer a question",
  "question.not_forked": () => "gets a question that its fork did not answer",
  "question.not_woken": ({ data }) => `was not woken for a question: ${data.reason}`,
  "message.posted": ({ data }) => `posted to ${data.to ?? "somebody"} (${data.type})`,
  "claim.granted": ({ subject, data }) => `holds ${subject} (fence ${data.fence})`,
  "claim.queued": ({ subject }) => `is queued for ${subject}`,
  "claim.released": ({ subject, data }) => `${data.was === "queued" ? "left the queue for" : "released"} ${subject}${data.owner ? ` of ${data.owner}` : ""}`,
  "claim.reaped": ({ subject, data }) => `lost ${subject}: its ${data.why === "lease" ? "lease expired" : "session has ended"}`,
  "state.changed": ({ subject, data }) => `${data.deleted ? "deleted" : "set"} ${subject}, version ${data.version}`,
  "memory.changed": ({ data }) => `${data.forgotten ? "erased" : "remembered"} ${data.key ?? `a memory of the ${data.scope}`}`,
  "key.created": ({ subject }) => `created the key ${subject}`,
  "key.revoked": ({ subject }) => `revoked the key ${subject}`,
  "task.created": ({ data }) => `created a task: ${data.title}`,
  "task.deleted": ({ data }) => `deleted the task ${data.title}`,
  "task.updated": ({ data }) => {
    const status = data.changes?.status?.to;
    return `${status ? `moved a task to ${status}` : "changed a task"}: ${data.title}`;
  },
};

/**
 * Returns what happened, without who did it.
 * @param {MeshEvent} event
 */
export function eventText(event) {
  const safe = { ...event, data: event.data ?? {} };
  return SENTENCES[event.type]?.(safe) ?? `${event.type} ${event.subject}`;
}

/** @param {any} data */
function until(data) {
  return !data.until || data.until === "forever" ? "further notice" : new Date(data.until).toLocaleTimeString();
}

/** @param {any} data */
function notes(data) {
  const tokens = Object.values(data.usage ?? {}).reduce((sum, count) => sum + count, 0);
  const byFork = data.by === "fork" && `by a fork, ${tokens} tokens`;
  const all = [data.by === "person" && "by a person", byFork, data.late && "late", data.corrects && "corrected"].filter(Boolean);
  return all.length > 0 ? ` (${all.join(", ")})` : "";
}
