// The dialogs by which the person asks a peer and posts a message.
import { byId, element, setText } from "./dom.js";

/** @typedef {import("./board.js").Board} Board */

export class Compose {
  #dialog = byId("compose", HTMLDialogElement);
  #form = byId("compose-form", HTMLFormElement);
  #to = byId("compose-to", HTMLInputElement);
  #subject = byId("compose-subject", HTMLInputElement);
  #text = byId("compose-text", HTMLTextAreaElement);
  #context = byId("compose-context", HTMLTextAreaElement);
  #type = byId("compose-type", HTMLSelectElement);
  #kind = "ask";
  #board;

  /** @param {Board} board */
  constructor(board) {
    this.#board = board;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send();
    });
    this.#form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#form.requestSubmit();
    });
    byId("compose-cancel", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    byId("ask", HTMLButtonElement).addEventListener("click", () => this.show("ask"));
    byId("post", HTMLButtonElement).addEventListener("click", () => this.show("post"));
  }

  /** @param {"ask" | "post"} kind @param {string} [to] */
  show(kind, to = "") {
    this.#kind = kind;
    const isAsk = kind === "ask";
    setText(byId("compose-title", HTMLHeadingElement), isAsk ? "Ask a peer" : "Post a message");
    setText(byId("compose-text-label", HTMLSpanElement), isAsk ? "Question" : "Message");
    setText(byId("compose-to-hint", HTMLElement), isAsk ? "a peer" : "a peer, * for everybody, or #topic");
    setText(byId("compose-send", HTMLButtonElement), isAsk ? "Ask" : "Post");
    for (const field of this.#form.querySelectorAll("[data-for]")) {
      if (field instanceof HTMLElement) field.hidden = field.dataset.for !== kind;
    }
    const { mesh } = this.#board;
    const names = mesh.peers.map((peer) => peer.peer).filter((name) => name !== mesh.you);
    const options = (isAsk ? names : [...names, "*"]).map((name) => {
      const option = element("option");
      option.value = name;
      return option;
    });
    byId("compose-peers", HTMLDataListElement).replaceChildren(...options);
    this.#to.value = to;
    if (!this.#dialog.open) this.#dialog.showModal();
    (to === "" ? this.#to : this.#text).focus();
  }

  async #send() {
    const { mesh, actions } = this.#board;
    const to = this.#to.value.trim();
    const text = this.#text.value.trim();
    const [context, subject] = [this.#context.value.trim(), this.#subject.value.trim()];
    this.#form.inert = true;
    const result = this.#kind === "ask"
      ? await actions.ask(mesh, { to, question: text, ...(context && { context }) })
      : await actions.post(mesh, { to, body: text, type: this.#type.value, ...(subject && { subject }) });
    this.#form.inert = false;
    // What is written stays if the hub refused it.
    if (result === null) return;
    this.#form.reset();
    this.#dialog.close();
  }
}
