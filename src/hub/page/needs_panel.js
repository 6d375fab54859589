// The panel of what needs the person: each need with what can be done about it.
import { button, byId, clone, element, excerpt, part, setPart, setText } from "./dom.js";
import { renderKeyed } from "./keyed_list.js";
import { LiveTime } from "./live_time.js";
import { heldReason, heldText } from "./needs.js";
import { resourceName } from "./resource_name.js";
import { rejectTask } from "./task_moves.js";

/**
 * @typedef {import("./board.js").Board} Board
 * @typedef {import("./needs.js").Need} Need
 */

/** More would only hide the first ones. */
const SHOWN_MAX = 60;

export class NeedsPanel {
  #list = byId("needs-list", HTMLUListElement);

  /** @param {Board} board */
  render(board) {
    const needs = board.needs();
      setText(byId("needs-count", HTMLSpanElement), needs.length > 0 ? String(needs.length) : "");
    byId("needs-empty", HTMLParagraphElement).hidden = needs.length > 0 || !board.mesh.isLoaded;
    const more = byId("needs-more", HTMLParagraphElement);
    more.hidden = needs.length <= SHOWN_MAX;
    setText(more, `and ${needs.length - SHOWN_MAX} more`);
    renderKeyed(this.#list, needs.slice(0, SHOWN_MAX), {
      key: (need) => `${need.kind}/${need.key}`,
      create: (need) => (need.kind === "question" ? createQuestion(board, need) : createNotice(board, need)),
      update: (item, need) => {
        const { what, text, link } = describe(need);
        setText(part(item, "what"), what);
        setPart(item, "text", text);
        part(item, "what", HTMLAnchorElement).href = `#${link}`;
        setPart(item, "mesh", need.mesh === board.mesh ? null : need.mesh.name);
        part(item, "age", LiveTime).since(need.at);
        if (need.kind === "question") setPart(item, "context", need.question.context);
      },
    });
  }
}

/** @param {Need} need */
function describe(need) {
  switch (need.kind) {
    case "question":
      return { what: `${need.question.from} asks you`, text: need.question.question, link: `question/${need.question.question_id}` };
    case "dialog":
      return { what: `${need.peer.peer} waits in a dialog`, text: need.peer.doing ?? "Answer it in its terminal.", link: `peer/${need.peer.peer}` };
    case "not_woken": {
      const { question } = need;
      const text = `${question.delivery?.wake_problem ?? "no wake-up reached it"} · ${excerpt(question.question)}`;
      return { what: `${question.to} was not woken for ${question.from}`, text, link: `question/${question.question_id}` };
    }
    case "held": {
      const { question } = need;
      const text = `${heldText(question)} · ${excerpt(question.question)}`;
      return { what: `${question.from} → ${question.to} is held`, text, link: `question/${question.question_id}` };
    }
    case "review":
      return { what: need.task.title, text: `in review${need.task.assigned_to ? `, by ${need.task.assigned_to}` : ""}`, link: `task/${need.task.task_id}` };
    case "queue": {
      const { claim } = need;
      const holders = claim.holders.map((holder) => holder.peer).join(", ") || "nobody";
      return { what: `${claim.queue.length} wait for ${resourceName(claim.resource, need.mesh)}`, text: `held by ${holders}`, link: `claim/${encodeURIComponent(claim.resource)}` };
    }
  }
}

/**
 * @param {Board} board
 * @param {Need & {kind: "question"}} need
 */
function createQuestion(board, { mesh, question }) {
  const item = clone("need-question");
  const form = part(item, "form", HTMLFormElement);
  const field = part(item, "answer", HTMLTextAreaElement);
  field.setAttribute("aria-label", `Your answer to ${question.from}`);
  const send = async (/** @type {boolean} */ decline) => {
    const text = field.value.trim();
    if (text === "") return field.focus();
    form.inert = true;
    await board.actions.answer(mesh, question.question_id, { answer: text, decline });
    form.inert = false;
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void send(false);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    void send(false);
  });
  const decline = button("Decline", () => void send(true));
  decline.title = "Your text is sent as the reason";
  part(item, "buttons").append(decline);
  return item;
}

/**
 * @param {Board} board
 * @param {Exclude<Need, {kind: "question"}>} need
 */
function createNotice(board, need) {
  const item = clone("need-notice");
  const { mesh } = need;
  const add = (/** @type {HTMLElement[]} */ ...buttons) => part(item, "buttons").append(...buttons);
  switch (need.kind) {
    case "held": {
      const { question } = need;
      if (heldReason(question) === "quiet") add(button("End quiet", () => void board.actions.endQuiet(mesh, question.to)));
      if (heldReason(question) === "paused") add(button("End pause", () => void board.actions.endPause(mesh)));
      break;
    }
    case "review": {
      const { task } = need;
      // The task as it is when the button is used, for its version.
      const current = () => mesh.tasks.find((one) => one.task_id === task.task_id) ?? task;
      add(
        button("Done", () => void board.actions.moveTask(mesh, current(), { status: "done" })),
        button("Reject…", () => void rejectTask(board, mesh, current())),
      );
      break;
    }
    case "dialog":
    case "not_woken":
      add(element("a", { className: "button", text: "Details" }));
      part(item, "buttons").querySelector("a")?.setAttribute("href", `#${describe(need).link}`);
      break;
    case "queue":
      add(element("a", { className: "button", text: "Claims" }));
      part(item, "buttons").querySelector("a")?.setAttribute("href", "#claims");
  }
  return item;
}

