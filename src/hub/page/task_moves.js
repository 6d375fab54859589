// Which moves of a task are allowed, and the moves that ask the person for a reason.
import { ask } from "./prompt.js";

/**
 * @typedef {import("./types.js").Task} Task
 * @typedef {import("./types.js").TaskStatus} TaskStatus
 * @typedef {import("./board.js").Board} Board
 * @typedef {import("./mesh_data.js").MeshData} MeshData
 */

/** @type {{status: TaskStatus, title: string}[]} */
export const COLUMNS = [
  { status: "todo", title: "To do" }, { status: "in_progress", title: "In progress" }, { status: "in_review", title: "In review" },
  { status: "done", title: "Done" }, { status: "cancelled", title: "Cancelled" },
];

/** @type {Record<TaskStatus, TaskStatus[]>} */
const ALLOWED = {
  todo: ["in_progress", "cancelled"], in_progress: ["todo", "in_review", "cancelled"], in_review: ["todo", "done", "cancelled"],
  done: [], cancelled: [],
};

/** @param {TaskStatus} from @param {TaskStatus} to */
export function isAllowed(from, to) {
  return ALLOWED[from].includes(to);
}

/** @param {TaskStatus} status */
export function allowedMoves(status) {
  return COLUMNS.filter((column) => isAllowed(status, column.status));
}

/**
 * Returns the next status that a task may move to in a direction, or `null`.
 * @param {TaskStatus} status
 * @param {1 | -1} direction
 */
export function neighbour(status, direction) {
  /** @type {TaskStatus[]} */
  const steps = ["todo", "in_progress", "in_review", "done"];
  for (let at = steps.indexOf(status) + direction; at >= 0 && at < steps.length; at += direction) {
    const to = steps[at];
    if (to && isAllowed(status, to)) return to;
  }
  return null;
}

/**
 * Moves a task; asks for the reason of a reject. Returns whether it moved.
 * @param {Board} board
 * @param {MeshData} mesh
 * @param {Task} task
 * @param {TaskStatus} status
 */
export async function moveTask(board, mesh, task, status) {
  if (task.status === status) return false;
  if (task.status === "in_review" && status === "todo") return rejectTask(board, mesh, task);
  return apply(board, mesh, task, { status });
}

/** @param {Board} board @param {MeshData} mesh @param {Task} task */
export async function rejectTask(board, mesh, task) {
  const reason = await ask({ title: "Reject", text: task.title, label: "Reason, which its assignee reads", confirm: "Reject" });
  return reason ? apply(board, mesh, task, { status: "todo", reason }) : false;
}

/**
 * @param {Board} board
 * @param {MeshData} mesh
 * @param {Task} task
 * @param {{status: TaskStatus, reason?: string}} change
 */
async function apply(board, mesh, task, change) {
  const result = await board.actions.moveTask(mesh, task, change);
  if (!result?.task) return false;
  mesh.tasks = mesh.tasks.map((one) => (one.task_id === task.task_id ? { ...one, ...result.task } : one));
  board.schedule("tasks");
  return true;
}
