// The panel of memories: search as you type, forget what is wrong.
import { button, byId, clone, part, setPart, setText } from "./dom.js";
import { ApiError } from "./api.js";
import { renderKeyed } from "./keyed_list.js";
import { clock } from "./live_time.js";
import { ask } from "./prompt.js";

/**
 * @typedef {import("./board.js").Board} Board
 * @typedef {import("./types.js").Memory} Memory
 */

const TYPING_MS = 200;

export class MemoryPanel {
  #query = byId("memory-query", HTMLInputElement);
  #list = byId("memory-list", HTMLUListElement);
  #empty = byId("memory-empty", HTMLParagraphElement);
  /** @type {Memory[]} */
  #found = [];
  #timer = 0;
  #searches = 0;
  #board;

  /** @param {Board} board */
  constructor(board) {
    this.#board = board;
    this.#query.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = window.setTimeout(() => void this.#search(), TYPING_MS);
    });
    byId("memory-form", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
  }

  /** @param {Board} board */
  render({ changed }) {
    if (changed.has("memories") || changed.has("view")) void this.#search();
  }

  async #search() {
    const { mesh, api } = this.#board;
    const query = this.#query.value.trim();
    const search = (this.#searches += 1);
    let problem = "";
    try {
      const result = await api.read(mesh.route(`board/memories?limit=20${query ? `&query=${encodeURIComponent(query)}` : ""}`));
      if (search !== this.#searches) return;
      this.#found = result.memories;
    } catch (error) {
      problem = error instanceof ApiError ? error.message : "The hub cannot be reached.";
    }
    setText(this.#empty, problem || (query ? "Nothing found." : "No memories."));
    this.#empty.hidden = problem === "" && this.#found.length > 0;
    this.#show();
  }

  #show() {
    renderKeyed(this.#list, this.#found, {
      key: (memory) => memory.memory_id,
      create: (memory) => {
        const item = clone("memory");
        const forget = button("Forget", () => void this.#forget(memory));
        forget.setAttribute("aria-label", `Forget ${memory.key ?? "this memory"}`);
        part(item, "line").append(forget);
        return item;
      },
      update: (item, memory) => {
        setText(part(item, "key"), memory.key ?? "memory");
        setText(part(item, "text"), memory.text);
        setText(part(item, "by"), `${memory.by}, ${clock(memory.at)}, ${memory.scope}`);
        setPart(item, "tags", memory.tags.map((tag) => `#${tag}`).join(" "));
      },
    });
  }

  /** @param {Memory} memory */
  async #forget(memory) {
    const { mesh, actions } = this.#board;
    const text = "It is erased for every session of the mesh, with its earlier versions.";
    if ((await ask({ title: `Forget ${memory.key ?? "this memory"}`, text, confirm: "Forget" })) === null) return;
    if (await actions.forgetMemory(mesh, memory.memory_id)) await this.#search();
  }
}
