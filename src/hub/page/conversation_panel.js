// The panel of the conversation: questions and messages, newest first; each question with its way to the answer.
import { byId, clone, excerpt, part, setAttribute, setPart, setText } from "./dom.js";
import { clock, duration, LiveTime } from "./live_time.js";
import { heldText, isHeld } from "./needs.js";
import { WindowedList } from "./windowed_list.js";

/**
 * @typedef {import("./board.js").Board} Board
 * @typedef {import("./types.js").Question} Question
 * @typedef {import("./types.js").Message} Message
 * @typedef {{key: string, at: string, question?: Question, message?: Message}} Entry
 */

export class ConversationPanel {
  #list = /** @type {WindowedList<Entry>} */ (byId("conversation-list", WindowedList));

  #you = "";

  constructor() {
    this.#list.renderer = {
      key: (entry) => entry.key,
      create: () => clone("talk"),
      update: (row, entry) => updateEntry(row, entry, this.#you),
      open: ({ question, message }) => {
        location.hash = question ? `question/${question.question_id}` : `message/${message?.message_id}`;
      },
    };
  }

  /** @param {Board} board */
  render({ mesh, changed }) {
    this.#you = mesh.you;
    if (!["questions", "messages", "view"].some((one) => changed.has(one))) return;
    const entries = [
      ...mesh.questions.map((question) => ({ key: question.question_id, at: question.asked_at, question })),
      ...mesh.messages.map((message) => ({ key: message.message_id, at: message.posted_at, message })),
    ];
    this.#list.items = entries.sort((a, b) => b.at.localeCompare(a.at) || b.key.localeCompare(a.key));
    const open = mesh.questions.filter((one) => one.state === "open").length;
    setText(byId("conversation-count", HTMLSpanElement), open > 0 ? `${open} open` : "");
    byId("conversation-empty", HTMLParagraphElement).hidden = entries.length > 0 || !mesh.isLoaded;
  }
}

/**
 * @param {HTMLElement} row
 * @param {Entry} entry
 * @param {string} you
 */
function updateEntry(row, { at, question, message }, you) {
  const name = (/** @type {string} */ peer) => (peer === you ? "you" : peer);
  setText(part(row, "at"), clock(at));
  if (message) {
    setAttribute(row, "data-state", "message");
    setText(part(row, "from"), name(message.from));
    setText(part(row, "to"), message.to === "*" ? "everybody" : name(message.to));
    setText(part(row, "question"), excerpt(message.subject ? `${message.subject}: ${message.body}` : message.body, 400));
    setPart(row, "answer", null);
    part(row, "question").classList.add("two");
    setText(part(row, "state"), message.type === "text" ? "message" : message.type);
    part(row, "track").hidden = true;
  } else if (question) {
    setAttribute(row, "data-state", question.state);
    setText(part(row, "from"), name(question.from));
    setText(part(row, "to"), name(question.to));
    setText(part(row, "question"), excerpt(question.question, 400));
    setPart(row, "answer", excerpt(question.answer, 400));
    part(row, "question").classList.toggle("two", !question.answer);
    setText(part(row, "state"), stateText(question));
    part(row, "track").hidden = false;
    updateTrack(part(row, "track"), question);
  }
}

/** What the next step of an open question is called. @type {Record<string, string>} */
const PENDING = { woken: "not woken yet", delivered: "not delivered yet", answered: "no answer yet" };

/** @param {Question} question */
export function stateText(question) {
  if (isHeld(question)) return "held";
  if (question.state === "answered" && question.by === "person") return "answered by a person";
  return question.state;
}

/**
 * The steps of a question: each with the time of day or the time since the step before; the next one counts.
 * @param {Question} question
 * @returns {{name: string, text: string, state: "done" | "now" | "skipped" | "failed", since?: string}[]}
 */
export function steps(question) {
  const { delivery, answered_at: answeredAt } = question;
  const stored = delivery?.stored_at ?? question.asked_at;
  const isOpen = question.state === "open";
  const after = (/** @type {string} */ from, /** @type {string} */ to) => `+${duration(Date.parse(to) - Date.parse(from), true)}`;
  /** @type {ReturnType<typeof steps>} */
  const list = [{ name: "stored", text: clock(stored), state: "done" }];
  let last = stored;
  const add = (/** @type {string} */ name, /** @type {string | null | undefined} */ at) => {
    if (at) {
      list.push({ name, text: after(last, at), state: "done" });
      last = at;
    } else if (isOpen && list.every((step) => step.state !== "now" && step.state !== "failed")) {
      list.push({ name: PENDING[name] ?? name, text: "", state: "now", since: last });
    } else {
      list.push({ name, text: "–", state: "skipped" });
    }
  };
  if (delivery?.wake === "failed") list.push({ name: "not woken", text: "", state: "failed" });
  else if (isHeld(question)) list.push({ name: "held", text: heldText(question), state: "failed" });
  else if (delivery?.woken_at || !delivery?.shown_at) add("woken", delivery?.woken_at);
  else list.push({ name: "woken", text: "not needed", state: "skipped" });
  add("delivered", delivery?.shown_at);
  add(question.state === "open" ? "answered" : question.state, answeredAt);
  return list;
}

/**
 * Shows the steps of a question. There are always four, so the row keeps its shape.
 * @param {HTMLElement} track
 * @param {Question} question
 */
export function updateTrack(track, question) {
  steps(question).forEach((step, at) => {
    const item = /** @type {HTMLElement} */ (track.children[at]);
    item.dataset.step = step.state;
    setText(part(item, "name"), step.name);
    setText(part(item, "took"), step.text);
    part(item, "count", LiveTime).since(step.since ?? null);
  });
}
