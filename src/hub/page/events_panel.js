// The panel of the event log: newest first, one line an event; older ones load as the list is scrolled down.
import { byId, clone, part, setText } from "./dom.js";
import { eventText } from "./event_text.js";
import { clock } from "./live_time.js";
import { WindowedList } from "./windowed_list.js";

/**
 * @typedef {import("./board.js").Board} Board
 * @typedef {import("./types.js").MeshEvent} MeshEvent
 */

/** Load older events this far before the end of the list. */
const AHEAD_PX = 600;
const ROWS_MIN = 40;

export class EventsPanel {
  #list = /** @type {WindowedList<MeshEvent>} */ (byId("events-list", WindowedList));
  #filter = byId("events-filter", HTMLSelectElement);

  /** @param {Board} board */
  constructor(board) {
    this.#list.renderer = {
      key: (event) => String(event.seq),
      create: () => clone("event"),
      update: (row, event) => {
        setText(part(row, "at"), clock(event.at));
        setText(part(row, "by"), event.by);
        setText(part(row, "text"), eventText(event));
      },
      open: (event) => openSubject(event),
    };
    this.#list.addEventListener("scroll", () => {
      const left = this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight;
      if (left < AHEAD_PX) void board.mesh.loadOlderEvents();
    }, { passive: true });
    this.#filter.addEventListener("change", () => board.schedule("events"));
  }

  /** @param {Board} board */
  render({ mesh, changed }) {
    if (!changed.has("events") && !changed.has("view")) return;
    const prefix = this.#filter.value;
    const events = prefix ? mesh.events.filter((event) => event.type.startsWith(prefix)) : mesh.events;
    this.#list.items = events.toReversed();
    // A list that is not full cannot be scrolled, which loads older events.
    if (events.length < ROWS_MIN) void mesh.loadOlderEvents();
    byId("events-empty", HTMLParagraphElement).hidden = events.length > 0;
  }
}

/** @param {MeshEvent} event */
function openSubject({ type, subject }) {
  const kind = type.split(".")[0];
  if (kind === "question" || kind === "task" || kind === "peer") location.hash = `${kind}/${encodeURIComponent(subject)}`;
}
