// The top of the page: large figures, which meshes there are, whether the page is live, whether the mesh is paused.
import { byId, element, setAttribute, setText } from "./dom.js";
import { renderKeyed } from "./keyed_list.js";
import { choose, SPANS } from "./prompt.js";

/** @typedef {import("./board.js").Board} Board */

export class GlancePanel {
  #tabs = byId("meshes", HTMLElement);
  #figures = byId("figures", HTMLUListElement);
  #live = byId("live", HTMLButtonElement);
  #pause = byId("pause", HTMLButtonElement);

  /** @param {Board} board */
  constructor(board) {
    this.#live.addEventListener("click", () => board.mesh.retry());
    this.#pause.addEventListener("click", () => void togglePause(board));
  }

  /** @param {Board} board */
  render(board) {
    const needs = board.needs().length;
    document.title = needs > 0 ? `(${needs}) claude-mesh` : "claude-mesh";
    this.#tabs.hidden = board.meshes.length < 2;
    renderKeyed(this.#tabs, board.meshes, {
      key: (mesh) => mesh.name,
      create: (mesh) => element("a", { text: mesh.name }),
      update: (tab, mesh) => {
        setAttribute(tab, "href", `#mesh/${mesh.name}`);
        setAttribute(tab, "aria-current", mesh === board.mesh ? "true" : null);
      },
    });
    renderKeyed(this.#figures, figures(board, needs), {
      key: ({ label }) => label,
      create: ({ label }) => element("li", {}, [element("b"), element("span", { text: label })]),
      update: (item, { value, isUrgent }) => {
        setText(/** @type {Element} */ (item.firstElementChild), String(value));
        item.className = isUrgent ? "urgent" : value === 0 ? "zero" : "";
      },
    });
    this.#renderLive(board);
    const paused = pausedUntil(board);
    setText(this.#pause, paused ? "End pause" : "Pause");
    setAttribute(this.#pause, "aria-pressed", String(Boolean(paused)));
    byId("paused", HTMLParagraphElement).hidden = !paused;
    setText(byId("paused", HTMLParagraphElement), paused ? `The mesh ${board.mesh.name} is paused${paused}: no session is woken.` : "");
  }

  /** @param {Board} board */
  #renderLive({ mesh: { stream } }) {
    setText(this.#live, stream.live ? "live" : stream.retryAt === null ? "connecting" : "not live, trying again");
    this.#live.className = stream.live ? "live" : "not-live";
    this.#live.title = stream.live ? "Changes appear at once" : "What you see may be out of date. Click to try now.";
  }
}

/**
 * @param {Board} board
 * @param {number} needs
 */
function figures(board, needs) {
  const peers = board.meshes.flatMap((mesh) => mesh.peers.filter((peer) => isSession(mesh, peer)));
  const count = (/** @type {string} */ activity) => peers.filter((peer) => peer.activity === activity).length;
  const { questions, claims, taskCounts } = board.mesh;
  return [
    { label: needs === 1 ? "needs you" : "need you", value: needs, isUrgent: needs > 0 },
    { label: "busy", value: count("busy") },
    { label: "idle", value: count("idle") },
    { label: "open questions", value: questions.filter((one) => one.state === "open").length },
    { label: "claims", value: claims.filter((one) => one.holders.length > 0).length },
    { label: "open tasks", value: (taskCounts.todo ?? 0) + (taskCounts.in_progress ?? 0) + (taskCounts.in_review ?? 0) },
  ];
}

/**
 * Returns whether a peer is a session that lives; the person is none.
 * @param {import("./mesh_data.js").MeshData} mesh
 * @param {import("./types.js").Peer} peer
 */
export function isSession(mesh, peer) {
  return peer.liveness !== "dead" && peer.peer !== mesh.you && !peer.peer.startsWith("person@");
}

/**
 * Returns until when the mesh in view is paused, as text, or `null`.
 * @param {Board} board
 */
function pausedUntil({ mesh }) {
  const until = mesh.status.paused_until;
  if (!until) return null;
  return until === "forever" ? " until you end it" : ` until ${new Date(until).toLocaleTimeString([], { timeStyle: "short" })}`;
}

/** @param {Board} board */
async function togglePause(board) {
  const { mesh, actions } = board;
  if (pausedUntil(board)) return void actions.endPause(mesh);
  const text = "No session is woken meanwhile. Questions are stored, and their askers told so.";
  const chosen = await choose({ title: `Pause the mesh ${mesh.name}`, text, choices: SPANS });
  if (chosen) await actions.pause(mesh, chosen.value);
}
