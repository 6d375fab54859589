// The dialog of one thing that the address names: a question, a message, a task or a peer, in full, with what can be done.
import { button, byId, clone, element, setText } from "./dom.js";
import { clock } from "./live_time.js";
import { stateText, updateTrack } from "./conversation_panel.js";
import { sessionState, waitsFor } from "./sessions_panel.js";
import { ask, choose, SPANS } from "./prompt.js";
import { allowedMoves, moveTask } from "./task_moves.js";

/**
 * @typedef {import("./board.js").Board} Board
 * @typedef {import("./mesh_data.js").MeshData} MeshData
 * @typedef {{title: string, version: string, body: () => Node[], actions: () => HTMLElement[]}} View
 */

export class Detail {
  #dialog = byId("detail", HTMLDialogElement);
  #body = byId("detail-body", HTMLDivElement);
  #actions = byId("detail-actions", HTMLDivElement);
  #board;
  /** @type {{kind: string, id: string} | null} */
  #shown = null;
  #version = "";
  /** @type {Set<string>} ids that were looked for everywhere */
  #searched = new Set();

  /** @param {Board} board */
  constructor(board) {
    this.#board = board;
    this.#dialog.addEventListener("close", () => {
      this.#shown = null;
      if (location.hash !== "") history.replaceState(null, "", location.pathname);
    });
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
    byId("detail-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
  }

  /** @param {string} kind @param {string} id */
  show(kind, id) {
    this.#shown = { kind, id };
    this.#version = "";
    this.render();
    if (!this.#dialog.open) this.#dialog.showModal();
    if (!this.#find(kind, id)) void this.#loadOlder(kind, id);
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
  }

  /** Looks for a thing that no list has in each mesh. @param {string} kind @param {string} id */
  async #loadOlder(kind, id) {
    for (const mesh of this.#board.meshes) await mesh.loadOlder(kind, id).catch(() => undefined);
    this.#searched.add(id);
    this.render();
  }

  /** Draws the dialog again if the thing it shows has changed. */
  render() {
    if (!this.#shown) return;
    const { kind, id } = this.#shown;
    const view = this.#find(kind, id);
    const version = view?.version ?? `missing ${this.#searched.has(id)}`;
    if (version === this.#version) return;
    this.#version = version;
    setText(byId("detail-title", HTMLHeadingElement), view?.title ?? `No ${kind} ${id} here`);
    const missing = this.#searched.has(id) ? "It has ended long ago, was erased, or never was here." : "Looking for it…";
    const focused = document.activeElement;
    this.#body.replaceChildren(...(view?.body() ?? [element("p", { text: missing })]));
    const before = this.#actions.contains(focused) ? focused?.textContent : null;
    this.#actions.replaceChildren(...(view?.actions() ?? []));
    // The person goes on where they were: in the answer, or at the button of the same name.
    const same = [...this.#actions.children].find((one) => before !== null && one.textContent === before);
    const target = this.#body.contains(focused) ? focused : same;
    if (target instanceof HTMLElement) target.focus();
  }

  /**
   * @param {string} kind
   * @param {string} id
   * @returns {View | null}
   */
  #find(kind, id) {
    for (const mesh of [this.#board.mesh, ...this.#board.meshes]) {
      const view = VIEWS[kind]?.(this.#board, mesh, id);
      if (view) return view;
    }
    return null;
  }
}

/** @type {Record<string, (board: Board, mesh: MeshData, id: string) => View | null>} */
const VIEWS = { question: questionView, message: messageView, task: taskView, peer: peerView };


/** What the person types is kept while the question changes. @type {Map<string, HTMLTextAreaElement>} */
const answers = new Map();

/** @param {Board} board @param {MeshData} mesh @param {string} id @returns {View | null} */
function questionView(board, mesh, id) {
  const question = mesh.questions.find((one) => one.question_id === id);
  if (!question) return null;
  const { actions } = board;
  const isOpen = question.state === "open" && question.from !== mesh.you;
  const isMine = question.to === mesh.you;
  const answer = answers.get(id) ?? element("textarea");
  answers.set(id, answer);
  answer.rows = 2;
  answer.setAttribute("aria-label", "Your answer");
  answer.placeholder = isMine ? "Answer" : `Answer in place of ${question.to}`;
  const send = async (/** @type {boolean} */ decline) => {
    if (answer.value.trim() === "") return answer.focus();
    await actions.answer(mesh, id, { answer: answer.value.trim(), decline });
  };
  return {
    title: `${question.from} → ${question.to}`,
    version: JSON.stringify(question),
    body: () => {
      const track = clone("track");
      updateTrack(track, question);
      const parts = [facts([["State", stateText(question)], ["Asked", clock(question.asked_at)], ["Id", id]]), track, text("Question", question.question)];
      if (question.context) parts.push(text("Context", question.context));
      if (question.delivery?.wake_problem) parts.push(text("Not woken", question.delivery.wake_problem));
      if (question.answer) parts.push(text("Answer", question.answer));
      if (isOpen) parts.push(answer);
      return parts;
    },
    actions: () => {
      const buttons = isOpen ? [button("Answer", () => void send(false), "primary"), button("Decline", () => void send(true))] : [];
      if (question.held === "quiet") buttons.push(button("End quiet", () => void actions.endQuiet(mesh, question.to)));
      return buttons;
    },
  };
}

/** @param {Board} _ @param {MeshData} mesh @param {string} id @returns {View | null} */
function messageView(_, mesh, id) {
  const message = mesh.messages.find((one) => one.message_id === id);
  if (!message) return null;
  return {
    title: `${message.from} → ${message.to}`,
    version: JSON.stringify(message),
    body: () => [facts([["Posted", clock(message.posted_at)], ["Type", message.type]]), text(message.subject ?? "Message", message.body)],
    actions: () => [],
  };
}

/** @param {Board} board @param {MeshData} mesh @param {string} id @returns {View | null} */
function taskView(board, mesh, id) {
  const task = mesh.tasks.find((one) => one.task_id === id);
  if (!task) return null;
  return {
    title: task.title,
    version: JSON.stringify(task),
    body: () => {
      const list = facts([
        ["Status", task.status.replace("_", " ")], ["Assigned to", task.assigned_to ?? "nobody"], ["Priority", task.priority],
        ["Created", `${clock(task.created_at)} by ${task.created_by}`], ["Changed", clock(task.updated_at)],
        ["Files", task.files_owned.join("\n")], ["After", task.depends_on.join("\n")], ["Id", id],
      ]);
      return task.description ? [list, text("Description", task.description)] : [list];
    },
    actions: () => allowedMoves(task.status).map(({ status, title }) => {
      const isReject = task.status === "in_review" && status === "todo";
      return button(isReject ? "Reject…" : title, () => void moveTask(board, mesh, task, status), status === "done" ? "primary" : "");
    }),
  };
}

/** @param {Board} board @param {MeshData} mesh @param {string} id @returns {View | null} */
function peerView(board, mesh, id) {
  const peer = mesh.peers.find((one) => one.peer === id || one.aliases.includes(id));
  if (!peer) return null;
  const { actions } = board;
  const state = sessionState(peer);
  const shown = { ...peer, last_seen_at: undefined, idle_seconds: undefined };
  return {
    title: peer.peer,
    version: JSON.stringify([shown, state.text, waitsFor(mesh, peer)]),
    body: () => [facts([
      ["State", state.text], ["Quiet until", peer.quiet_until], ["Doing", peer.doing], ["Task", peer.current_task], ["Waits for", waitsFor(mesh, peer)],
      ["Role", peer.role], ["About", peer.summary], ["Questions for it", peer.questions_waiting ? String(peer.questions_waiting) : null],
      ["Holds", peer.claims.map((claim) => claim.resource).join("\n")], ["Project", peer.project], ["Branch", peer.git_branch],
      ["Client", peer.agent], ["Host", peer.host], ["Since", peer.started_at ? clock(peer.started_at) : null], ["Mesh", mesh.name],
      ["Also called", peer.aliases.join(", ")],
    ])],
    actions: () => [
      element("a", { className: "button primary", text: "Ask" }), element("a", { className: "button", text: "Post" }),
      peer.quiet_until
        ? button("End quiet", () => void actions.endQuiet(mesh, peer.peer))
        : button("Quiet…", () => void quiet(board, mesh, peer.peer)),
      button("Forget…", () => void forget(board, mesh, peer.peer)),
    ].map((action, at) => {
      if (action instanceof HTMLAnchorElement) action.href = `#${at === 0 ? "ask" : "post"}/${encodeURIComponent(peer.peer)}`;
      return action;
    }),
  };
}

/** @param {Board} board @param {MeshData} mesh @param {string} peer */
async function quiet(board, mesh, peer) {
  const textOf = "Peers do not wake it meanwhile; their questions are held.";
  const chosen = await choose({ title: `Quiet for ${peer}`, text: textOf, choices: SPANS });
  if (chosen) await board.actions.quiet(mesh, peer, chosen.value);
}

/** @param {Board} board @param {MeshData} mesh @param {string} peer */
async function forget(board, mesh, peer) {
  const textOf = "Its mailbox is removed with all its questions and answers. This cannot be undone.";
  if ((await ask({ title: `Forget ${peer}`, text: textOf, confirm: "Forget" })) === null) return;
  await board.actions.forgetPeer(mesh, peer);
}

/**
 * Returns a list of names and values; what has no value is left out.
 * @param {[string, string | null | undefined][]} rows
 */
function facts(rows) {
  const list = element("dl");
  for (const [name, value] of rows) {
    if (value) list.append(element("dt", { text: name }), element("dd", { text: value }));
  }
  return list;
}

/** @param {string} title @param {string} body */
function text(title, body) {
  return element("section", {}, [element("h3", { text: title }), element("pre", { text: body })]);
}

/** Returns whether there is a dialog for a kind of thing. @param {string} kind */
export function isDetail(kind) {
  return Object.hasOwn(VIEWS, kind);
}
