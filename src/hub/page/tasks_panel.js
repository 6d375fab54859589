// The panel of tasks: a column for each status. A card is moved by dragging it, by keys, or in its dialog.
import { byId, clone, element, part, setAttribute, setPart, setText } from "./dom.js";
import { LiveTime } from "./live_time.js";
import { COLUMNS, isAllowed, moveTask, neighbour } from "./task_moves.js";
import { WindowedList } from "./windowed_list.js";

/**
 * @typedef {import("./board.js").Board} Board
 * @typedef {import("./types.js").Task} Task
 * @typedef {import("./types.js").TaskStatus} TaskStatus
 * @typedef {{root: HTMLElement, count: HTMLElement, list: WindowedList<Task>}} Column
 */

export class TasksPanel {
  /** @type {Map<TaskStatus, Column>} */
  #columns = new Map();
  /** @type {Task | null} */
  #dragged = null;
  #board;

  /** @param {Board} board */
  constructor(board) {
    this.#board = board;
    const root = byId("tasks-columns", HTMLDivElement);
    for (const { status, title } of COLUMNS) root.append(this.#createColumn(status, title));
    root.addEventListener("dragstart", (event) => this.#onDragStart(event));
    root.addEventListener("dragend", () => this.#drag(null));
  }

  /** @param {Board} board */
  render({ mesh, changed }) {
    if (!changed.has("tasks") && !changed.has("view")) return;
    for (const [status, { count, list }] of this.#columns) {
      const tasks = mesh.tasks.filter((task) => task.status === status);
      list.items = tasks;
      const total = Math.max(tasks.length, mesh.taskCounts[status] ?? 0);
      setText(count, total > tasks.length ? `${tasks.length} of ${total}` : String(total));
    }
  }

  /**
   * @param {TaskStatus} status
   * @param {string} title
   */
  #createColumn(status, title) {
    const count = element("span", { className: "count" });
    const list = /** @type {WindowedList<Task>} */ (new WindowedList());
    list.className = "cards";
    list.setAttribute("aria-label", `${title}, tasks`);
    list.renderer = {
      key: (task) => task.task_id,
      create: () => {
        const card = clone("card");
        card.draggable = true;
        return card;
      },
      update: updateCard,
      open: (task) => {
        location.hash = `task/${task.task_id}`;
      },
      onKey: (task, event) => this.#onKey(task, event),
    };
    const root = element("div", { className: "column" }, [element("h3", {}, [title, " ", count]), list]);
    root.dataset.status = status;
    root.addEventListener("dragover", (event) => {
      if (!this.#dragged || !isAllowed(this.#dragged.status, status)) return;
      event.preventDefault();
      root.classList.add("over");
    });
    root.addEventListener("dragleave", () => root.classList.remove("over"));
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      const task = this.#dragged;
      this.#drag(null);
      if (task) void this.#move(task, status);
    });
    this.#columns.set(status, { root, count, list });
    return root;
  }

  /** @param {DragEvent} event */
  #onDragStart(event) {
    const card = event.target instanceof Element ? event.target.closest("[role=option]") : null;
    const id = card instanceof HTMLElement ? card.dataset.key : undefined;
    const task = this.#board.mesh.tasks.find((one) => one.task_id === id);
    if (!task || !event.dataTransfer) return;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", task.title);
    this.#drag(task);
  }

  /** Marks the columns that a dragged task may go to. @param {Task | null} task */
  #drag(task) {
    this.#dragged = task;
    for (const [status, { root }] of this.#columns) {
      root.classList.remove("over");
      const closed = task !== null && task.status !== status && !isAllowed(task.status, status);
      root.classList.toggle("closed", closed);
    }
  }

  /**
   * @param {Task} task
   * @param {KeyboardEvent} event
   */
  #onKey(task, event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return false;
    const direction = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (direction !== 0 && event.shiftKey) {
      const to = neighbour(task.status, direction);
      if (to) void this.#moveWithFocus(task, to);
    } else if (direction !== 0) {
      this.#focusBeside(task.status, direction);
    } else if (event.key === "x" && isAllowed(task.status, "cancelled")) {
      void this.#moveWithFocus(task, "cancelled");
    } else {
      return false;
    }
    return true;
  }

  /**
   * @param {Task} task
   * @param {TaskStatus} status
   */
  async #move(task, status) {
    return moveTask(this.#board, this.#board.mesh, task, status);
  }

  /**
   * Moves a task by keys; the focus goes with it.
   * @param {Task} task
   * @param {TaskStatus} status
   */
  async #moveWithFocus(task, status) {
    if (!(await this.#move(task, status))) return;
    requestAnimationFrame(() => {
      const list = this.#columns.get(status)?.list;
      if (list?.activateKey(task.task_id)) list.focus();
    });
  }

  /**
   * @param {TaskStatus} status
   * @param {1 | -1} direction
   */
  #focusBeside(status, direction) {
    const at = COLUMNS.findIndex((column) => column.status === status);
    for (let next = at + direction; next >= 0 && next < COLUMNS.length; next += direction) {
      const list = this.#columns.get(/** @type {TaskStatus} */ (COLUMNS[next]?.status))?.list;
      if (list && list.items.length > 0) return list.focus();
    }
  }
}

/**
 * @param {HTMLElement} card
 * @param {Task} task
 */
function updateCard(card, task) {
  setText(part(card, "title"), task.title);
  setPart(card, "assignee", task.assigned_to);
  setPart(card, "priority", task.priority === "normal" ? null : task.priority);
  setPart(card, "files", task.files_owned.length > 0 ? `${task.files_owned.length} file${task.files_owned.length === 1 ? "" : "s"}` : null);
  part(card, "age", LiveTime).since(task.updated_at);
  setAttribute(card, "data-priority", task.priority);
}
